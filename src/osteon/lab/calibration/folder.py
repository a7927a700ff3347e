"""Calibrations as folders: a calibrated copy of a model file, and the report beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import write_json
from osteon.errors import MeasurementError
from osteon.lab.calibration.calibrate import Calibrated, CalibrationPlan, calibrate
from osteon.lab.calibration.trade import draw_trade
from osteon.lab.evaluation.evaluation import ALL, Plan, level_tables
from osteon.lab.evaluation.folder import predictions_of
from osteon.lab.evaluation.folds import fold_names
from osteon.lab.evaluation.plots import draw_reliability
from osteon.lab.evaluation.scoring import Predictions, of_split
from osteon.lab.model_file import with_card
from osteon.opening import load_model

CALIBRATION = "calibration.json"


def is_cross_validation(path: Path) -> bool:
    """Return whether a folder, or a table, has the predictions of a cross-validation."""
    try:
        return len(fold_names(predictions_of(path).films)) > 1
    except MeasurementError:  # none, or another program's: who reads it says what is wrong
        return False


def cross_validated(folder: Path, index: pl.DataFrame, without: Sequence[str] = (), splits: Sequence[str] = ()) -> Predictions:
    """Read a cross-validation's predictions: each film scored by a training that had not learned from it.

    Args:
        folder: Of the cross-validation, or its table of predictions.
        index: Whose labels, groups and splits count.
        without: Splits whose films are left out: those that will be reported.
        splits: Splits whose films alone take part; all where none is named.

    Raises:
        MeasurementError: there are no predictions, or none of the films that are left.
    """
    predictions = predictions_of(folder, index)
    chosen = pl.col("split").is_in(list(splits)) if splits else ~pl.col("split").is_in(list(without))
    films = predictions.films.filter(chosen & pl.col("logit").is_not_null())
    if films.is_empty():
        where = f"of split {', '.join(splits)}" if splits else f"outside of {', '.join(without)}"
        raise MeasurementError(f"{folder}: none of its predictions is of a film {where}. Name another folder, or other splits.")
    return replace(predictions, films=films)


def cross_validated_plan(plan: CalibrationPlan, folder: Path, scored: Predictions) -> CalibrationPlan:
    """Return a plan for predictions of `cross_validated`; the card will say that other trainings made them, and of which recipe."""
    recipe = f" of recipe {scored.card.recipe} ({scored.card.network})" if scored.card else ""
    crossed = f"the films of cross-validation {folder.resolve().name!r}"
    told = f"{crossed}, each scored by another training{recipe} that had not learned from it"
    return msgspec.structs.replace(plan, split=ALL, told=told)


def calibrate_file(
    file: Path, scored: Predictions, plan: CalibrationPlan, out: Path, report: Path | None = None, command: str = ""
) -> Calibrated:
    """Write a copy of a model file, calibrated, without the metrics that were measured before, and the calibration's folder.

    Args:
        file: The model.
        scored: Its predictions on the plan's split, or those of `cross_validated`.
        plan: How.
        out: The copy.
        report: The calibration's folder; beside the copy where it is None.
        command: What a reader would type to get the same.

    Raises:
        MeasurementError: the predictions cannot calibrate anything.
        ModelFileError: no model file, or `out` cannot be written.
    """
    calibrated, crossed = calibrate(scored, load_model(file).card, plan)
    calibrated = msgspec.structs.replace(calibrated, command=command)
    with_card(file, calibrated.card, out)
    calibrate_into(calibrated, scored, crossed, report or report_folder(out))
    return calibrated


def report_folder(calibrated: Path) -> Path:
    """Return where the report of a calibration stands: beside the model that it made."""
    return calibrated.with_suffix(".calibration")


def calibrate_into(calibrated: Calibrated, before: Predictions, crossed: Predictions, out: Path) -> None:
    """Write `calibration.json` and two figures of the studies into a folder: reliability before and after, and what the edges cost."""
    write_json(calibrated, out / CALIBRATION)
    plan = Plan(split=calibrated.plan.split, study_pooling=calibrated.plan.pooling, resamples=1)
    after = f"after, {calibrated.plan.method}, cross-fitted"
    tables = {name: level_tables(of_split(p, plan.split).films, plan) for name, p in (("before", before), (after, crossed))}
    draw = {name: next(iter(table)).sample for name, table in tables.items()}
    draw_reliability(draw, out / "calibration.png")
    draw_trade(draw[after], calibrated.card.decision, out / "answers.png")
