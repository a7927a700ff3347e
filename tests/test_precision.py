"""Which precision a file is opened in, and what becomes of an INT8 form that does not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from made_model import made_card
from made_network import make_network
from osteon.card import Card, Decision, Int8, Int8Cost, Scope
from osteon.errors import ModelFileError
from osteon.opening import load_model
from osteon.precision import METADATA, Bias, Choice, Ranges, Rounding, edges, leaves_open

CHEAP = Int8Cost(split="tune", films=1000, changed=5, pointed=100, lost=1, auroc_float32=0.900, auroc=0.8981, shift=0.02)
FACTS = Int8(calibrated_on="train", films=300, held="tune", layers=2, kept=0, costs=(CHEAP,))
STEM = Rounding(
    inputs=(("stem/WithoutBiases", 0),), levels=256, shape=(), low=np.float32(0).tobytes(), high=np.float32(255 / 256).tobytes()
)
RANGES = Ranges(roundings=(STEM,))


def made(path: Path, int8: Int8 | None = FACTS, text: str | None = RANGES.to_json()) -> Path:
    """Write a model file with an INT8 form, or with what should be one."""
    make_network(path, made_card(64, int8=int8))
    model = onnx.load(str(path))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, kept | ({} if text is None else {METADATA: text}))
    path.write_bytes(model.SerializeToString())
    return path


def costing(**changes: object) -> Int8:
    return msgspec.structs.replace(FACTS, costs=(CHEAP, msgspec.structs.replace(CHEAP, split="valid", **changes)))


@pytest.mark.parametrize(
    ("int8", "fits"),
    [
        (FACTS, True),
        (costing(), True),
        (msgspec.structs.replace(FACTS, costs=()), False),
        (costing(auroc=0.8979), False),
        (costing(auroc=0.95), True),
        (costing(auroc=None), True),
        (costing(changed=6), False),
        (costing(lost=2), False),
        (costing(pointed=0, lost=0), True),
        (costing(boxed=200, lost=2), True),
    ],
)
def test_8_bits_are_the_default_where_no_cost_exceeds_its_limit(tmp_path: Path, int8: Int8, fits: bool) -> None:
    assert int8.fits is fits
    file = made(tmp_path / "m.onnx", int8)
    assert load_model(file).precision == ("int8" if fits else "float32")
    assert load_model(file, "int8").precision == "int8"
    assert load_model(file, "float32").precision == "float32"


def test_a_file_without_an_8_bit_form_is_float32_unless_8_bits_are_asked_for(tmp_path: Path) -> None:
    file = made(tmp_path / "m.onnx", None, None)
    assert load_model(file).precision == "float32"
    with pytest.raises(ModelFileError, match=r"m\.onnx: it has no INT8 form\. Make one with `osteon quantise`"):
        load_model(file, "int8")


def test_both_precisions_are_kept_compiled_and_never_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    file = made(tmp_path / "m.onnx")
    films = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    choices: tuple[Choice, ...] = ("auto", "int8", "float32")
    first = [load_model(file, choice) for choice in choices]
    assert len(list((tmp_path / "cache").iterdir())) == 3
    second = [load_model(file, choice) for choice in choices]
    assert [m.precision for m in second] == [m.precision for m in first] == ["int8", "int8", "float32"]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.run(films)[0], b.run(films)[0])
    assert (first[1].run(films)[0] != first[2].run(films)[0]).any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "does not fit"),
        ("{}", "missing required field `roundings`"),
        (msgspec.structs.replace(RANGES, schema=9).to_json(), "schema 9"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, inputs=(("other", 0),)),)).to_json(), "a layer that the network has not, other"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, inputs=(("stem/WithoutBiases", 2),)),)).to_json(), "has not, stem"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, shape=(3,)),)).to_json(), "cannot reshape"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, low=b"abc"),)).to_json(), "buffer size"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, shape=(3,), low=bytes(12), high=np.ones(3, "f4").tobytes()),)).to_json(), "shape"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, shape=(-1, 2**40)),)).to_json(), r"roundings.*shape"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, levels=3),)).to_json(), r"levels"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, levels=2**40),)).to_json(), r"levels"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, high=np.float32("nan").tobytes()),)).to_json(), "no finite numbers"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, high=STEM.low),)).to_json(), "spans nothing"),
        (Ranges(roundings=(msgspec.structs.replace(STEM, high=np.float32(1e-3).tobytes()),)).to_json(), "logits from its float32 form"),
        ("[" * 100_000, "does not fit"),
        (
            Ranges(roundings=(STEM,), biases=(Bias(layer="a", add="none", port=1, shape=(), values=bytes(4)),)).to_json(),
            "has not, none",
        ),
    ],
)
def test_an_8_bit_form_that_does_not_fit_is_refused_and_float32_still_answers(tmp_path: Path, text: str, words: str) -> None:
    file = made(tmp_path / "m.onnx", FACTS, text)
    with pytest.raises(ModelFileError, match=words) as refusal:
        load_model(file)
    assert str(refusal.value).startswith(f"{file}: ")
    assert "--precision float32" in str(refusal.value)
    assert load_model(file, "float32").precision == "float32"


def test_the_card_keeps_its_costs(tmp_path: Path) -> None:
    card = load_model(made(tmp_path / "m.onnx")).card
    assert card.int8 == FACTS
    assert Card.from_json(card.to_json()) == card


def test_the_layout_before_this_one_is_still_read(tmp_path: Path, films: NDArray[np.uint8]) -> None:
    now, before = (made(tmp_path / f"{i}.onnx", text=msgspec.structs.replace(RANGES, schema=i).to_json()) for i in (2, 1))
    assert '"schema":2' in RANGES.to_json()
    np.testing.assert_array_equal(load_model(now, "int8").run(films)[0], load_model(before, "int8").run(films)[0])


def test_fewer_layers_share_a_rounding() -> None:
    shared = msgspec.structs.replace(STEM, inputs=(("a", 0), ("b", 1)), beside=(("guard/mean", 0),))
    biases = tuple(Bias(layer=layer, add=layer, port=1, shape=(), values=bytes(4)) for layer in "ab")
    ranges = Ranges(roundings=(shared, STEM), biases=biases)
    assert ranges.layers == ["a", "b", "stem/WithoutBiases"]
    assert ranges.only(["b"]) == Ranges(roundings=(msgspec.structs.replace(shared, inputs=(("b", 1),)),), biases=biases[1:])


@pytest.fixture
def films() -> NDArray[np.uint8]:
    return np.random.default_rng(4).integers(0, 256, (24, 64, 64), dtype=np.uint8)


def near(file: Path, films: NDArray[np.uint8]) -> Path:
    """Write a model file whose threshold lies amid the answers of these films, and which reads about a third of them again."""
    logits = load_model(made(file), "int8").run(films)[0]
    within = float(np.quantile(np.abs(logits - np.median(logits)), 0.3))
    decision = Decision(threshold=made_card(64).probability(float(np.median(logits))))
    make_network(file, made_card(64, int8=msgspec.structs.replace(FACTS, near=within), decision=decision))
    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | {METADATA: RANGES.to_json()})
    file.write_bytes(model.SerializeToString())
    return file


def test_every_edge_of_the_answers_and_the_guards_limit_leave_a_film_open() -> None:
    decision = Decision(threshold=0.5, doubt_from=0.1, doubt_to=0.9)
    scope = Scope(threshold=2.0, split="train", rule="made")
    card = made_card(64, int8=msgspec.structs.replace(FACTS, near=0.2, near_novelty=0.25), decision=decision, scope=scope)
    logits = [float(np.log(edge / (1 - edge))) for edge in edges(decision)]
    assert all(leaves_open(card, edge + away) for edge in logits for away in (-0.19, 0, 0.19))
    assert not any(leaves_open(card, edge + away) for edge in logits for away in (-0.21, 0.21))
    assert [leaves_open(card, 1.0, novelty) for novelty in (1.4, 1.6, 2.4, 2.6)] == [False, True, True, False]
    assert not leaves_open(made_card(64), 0.0)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_film_near_the_threshold_is_read_again_in_float32(tmp_path: Path, films: NDArray[np.uint8], side_by_side: bool) -> None:
    rounded = load_model(made(tmp_path / "without.onnx"), "int8").run(films)
    file = near(tmp_path / "m.onnx", films)
    exact, model = load_model(file, "float32").run(films), load_model(file, "auto", side_by_side=side_by_side)
    assert model.precision == "int8"
    again = np.array([leaves_open(model.card, float(logit)) for logit in rounded[0]])
    assert 4 <= again.sum() <= 12
    with ThreadPoolExecutor(3) as pool:
        alone = list(pool.map(lambda film: model.run(film[None]), films))
    for k, told in enumerate(model.run(films)):
        chosen = np.where(again.reshape(-1, *[1] * (told.ndim - 1)), exact[k], rounded[k])
        np.testing.assert_array_equal(told, chosen)
        np.testing.assert_array_equal(np.concatenate([parts[k] for parts in alone]), chosen)
    assert not np.array_equal(exact[0][again], rounded[0][again])


def test_float32_is_opened_for_the_first_film_that_needs_it_and_once(
    tmp_path: Path, films: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_CACHE", "")
    model = load_model(near(tmp_path / "m.onnx", films), "int8")
    opened = []
    exactly = model._exactly
    assert exactly is not None
    monkeypatch.setattr(model, "_exactly", lambda: (opened.append(1), exactly())[1])
    far = films[np.array([not leaves_open(model.card, float(model._read(film[None], ["logit"])[0][0])) for film in films])]
    model.run(far)
    assert not opened
    (tmp_path / "m.onnx").unlink()  # what was opened is complete
    model.run(films)
    model.run(films)
    assert len(opened) == 1
