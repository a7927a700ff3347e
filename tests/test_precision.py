"""Which precision a file is opened in, and what becomes of an 8-bit form that does not fit."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from made_model import made_card
from made_network import make_network
from osteon.card import Card, Int8, Int8Cost
from osteon.errors import ModelFileError
from osteon.model import load_model
from osteon.precision import METADATA, Bias, Choice, Ranges, Rounding

CHEAP = Int8Cost(split="tune", films=1000, changed=5, pointed=100, lost=1, auroc_float32=0.900, auroc=0.8981, shift=0.02)
FACTS = Int8(calibrated_on="train", films=300, held="tune", layers=2, kept=0, costs=(CHEAP,))
STEM = Rounding(
    inputs=(("stem/WithoutBiases", 0),), levels=256, shape=(), low=np.float32(0).tobytes(), high=np.float32(255 / 256).tobytes()
)
RANGES = Ranges(roundings=(STEM,))


def made(path: Path, int8: Int8 | None = FACTS, text: str | None = RANGES.to_json()) -> Path:
    """Write a model file with an 8-bit form, or with what should be one."""
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
    with pytest.raises(ModelFileError, match=r"m\.onnx: it has no 8-bit form\. Make one with `osteon quantise`"):
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


def test_fewer_layers_share_a_rounding() -> None:
    shared = msgspec.structs.replace(STEM, inputs=(("a", 0), ("b", 1)))
    biases = tuple(Bias(layer=layer, add=layer, port=1, shape=(), values=bytes(4)) for layer in "ab")
    ranges = Ranges(roundings=(shared, STEM), biases=biases)
    assert ranges.layers == ["a", "b", "stem/WithoutBiases"]
    assert ranges.only(["b"]) == Ranges(roundings=(msgspec.structs.replace(shared, inputs=(("b", 1),)),), biases=biases[1:])
