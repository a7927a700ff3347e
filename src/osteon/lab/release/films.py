"""Which films a release may be calibrated, guarded and reported on: those that none of its trainings has learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from osteon.errors import LeakySplit, UsageError
from osteon.lab.data.leaks import seen
from osteon.lab.evaluation.scoring import Origin, Predictions, of_split
from osteon.lab.experiments.crossvalidation.folder import CrossValidation
from osteon.lab.release.plan import ReleasePlan
from osteon.lab.training.recipe import Recipe, averaged_with
from osteon.lab.training.run import RunFolder
from osteon.lab.training.start.lineage import ancestors, films_seen, unknown_past


def check_films(plan: ReleasePlan, films: pl.DataFrame) -> list[str]:
    """Refuse splits that would make the card's metrics too good; returns what a reader should know.

    Args:
        plan: What is asked.
        films: The index.

    Raises:
        UsageError: the reported split is used for something else as well.
        MeasurementError: a split is not there.
        LeakySplit: a training, or one that its weights come from, has learned from films of the reported split, or of the one to calibrate
            on, or of their patients.
    """
    for what, splits in _uses(plan).items():
        if plan.report in splits:
            raise UsageError(f"split {plan.report!r} is reported, and is to be used to {what} as well: its metrics would be too good.")
        for split in splits:
            of_split(Predictions(films, Origin()), split)
    unseen = {"reported": plan.report} | ({} if plan.cross_validation else {"calibrated on": plan.calibration.split})
    trainings = [(run, films_seen(run, choosing=False)) for run in ancestors(plan.runs)]
    for run, known in trainings:
        for what, split in unseen.items():
            if known is not None:
                _refuse_seen(run, known, of_split(Predictions(films, Origin()), split).films, f"split {split!r}, which is to be {what}")
    return list(_notes(plan, trainings))


def _uses(plan: ReleasePlan) -> dict[str, tuple[str, ...]]:
    """Return the splits that are used before the report, by what for."""
    return {
        "calibrate": () if plan.cross_validation else (plan.calibration.split,),
        "fit the guard": plan.guard.splits if plan.guard else (),
        "choose INT8 ranges and layers": (plan.int8.calibrate_on, plan.int8.hold) if plan.int8 else (),
    }


def _refuse_seen(run: RunFolder, known: pl.DataFrame, films: pl.DataFrame, what: str) -> None:
    if len(found := seen(films, known)):
        raise LeakySplit(
            f"{run.folder} has learned from {len(found):,} of the {len(films):,} films of {what}, or from others of their patients, "
            f"such as {found['path'][0]}. Name another split."
        )


def _notes(plan: ReleasePlan, trainings: Sequence[tuple[RunFolder, pl.DataFrame | None]]) -> Iterator[str]:
    for run, known in trainings:
        if run.record().plan.select == plan.report:
            yield f"the best epoch of {run.folder.name} was chosen on the reported split: its metrics are too good"
        if known is None:
            yield f"the index of {run.folder.name} is gone or has changed: if it learned from reported films, the metrics are too good"
    if any(unknown_past(run.record().recipe) for run, _ in trainings):
        yield "weights come from a file, or from a training that is gone: if it learned from reported films, the metrics are too good"
    if plan.cross_validation and (words := _another_recipe(plan)):
        yield words


def _another_recipe(plan: ReleasePlan) -> str:
    """Return in what the trainings of a cross-validation are others than those that are released; "" where they are of one recipe."""
    crossed = CrossValidation(Path(plan.cross_validation))
    asked = crossed.asked() if crossed.asked_file.is_file() else None
    if asked is None:
        return f"{plan.cross_validation} is no cross-validation's folder: nothing tells whether its predictions are of the released recipe"
    recipes = [RunFolder(Path(run)).record().recipe for run in plan.runs]
    other = [name for name in Recipe.__struct_fields__ if name not in {"seed", "departures", "init", "average_with", "name"}]
    apart = [name for name in other if any(getattr(recipe, name) != getattr(asked.plan.recipe, name) for recipe in recipes)]
    if any(len(averaged_with(recipe)) != len(averaged_with(asked.plan.recipe)) for recipe in recipes):
        apart.append("average_with")
    return f"the cross-validation's trainings have another {', '.join(apart)} than the released ones" if apart else ""
