from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from osteon.cache import MOST_ENTRIES, cache_folder, read_entry, write_entry


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_kept_is_found_again(folder: Path) -> None:
    assert read_entry("a.compiled") is None
    write_entry("a.compiled", b"content")
    assert read_entry("a.compiled") == b"content"
    assert [p.name for p in folder.iterdir()] == ["a.compiled"]


@pytest.mark.parametrize("damage", [b"", b"short", bytes(100)])
def test_a_damaged_entry_is_none(folder: Path, damage: bytes) -> None:
    write_entry("a.compiled", b"content")
    (folder / "a.compiled").write_bytes(damage)
    assert read_entry("a.compiled") is None


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    write_entry("a.compiled", b"content" * 100)
    entry = bytearray((folder / "a.compiled").read_bytes())
    entry[300] ^= 1
    (folder / "a.compiled").write_bytes(entry)
    assert read_entry("a.compiled") is None


def test_only_the_newest_stay(folder: Path) -> None:
    for number in range(MOST_ENTRIES + 3):
        write_entry(f"{number}.compiled", b"x")
        if number < MOST_ENTRIES:
            os.utime(folder / f"{number}.compiled", (number, number))
    kept = {p.stem for p in folder.iterdir()}
    assert len(kept) == MOST_ENTRIES
    assert kept.isdisjoint({"0", "1", "2"})


def test_writers_at_once_leave_a_whole_entry(folder: Path) -> None:
    contents = [bytes([i]) * 200_000 for i in range(8)]
    threads = [threading.Thread(target=write_entry, args=("a.compiled", c)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_entry("a.compiled") in contents
    assert [p.name for p in folder.iterdir()] == ["a.compiled"]


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "file" / "cache"))
    write_entry("a.compiled", b"content")
    assert read_entry("a.compiled") is None


def test_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSTEON_CACHE", "")
    assert cache_folder() is None
    write_entry("a.compiled", b"content")
    assert read_entry("a.compiled") is None
    monkeypatch.delenv("OSTEON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "osteon"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "osteon"
