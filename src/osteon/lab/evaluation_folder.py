"""Evaluations, comparisons and calibrations as folders: tables, JSON and figures that later commands and reports read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from osteon.card import Card, Measured
from osteon.errors import MeasurementError, UsageError
from osteon.lab.calibration import Calibrated, CalibrationPlan, calibrate
from osteon.lab.comparison import Comparison, compare, disagreements
from osteon.lab.evaluation import ALL, Evaluation, Plan, level_tables, measure
from osteon.lab.figures import Picture, draw_evaluation, draw_gallery, draw_reliability
from osteon.lab.model_file import file_sha256, with_card
from osteon.lab.scoring import Predictions, of_split, read_predictions
from osteon.lab.subgroups import with_classes
from osteon.model import load_model
from osteon.whole import whole

PREDICTIONS, EVALUATION, COMPARISON, CALIBRATION = "predictions.parquet", "evaluation.json", "comparison.json", "calibration.json"
SHOWN = 24
"""Studies of a gallery of disagreements."""


def evaluate(predictions: Predictions, plan: Plan, out: Path, command: str = "") -> Evaluation:
    """Measure one split and write `evaluation.json` and the figures (PNG) into a folder.

    Args:
        predictions: Of any splits.
        plan: Which split, and how it is measured.
        out: The folder.
        command: What a reader would type to get the same.

    Raises:
        MeasurementError: nothing can be measured.
        UsageError: a column to make subgroups by is not there, or the folder cannot be written.
    """
    start = time.perf_counter()
    evaluation = measure(predictions, plan)
    evaluation = msgspec.structs.replace(evaluation, command=command, seconds=round(time.perf_counter() - start, 2))
    write_json(evaluation, out / EVALUATION)
    films = with_classes(of_split(predictions, plan.split).films)
    draw_evaluation(evaluation, list(level_tables(films, plan, ("study_type",))), out)
    return evaluation


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`, or the one in a folder.

    Raises:
        MeasurementError: it is none.
    """
    file = path / EVALUATION if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=Evaluation)
    except (OSError, msgspec.MsgspecError) as fault:
        raise MeasurementError(f"{file}: no evaluation can be read from it ({fault}). Make it with `osteon evaluate`.") from fault


def predictions_of(path: Path, index: pl.DataFrame | None = None) -> Predictions:
    """Read the predictions of a table, of an evaluation's folder, or of its `evaluation.json`.

    Raises:
        MeasurementError: there are none.
    """
    if path.is_dir():
        path /= PREDICTIONS
    elif path.name == EVALUATION:
        path = path.with_name(PREDICTIONS)
    return read_predictions(path, index)


def plan_for(predictions: Predictions, plan: Plan, threshold: float | None = None) -> Plan:
    """Return the plan with the threshold and the study pooling of the predictions' card; a threshold that is given goes before."""
    card = predictions.card
    if card is not None:
        plan = msgspec.structs.replace(plan, threshold=card.decision.threshold, study_pooling=card.study_pooling)
    return plan if threshold is None else msgspec.structs.replace(plan, threshold=threshold)


def compare_into(a: Predictions, b: Predictions, plans: tuple[Plan, Plan], out: Path, command: str = "") -> tuple[Comparison, pl.DataFrame]:
    """Compare two tables of predictions and write `comparison.json`, `disagreements.csv` and a gallery of them (PNG) into a folder."""
    comparison = msgspec.structs.replace(compare(a, b, plans), command=command)
    apart = disagreements(a, b, plans)
    write_json(comparison, out / COMPARISON)
    numbered = apart.with_row_index("number", offset=1)
    numbered.write_csv(out / "disagreements.csv")
    pictures = [_picture(row) for row in numbered.head(SHOWN).iter_rows(named=True)]
    if pictures:
        draw_gallery(pictures, out / "disagreements.png")
    return comparison, apart


