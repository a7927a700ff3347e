"""The plan of an ablation study, and what is known of each ablation."""

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


class AblationPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, TOML.

    Attributes:
        recipe: By name: paper, article, osteon or boxed.
        set: What every ablation changes in it, the base included.
        only: Folds to make; none: all.
        budget: Minutes a fold, 0 for the recipe's epochs.
        by: Further columns of the index to make subgroups by.
        ablations: By name, what each changes beside.
    """

    ablations: dict[str, tuple[str, ...]]
    recipe: str = "osteon"
    set: tuple[str, ...] = ()
    only: tuple[int, ...] = ()
    budget: float = 0.0
    by: tuple[str, ...] = ()


class Ablation(msgspec.Struct, frozen=True, kw_only=True):
    """One ablation: what it changes, its means over folds by name, their paired differences to the base, what its trainings took.

    In `error` stands why it has no metrics.
    """

    name: str
    folder: str
    changes: tuple[str, ...]
    metrics: dict[str, Metric] = {}
    differences: dict[str, Difference] = {}
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


class AblationStudy(msgspec.Struct, frozen=True, kw_only=True):
    """`ablation.json`: the ablations that are made, the base first, then the asked ones, then those of other files."""

    asked: AblationPlan
    ablations: tuple[Ablation, ...]
    command: str = ""
    osteon: str = __version__


def read_plan(file: Path) -> AblationPlan:
    """Read a plan, TOML.

    Raises:
        UsageError: it cannot be read, or does not fit.
    """
    try:
        plan = msgspec.toml.decode(file.read_bytes(), type=AblationPlan)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be read ({fault.strerror}).") from fault
    except msgspec.MsgspecError as fault:
        raise UsageError(f"{file}: {fault}. Correct it; a plan may hold: {', '.join(AblationPlan.__struct_fields__)}.") from fault
    if not plan.ablations:
        raise UsageError(f'{file}: there is no ablation. Write one under [ablations], as in: "nothing frozen" = ["freeze=0"]')
    return plan


def planned(plan: AblationPlan, file: Path) -> list[tuple[Ablation, Recipe]]:
    """Return the base and the ablations of a file, each with its recipe, nothing made yet.

    Raises:
        UsageError: two ablations have one folder's name, or one asks for what no recipe or network has.
    """
    return [(ablation, _recipe(plan, ablation, file)) for ablation in _ablations(plan, file)]


def _ablations(plan: AblationPlan, file: Path) -> list[Ablation]:
    found = [Ablation(name=name, folder=folder_of(name), changes=changes) for name, changes in plan.ablations.items()]
    folders = [ablation.folder for ablation in found]
    for ablation in found:
        if ablation.folder in ("", BASE) or folders.count(ablation.folder) > 1:
            raise UsageError(f"{file}: ablation {ablation.name!r} has no folder of its own. Give it another name, of letters and digits.")
    return [Ablation(name=BASE, folder=BASE, changes=()), *found]


def folder_of(name: str) -> str:
    """Return what the folder of an ablation is called.

    >>> folder_of("another machine's films")
    'another-machine-s-films'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _recipe(plan: AblationPlan, ablation: Ablation, file: Path) -> Recipe:
    try:
        recipe = recipe_for(plan.recipe, [*plan.set, *ablation.changes])
        refuse_selecting(recipe)
        refuse_unbuildable(recipe)
    except UsageError as fault:
        raise UsageError(f"{file}: {ablation.name}: {fault}") from fault
    return recipe
