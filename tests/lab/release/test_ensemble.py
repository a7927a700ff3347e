"""A release of two real trainings, with nothing in the place of their export, as `test_release.py` has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_index import made_index
from osteon.card import INT8_LIMITS
from osteon.opening import load_model
from tiny_training import osteon as typed
from tiny_training import settings

SPLITS = {"train": 66, "tune": 66, "valid": 66}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_trainings_become_an_ensemble_that_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in INT8_LIMITS:
        monkeypatch.setitem(INT8_LIMITS, name, 1.0)
    monkeypatch.setattr("osteon.lab.guard.fit.PICTURES", 5)
    index = made_index(tmp_path, SPLITS)
    for seed in (0, 1):
        done = typed(
            "train",
            index,
            "-o",
            tmp_path / f"run{seed}",
            *settings(f"seed={seed}", "init=imagenet", "epochs=6"),
            "--device",
            "cpu",
        )
        assert done.status == 0, done.error
    (tmp_path / "plan.toml").write_text('runs = ["run0", "run1"]\nlargest = 40\nguard.aim = 0.01\nint8 = false\n')
    named = ("--index", index, "--name", "made", "--version", "0.2.0")
    done = typed("release", tmp_path / "plan.toml", *named, "-o", tmp_path / "out")
    assert done.status == 0, done.error
    card = load_model(tmp_path / "out/made-0.2.0.onnx").card
    assert card.network == "ensemble of the best epoch of each of 2 trainings of lite0"
    assert card.metrics and card.scope
    done = typed("verify", tmp_path / "out/made-0.2.0.onnx", "--index", index)
    assert done.status == 0, done.out
