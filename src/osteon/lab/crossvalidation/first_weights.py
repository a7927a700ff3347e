"""The first weights of a fold, which must not have seen its held films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import polars as pl

from osteon.errors import UsageError
from osteon.lab.crossvalidation.folder import CrossValidation
from osteon.lab.index import fingerprint, read_index
from osteon.lab.splits import ALL, learned, seen
from osteon.lab.training.first_model import BACKBONE_ALONE, recipe_from
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.run import Plan, RunFolder


def recipe_for(name: str, changes: Sequence[str]) -> Recipe:
    """Return a recipe as `first_model.recipe_from` does; its `init` may be another cross-validation's folder, whose models it then fits.

    Raises:
        UsageError: as there, or that cross-validation has finished no pass.
        MissingWeights, ModelFileError: as there.
    """
    init = recipe(name, changes).init
    other = CrossValidation(Path(init))
    if not other.asked_file.is_file():
        return recipe_from(name, changes)
    begun = [str(path) for path in sorted(other.folder.glob("fold-*/run")) if RunFolder(path).history()]
    if not begun:
        raise UsageError(f"{init}: no fold of that cross-validation has finished a pass. Finish it first.")
    fitted = recipe_from(name, [*changes, f"init={begun[0]}"])
    told = tuple(departure.replace(begun[0], init) for departure in fitted.departures)
    return msgspec.structs.replace(fitted, init=init, departures=told)


def first_weights(init: str, fold: int, held: pl.DataFrame) -> str:
    """Return where a fold's training starts: from `init`, or from the same fold of the cross-validation that `init` is.

    Args:
        init: As `Recipe.init`, or another cross-validation's folder.
        fold: Its number.
        held: The films of the fold.

    Raises:
        UsageError: that fold's training has not ended; or a training that the weights come from, at whatever remove, has seen held films,
            or cannot tell.
    """
    other = CrossValidation(Path(init))
    if other.asked_file.is_file():
        if not other.model(fold).exists():
            raise UsageError(f"{init}: its training of fold {fold} has not ended. Finish that cross-validation first.")
        init = str(other.run(fold).folder)
    for run in _ancestors(init):
        _refuse_seen(run, fold, held)
    return init


def unknown_past(init: str) -> bool:
    """Return whether first weights come from a file, so that nothing tells which films it has seen."""
    return [init, *(run.record().recipe.init for run in _ancestors(init))][-1] not in BACKBONE_ALONE


def _ancestors(init: str) -> Iterator[RunFolder]:
    """Yield the trainings that first weights come from: the one that `init` is, the one that it was started from, and so on."""
    passed: set[str] = set()
    while init not in passed and (run := RunFolder(Path(init))).record_file.is_file():
        yield run
        passed.add(init)
        init = run.record().recipe.init


def _refuse_seen(run: RunFolder, fold: int, held: pl.DataFrame) -> None:
    plan = run.record().plan
    films = read_index(Path(plan.index)) if Path(plan.index).exists() else None
    if films is None or fingerprint(films) != plan.fingerprint:
        raise UsageError(f"{run.folder}: its index {plan.index} is gone or has changed, so nothing tells which films it has seen.")
    if len(known := seen(held, learned(films, _splits(plan)))):
        raise UsageError(
            f"{run.folder} has seen {len(known):,} of the {len(held):,} films of fold {fold}, or others of their patients, such as "
            f"{known['path'][0]}. Start from a cross-validation with the same folds, or from weights that have seen none of these films."
        )


def _splits(plan: Plan) -> str:
    """Return the splits that a training learned from or chose its passes on, as `splits.learned` takes them."""
    return plan.train if plan.train == ALL or not plan.select else f"{plan.train},{plan.select}"
