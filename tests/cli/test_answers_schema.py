"""The schema of `osteon predict --json` is that of its types, and what is written fits them."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from PIL import Image

from command_line import Run
from drawn_tree import ROOT
from made_model import made_card, make_model


@pytest.fixture(scope="module")
def answers_schema() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("answers_schema", ROOT / "scripts" / "answers_schema.py")
    assert spec and spec.loader
    module = sys.modules["answers_schema"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["answers_schema"]


def test_the_file_is_the_one_that_the_script_writes(answers_schema: ModuleType) -> None:
    assert answers_schema.SCHEMA.read_text(encoding="utf-8") == answers_schema.text()


def test_what_is_written_fits_the_schema(run: Run, answers_schema: ModuleType, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (80, 100), np.uint8)).save(films / name)
    Image.fromarray(np.zeros((80, 100), np.uint8)).save(films / "blank.png")
    (films / "broken.png").write_bytes(b"no film")
    (films / "notes.txt").write_text("left out")
    model = make_model(tmp_path / "m.onnx", made_card(64), "brightness")
    told = json.loads(run("predict", films, "--model", model, "--json", "-", "--overlay", tmp_path / "maps")[1])
    answers = msgspec.convert(told, answers_schema.Answers)
    written = {Path(film.film).name: film for study in answers.studies for film in study.films}
    assert written["broken.png"].error and written["a.png"].peak and written["a.png"].overlay and answers.ignored
    for wrong in (told | {"more": 1}, {name: value for name, value in told.items() if name != "model"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, answers_schema.Answers)
