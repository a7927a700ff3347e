from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_model import make_model
from osteon.lab.bench import run
from osteon.lab.bench.limits import Limits
from tiny_training import osteon


@pytest.fixture(autouse=True)
def _known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "measure_limits", lambda *_: Limits(float32_gops=10, int8_gops=40, memory_gbs=5, storage_gbs=0))


def test_a_table_and_its_json(tmp_path: Path) -> None:
    model, out = make_model(tmp_path / "made.onnx"), tmp_path / "bench.json"
    answer = osteon("bench", "--quick", "--only", "prediction", "--model", model, "--json", out)
    assert answer.status == 0
    assert "measuring prediction" in answer.error
    lines = answer.out.splitlines()
    assert " cores " in lines[0]
    assert "float32 10 and INT8 40 Gop/s" in lines[1]
    assert "storage unknown" in lines[1]
    assert sum(line.startswith("prediction") for line in lines) == 2
    found = json.loads(out.read_bytes())
    assert {figure["part"] for figure in found["figures"]} == {"prediction"}
    assert str(tmp_path) not in out.read_text()


def test_bad_input(tmp_path: Path) -> None:
    absent = osteon("bench", "--quick", "--model", tmp_path / "absent.onnx")
    assert (absent.status, absent.error.count("\n")) == (65, 1)
    folder = osteon("bench", "--quick", "--json", tmp_path / "absent" / "bench.json")
    assert (folder.status, "its folder does not exist" in folder.error) == (64, True)
    assert osteon("bench", "--only", "everything").status == 2
