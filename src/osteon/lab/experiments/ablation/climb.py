"""A file of rungs -> each a cross-validation, and what it gains or loses against the base, on the same films.

One setting is changed at a time, so that the difference has a name. Rungs that are made stay made: the same command goes on, and makes
those that were added since. Several processes may make the same call at once: each takes a rung that no other is making, at the end they
share the folds of those that are left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from osteon.errors import CheckpointError, OsteonError
from osteon.lab.evaluation.evaluation import ALL
from osteon.lab.experiments.ablation.folder import LadderFolder
from osteon.lab.experiments.ablation.rungs import BASE, Ladder, Rung, Rungs, planned, read_rungs
from osteon.lab.experiments.ablation.table import FIGURES
from osteon.lab.experiments.crossvalidation.stages import Request, Step, cross_validate, rounds
from osteon.lab.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """Where to climb: an index with folds, the file of rungs, the folder; the rest as in `crossvalidation.stages.Request`."""

    index: Path
    file: Path
    out: Path
    save_every: float = 5.0
    device: str = "auto"
    offline: bool = False
    command: str = ""
    jobs: int = 1


Watch = Callable[[str, int, int, Step], None]
"""Told of the rung's name, its place, the number of rungs, and how far its cross-validation is; `Step.left` is until the last rung."""


def climb(asked: Climb, watch: Watch) -> Ladder:
    """Make the base and the rungs that are not there yet; the table is written anew after each.

    What goes wrong in one rung (a training that diverges, first weights that are not there) costs that rung and not the others; without a
    base, or without room on the disk, there is no ladder.

    Raises:
        UsageError: the file does not fit, a rung asks for what no recipe has, or the folder holds something else.
        CheckpointError: something cannot be written.
        OsteonError: as `cross_validate` of the base.
        Stopped: Ctrl-C or a termination signal during a training, which left a checkpoint.
    """
    rungs = read_rungs(asked.file)
    plans = planned(rungs, asked.file)  # all of them first: a rung that cannot be made is told before hours are spent on those before it
    here = LadderFolder(asked.out, rungs, asked.command)
    here.made()

    def make(place: int) -> None:
        rung, recipe = plans[place]
        told = _timed(place, here.made(), [rung.name for rung, _ in plans], asked.jobs, watch)
        here.made(_made(rung, asked.out, _request(asked, rungs, recipe), told))

    others = []
    for place, (rung, _) in enumerate(plans):
        if lock := here.take(rung):
            with lock:
                make(place)
        else:
            others.append(place)
    for place in others:  # other processes had taken these: what they have not made by now is made with them, fold by fold
        if plans[place][0].name not in {made.name for made in here.made().rungs}:
            make(place)
    return here.made()


def _request(asked: Climb, rungs: Rungs, recipe: Recipe) -> Request:
    return Request(
        recipe=recipe,
        index=asked.index,
        budget=rungs.budget,
        only=rungs.only,
        by=rungs.by,
        save_every=asked.save_every,
        device=asked.device,
        offline=asked.offline,
        command=asked.command,
    )


def _timed(place: int, ladder: Ladder, names: list[str], jobs: int, watch: Watch) -> Callable[[Step], None]:
    """Return a watch of one rung's cross-validation that adds what the rungs that nobody has made yet will take."""
    name, count = names[place], len(names)
    ended = [made.seconds for made in ladder.rungs if not made.error and made.name in names and made.name != name]
    waiting, began = rounds(count - 1 - len(ended), jobs), time.monotonic()

    def told(step: Step) -> None:
        if step.left is not None:
            each = sum(ended) / len(ended) if ended else time.monotonic() - began + step.left
            step = replace(step, left=step.left + waiting * each)
        watch(name, place + 1, count, step)

    return told


def _made(rung: Rung, out: Path, request: Request, watch: Callable[[Step], None]) -> Rung:
    try:
        found = cross_validate(out / rung.folder, request, watch)
    except OsteonError as fault:
        if rung.name == BASE or isinstance(fault, CheckpointError):
            raise
        return msgspec.structs.replace(rung, error=str(fault))
    figures = {name: mean for name in FIGURES if (mean := found.find(ALL, name))}
    return msgspec.structs.replace(rung, figures=figures, seconds=found.seconds, notes=found.notes)
