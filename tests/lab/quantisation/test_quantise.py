"""Which layers compute in 8 bits, what that costs, and the file that comes out: both precisions in one, both outputs held."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from made_index import made_index
from made_model import make_model
from made_network import make_network
from osteon.card import INT8_LIMITS, Card
from osteon.errors import MeasurementError, ModelFileError, UsageError
from osteon.explanation import peak
from osteon.lab.data.index import read_index
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.evaluation import localisation
from osteon.lab.guard.fit import GuardPlan, guard_file
from osteon.lab.model_file import with_card
from osteon.lab.quantisation import quantise as module
from osteon.lab.quantisation.cost import Answers, Held
from osteon.lab.quantisation.quantise import Plan, choose, quantise_file
from osteon.network import open_network
from osteon.opening import load_model
from osteon.precision import Ranges, Rounding, int8_form, leaves_open
from osteon.prediction import pool_evidence

SPLITS = {"train": 40, "tune": 40, "valid": 36, "few": 6}
PLAN = Plan(report=("valid",), films=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("quantisation")
    make_network(made / "m.onnx")
    made_index(made, SPLITS)
    return made


@pytest.fixture(scope="module")
def wide() -> dict[str, float]:
    """Limits that drawn weights and forty films keep: what is measured is tested, not the network."""
    return {"auroc": 0.2, "changed": 0.2, "lost": 1.0}


@pytest.fixture(scope="module")
def quantised(folder: Path, wide: dict[str, float]) -> tuple[Path, Card]:
    out = folder / "both.onnx"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wide.items():
            patch.setitem(INT8_LIMITS, name, value)
        card = quantise_file(str(folder / "m.onnx"), folder / "index.parquet", out, PLAN)
    return out, card


@pytest.fixture(scope="module")
def store(folder: Path, quantised: tuple[Path, Card]) -> FilmStore:
    films = read_index(folder / "index.parquet").filter(pl.col("split") == "tune")
    return open_store(films, quantised[1].frame)


def test_one_file_holds_both_and_the_graph_stays_float32(folder: Path, quantised: tuple[Path, Card], store: FilmStore) -> None:
    out, _ = quantised
    before = load_model(folder / "m.onnx").run(store.pixels)
    for ours, old in zip(load_model(out, "float32").run(store.pixels), before, strict=True):
        np.testing.assert_array_equal(ours, old)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    for theirs, ours in zip(session.run(["logit", "evidence"], {"image": np.asarray(store.pixels)}), before, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-3)
    assert out.stat().st_size < (folder / "m.onnx").stat().st_size + 20_000


def test_in_8_bits_the_logit_is_still_the_pooled_evidence(quantised: tuple[Path, Card], store: FilmStore) -> None:
    model = load_model(quantised[0], "int8")
    logit, evidence = model.run(store.pixels)
    np.testing.assert_allclose(pool_evidence(evidence, model.card.pooling), logit, atol=1e-4)
    assert np.abs(logit - load_model(quantised[0], "float32").run(store.pixels)[0]).max() > 0


def test_in_8_bits_the_same_film_gives_the_same_bits_in_any_batch(quantised: tuple[Path, Card], store: FilmStore) -> None:
    model = load_model(quantised[0], "int8")
    together = model.run(store.pixels)
    for i in (0, 7, 39):
        for whole, alone in zip(together, model.run(store.pixels[i : i + 1]), strict=True):
            np.testing.assert_array_equal(whole[i], alone[0])


def test_a_form_with_a_layer_of_which_the_weights_are_gone_is_refused(quantised: tuple[Path, Card], tmp_path: Path) -> None:
    out, card = quantised
    assert card.int8 is not None and 0 < card.int8.apart < 0.5
    _, network = open_network(out.read_bytes(), "both")
    form = int8_form(network)
    assert form is not None and form.weights
    for gone in form.weights:
        nothing = msgspec.structs.replace(gone, values=zlib.compress(bytes(len(zlib.decompress(gone.values)))))
        weights = tuple(nothing if given is gone else given for given in form.weights)
        with pytest.raises(ModelFileError, match="INT8 form"):  # it opens what it wrote
            with_card(out, card, tmp_path / "damaged.onnx", msgspec.structs.replace(form, weights=weights))


def test_the_card_says_what_the_file_costs(quantised: tuple[Path, Card], store: FilmStore) -> None:
    out, card = quantised
    assert card == load_model(out).card
    assert card.int8 is not None
    assert (card.int8.calibrated_on, card.int8.films, card.int8.held) == ("train", 32, "tune")
    assert [(cost.split, cost.films) for cost in card.int8.costs] == [("tune", 40), ("valid", 36)]
    float32, eight = (Answers(*load_model(out, choice).run(store.pixels)) for choice in ("float32", "int8"))  # type: ignore[arg-type]
    assert card.int8.costs[0] == Held("tune", store, card, float32).cost(eight)
    label = store.films["label"].to_numpy()
    assert card.int8.costs[0].auroc == pytest.approx(roc_auc_score(label, eight.logit))
    assert card.int8.costs[0].shift == pytest.approx(np.sqrt(np.mean((eight.logit - float32.logit) ** 2)), rel=1e-4)
    assert card.int8.layers + card.int8.kept >= 5


def test_a_cost_is_counted_film_by_film(quantised: tuple[Path, Card], store: FilmStore) -> None:
    _, card = quantised
    shape = (len(store), 4, 4)
    boxes = store.films["boxes"].to_list()
    before = Answers(np.linspace(-1, 1, len(store), dtype=np.float32), np.random.default_rng(1).normal(size=shape).astype(np.float32))
    after = Answers(before.logit[::-1].copy(), np.random.default_rng(2).normal(size=shape).astype(np.float32))
    cost = Held("tune", store, card, before).cost(after)

    def pointed(answers: Answers) -> list[bool]:
        peaks = [peak(e, p, 64)[:2] for e, p in zip(answers.evidence, store.placements, strict=True)]
        return [bool(b) and localisation.in_boxes(*point, b) for point, b in zip(peaks, boxes, strict=True)]

    threshold = [card.probability(float(logit)) >= card.decision.threshold for logit in before.logit]
    assert cost.changed == sum(a != b for a, b in zip(threshold, threshold[::-1], strict=True))
    assert cost.pointed == sum(pointed(before))
    assert cost.lost == sum(a and not b for a, b in zip(pointed(before), pointed(after), strict=True))


def test_films_without_labels_or_boxes_have_no_auroc_and_no_peaks(quantised: tuple[Path, Card], store: FilmStore) -> None:
    unlabelled = store.films.with_columns(label=pl.lit(None, pl.Int8), boxes=pl.lit(None, pl.List(pl.List(pl.Float32))))
    answers = Answers(np.zeros(len(store), np.float32), np.zeros((len(store), 4, 4), np.float32))
    cost = Held("tune", replace(store, films=unlabelled), quantised[1], answers).cost(answers)
    assert (cost.auroc, cost.auroc_float32, cost.pointed, cost.lost, cost.excess) == (None, None, 0, 0, 0)


class Table:
    """Stands for a network in which each layer moves every logit by what a table says: the search is tested, not the rounding."""

    def __init__(self, shifts: dict[str, float], works: dict[str, float], n: int) -> None:
        self.shifts, self.works, self.n = shifts, works, n

    def work(self) -> dict[str, float]:
        return {layer: self.works.get(layer, 1.0) for layer in self.shifts}

    def answers(self, ranges: Ranges | None, store: FilmStore, most: int | None = None) -> Answers:
        moved = sum(self.shifts[layer] for layer in ranges.layers) if ranges else 0.0
        logit = np.linspace(-1, 1, self.n, dtype=np.float32)[:most] + np.float32(moved)
        return Answers(logit, np.zeros((len(logit), 1, 1), np.float32))


def chosen(shifts: dict[str, float], store: FilmStore, card: Card, **works: float) -> list[str]:
    table = Table(shifts, works, len(store))
    ranges = Ranges(roundings=tuple(Rounding(inputs=((layer, 0),), levels=256, shape=(), low=bytes(4), high=bytes(4)) for layer in shifts))
    held = Held("tune", replace(store, films=store.films.with_columns(label=pl.lit(None, pl.Int8))), card, table.answers(None, store))
    return choose(table, ranges, held, 0.0).layers  # type: ignore[arg-type]


def test_the_fewest_layers_that_cost_too_much_stay_in_float32(quantised: tuple[Path, Card], store: FilmStore) -> None:
    card = quantised[1]
    assert chosen({"a": 0.001, "b": 0.002}, store, card) == ["a", "b"]
    assert chosen({"a": 0.001, "b": 0.5, "c": 0.0012, "d": 0.3, "e": 0.0005}, store, card) == ["a", "c", "e"]
    assert chosen({"a": 0.5, "b": 0.001}, store, card) == ["b"]
    assert chosen({"a": 0.0018, "b": 0.0018}, store, card, a=9) == ["a"]
    assert chosen({"a": 0.0018, "b": 0.0018}, store, card, b=9) == ["b"]
    with pytest.raises(MeasurementError, match="no layer can compute in INT8 within the limits on split 'tune'"):
        chosen({"a": 0.5, "b": 0.3}, store, card)


@pytest.mark.parametrize(("shifts", "taken"), [((0.5, 0.4, 0.001, 0.0), 2), ((0.001, 0.0, 0.0, 0.0), 0), ((0.5, 0.5, 0.5, 0.5), None)])
def test_as_many_channels_are_left_out_as_the_limits_allow(
    shifts: tuple[float, ...], taken: int | None, quantised: tuple[Path, Card], store: FilmStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {f"lost {lost}": shift for lost, shift in zip(module.LOST, shifts, strict=True)} | {"all": 0.0}
    one = {name: Ranges(roundings=(Rounding(inputs=((name, 0),), levels=256, shape=(), low=bytes(4), high=bytes(4)),)) for name in layers}
    table = Table(layers, {}, len(store))
    table.network = None  # type: ignore[attr-defined]
    held = Held(
        "tune", replace(store, films=store.films.with_columns(label=pl.lit(None, pl.Int8))), quantised[1], table.answers(None, store)
    )
    monkeypatch.setattr(module, "prune", lambda network, ranges, films, lost, progress: one[f"lost {lost}"])
    found = module.pruned(table, one["all"], np.asarray(store.pixels), held, 0.0)  # type: ignore[arg-type]
    assert found == one["all" if taken is None else f"lost {module.LOST[taken]}"]


def test_decisions_by_chance_are_the_mean_over_all_errors_and_thresholds_near_by(quantised: tuple[Path, Card], store: FilmStore) -> None:
    card = quantised[1]
    before = Answers(np.array([-5, 0, 5], np.float32), np.zeros((3, 1, 1), np.float32))
    after = Answers(before.logit + np.array([0, 0, 0.11], np.float32), before.evidence)
    held = Held("tune", store, card, before)
    assert held.changed_by_chance(before, 0.0) == 0
    # The middle film would rise over 4 of 21 thresholds, if it had the last one's error: 0.025, 0.05, 0.075 and 0.1.
    assert held.changed_by_chance(after, 0.0) == pytest.approx(1 / 9 * 4 / 21)
    # Where it is read again within 0.06, it rises over 0.025 and 0.05 alone.
    assert held.changed_by_chance(after, 0.06) == pytest.approx(1 / 9 * 2 / 21)


def test_films_near_the_threshold_keep_their_float32_answers(quantised: tuple[Path, Card], store: FilmStore) -> None:
    before = Answers(np.linspace(-1, 1, 201, dtype=np.float32), np.zeros((201, 2, 2), np.float32), np.zeros(201, np.float32))
    after = Answers(before.logit + np.float32(0.043), before.evidence + 1, before.novelty)
    held = Held("tune", store, quantised[1], before)
    near = held.nearness(after)
    assert 0.03 < near < 0.06  # as far as the error reaches
    card = msgspec.structs.replace(quantised[1], int8=msgspec.structs.replace(quantised[1].int8, near=near))
    settled = held.settled(after, near)
    again = np.array([leaves_open(card, float(logit)) for logit in after.logit])  # as the opened model has it
    assert 0 < again.sum() < 30
    np.testing.assert_array_equal(settled.logit, np.where(again, before.logit, after.logit))
    np.testing.assert_array_equal(settled.evidence[:, 0, 0], np.where(again, 0, 1))


@pytest.mark.parametrize(
    ("plan", "error", "words"),
    [
        (Plan(hold="train"), UsageError, "40 films of 'train' are in 'train' too"),
        (Plan(report=("all",)), UsageError, "40 films of 'all' are in 'train' too"),
        (Plan(hold="test"), MeasurementError, r"no film in split 'test'; there are: .*valid \(36 films\)"),
        (Plan(hold="few"), MeasurementError, "split 'few' has 6 readable films; INT8 takes at least 30"),
        (Plan(calibrate_on="few"), MeasurementError, "split 'few' has 6"),
    ],
)
def test_films_that_do_not_do_are_refused(folder: Path, plan: Plan, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        quantise_file(str(folder / "m.onnx"), folder / "index.parquet", folder / "none.onnx", plan)
    assert not (folder / "none.onnx").exists()


def test_a_model_without_a_card_or_with_one_layer_is_refused(folder: Path) -> None:
    with pytest.raises(ModelFileError, match="carries no card"):
        quantise_file(str(make_model(folder / "bare.onnx", fault="no card")), folder / "index.parquet", folder / "none.onnx", PLAN)


def test_what_was_quantised_can_be_quantised_again(quantised: tuple[Path, Card], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "round_network", lambda *_: Ranges(roundings=(Rounding(
        inputs=(("stem/WithoutBiases", 0),), levels=256, shape=(), low=bytes(4), high=np.float32(1).tobytes()),)))  # fmt: skip
    monkeypatch.setattr(module, "INT8_LIMITS", dict.fromkeys(INT8_LIMITS, 1.0))
    for name in INT8_LIMITS:
        monkeypatch.setitem(INT8_LIMITS, name, 1.0)
    card = quantise_file(str(quantised[0]), folder / "index.parquet", folder / "again.onnx", Plan(films=32))
    assert card.int8 is not None
    assert (card.int8.layers, [cost.split for cost in card.int8.costs]) == (1, ["tune"])
    assert load_model(folder / "again.onnx", "int8").precision == "int8"
    assert msgspec.structs.replace(card, int8=None) == msgspec.structs.replace(quantised[1], int8=None)


def test_a_guard_that_is_fitted_anew_leaves_the_int8_form_out(
    quantised: tuple[Path, Card], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, fewer in (("PICTURES", 5), ("LEAST_FILMS", 30)):
        monkeypatch.setattr(f"osteon.lab.guard.fit.{name}", fewer)
    card = guard_file(quantised[0], read_index(folder / "index.parquet"), folder / "guarded.onnx", GuardPlan(aim=0.05))
    assert card.scope is not None and card.int8 is None
    assert load_model(folder / "guarded.onnx").precision == "float32"
    with pytest.raises(ModelFileError, match="it has no INT8 form"):
        load_model(folder / "guarded.onnx", "int8")
