"""Processes beside a command: how one that is lost is told. That they share the work is in test_cli_cross_validate and test_ladder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from osteon.cli import side_by_side as module


@pytest.fixture(autouse=True)
def _threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.lab.training.cpu.share_cores", lambda _: 1)


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(("ends", "told"), [("exit(0)", ""), ("exit(1)", ""), ("exit(70)", "status 70"), (KILLED, "take fewer --jobs")])
def test_a_process_that_was_lost_is_told(ends: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def start(*_: int) -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen([sys.executable, "-c", ends]))
        return begun[-1]

    monkeypatch.setattr(module, "_begun", start)
    with module.side_by_side(2):
        begun[0].wait(60)
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == bool(told)


def test_one_that_still_works_is_ended_and_not_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(module, "_begun", lambda *_: process)
    with module.side_by_side(2):
        pass
    assert process.poll() is not None and not capsys.readouterr().err
