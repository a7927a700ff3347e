"""What is kept between starts, in the user's cache folder: compiled models here, and for the lab prepared films, weights, inspections.

A compiled model is one file, named by its key: a SHA-256 of what follows, and what follows. It appears by a rename, so two processes may
write the same one; one that does not match its sum is as good as none. The folder may be deleted at any time.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from osteon.atomic import whole

MOST_ENTRIES = 8
"""The oldest compiled models beyond these are deleted: each model file, runtime and processor makes one."""

KINDS = {
    "compiled models": r"[0-9a-f]{64}\.compiled",
    "prepared films": r"stores/\d+-[0-9a-f]{20}",
    "weights": r"weights/\w+-[0-9a-f]{8}\.pth",
    "inspected films": r"inspections/([0-9a-f]{32}\.parquet|key)",
}
"""What osteon keeps and the names that it gives, below the cache folder."""

STORE = ("films.u8", "placements.f8", "state.u1", "lock")
"""The files of prepared films; the last is locked while they are made."""

_SUM = 32
_PART = r"(.*)\.\d+\.part(\.\w+)"  # what `whole` is writing, or a killed process has left
_LEFT = 3600.0  # seconds after which nobody is writing it any more


def cache_folder() -> Path | None:
    """Return where things are kept: `OSTEON_CACHE`, else the user's cache folder for osteon.

    None where `OSTEON_CACHE` is empty, or there is no home: then nothing is kept.
    """
    told = os.environ.get("OSTEON_CACHE")
    if told is not None:
        return Path(told) if told else None
    from platformdirs import user_cache_path  # most of what it takes is its import

    try:
        return user_cache_path("osteon", appauthor=False, opinion=False)
    except RuntimeError:  # no home
        return None


def working_folder(kind: str) -> Path:
    """Return where films or weights stand that the work needs: below the cache folder, else below one that goes with this process."""
    return (cache_folder() or _temporary()) / kind


@functools.cache
def _temporary() -> Path:
    folder = tempfile.mkdtemp(prefix="osteon-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def read_entry(key: str) -> bytes | None:
    """Return what was kept under a key; None where nothing is, or where it cannot be read or is damaged."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        entry = (folder / key).read_bytes()
    except OSError:
        return None
    content = entry[_SUM:]
    return content if hashlib.sha256(content).digest() == entry[:_SUM] else None


def write_entry(key: str, content: bytes) -> None:
    """Keep something under a key; a folder that cannot be written costs the next start some time and is no error."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        with whole(folder / key, shared=True) as part:
            part.write_bytes(hashlib.sha256(content).digest() + content)
        _prune(folder)
    except OSError:
        return


def _prune(folder: Path) -> None:
    named = (p for p in folder.iterdir() if re.fullmatch(KINDS["compiled models"], p.name) and not p.is_symlink())
    entries = sorted(named, key=lambda p: p.stat().st_mtime, reverse=True)
    for old in entries[MOST_ENTRIES:]:
        old.unlink(missing_ok=True)


def kept() -> dict[str, list[Path]]:
    """Return what is kept, by kind: files, and for prepared films their folders. What osteon did not make, and links, are not among it."""
    folder = cache_folder()
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    if folder is None:
        return found
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        name = path.relative_to(folder).as_posix()
        plain = "".join(part.groups()) if (part := re.fullmatch(_PART, name)) else name
        kind = next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, plain)), None)
        if kind and not path.is_symlink() and not path.parent.is_symlink():
            found[kind].append(path)
    return found


def bytes_of(entry: Path) -> int:
    """Return the size of what `kept` names."""
    files = [entry / name for name in STORE] if entry.is_dir() else [entry]
    return sum(file.stat().st_size for file in files if file.is_file())


def clear() -> list[Path]:
    """Delete what is kept; returns what stays, since another process is making it or it cannot be deleted."""
    entries = [entry for found in kept().values() for entry in found]
    return [entry for entry in entries if not (_clear_store(entry) if entry.is_dir() else _clear_file(entry))]


def _clear_file(file: Path) -> bool:
    if re.fullmatch(_PART, file.name) and time.time() - file.stat().st_mtime < _LEFT:
        return False
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    return not file.exists()


def _clear_store(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    with contextlib.suppress(OSError, Timeout):
        with FileLock(folder / STORE[-1]).acquire(blocking=False):
            for name in STORE[:-1]:
                (folder / name).unlink(missing_ok=True)
        (folder / STORE[-1]).unlink(missing_ok=True)
        folder.rmdir()
    return not folder.exists()
