"""The file of rungs, and what is known of each."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from osteon.card import Metric
from osteon.errors import UsageError
from osteon.lab.evaluation.comparison import Difference
from osteon.lab.experiments.crossvalidation.first_weights import recipe_for
from osteon.lab.training.networks.detector import refuse_unbuildable
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.session import refuse_selecting
from osteon.version import __version__

BASE = "base"


class Rungs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, TOML.

    Attributes:
        recipe: By name: paper, article, osteon or boxed.
        set: What every rung changes in it, the base included.
        only: Folds to make; none: all.
        budget: Minutes a fold, 0 for the recipe's passes.
        by: Further columns of the index to make subgroups by.
        rungs: By name, what a rung changes beside.
    """

    rungs: dict[str, tuple[str, ...]]
    recipe: str = "osteon"
    set: tuple[str, ...] = ()
    only: tuple[int, ...] = ()
    budget: float = 0.0
    by: tuple[str, ...] = ()


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One rung: what it changes, its means over folds by name, their paired differences to the base, what its trainings took.

    In `error` stands why it has no figures.
    """

    name: str
    folder: str
    changes: tuple[str, ...]
    figures: dict[str, Metric] = {}
    differences: dict[str, Difference] = {}
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """`ladder.json`: the rungs that are made, the base first, then the asked ones, then those of other files."""

    asked: Rungs
    rungs: tuple[Rung, ...]
    command: str = ""
    osteon: str = __version__


def read_rungs(file: Path) -> Rungs:
    """Read a file of rungs.

    Raises:
        UsageError: it cannot be read, or does not fit.
    """
    try:
        rungs = msgspec.toml.decode(file.read_bytes(), type=Rungs)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be read ({fault.strerror}).") from fault
    except msgspec.MsgspecError as fault:
        raise UsageError(f"{file}: no file of rungs ({fault}). It may hold: {', '.join(Rungs.__struct_fields__)}.") from fault
    if not rungs.rungs:
        raise UsageError(f'{file}: there is no rung. Write one under [rungs], as in: "nothing frozen" = ["freeze=0"]')
    return rungs


def planned(rungs: Rungs, file: Path) -> list[tuple[Rung, Recipe]]:
    """Return the base and the rungs of a file, each with its recipe, nothing made yet.

    Raises:
        UsageError: two rungs have one folder's name, or one asks for what no recipe or network has.
    """
    return [(rung, _recipe(rungs, rung, file)) for rung in _rungs(rungs, file)]


def _rungs(rungs: Rungs, file: Path) -> list[Rung]:
    found = [Rung(name=name, folder=folder_of(name), changes=changes) for name, changes in rungs.rungs.items()]
    folders = [rung.folder for rung in found]
    for rung in found:
        if rung.folder in ("", BASE) or folders.count(rung.folder) > 1:
            raise UsageError(f"{file}: rung {rung.name!r} has no folder of its own. Give it another name, of letters and digits.")
    return [Rung(name=BASE, folder=BASE, changes=()), *found]


def folder_of(name: str) -> str:
    """Return what the folder of a rung is called.

    >>> folder_of("another machine's films")
    'another-machine-s-films'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _recipe(rungs: Rungs, rung: Rung, file: Path) -> Recipe:
    try:
        recipe = recipe_for(rungs.recipe, [*rungs.set, *rung.changes])
        refuse_selecting(recipe)
        refuse_unbuildable(recipe)
    except UsageError as fault:
        raise UsageError(f"{file}: {rung.name}: {fault}") from fault
    return recipe
