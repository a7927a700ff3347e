"""The first weights of a fold, which must not have seen its held films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from osteon.errors import UsageError
from osteon.lab.data.leaks import seen
from osteon.lab.experiments.crossvalidation.folder import CrossValidation
from osteon.lab.training.recipe import FIRST, Recipe, averaged_with, plain_recipe
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import has_ended
from osteon.lab.training.start.first_model import recipe_from
from osteon.lab.training.start.lineage import ancestors, films_seen


def recipe_for(name: str, changes: Sequence[str]) -> Recipe:
    """Return a recipe as `first_model.recipe_from` does; its `init` may be another cross-validation's folder, whose models it then fits.

    A folder with a training in each `fold-N/run`, made by `osteon train`, does as well.

    Raises:
        UsageError: as there, or that cross-validation has finished no epoch.
        MissingWeights, ModelFileError: as there.
    """
    init = plain_recipe(name, changes).init
    other = CrossValidation(Path(init))
    if not _has_folds(other):
        return recipe_from(name, changes)
    begun = [str(path) for path in sorted(other.folder.glob("fold-*/run")) if RunFolder(path).history()]
    if not begun:
        raise UsageError(f"{init}: no fold of that cross-validation has finished an epoch. Finish it first.")
    fitted = recipe_from(name, [*changes, f"init={begun[0]}"])
    told = tuple(departure.replace(begun[0], init) for departure in fitted.departures)
    return msgspec.structs.replace(fitted, init=init, departures=told)


def recipe_of_fold(recipe: Recipe, fold: int, held: pl.DataFrame) -> Recipe:
    """Return a recipe as a fold has it: begun from and averaged with that fold of the cross-validations that it names.

    Raises:
        UsageError: as `first_weights`.
    """
    averaged = [name if name == FIRST else first_weights(name, fold, held) for name in averaged_with(recipe)]
    begun = first_weights(recipe.init, fold, held)
    return msgspec.structs.replace(recipe, init=begun, average_with=",".join(averaged))


def first_weights(init: str, fold: int, held: pl.DataFrame) -> str:
    """Return where a fold's weights come from: `init`, or the same fold of the cross-validation that `init` is.

    Args:
        init: As `Recipe.init`, or a folder with folds, as for `recipe_for`.
        fold: Its number.
        held: The films of the fold.

    Raises:
        UsageError: that fold's training has not ended; or a training that the weights come from, at whatever remove, has seen held films,
            or cannot tell.
    """
    other = CrossValidation(Path(init))
    if _has_folds(other):
        if not (other.model(fold).exists() if other.asked_file.is_file() else has_ended(other.run(fold).folder)):
            raise UsageError(f"{init}: its training of fold {fold} has not ended. Finish that cross-validation first.")
        init = str(other.run(fold).folder)
    for run in ancestors([init]):
        _refuse_seen(run, fold, held)
    return init


def _has_folds(folder: CrossValidation) -> bool:
    """Return whether it is a cross-validation, or trainings that were made fold by fold as one has them."""
    return folder.asked_file.is_file() or any(folder.folder.glob("fold-*/run/recipe.json"))


def _refuse_seen(run: RunFolder, fold: int, held: pl.DataFrame) -> None:
    films = films_seen(run)
    if films is None:
        index = run.record().plan.index
        raise UsageError(f"{run.folder}: its index {index} is gone or has changed, so nothing tells which films it has seen.")
    if len(known := seen(held, films)):
        raise UsageError(
            f"{run.folder} has seen {len(known):,} of the {len(held):,} films of fold {fold}, or others of their patients, such as "
            f"{known['path'][0]}. Start from a cross-validation with the same folds, or from weights that have seen none of these films."
        )
