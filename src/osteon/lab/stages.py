"""Work in stages that leaves its results in a folder: what is finished is not done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import msgspec
from filelock import AcquireReturnProxy, FileLock, Timeout

from osteon.atomic import write_json
from osteon.errors import UsageError

LOCK = "lock"
"""Name of the file that is locked in a folder."""

Held: TypeAlias = "AcquireReturnProxy[FileLock]"
"""A lock, until the `with` block ends."""

Watch = Callable[[str, int, int, str], None]
"""Told of the stage, how much of it is done, of how much, and a note."""


class Tell(Protocol):
    """The same within one stage."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Take `done` of `total`."""


Stage = Callable[[Tell], Sequence[str]]
"""Does the work; returns what a reader should know of it."""


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """A record of stages: which are finished, and what a reader should know of each."""

    finished: tuple[str, ...] = ()
    notes: dict[str, tuple[str, ...]] = {}


R = TypeVar("R")
S = TypeVar("S", bound=Staged)


def read_record(file: Path, kind: type[R], what: str, decode: Callable[[bytes, type[R]], R] | None = None) -> R | None:
    """Return the record of a folder, None where the folder is new.

    Args:
        file: The record, JSON.
        kind: Its type.
        what: What the folder is, for people.
        decode: Reads records of an earlier osteon too; without one, msgspec does.

    Raises:
        UsageError: the folder holds something else.
    """
    try:
        content = file.read_bytes()
        return decode(content, kind) if decode else msgspec.json.decode(content, type=kind)
    except FileNotFoundError:
        if file.parent.is_dir() and any(path.name != LOCK for path in file.parent.iterdir()):
            raise UsageError(f"{file.parent} holds something that is no {what}. Name another folder with -o.") from None
        return None
    except (OSError, msgspec.MsgspecError) as fault:
        raise UsageError(f"{file}: no record of a {what} ({fault}). Name another folder with -o.") from fault


def run_stages(record: S, file: Path, stages: Mapping[str, Stage], watch: Watch, until: str = "") -> S:
    """Do the stages that are not finished, each then noted in the record's file; returns the record.

    Args:
        record: What is finished.
        file: Where it is written.
        stages: By name, in their order.
        watch: Told of every step.
        until: The last one to do; "" for all.
    """
    for name, stage in stages.items():
        if name in record.finished:
            watch(name, 1, 1, "finished before")
        else:
            watch(name, 0, 1, "")
            notes = tuple(stage(partial(_tell, watch, name)))
            record = msgspec.structs.replace(record, finished=(*record.finished, name), notes=record.notes | {name: notes})
            write_json(record, file)
            watch(name, 1, 1, "; ".join(notes))
        if name == until:
            break
    return record


def _tell(watch: Watch, stage: str, done: int, total: int, note: str = "") -> None:
    watch(stage, done, total, note)


def hold(path: Path, wait: bool = True) -> Held | None:
    """Lock a file, made where it is not there, for a `with` block; the lock goes with its process, however that ends.

    Args:
        path: The file; its content does not matter.
        wait: Wait for another holder; else None is returned where there is one.
    """
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
