"""`osteon cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Typed


def test_it_shows_what_is_kept_and_clears_it(osteon: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", "kept")
    for name in (f"{'a' * 64}.compiled", "weights/densenet121-a639ec97.pth", "weights/notes.txt"):
        Path("kept", name).parent.mkdir(parents=True, exist_ok=True)
        Path("kept", name).write_bytes(bytes(2_000_000))
    status, out, _ = osteon("cache")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["kept"], ["compiled", "models", "1", "2.0", "MB"], ["prepared", "films", "0", "0.0", "MB"],
        ["weights", "1", "2.0", "MB"], ["inspected", "films", "0", "0.0", "MB"],
    ]  # fmt: skip
    assert osteon("cache", "--clear")[1].splitlines()[-1] == "cleared: 2 of 2"
    assert [path.name for path in Path("kept").rglob("*") if path.is_file()] == ["notes.txt"]


def test_an_empty_variable_keeps_nothing(osteon: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", "")
    assert osteon("cache", "--clear")[1].splitlines()[0].startswith("nothing is kept: OSTEON_CACHE is empty")
