"""Compiled models kept between starts, in the user's cache folder.

An entry is one file, named by its key: a SHA-256 of what follows, and what follows. It appears by a rename, so two processes may
write the same one; an entry that does not match its sum is as good as none. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from osteon.atomic import whole

MOST_ENTRIES = 8
"""The oldest beyond these are deleted: each model file, runtime and processor makes one."""

_SUM = 32


def cache_folder() -> Path | None:
    """Return where entries stand: `OSTEON_CACHE` (None where that is empty: no cache), else the user's cache folder for osteon."""
    told = os.environ.get("OSTEON_CACHE")
    if told is not None:
        return Path(told) if told else None
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return Path(base) / "osteon" if base else Path.home() / ".cache" / "osteon"
    except RuntimeError:  # no home
        return None


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
    entries = sorted((p for p in folder.iterdir() if p.suffix == ".compiled"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in entries[MOST_ENTRIES:]:
        old.unlink(missing_ok=True)
