"""Look at every film: decode it, or read its header alone.

What decoding found is remembered by path, size and time of change in the user's cache folder, so that a second index is quick and an
interrupted one goes on where it stopped.

No StudyInstanceUID stands in an index, nor in what is remembered, but a hash of it. Its key is made once, at random, and stands in the
user's cache folder, so that the same films get the same names there; whoever is given an index cannot find out a UID, nor test one.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import struct
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import polars as pl

from osteon.atomic import whole
from osteon.cache import cache_folder
from osteon.dicom import is_dicom
from osteon.errors import FilmError, UnreadableFilm
from osteon.film import Film, read_film
from osteon.lab.data.duplicates import thumbnail
from osteon.lab.progress import Count
from osteon.network import cores
from osteon.raster import raster_format, raster_size
from osteon.version import __version__

SAVE_EVERY = 60.0
"""Seconds between two savings of what was decoded: what a killed index loses at most."""

_CELLS: dict[str, pl.DataType | type[pl.DataType]] = {
    "status": pl.String,
    "reason": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "format": pl.String,
    "sha256": pl.String,
    "film_type": pl.String,
    "film_view": pl.String,
    "film_visit": pl.String,
    "thumbnail": pl.Binary,
}
_KEY: dict[str, pl.DataType | type[pl.DataType]] = {"path": pl.String, "size": pl.Int64, "changed": pl.Int64}
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_SIZE = struct.Struct(">II").unpack_from
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

Cells = tuple[str, str, int | None, int | None, str, str, str, str, str, bytes]


def inspect_films(paths: list[str], progress: Count | None = None, workers: int | None = None) -> pl.DataFrame:
    """Decode films on all cores and return a row for each, in order.

    Args:
        paths: Absolute paths.
        progress: Called with (done, total).
        workers: Threads; by default one a core that this process may use.

    Returns:
        `status`, `reason` ("" where it is ok), `width`, `height`, `format`, `sha256`, what the file says of itself (`film_type`,
        `film_view`, and `film_visit`, a hash of its study; "" where it does not) and `thumbnail` (64 x 64 bytes; empty where the film is
        unreadable).
    """
    wanted = pl.DataFrame([(path, *_stamp(path)) for path in paths], schema=_KEY, orient="row")
    memory = _memory(paths)
    known = _recall(memory)
    fresh = wanted.join(known, on=list(_KEY), how="anti").unique("path", maintain_order=True)
    done = len(wanted) - len(fresh)
    if progress:
        progress(done, len(wanted))
    rows: list[tuple[object, ...]] = []
    saved = time.monotonic()
    try:
        for row in _inspected(fresh, workers):
            rows.append(row)
            if progress:
                progress(done + len(rows), len(wanted))
            if time.monotonic() - saved > SAVE_EVERY:
                known, rows, done = _remember(memory, known, rows), [], done + len(rows)
                saved = time.monotonic()
    finally:
        if rows:
            known = _remember(memory, known, rows)
    return wanted.join(known, on=list(_KEY), how="left", maintain_order="left").select(*_CELLS)


def read_headers(paths: list[str]) -> pl.DataFrame:
    """Return what the headers alone say, a row a film in order, with the columns of `inspect_films`.

    Width and height are null where only decoding tells them (DICOM), `sha256` and `thumbnail` are empty.
    """
    headers = [_header(path) for path in paths]
    table = pl.DataFrame(headers, schema={c: _CELLS[c] for c in ("width", "height", "format", "reason")}, orient="row")
    status = pl.when(pl.col("reason") == "").then(pl.lit("ok")).otherwise(pl.lit("unreadable"))
    empty = [pl.lit("" if kind == pl.String else b"").alias(c) for c, kind in _CELLS.items() if c not in table.columns and c != "status"]
    return table.with_columns(status.alias("status"), *empty).select(*_CELLS)


def inspect(path: str) -> Cells:
    """Decode one film and return its row."""
    digest = ""
    try:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        film = read_film(path)
    except FilmError as refusal:
        return ("unreadable", _without_path(str(refusal), path), None, None, "", digest, "", "", "", b"")
    except OSError as fault:
        return ("unreadable", f"it cannot be opened ({fault.strerror})", None, None, "", digest, "", "", "", b"")
    height, width = film.pixels.shape
    status, reason = ("truncated", "the file ends early; it was read as far as it goes") if film.truncated else ("ok", "")
    small = thumbnail(film.pixels).tobytes()
    return (status, reason, width, height, film.format, digest, film.study_type, film.view, visit(film), small)


def visit(film: Film) -> str:
    """Return what stands for a film's study, "" where it names none: a hash of StudyInstanceUID and patient, with this user's key."""
    told = f"{film.study} {film.patient}".encode("utf-8", "surrogatepass")
    return film.study and f"study-{hashlib.blake2b(told, key=_secret(cache_folder()), digest_size=10).hexdigest()}"


@functools.lru_cache(1)
def _secret(folder: Path | None) -> bytes:
    """Return the key of `visit`; where nothing can be kept, one that goes with this process."""
    fresh = secrets.token_bytes(32)
    file = folder and folder / "inspections" / "key"
    if file is None:
        return fresh
    try:
        if not file.is_file():
            with whole(file) as part:
                part.touch(0o600)
                part.write_bytes(fresh)
        return file.read_bytes().ljust(32, b"-")
    except OSError:
        return fresh


def _inspected(fresh: pl.DataFrame, workers: int | None) -> Iterator[tuple[object, ...]]:
    _secret(cache_folder())  # by one thread
    pool = ThreadPoolExecutor(workers or cores())  # decoders and hashes let go of the interpreter's lock
    try:
        running: dict[Future[Cells], tuple[object, ...]] = {pool.submit(inspect, row[0]): row for row in fresh.iter_rows()}
        for film in as_completed(running):
            yield *running.pop(film), *film.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _header(path: str) -> tuple[int | None, int | None, str, str]:
    """Return width, height, format, and why it is none of them ("" where it is)."""
    try:
        handle = os.open(path, _READ)
        start = os.read(handle, 24)
        os.close(handle)
        if len(start) == 24 and start[:16] == _PNG_START:
            return *_SIZE(start, 16), "PNG", ""
        return _other_header(path)
    except OSError as fault:
        return None, None, "", f"it cannot be opened ({fault.strerror})"
    except FilmError as refusal:
        return None, None, "", _without_path(str(refusal), path)


def _other_header(path: str) -> tuple[int | None, int | None, str, str]:
    content = Path(path).read_bytes()
    if kind := raster_format(content):
        return *raster_size(content, path), kind, ""
    if is_dicom(content):
        return None, None, "DICOM", ""
    raise UnreadableFilm("neither PNG, JPEG, TIFF nor DICOM" if content else "the file is empty")


def _without_path(reason: str, path: str) -> str:
    return reason.removeprefix(f"{path}: ")


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - 40,000 of them
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _memory(paths: list[str]) -> Path | None:
    """Return the file that remembers films of this folder, None where there is no cache folder."""
    folder = cache_folder()
    if folder is None or not paths:
        return None
    common = os.path.commonpath(paths) if len(paths) > 1 else paths[0]
    name = hashlib.sha256(f"{__version__} {common}".encode()).hexdigest()[:32]
    return folder / "inspections" / f"{name}.parquet"


def _recall(memory: Path | None) -> pl.DataFrame:
    empty = pl.DataFrame(schema=_KEY | _CELLS)
    try:
        known = pl.read_parquet(memory) if memory and memory.is_file() else empty
    except (pl.exceptions.PolarsError, OSError):
        return empty  # a damaged memory is as good as none
    return known if known.schema == empty.schema else empty


def _remember(memory: Path | None, known: pl.DataFrame, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    """Add rows to what is known and save it; a cache folder that cannot be written costs the next index some time."""
    new = pl.DataFrame(rows, schema=_KEY | _CELLS, orient="row")
    known = pl.concat([known.join(new, on="path", how="anti"), new])
    if memory is None:
        return known
    try:
        with whole(memory, shared=True) as part:
            known.write_parquet(part, compression="zstd")
    except OSError:
        return known
    return known