def out_of_fold(folder: Path, index: pl.DataFrame, without: Sequence[str] = ()) -> Predictions:
    """Read a cross-validation's predictions: each film scored by a training that had not learned from it.

    Args:
        folder: Of the cross-validation, or its table of predictions.
        index: Whose labels, groups and splits count.
        without: Splits whose films are left out: those that will be reported.

    Raises:
        MeasurementError: there are no predictions, or none of the films that are left.
    """
    predictions = predictions_of(folder, index)
    films = predictions.films.filter(~pl.col("split").is_in(list(without)) & pl.col("logit").is_not_null())
    if films.is_empty():
        raise MeasurementError(f"{folder}: none of its predictions is of a film outside of {', '.join(without)}. Name another folder.")
    return replace(predictions, films=films)


def out_of_fold_plan(plan: CalibrationPlan, folder: Path, scored: Predictions) -> CalibrationPlan:
    """Return a plan for predictions of `out_of_fold`; the card will say that other trainings made them, and of which recipe."""
    recipe = f" of recipe {scored.card.recipe} ({scored.card.network})" if scored.card else ""
    crossed = f"films out of fold in cross-validation {folder.resolve().name!r}"
    told = f"{crossed}, each scored by another training{recipe} that had not learned from it"
    return msgspec.structs.replace(plan, split=ALL, told=told)


def calibrate_file(
    file: Path, scored: Predictions, plan: CalibrationPlan, out: Path, report: Path | None = None, command: str = ""
) -> Calibrated:
    """Write a copy of a model file, calibrated, without the figures that were measured before, and the calibration's folder.

    Args:
        file: The model.
        scored: Its predictions on the plan's split, or those of `out_of_fold`.
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


def write_figures(file: Path, evaluations: Sequence[Evaluation], out: Path) -> Card:
    """Write a copy of a model file whose card carries the figures of evaluations, and how they were measured; returns the card.

    Raises:
        UsageError: the evaluations are of another file.
        ModelFileError: no model file, or `out` cannot be written.
    """
    if (measured := evaluations[0].origin.model_sha256) and measured != file_sha256(file):
        raise UsageError(f"{file} is not the model file that made these predictions. Name that one with --model.")
    figures = tuple(metric for evaluation in evaluations for metric in evaluation.metrics)
    how = tuple(
        Measured(
            split=e.plan.split,
            fingerprint=e.origin.fingerprint,
            by=e.plan.by,
            prevalences=e.plan.prevalences,
            resamples=e.plan.resamples,
            seed=e.plan.seed,
        )
        for e in evaluations
    )
    card = msgspec.structs.replace(load_model(file).card, metrics=figures, measured=how)
    with_card(file, card, out)
    return card


def calibrate_into(calibrated: Calibrated, before: Predictions, crossed: Predictions, out: Path) -> None:
    """Write `calibration.json` and the studies' reliability before and after, cross-fitted (PNG), into a folder."""
    write_json(calibrated, out / CALIBRATION)
    plan = Plan(split=calibrated.plan.split, study_pooling=calibrated.plan.pooling, resamples=1)
    draw = {
        name: next(iter(level_tables(of_split(p, plan.split).films, plan))).sample
        for name, p in (("before", before), (f"after, {calibrated.plan.method}, cross-fitted", crossed))
    }
    draw_reliability(draw, out / "calibration.png")


def write_json(record: msgspec.Struct, path: Path) -> None:
    """Write a record as indented JSON; the file is whole or as it was.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        with whole(path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    except OSError as fault:
        raise UsageError(f"{path}: cannot be written ({fault.strerror}). Name another folder with -o.") from fault


def _picture(row: dict[str, object]) -> Picture:
    word = "abnormal" if row["label"] == 1 else "normal"
    caption = f"{row['number']}: {word}\nA {row['probability_a']:.2f}  B {row['probability_b']:.2f}"
    return Picture(Path(str(row["root"])) / str(row["path"]), caption)
