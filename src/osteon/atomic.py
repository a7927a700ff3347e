"""Files that are whole, or as they were, whenever a process is stopped; and folders that one process at a time works in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from osteon.errors import UsageError

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy, FileLock

LOCK = "lock"
"""Name of the file that is locked in a folder."""

Held: TypeAlias = "AcquireReturnProxy[FileLock]"
"""A lock, until the `with` block ends."""


@contextlib.contextmanager
def whole(path: Path, durable: bool = False, shared: bool = False) -> Iterator[Path]:
    """Give a file beside `path` to write, and put it there once the block has ended well; else `path` stays as it was.

    Args:
        path: Where the content shall stand; its folder is made.
        durable: Come back only when the disk has it, for what must outlast a power failure.
        shared: Other processes may write the same path at the same time; the last one stays.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for all, so that what a killed process left is overwritten by the next; the ending stays, since readers go by it.
    part = path.with_name(f"{path.stem}{f'.{os.getpid()}' if shared else ''}.part{path.suffix}")
    try:
        yield part
        if durable:
            _flush(part, os.O_RDWR)
        part.replace(path)
        if durable and (directory := getattr(os, "O_DIRECTORY", 0)):  # Windows opens no directory
            _flush(path.parent, directory)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(record: msgspec.Struct, path: Path) -> None:
    """Write a record as indented JSON; the file is whole or as it was.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        with whole(path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    except OSError as fault:
        raise UsageError(f"{path}: cannot be written ({fault.strerror}). Name another folder with -o.") from fault


def hold(path: Path, wait: bool = True) -> Held | None:
    """Lock a file, made where it is not there, for a `with` block; the lock goes with its process, however that ends.

    Args:
        path: The file; its content does not matter.
        wait: Wait for another holder; else None is returned where there is one.
    """
    from filelock import FileLock, Timeout  # here, since few commands that answer at once lock anything

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(path).acquire(blocking=wait)
    except Timeout:
        return None


def alone(folder: Path, wait: bool = False) -> Held:
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
