"""The way of `docs/starting-from-the-model.md`: a table of one's own films, the packaged model, and what was gained over it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import polars as pl
import pytest

from command_line import Typed
from made_index import made_films
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.training.run import RunFolder
from osteon.model_names import packaged_models
from osteon.opening import load_model

TINY = ("frame.size=64", "frame.crop=none", "batch=8", "freeze=16", "epochs=2")


@pytest.mark.long
def test_from_a_table_of_films_to_what_was_gained(osteon: Typed) -> None:
    films = made_films(osteon.folder / "films", {"own": 210})
    boxes = [json.dumps(b) for b in films["boxes"].to_list()]
    table = films.select(("films/" + pl.col("path")).alias("path"), "patient", "study_type", "label").with_columns(
        pl.Series("boxes", boxes)
    )
    table.write_csv("my.csv")
    settings = [part for change in TINY for part in ("--set", change)]
    for words in (
        ("index", "my.csv", "-o", "my.index.parquet"),
        ("split", "my.index.parquet", "-o", "my.index.parquet", "--parts", "train=0.3,tune=0.4,valid=0.3"),
        ("train", "my.index.parquet", "--init", "packaged", *settings, "-o", "run"),
        ("export", "run", "-o", "tuned.onnx", "--name", "mine", "--version", "1.0.0"),
        ("calibrate", "--model", "tuned.onnx", "--index", "my.index.parquet", "--split", "tune", "-o", "mine.onnx"),
        ("evaluate", "--model", "mine.onnx", "--index", "my.index.parquet", "--split", "valid", "--against", "packaged"),
    ):
        status, out, err = osteon(*words)
        assert status == 0, (words, err)
    packaged = next(reversed(packaged_models()))
    comparison = msgspec.json.decode(Path("evaluation/comparison.json").read_bytes(), type=Comparison)
    assert (comparison.a.model, comparison.b.model) == (packaged, "mine@1.0.0")
    assert {d.level for d in comparison.differences} == {"study", "film"}
    assert "Film AUROC is" in out and "Study AUROC is" in out
    record = RunFolder(Path("run")).record()
    assert record.weights.startswith(f"{packaged}, ") and "learning_rate: 0.0004 -> 0.0001" in record.recipe.departures
    assert load_model("mine.onnx").card.frame.size == 64


def test_what_contradicts_the_model_is_one_line(osteon: Typed) -> None:
    films = made_films(osteon.folder / "films", {"train": 6, "tune": 6})
    films.write_parquet("i.parquet")
    status, _, err = osteon("train", "i.parquet", "--init", "packaged", "--set", "network=lite2", "-o", "run")
    assert status == 64 and "--set network=lite2: in fracture@" in err and "Traceback" not in err and not Path("run").exists()
