"""Work in stages that leaves its results in a folder: what is finished is not done again, and one process at a time does it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from filelock import FileLock

from osteon.atomic import LOCK, hold, write_json
from osteon.errors import UsageError
from osteon.lab.progress import Progress, Watch

BEFORE = "finished before"
"""What is noted of a stage that an earlier call has finished."""


class Tell(Protocol):
    """Told how much of one stage is done, of how much, and how many seconds are left where somebody knows better than that tells."""

    def __call__(self, done: int, total: int, note: str = "", left: float | None = None) -> None:
        """Take `done` of `total`."""


Stage = Callable[[Tell], Sequence[str]]
"""Does the work; returns what a reader should know of it."""


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """A record of stages: which are finished, and what a reader should know of each."""

    finished: tuple[str, ...] = ()
    notes: dict[str, tuple[str, ...]] = {}


TOLD = ("finished", "notes", "command")
"""What a record says that was not asked."""

R = TypeVar("R")
S = TypeVar("S", bound=Staged)
T = TypeVar("T")


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


def refuse_changed(folder: Path, what: str, difference: str) -> None:
    """Refuse a folder that was made with other settings.

    Raises:
        UsageError: there is a difference.
    """
    if difference:
        raise UsageError(f"{folder} holds a {what} with {difference}. Give the same command, or name another folder with -o.")


def changed(before: msgspec.Struct, now: msgspec.Struct, words: Mapping[str, str] | None = None) -> str:
    """Return in words the first setting in which two records differ, "" where they are one.

    Args:
        before: What was asked.
        now: What is asked, of the same type.
        words: By a setting's name, or its table's, what is said of it, with `{}` for the rest of the name; "" where it does not matter.
    """
    old, new, words = flat(msgspec.to_builtins(before)), flat(msgspec.to_builtins(now)), dict.fromkeys(TOLD, "") | dict(words or {})
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            outer = next((outer for outer in words if f"{name}.".startswith(f"{outer}.")), None)
            if outer is None:
                setting = re.sub(r"^(plan\.)?(recipe\.)?", "", name)
                return f"another {setting}: {old.get(name)!r}, and not {new.get(name)!r}"
            if words[outer]:
                return words[outer].format(name.removeprefix(f"{outer}."))
    return ""


def flat(settings: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names.

    >>> flat({"name": "a", "guard": {"aim": 0.1}})
    {'name': 'a', 'guard.aim': 0.1}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{outer}{name}.") if isinstance(value, dict) else {f"{outer}{name}": value}
    return found


def still_finished(record: S, results: Mapping[str, Sequence[Path]], stay: Collection[str] = ()) -> S:
    """Return a record in which a stage whose result is gone is to be made again, and all after it; what these have left is removed.

    Args:
        record: What was finished.
        results: The files and folders that each stage leaves, in the stages' order.
        stay: Stages whose results are never removed.
    """
    stands = {stage for stage in record.finished if all(path.exists() for path in results.get(stage, ()))}
    gone = [stage for stage in results if stage in record.finished and stage not in stands]
    order = list(results)
    for stage in order[order.index(gone[0]) :] if gone else ():
        for path in results[stage] if stage not in stay else ():
            remove(path)
    return msgspec.structs.replace(record, finished=tuple(takewhile(stands.__contains__, order)))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def run_stages(record: S, file: Path | None, stages: Mapping[str, Stage], watch: Watch, until: str = "") -> S:
    """Do the stages that are not finished, each then noted in the record's file; returns the record.

    Args:
        record: What is finished.
        file: Where it is written; None where the results themselves say what is finished.
        stages: By name, in their order.
        watch: Told of every step.
        until: The last one to do; "" for all.
    """
    for name, stage in stages.items():
        if name in record.finished:
            watch(Progress(name, 1, note=BEFORE))
        else:
            watch(Progress(name))
            notes = tuple(stage(partial(_tell, watch, name)))
            record = msgspec.structs.replace(record, finished=(*record.finished, name), notes=record.notes | {name: notes})
            if file:
                write_json(record, file)
            watch(Progress(name, 1, note="; ".join(notes)))
        if name == until:
            break
    return record


def _tell(watch: Watch, stage: str, done: int, total: int, note: str = "", left: float | None = None) -> None:
    watch(Progress(stage, done, total, note=note, left=left))


def shared(parts: Sequence[T], lock_of: Callable[[T], Path], waiting: Callable[[T], object] | None = None) -> Iterator[tuple[T, bool]]:
    """Yield the parts of a work that several processes do: first those that no other has taken, each locked meanwhile, then the others.

    With each comes whether it is locked.

    Args:
        parts: In their order.
        lock_of: The file that is locked for a part.
        waiting: Told of each part that another process does, which is then waited for; None: they are yielded at once, unlocked.
    """
    taken = []
    for part in parts:
        if lock := hold(lock_of(part), wait=False):
            with lock:
                yield part, True
        else:
            taken.append(part)
    for part in taken:
        if waiting is None:
            yield part, False
        else:
            waiting(part)
            with FileLock(lock_of(part)):
                yield part, True
