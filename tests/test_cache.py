from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from osteon.cache import MOST_ENTRIES, bytes_of, cache_folder, clear, kept, read_entry, working_folder, write_entry


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


def test_only_the_newest_stay_and_what_is_not_ours(folder: Path) -> None:
    names = [f"{number:064x}.compiled" for number in range(MOST_ENTRIES + 3)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.compiled").write_bytes(b"of another program")
    os.utime(folder / "mine.compiled", (0, 0))
    for number, name in enumerate(names):
        write_entry(name, b"x")
        if number < MOST_ENTRIES:
            os.utime(folder / name, (number, number))
    assert {p.name for p in folder.iterdir()} == {"mine.compiled", *names[3:]}


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
    assert cache_folder() is None and not any(kept().values())
    assert working_folder("stores") == working_folder("stores") and working_folder("stores").parent.is_dir()
    write_entry("a.compiled", b"content")
    assert read_entry("a.compiled") is None
    monkeypatch.delenv("OSTEON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "osteon"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "osteon"
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where there is no home
    assert cache_folder() is None


def test_a_temporary_folder_goes_with_its_process() -> None:
    code = "from osteon.cache import working_folder; f = working_folder('stores'); f.mkdir(); print(f)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"OSTEON_CACHE": ""}, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).parent.exists()


class TestClear:
    """What osteon made goes, unless it is being made; all else stays."""

    FILES = (
        f"{'a' * 64}.compiled",
        f"stores/48-{'b' * 20}/films.u8",
        f"stores/48-{'b' * 20}/lock",
        f"stores/48-{'c' * 20}/state.u1",
        "weights/densenet121-a639ec97.pth",
        f"inspections/{'d' * 32}.parquet",
    )
    OTHERS = ("notes.txt", "mine.compiled", "stores/mine/films.u8", "weights/mine.pth", f"stores/48-{'c' * 20}/mine.txt")

    @pytest.fixture(autouse=True)
    def made(self, folder: Path) -> Path:
        for name in (*self.FILES, *self.OTHERS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"four")
        return folder

    def test_what_is_kept_is_told_by_kind(self, folder: Path) -> None:
        assert {kind: [bytes_of(entry) for entry in entries] for kind, entries in kept().items()} == {
            "compiled models": [4], "prepared films": [8, 4], "weights": [4], "inspected films": [4],
        }  # fmt: skip

    def test_what_osteon_did_not_make_stays(self, folder: Path) -> None:
        assert [path.name for path in clear()] == ["48-" + "c" * 20]  # somebody's file stands in it
        left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert left == set(self.OTHERS)

    def test_films_that_another_process_prepares_stay(self, folder: Path) -> None:
        store = folder / "stores" / f"48-{'b' * 20}"
        with FileLock(store / "lock"):
            assert store in clear()
            assert (store / "films.u8").exists()
        assert store not in clear() and not store.exists()

    def test_what_is_being_written_stays_and_what_was_left_half_goes(self, folder: Path) -> None:
        fresh, old = (folder / "weights" / f"densenet1{n}1-a639ec97.12.part.pth" for n in "26")
        for part in (fresh, old):
            part.write_bytes(b"half")
        os.utime(old, (0, 0))
        assert fresh in clear() and fresh.exists() and not old.exists()

    def test_nothing_behind_a_link_is_deleted(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / f"{'e' * 32}.parquet").write_bytes(b"four")
        shutil.rmtree(folder / "inspections")
        (folder / "inspections").symlink_to(tmp_path / "elsewhere")
        clear()
        assert (tmp_path / "elsewhere" / f"{'e' * 32}.parquet").exists()
