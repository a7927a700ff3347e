"""What a log says of a long work, where no terminal shows a bar."""

from __future__ import annotations

import time

import pytest

from osteon.cli import progress
from osteon.cli.progress import counting_bar, progress_bar
from osteon.lab.progress import Progress

LINE = 0.05


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", LINE)


def test_a_log_has_a_line_now_and_then_also_while_a_work_tells_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with counting_bar("read films") as tell:
        time.sleep(3 * LINE)  # it has not begun to count
        tell(1, 1000)
        tell(2, 1000)
        time.sleep(5 * LINE)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "beginning  0:00:00 so far"
    assert sum(line.startswith("read films: 2 of 1,000") and line.endswith("so far") for line in lines) >= 2


def test_a_training_s_line_says_loss_pace_and_time_left(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as watch:
        watch(Progress("train", 3, 40, 1, 0.5123, 12.5, 61.0))
        time.sleep(3 * LINE)
    assert "train, epoch 2: 3 of 40  loss 0.512  12.5 films/s  0:01:01 left  0:00:00 so far\n" in capfd.readouterr().err


def test_a_stage_says_what_its_work_tells_and_no_loss_that_nobody_told(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar({"train": "train it"}) as watch:
        watch(Progress("train", 3, 40, note="epoch 1", left=61.0))
        time.sleep(3 * LINE)
    assert "1/1 train it: 3 of 40  epoch 1  0:01:01 left  0:00:00 so far\n" in capfd.readouterr().err


def test_a_work_that_is_over_says_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    with counting_bar("read films") as tell:
        tell(1, 1)
    capfd.readouterr()
    time.sleep(3 * LINE)
    assert capfd.readouterr().err == ""


def test_a_terminal_has_its_bar_alone(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with counting_bar("read films") as tell:
        tell(1, 9)
        time.sleep(3 * LINE)
    assert "so far" not in capfd.readouterr().err
