from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from scipy.spatial.distance import mahalanobis

from command_line import Typed
from made_model import made_card, make_model
from osteon.errors import MeasurementError, ModelFileError
from osteon.film import read_film
from osteon.lab.guard.density import fit_density
from osteon.lab.guard.detector import Detector, Features, Known, fit_detector
from osteon.lab.guard.fit import GuardPlan, add_guard
from osteon.lab.guard.graph import FEATURES, PREFIX, feature_maps, with_features, with_guard, without_guard
from osteon.lab.guard.inversion import fit_inversion
from osteon.lab.guard.pictures import KINDS, made_pictures
from osteon.lab.guard.variations import varied
from osteon.opening import load_model


class TestDensity:
    @pytest.fixture
    def features(self) -> NDArray[np.float64]:
        draw = np.random.default_rng(0)
        return draw.normal(size=(400, 6)) @ draw.normal(size=(6, 6)) + draw.normal(size=6) * 10

    def test_with_all_directions_it_is_the_mahalanobis_distance(self, features: NDArray[np.float64]) -> None:
        told = fit_density(features, 5).novelty(features)  # five of their own, and one alone is the noise
        inverse = np.linalg.inv(np.cov(features.T, bias=True))
        expected = [mahalanobis(row, features.mean(0), inverse) ** 2 / 6 for row in features]
        np.testing.assert_allclose(told, expected, rtol=0.05)
        assert told.mean() == pytest.approx(1, abs=0.05)

    def test_few_directions_still_average_one_and_grow_with_the_distance(self, features: NDArray[np.float64]) -> None:
        density = fit_density(features, 2)
        assert density.novelty(features).mean() == pytest.approx(1, abs=0.05)
        away = density.centre + np.outer([0, 1, 5, 50], density.scale)
        assert (np.diff(density.novelty(away)) > 0).all()
        assert density.novelty(away)[0] == 0

    def test_scale_and_place_of_a_feature_do_not_matter(self, features: NDArray[np.float64]) -> None:
        moved = features * [1, 10, 0.2, 3, 1, 7] + [5, 0, -9, 2, 0, 1]
        np.testing.assert_allclose(fit_density(moved, 3).novelty(moved), fit_density(features, 3).novelty(features), rtol=0.05)

    def test_features_that_never_vary_and_very_few_films_give_numbers(self) -> None:
        few = np.random.default_rng(0).normal(size=(4, 9))
        few[:, 3] = 2.0
        assert np.isfinite(fit_density(few).novelty(few)).all()


class TestDetector:
    @pytest.fixture
    def known(self) -> Known:
        """Films of 60 patients, copies a little wider, negatives a long way off in one direction."""
        draw = np.random.default_rng(1)
        group, kind = np.repeat(np.arange(60), 5).astype(str), np.tile(["HAND", "LEG"], 150)
        films = draw.normal(size=(300, 8)).astype(np.float32)
        some = np.arange(300) % 3 == 0
        copies = Features(films[some] * np.float32(1.2), group[some], kind[some])
        return Known(
            Features(films, group, kind),
            copies,
            Features(films[some] + np.float32(5) * np.eye(8)[0].astype(np.float32), group[some], kind[some]),
        )

    def test_refuses_the_stated_share_of_films_and_nearly_all_negatives(self, known: Known) -> None:
        detector = fit_detector(known, 0.05, 0)
        assert 0.01 <= detector.refuses(known.usual).mean() <= 0.1
        assert detector.refuses(known.negatives.values).mean() >= 0.95
        assert detector.refuses(np.full((1, 8), -9.0))[0]

    def test_negatives_that_look_like_films_cost_no_more_than_the_stated_share(self, known: Known) -> None:
        like = Known(known.films, known.copies, known.copies)
        assert fit_detector(like, 0.05, 0).refuses(known.usual).mean() <= 0.15

    def test_the_seed_decides(self, known: Known) -> None:
        assert fit_detector(known, 0.05, 3).threshold == fit_detector(known, 0.05, 3).threshold

    def test_room_widens_the_threshold_for_films_and_not_for_negatives(self, known: Known) -> None:
        close, wide = fit_detector(known, 0.05, 3), fit_detector(known, 0.05, 3, 1.5)
        assert wide.threshold == pytest.approx(1.5 * close.threshold)
        assert wide.refuses(known.usual).mean() <= close.refuses(known.usual).mean()
        assert abs(wide.refuses(known.negatives.values).mean() - close.refuses(known.negatives.values).mean()) < 0.1

    def test_a_score_is_moved_as_a_whole(self, known: Known) -> None:
        inversion = fit_inversion(known.usual, known.negatives.values)
        np.testing.assert_allclose(inversion.moved(2).score(known.usual), inversion.score(known.usual) + 2)
        assert inversion.score(known.negatives.values).min() > np.median(inversion.score(known.usual))


