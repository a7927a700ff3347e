"""Index -> each film prepared once, memory-mapped.

A store is a folder: `films.u8` (n, S, S) uint8, `placements.f8` (n, 8), `state.u1` (n,): 1 where a film is there. Its name is made of
what its content depends on (the frame, osteon's version and `WAY`, and each file's hash or size and time), so it is never stale. It is
filled once, by all cores; an interrupted filling goes on where it stopped, and films that were refused are tried again.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from filelock import FileLock
from numpy.typing import NDArray

from osteon.cache import STORE, working_folder
from osteon.card import Frame
from osteon.errors import CheckpointError, EmptyDataset, FilmError
from osteon.film import Placement, place, prepare, read_film
from osteon.lab.progress import Count
from osteon.version import __version__

THERE = 1
WAY = "2"  # to be counted up where a change makes other films of the same files
_SPOT = tuple(field.name for field in fields(Placement) if field.compare)  # what is kept of a placement
CHUNK = 256  # films between two flushes: what an interruption can cost
Mapped = np.memmap[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class FilmStore:
    """Prepared films of an index, in its order; `pixels` (n, S, S) uint8 is read-only and memory-mapped."""

    films: pl.DataFrame
    frame: Frame
    pixels: NDArray[np.uint8]
    placements: tuple[Placement, ...]
    refused: dict[str, str]

    def __len__(self) -> int:
        """Return how many films there are."""
        return len(self.pixels)

    def boxes(self) -> list[NDArray[np.float32] | None]:
        """Return each film's finding boxes in frame pixels, (k, 4) as left, top, right, bottom; None where the data has none to give."""
        given = self.films["boxes"].to_list() if "boxes" in self.films.columns else [None] * len(self)
        return [None if boxes is None else _in_frame(boxes, spot) for boxes, spot in zip(given, self.placements, strict=True)]


def open_store(films: pl.DataFrame, frame: Frame, progress: Count | None = None, folder: Path | None = None) -> FilmStore:
    """Return the prepared films of an index, preparing those that are not yet.

    Films that cannot be read are left out and named in `refused` with the reason.

    Args:
        films: An index, or some of its rows.
        frame: How a film becomes a square.
        progress: Called with (done, total).
        folder: Where stores are kept; by default `stores` in `cache.working_folder`.

    Raises:
        EmptyDataset: no film could be prepared.
        CheckpointError: the store cannot be written (a full disk, say).
    """
    films = films.filter(pl.col("status") != "unreadable")
    if not len(films):
        raise EmptyDataset("the index has no readable film. Look at its report for the reasons.")
    paths = [str(Path(root) / path) for root, path in films.select("root", "path").iter_rows()]
    where = (folder or working_folder("stores")) / _name(paths, films, frame)
    try:
        where.mkdir(parents=True, exist_ok=True)
        with FileLock(where / STORE[-1]):  # one process fills it; the others of a training, or of another one, wait and find it filled
            refused = _fill(where, paths, frame, progress)
            pixels, spots, state = _arrays(where, len(paths), frame, "r")
    except OSError as fault:
        raise CheckpointError(
            f"{where}: prepared films cannot be written ({fault.strerror}). Make room, or name another place in OSTEON_CACHE."
        ) from fault
    there = np.asarray(state) == THERE
    if not there.any():
        raise EmptyDataset(f"none of the index's {len(paths)} films could be prepared; the first: {next(iter(refused.values()))}")
    kept: NDArray[np.uint8] = pixels if there.all() else pixels[there]
    return FilmStore(films.filter(pl.Series(there)), frame, kept, tuple(Placement(*spot.tolist()) for spot in spots[there]), refused)


def _name(paths: list[str], films: pl.DataFrame, frame: Frame) -> str:
    content = hashlib.sha256(__version__.encode() + WAY.encode() + msgspec.json.encode(frame))
    hashes = films["sha256"].to_list() if "sha256" in films.columns else [""] * len(paths)
    for path, known in zip(paths, hashes, strict=True):
        content.update(f"{path}\0{known or _stamp(path)}\n".encode())
    return f"{frame.size}-{content.hexdigest()[:20]}"


def _stamp(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError:
        return "absent"
    return f"{status.st_size}-{status.st_mtime_ns}"


def _fill(folder: Path, paths: list[str], frame: Frame, progress: Count | None) -> dict[str, str]:
    refused: dict[str, str] = {}
    with ThreadPoolExecutor() as pool:  # Pillow and numpy release the interpreter while they work
        pixels, spots, state = _arrays(folder, len(paths), frame, "r+")
        todo = np.flatnonzero(state != THERE).tolist()
        done = len(paths) - len(todo)
        for chunk in (todo[at : at + CHUNK] for at in range(0, len(todo), CHUNK)):
            there = []
            for i, result in zip(chunk, pool.map(lambda i: _prepared(paths[i], frame), chunk), strict=True):
                if isinstance(result, str):
                    refused[paths[i]] = result
                else:
                    pixels[i], spots[i] = result
                    there.append(i)
                done += 1
                if progress:
                    progress(done, len(paths))
            pixels.flush()
            spots.flush()
            state[there] = THERE  # last: what it claims is on disk
            state.flush()
    return refused


def _prepared(path: str, frame: Frame) -> tuple[NDArray[np.uint8], tuple[float, ...]] | str:
    try:
        film = read_film(path)
        spot = place(film, frame)
        return prepare(film, frame, spot), tuple(float(getattr(spot, field)) for field in _SPOT)
    except FilmError as refusal:
        return str(refusal)


def _arrays(folder: Path, n: int, frame: Frame, mode: Literal["r", "r+"]) -> tuple[Mapped, Mapped, Mapped]:
    kinds: list[tuple[np.dtype[Any], tuple[int, ...]]] = [
        (np.dtype(np.uint8), (n, frame.size, frame.size)),
        (np.dtype(np.float64), (n, len(_SPOT))),
        (np.dtype(np.uint8), (n,)),
    ]
    layout = [(folder / name, *kind) for name, kind in zip(STORE, kinds, strict=False)]
    sizes = {file: int(np.prod(shape)) * dtype.itemsize for file, dtype, shape in layout}
    if not all(file.exists() and file.stat().st_size == size for file, size in sizes.items()):
        for file, size in sizes.items():
            _allocate(file, size)
    pixels, spots, state = (np.memmap(file, dtype, mode, shape=shape) for file, dtype, shape in layout)
    return pixels, spots, state


def _allocate(path: Path, size: int) -> None:
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):  # a full disk refuses here; met by a write into the map it would kill the process
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def _in_frame(boxes: list[list[float]], spot: Placement) -> NDArray[np.float32]:
    corners = [(*spot.to_frame(x, y), *spot.to_frame(x + w, y + h)) for x, y, w, h in boxes]
    return np.array(corners, np.float32).reshape(-1, 4)
