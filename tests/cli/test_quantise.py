"""`osteon quantise` as a person types it, and what `card` and `predict` make of the file."""

from __future__ import annotations

import json
import sys

import pytest

from command_line import Typed
from made_index import made_index
from made_network import make_network
from osteon.card import INT8_LIMITS

SPLITS = {"train": 30, "tune": 30, "valid": 30}


def test_quantise_then_card_then_predict(osteon: Typed) -> None:
    make_network(osteon.folder / "m.onnx")
    made_index(osteon.folder, SPLITS)
    for name in INT8_LIMITS:
        osteon.patch.setitem(INT8_LIMITS, name, 1.0)
    words = ("quantise", "m.onnx", "--index", "index.parquet", "--report", "valid", "-o", "both.onnx")
    status, out, _ = osteon(*words)
    assert status == 0
    assert out.startswith("both.onnx: made@1.0.0, 0.0 MB\nthe default: ")
    assert "ranges from 30 films of train (nncf " in out
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["tune", "30"], ["valid", "30"]]
    status, shown, _ = osteon("card", "both.onnx", "--all")
    assert status == 0
    assert "INT8, measured on" in shown
    logits = {}
    for precision in ("auto", "int8", "float32"):
        status, told, _ = osteon("predict", "films/valid", "--model", "both.onnx", "--precision", precision, "--json", "-")
        assert status == 0
        logits[precision] = [film["logit"] for study in json.loads(told)["studies"] for film in study["films"]]
    assert logits["auto"] == logits["int8"] != logits["float32"]
    assert logits["int8"] == pytest.approx(logits["float32"], abs=1.5)


def test_8_bits_of_a_file_that_has_none_are_one_clear_line(osteon: Typed) -> None:
    make_network(osteon.folder / "m.onnx")
    made_index(osteon.folder, {"valid": 2})
    status, _, error = osteon("predict", "films", "--model", "m.onnx", "--precision", "int8")
    assert status == 65
    assert error == ("osteon: m.onnx: it has no INT8 form. Make one with `osteon quantise`, or take --precision float32.\n")


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (("--hold", "test"), 65, "there is no film in split 'test'; there are: "),
        (("--hold", "valid"), 65, "split 'valid' has 6 readable films; INT8 takes at least 30"),
        (("--hold", "train"), 64, "30 films of 'train' are in 'train' too"),
        (("--index", "none.parquet"), 65, "none.parquet: there is no such index"),
    ],
)
def test_what_does_not_do_is_one_clear_line(osteon: Typed, words: tuple[str, ...], status: int, line: str) -> None:
    make_network(osteon.folder / "m.onnx")
    made_index(osteon.folder, {"train": 30, "tune": 30, "valid": 6})
    found, _, error = osteon("quantise", "m.onnx", "--index", "index.parquet", "-o", "both.onnx", *words)
    assert found == status
    assert line in error.splitlines()[-1]
    assert not (osteon.folder / "both.onnx").exists()


def test_without_nncf_it_says_what_to_install(osteon: Typed) -> None:
    make_network(osteon.folder / "m.onnx")
    made_index(osteon.folder, SPLITS)
    osteon.patch.setitem(sys.modules, "nncf", None)
    status, _, error = osteon("quantise", "m.onnx", "--index", "index.parquet", "-o", "both.onnx")
    assert status == 69
    assert error.splitlines()[-1].endswith("Install it with: pip install 'osteon[lab]'")