def network(*layers: tuple[str, list[str], str], maps: dict[str, tuple[int, int]]) -> onnx.ModelProto:
    """A graph of these layers, its tensors of these channels and sides; weights are graph inputs, since nothing runs."""
    info = helper.make_tensor_value_info
    inputs = {name for _, names, _ in layers for name in names} - {output for *_, output in layers}
    graph = helper.make_graph(
        [helper.make_node(kind, names, [output]) for kind, names, output in layers],
        "made",
        [info(name, TensorProto.FLOAT, None) for name in sorted(inputs)],
        [info("logit", TensorProto.FLOAT, ["n"])],
        value_info=[info(name, TensorProto.FLOAT, ["n", channels, side, side]) for name, (channels, side) in maps.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


class TestGraph:
    def test_maps_are_the_last_uncut_ones_that_lead_to_the_deepest(self) -> None:
        model = network(
            ("Conv", ["image", "w0"], "stem"), ("Relu", ["stem"], "cut"),
            ("Conv", ["cut", "w1"], "early"), ("Add", ["early", "early"], "fine"),
            ("Conv", ["fine", "w2"], "wide"), ("Clip", ["wide"], "clipped"),
            ("Conv", ["clipped", "w3"], "deep"), ("Conv", ["deep", "w4"], "last"), ("Relu", ["last"], "lastcut"),
            ("Conv", ["fine", "w5"], "lateral"), ("Add", ["lateral", "lateral"], "head"), ("Conv", ["head", "w6"], "logit"),
            maps={"stem": (8, 32), "cut": (8, 32), "early": (8, 16), "fine": (8, 16), "wide": (48, 16),
                  "clipped": (48, 16), "deep": (16, 8),
                  "last": (64, 8), "lastcut": (64, 8), "lateral": (32, 16), "head": (32, 16)},
        )  # fmt: skip
        assert feature_maps(model) == ["deep", "fine"]

    def test_eight_bits_are_seen_through(self) -> None:
        model = network(
            ("Conv", ["image", "w0"], "a"), ("QuantizeLinear", ["a", "s"], "aq"), ("DequantizeLinear", ["aq", "s"], "ad"),
            ("Conv", ["ad", "w1"], "b"), ("Relu", ["b"], "r"), ("QuantizeLinear", ["r", "s"], "rq"),
            ("DequantizeLinear", ["rq", "s"], "rd"), ("Conv", ["rd", "w2"], "logit"),
            maps={"a": (8, 16), "ad": (8, 16), "b": (8, 8), "r": (8, 8), "rd": (8, 8)},
        )  # fmt: skip
        assert feature_maps(model) == ["ad"]

    def test_a_weight_scaled_inside_the_graph_is_no_map(self) -> None:
        model = network(
            ("Conv", ["image", "w0"], "a"), ("Mul", ["w1", "scale"], "scaled"),
            ("Conv", ["a", "scaled"], "b"), ("Conv", ["b", "w2"], "logit"),
            maps={"a": (8, 16), "b": (8, 8), "scaled": (1152, 1)},
        )  # fmt: skip
        for name in ("w0", "w1", "w2", "scale"):
            model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0]))
        assert feature_maps(model) == ["b", "a"]

    def test_a_graph_without_features_is_refused(self, tmp_path: Path) -> None:
        model = network(("Conv", ["image", "w0"], "logit"), maps={})
        with pytest.raises(ModelFileError, match="shows no feature map"):
            feature_maps(model)

    def test_the_guard_computes_what_the_density_does_and_leaves_the_rest_alone(self, tmp_path: Path) -> None:
        bare = onnx.load(make_model(tmp_path / "m.onnx"))
        films = np.random.default_rng(0).integers(0, 256, (40, 64, 64), dtype=np.uint8)
        [features] = run(with_features(bare), [FEATURES], films)
        detector = Detector(fit_density(features, 3), fit_inversion(features[:20], features[20:]), 1.0)
        guarded = with_guard(bare, detector)
        novelty, *outputs = run(guarded, ["novelty", "logit", "evidence"], films)
        np.testing.assert_allclose(novelty, detector.novelty(features), rtol=1e-3)
        for ours, theirs in zip(outputs, run(bare, ["logit", "evidence"], films), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert without_guard(guarded) == bare
        assert without_guard(with_features(guarded)) == bare
        assert with_guard(guarded, detector) == guarded
        assert all(node.name.startswith(PREFIX) for node in guarded.graph.node[len(bare.graph.node) :])


def run(model: onnx.ModelProto, outputs: list[str], films: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(outputs, {"image": films})


class TestPictures:
    @pytest.mark.parametrize("kind", KINDS)
    def test_drawn_anew_and_again_the_same(self, kind: str) -> None:
        pictures, again, other = (made_pictures(kind, 3, seed) for seed in (0, 0, 1))
        for grey, twin, another in zip(pictures, again, other, strict=True):
            assert grey.dtype == np.float32
            assert 0 <= grey.min() < grey.max() <= 1
            np.testing.assert_array_equal(grey, twin)
            assert grey.shape != another.shape or (grey != another).any()


def test_a_varied_film_is_another_one_of_the_same_kind() -> None:
    film = np.zeros((64, 64), np.uint8)
    film[:, 16:48] = limb(0)[:, :32]
    copies = [varied(film, np.random.default_rng(i)) for i in range(20)]
    assert all(copy.shape == film.shape and copy.dtype == np.uint8 and copy.max() > 0 for copy in copies)
    assert len({copy.tobytes() for copy in copies}) == 20
    np.testing.assert_array_equal(copies[3], varied(film, np.random.default_rng(3)))
    assert not any(varied(np.zeros((64, 64), np.uint8), np.random.default_rng(i)).any() for i in range(20))


def test_some_varied_films_are_grainy_and_no_padding_is() -> None:
    film = np.zeros((64, 64), np.uint8)
    film[:, 16:48] = np.linspace(60, 200, 32, dtype=np.uint8)
    copies = [varied(film, np.random.default_rng(i)).astype(float) for i in range(100)]
    assert all((copy == 0).mean() > 0.2 for copy in copies)
    rough = np.array([np.abs(np.diff(copy[28:36, 24:40], 2, axis=1)).mean() for copy in copies])
    assert 0.2 < (rough > 2).mean() < 0.45


def limb(seed: int) -> NDArray[np.uint8]:
    """A bright band in dark air, (64, 64)."""
    draw = np.random.default_rng(seed)
    x = np.arange(64)
    centre = 32 + draw.uniform(-4, 4) + draw.uniform(-0.1, 0.1) * (x[:, None] - 32)
    flesh = np.clip(1 - ((x - centre) / draw.uniform(12, 16)) ** 2, 0, 1) ** 0.5
    bone = np.clip(1 - ((x - centre) / draw.uniform(4, 6)) ** 2, 0, 1) ** 0.5
    return np.uint8(np.clip(0.05 + 0.35 * flesh + 0.4 * bone + draw.normal(0, 0.02, (64, 64)), 0, 1) * 255)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 240 films of limbs, two of each patient."""
    root = tmp_path_factory.mktemp("films")
    for number in range(240):
        Image.fromarray(limb(number)).save(root / f"{number}.png")
    names = [f"{number}.png" for number in range(240)]
    films = pl.DataFrame({
        "path": names, "root": [str(root)] * 240, "split": ["train"] * 110 + ["tune"] * 20 + ["valid"] * 110,
        "study_type": ["HAND", "LEG"] * 120, "view": [""] * 240, "patient": [""] * 240, "study": names, "label": [0, 1] * 120,
        "width": [64] * 240, "height": [64] * 240, "format": ["PNG"] * 240, "group": [str(number // 2) for number in range(240)],
        "status": ["ok"] * 240, "sha256": [""] * 240, "boxes": pl.Series([None] * 240, dtype=pl.List(pl.List(pl.Float32))),
    })  # fmt: skip
    films.write_parquet(root / "index.parquet")
    return root / "index.parquet"


class TestGuarding:
    def test_from_an_index_to_a_model_that_refuses(
        self, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, osteon: Typed
    ) -> None:
        monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("osteon.lab.guard.fit.PICTURES", 20)
        file = make_model(tmp_path / "m.onnx", made_card(study_types=("HAND", "LEG")))
        (tmp_path / "photographs").mkdir()
        for i, grey in enumerate(made_pictures("noise", 5, 3)):
            Image.fromarray(np.uint8(grey * 255)).save(tmp_path / f"photographs/{i}.png")
        (tmp_path / "photographs/notes.txt").write_text("no picture")
        arguments = ["guard", file, "--index", index, "-o", tmp_path / "g.onnx", "--out-of-scope", tmp_path / "photographs"]
        status, out, _ = osteon(*arguments, "--part", "hand", "--part", "XR_LEG")
        assert status == 0
        model = load_model(tmp_path / "g.onnx")
        scope = model.card.scope
        assert scope is not None
        assert (scope.split, scope.body_parts) == ("train, tune", ("HAND", "LEG"))
        told = {r.kind: r for r in scope.measured}
        held = told["films of valid"]
        assert (held.films, held.foreign) == (110, False)
        assert held.low is not None and held.high is not None
        assert held.refused <= 8
        assert {"inverted films of valid", "HAND, left out", "LEG, left out", "photographs", *KINDS} <= set(told)
        assert told["photographs"].note == "1 files were refused when they were read"
        assert told["inverted films of valid"].refused >= 100
        assert "films of valid" in out
        assert model.predict([read_film(index.parent / "3.png")]).probability is not None
        negative = tmp_path / "negative.png"
        Image.fromarray(255 - limb(3)).save(negative)
        told_of = model.predict([read_film(negative)])
        assert (told_of.level, told_of.probability) == ("out of scope", None)
        assert re.fullmatch("too different from the training films .*; its negative is not, .*", told_of.films[0].reason)
        assert model.predict([read_film(negative)], guard=False).probability is not None

    @pytest.mark.parametrize(
        ("plan", "named"),
        [
            (GuardPlan(splits=("train", "other")), "no film in split 'other'"),
            (GuardPlan(splits=("tune",)), "has 20 films"),
            (GuardPlan(measured_on="test"), "no film in split 'test'"),
        ],
    )
    def test_what_cannot_be_fitted_is_said(self, index: Path, tmp_path: Path, plan: GuardPlan, named: str) -> None:
        with pytest.raises(MeasurementError, match=named):
            add_guard(make_model(tmp_path / "m.onnx"), pl.read_parquet(index), plan)

    def test_a_split_of_the_fit_is_not_measured_on(self, index: Path, osteon: Typed) -> None:
        status, _, error = osteon("guard", "--index", index, "-o", "g.onnx", "--measure", "train")
        assert status == 64
        assert "is a split of the fit" in error
