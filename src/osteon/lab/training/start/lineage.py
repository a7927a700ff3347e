"""Where a training's weights come from, at whatever remove, and which films these trainings have seen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.splits import ALL, learned
from osteon.lab.training.recipe import FIRST, Recipe, averaged_with
from osteon.lab.training.run import RunFolder
from osteon.lab.training.start.first_model import BACKBONE_ALONE


def parents(recipe: Recipe) -> tuple[str, ...]:
    """Return what a recipe's weights come from: what it begins with, and the trainings that it is averaged with."""
    return (recipe.init, *(name for name in averaged_with(recipe) if name != FIRST))


def ancestors(names: Iterable[str]) -> list[RunFolder]:
    """Return the trainings among the names, those that they come from, and so on; each once."""
    return [run for run in _ancestry(names).values() if run]


def unknown_past(recipe: Recipe) -> bool:
    """Return whether weights come from a file, so that nothing tells which films it has seen."""
    return any(run is None and name not in BACKBONE_ALONE for name, run in _ancestry(parents(recipe)).items())


def films_seen(run: RunFolder, choosing: bool = True) -> pl.DataFrame | None:
    """Return the films that a training learned from and, where `choosing`, those that its epochs were chosen on.

    None where its index is gone or has changed, so that nothing tells.
    """
    plan = run.record().plan
    films = read_index(Path(plan.index)) if Path(plan.index).exists() else None
    if films is None or fingerprint(films) != plan.fingerprint:
        return None
    chosen = plan.select if choosing and plan.train != ALL else ""
    return learned(films, f"{plan.train},{chosen}" if chosen else plan.train)


def _ancestry(names: Iterable[str]) -> dict[str, RunFolder | None]:
    ahead, found = list(names), dict[str, RunFolder | None]()
    while ahead:
        if (name := ahead.pop(0)) not in found:
            run = RunFolder(Path(name))
            found[name] = run if run.record_file.is_file() else None
            ahead += parents(run.record().recipe) if found[name] else ()
    return found
