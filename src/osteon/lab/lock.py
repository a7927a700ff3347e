"""One process at a time: a lock that goes with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from osteon.errors import UsageError

LOCK = "lock"
"""Name of the file that is locked in a folder."""


def hold(path: Path, wait: bool = True) -> IO[str] | None:
    """Lock a file until what is returned is closed, or its process ends; made where it is not there.

    Args:
        path: The file; its content does not matter.
        wait: Wait for another holder; else None is returned where there is one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    return file


def alone(folder: Path, wait: bool = False) -> IO[str]:
    """Hold a folder, made where it is not there, for this process.

    Args:
        folder: The folder; its file `LOCK` is what is locked.
        wait: Wait for another process that holds it; else that is an error.

    Raises:
        UsageError: another process holds it, or it cannot be written.
    """
    try:
        lock = hold(folder / LOCK, wait)
    except OSError as fault:
        raise UsageError(f"{folder}: cannot be written ({fault.strerror}). Name another folder with -o.") from fault
    if lock is None:
        raise UsageError(f"another process works in {folder}. Wait for it, or name another folder with -o.")
    return lock
