"""Films prepared once: right pixels, placements and boxes; goes on where it stopped; never stale; nothing left out in silence."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from made_index import SIDE, made_films
from osteon.card import Frame
from osteon.errors import CheckpointError, EmptyDataset
from osteon.film import place, prepare, read_film
from osteon.lab.data import store as module
from osteon.lab.data.store import FilmStore, open_store

FRAME = Frame(size=48)


@pytest.fixture
def films(tmp_path: Path) -> pl.DataFrame:
    return made_films(tmp_path / "films", {"train": 7})


def opened(films: pl.DataFrame, tmp_path: Path, frame: Frame = FRAME) -> FilmStore:
    return open_store(films, frame, folder=tmp_path / "stores")


def file(films: pl.DataFrame, row: int) -> Path:
    return Path(films["root"][row]) / films["path"][row]


def folder(tmp_path: Path) -> Path:
    [only] = (tmp_path / "stores").iterdir()
    return only


def test_pixels_and_placements_are_those_of_prepare_and_place(films: pl.DataFrame, tmp_path: Path) -> None:
    for frame in (FRAME, Frame(size=40, aspect="stretch")):
        store = opened(films, tmp_path, frame)
        assert len(store) == len(films) and store.films.equals(films)
        for row, pixels in enumerate(store.pixels):
            film = read_film(file(films, row))
            np.testing.assert_array_equal(pixels, prepare(film, frame))
            assert store.placements[row] == place(film, frame)


def test_pixels_are_read_only(films: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        opened(films, tmp_path).pixels[0, 0, 0] = 1


@pytest.mark.parametrize("aspect", ["pad", "stretch"])
def test_boxes_stand_in_the_frame_where_the_bright_bar_is(films: pl.DataFrame, tmp_path: Path, aspect: str) -> None:
    store = opened(films, tmp_path, Frame(size=192, aspect=aspect))
    seen = 0
    for boxes, pixels, label in zip(store.boxes(), store.pixels, films["label"], strict=True):
        assert boxes is not None and boxes.dtype == np.float32 and boxes.shape == (label, 4)
        for left, top, right, bottom in boxes:
            rows, columns = np.nonzero(pixels > 170)  # the bar is 250, all else below 90; half way lies its edge
            np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [left, top, right, bottom], atol=1)
            seen += 1
    assert seen == 3


def test_boxes_of_data_that_has_none_to_give(films: pl.DataFrame, tmp_path: Path) -> None:
    assert opened(films.drop("boxes"), tmp_path).boxes() == [None] * len(films)
    some = films.with_columns(boxes=pl.when(pl.col("label") == 1).then("boxes"))
    assert [b is None for b in opened(some, tmp_path).boxes()] == [label == 0 for label in films["label"]]


def test_a_second_opening_reads_no_film(films: pl.DataFrame, tmp_path: Path) -> None:
    first = np.array(opened(films, tmp_path).pixels)
    for row in range(len(films)):
        file(films, row).unlink()
    np.testing.assert_array_equal(opened(films, tmp_path).pixels, first)


def test_progress_ends_at_all_films(films: pl.DataFrame, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    open_store(films, FRAME, lambda done, total: told.append((done, total)), tmp_path / "stores")
    assert told == [(i, len(films)) for i in range(1, len(films) + 1)]


def test_an_interrupted_filling_goes_on_where_it_stopped(films: pl.DataFrame, tmp_path: Path) -> None:
    whole = np.array(opened(films, tmp_path).pixels)
    half = folder(tmp_path)
    state = np.fromfile(half / "state.u1", np.uint8)
    assert state.tolist() == [1] * len(films)
    state[[2, 5]] = 0  # a killed process leaves pixels without their mark, whatever they are
    state.tofile(half / "state.u1")
    pixels = np.memmap(half / "films.u8", np.uint8, "r+", shape=whole.shape)
    pixels[[2, 5]] = 77
    pixels[0] = 99  # marked as there, so it is not read again
    pixels.flush()
    again = np.array(opened(films, tmp_path).pixels)
    np.testing.assert_array_equal(again[1:], whole[1:])
    assert (again[0] == 99).all()


@pytest.mark.parametrize("lost", ["films.u8", "placements.f8", "state.u1"])
@pytest.mark.parametrize("how", ["gone", "cut off"])
def test_a_damaged_store_is_made_anew(films: pl.DataFrame, tmp_path: Path, lost: str, how: str) -> None:
    before = opened(films, tmp_path)
    pixels, placements = np.array(before.pixels), before.placements
    path = folder(tmp_path) / lost
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    after = opened(films, tmp_path)
    np.testing.assert_array_equal(after.pixels, pixels)
    assert after.placements == placements


def test_refused_films_are_named_with_the_reason_and_tried_again(films: pl.DataFrame, tmp_path: Path) -> None:
    bad, kept = file(films, 3), file(films, 3).read_bytes()
    bad.write_text("no film")
    for _ in range(2):  # the second opening, which finds the rest prepared, names it as well
        store = opened(films, tmp_path)
        assert list(store.refused) == [str(bad)] and "neither PNG" in store.refused[str(bad)]
        assert store.films["path"].to_list() == [p for i, p in enumerate(films["path"]) if i != 3]
        assert len(store.pixels) == len(store.placements) == len(store.boxes()) == len(films) - 1
        np.testing.assert_array_equal(store.pixels[3], prepare(read_film(file(films, 4)), FRAME))
    bad.write_bytes(kept)  # the disk was not mounted, say
    store = opened(films, tmp_path)
    assert not store.refused and len(store) == len(films)


def test_unreadable_films_of_the_index_are_left_out(films: pl.DataFrame, tmp_path: Path) -> None:
    marked = films.with_columns(status=pl.Series(["ok", "unreadable", "truncated", *["ok"] * 4]))
    assert opened(marked, tmp_path).films["path"].to_list() == [p for i, p in enumerate(films["path"]) if i != 1]


def test_nothing_to_prepare_is_refused(films: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(EmptyDataset, match="no readable film"):
        opened(films.with_columns(status=pl.lit("unreadable")), tmp_path)
    for row in range(len(films)):
        file(films, row).unlink()
    with pytest.raises(EmptyDataset, match=r"none of the index's 7 films .* there is no such file"):
        opened(films, tmp_path)


def test_a_store_s_name_is_its_content(films: pl.DataFrame, tmp_path: Path) -> None:
    def stores() -> int:
        opened(films, tmp_path)
        return len(list((tmp_path / "stores").iterdir()))

    assert [stores(), stores()] == [1, 1]
    films = films.with_columns(sha256=pl.lit(""))  # from `osteon index --no-decode`: size and time stand for the content
    assert [stores(), stores()] == [2, 2]
    Image.fromarray(np.tile(np.linspace(0, 200, SIDE).astype(np.uint8), (SIDE, 1))).save(file(films, 0))
    assert stores() == 3
    assert opened(films, tmp_path).pixels[0].max() > 190
    films = films.with_columns(sha256=pl.lit("0"))
    assert stores() == 4
    opened(films, tmp_path, Frame(size=FRAME.size, aspect="stretch"))
    assert stores() == 5


def test_the_store_stands_in_the_cache_folder(films: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    open_store(films, FRAME)
    assert len(list((tmp_path / "cache" / "stores").iterdir())) == 1
    monkeypatch.delenv("OSTEON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    open_store(films, FRAME)
    assert len(list((tmp_path / "xdg" / "osteon" / "stores").iterdir())) == 1


def test_two_processes_fill_one_store_once(films: pl.DataFrame, tmp_path: Path) -> None:
    index = tmp_path / "index.parquet"
    films.write_parquet(index)
    code = (
        "import sys, polars as pl; from pathlib import Path; from osteon.card import Frame; from osteon.lab.data.store import open_store\n"
        "told = []\n"
        "store = open_store(pl.read_parquet(sys.argv[1]), Frame(size=48), lambda done, total: told.append(done), Path(sys.argv[2]))\n"
        "print(len(told), int(store.pixels.sum()))"
    )
    start = [sys.executable, "-c", code, str(index), str(tmp_path / "stores")]
    both = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = sorted(tuple(map(int, p.communicate(timeout=60)[0].split())) for p in both)
    total = sum(int(prepare(read_film(file(films, row)), FRAME).sum()) for row in range(len(films)))
    assert answers == [(0, total), (len(films), total)]


def test_who_comes_second_waits(films: pl.DataFrame, tmp_path: Path) -> None:
    begun, told = threading.Event(), []

    def slow(done: int, _total: int) -> None:
        begun.set()
        time.sleep(0.05)
        told.append(done)

    first = threading.Thread(target=lambda: open_store(films, FRAME, slow, tmp_path / "stores"))
    first.start()
    begun.wait()
    assert len(opened(films, tmp_path)) == len(films)
    assert told == list(range(1, len(films) + 1))
    first.join()


def test_a_full_disk_is_one_clear_refusal(films: pl.DataFrame, tmp_path: Path) -> None:
    # A limit on the size of files is met like a full disk, and needs no root; it stays with the process, so another one takes it.
    films.write_parquet(tmp_path / "index.parquet")
    code = (
        "import resource, signal, sys, polars as pl; from pathlib import Path; from osteon.card import Frame\n"
        "from osteon.errors import OsteonError; from osteon.lab.data.store import open_store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: open_store(pl.read_parquet(sys.argv[1]), Frame(size=48), folder=Path(sys.argv[2]))\n"
        "except OsteonError as refusal: print(type(refusal).__name__, refusal)"
    )
    start = [sys.executable, "-c", code, str(tmp_path / "index.parquet"), str(tmp_path / "stores")]
    answer = subprocess.run(start, capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.startswith("CheckpointError") and "File too large" in answer.stdout and "OSTEON_CACHE" in answer.stdout
    assert len(opened(films, tmp_path)) == len(films)  # what was left does not stand in the way


@pytest.mark.skipif(os.name != "posix", reason="folders without write permission")
def test_a_place_that_cannot_be_made_is_refused(films: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("a file in the way")
    with pytest.raises(CheckpointError, match="prepared films cannot be written"):
        opened(films, tmp_path)


def test_chunks_lose_nothing(films: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.array(opened(films, tmp_path / "a").pixels)
    monkeypatch.setattr(module, "CHUNK", 3)
    np.testing.assert_array_equal(opened(films, tmp_path / "b").pixels, whole)
