"""How far a work is: what every function that takes long tells, from counting films to an ablation study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from osteon.errors import UsageError


class Epoch(Struct, frozen=True, kw_only=True):
    """One epoch: once through the training films, and what the selection split says after it; None where there is no such split."""

    epoch: int
    loss: float
    select_loss: float | None
    select_auroc: float | None
    rate: float
    films_per_second: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: `done` of `total` films or steps.

    Attributes:
        stage: Its name; of a training "prepare", "train" or "select".
        done: Films or steps that are done.
        total: All of them.
        epoch: Of a training, from 0.
        loss: Smoothed over some fifty steps; NaN while nothing tells.
        films_per_second: 0 while nothing tells.
        left: Seconds until all is done, None while nothing tells.
        history: The epochs that have ended.
        note: What else is worth a word.
        part: Of several works which one, in words.
    """

    stage: str
    done: int = 0
    total: int = 1
    epoch: int = 0
    loss: float = math.nan
    films_per_second: float = 0.0
    left: float | None = None
    history: tuple[Epoch, ...] = ()
    note: str = ""
    part: str = ""


Watch = Callable[[Progress], object]
"""A callback, called at every step."""

Count = Callable[[int, int], object]
"""Told how much of one stage is done, of how much."""


def watching(watch: Watch | None) -> Watch:
    """Return a callback that may not have been given.

    Raises:
        UsageError: it is nothing that can be called.
    """
    if watch is not None and not callable(watch):
        raise UsageError(f"progress is a function that takes an osteon.lab.Progress; this is a {type(watch).__name__}.")
    return watch or (lambda _: None)


def counting(stage: str, watch: Watch | None) -> Count:
    """Return what is called with the films that are done and all of them, and tells of this stage.

    Raises:
        UsageError: as `watching`.
    """
    told = watching(watch)
    return lambda done, total: told(Progress(stage, done, total))


def each_of(callbacks: Sequence[Watch]) -> Watch:
    """Return a callback that calls each of these in turn."""

    def watch(progress: Progress) -> None:
        for callback in callbacks:
            callback(progress)

    return watch
