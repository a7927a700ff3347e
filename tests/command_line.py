"""The command line as a person types it, in this process; `conftest.py` has it as the fixtures `run` and `osteon`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from osteon.cli import main


class Run:
    """Call it with the words after `osteon`: exit status, standard output and standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.patch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Run it as `main` does."""
        self.patch.setattr(sys, "argv", ["osteon", *map(str, words)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        told = self.capsys.readouterr()
        return status, told.out, told.err


class Typed(Run):
    """The same in a folder of its own, on a wide terminal."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(monkeypatch, capsys)
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
