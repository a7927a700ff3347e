"""Evaluations and comparisons as folders: tables, JSON and figures that later commands and reports read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import write_json
from osteon.card import Card, Measured
from osteon.errors import MeasurementError, UsageError
from osteon.lab.evaluation.comparison import Comparison, compare, disagreements
from osteon.lab.evaluation.evaluation import Evaluation, Plan, level_tables, measure
from osteon.lab.evaluation.levels import Edges
from osteon.lab.evaluation.paper import write_tables
from osteon.lab.evaluation.plots import draw_evaluation
from osteon.lab.evaluation.scoring import Predictions, of_split, read_predictions, score_films, write_predictions
from osteon.lab.evaluation.subgroups import with_classes
from osteon.lab.model_file import file_sha256, with_card
from osteon.lab.progress import Count
from osteon.lab.tiles import Shown, draw_tiles, read_tile
from osteon.opening import load_model

PREDICTIONS, EVALUATION, COMPARISON, DISAGREEMENTS = "predictions.parquet", "evaluation.json", "comparison.json", "disagreements.csv"
SHOWN, COLUMNS = 24, 4
"""Studies of a gallery of disagreements, and how many stand side by side."""


def evaluate(predictions: Predictions, plan: Plan, out: Path, command: str = "") -> Evaluation:
    """Measure one split and write `evaluation.json`, the tables (CSV, LaTeX) and the figures (PNG, SVG, PDF) into a folder.

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
    write_tables(evaluation, out)
    films = with_classes(of_split(predictions, plan.split).films)
    draw_evaluation(evaluation, list(level_tables(films, plan, ("study_type",))), out)
    return evaluation


def evaluate_file(file: Path, films: pl.DataFrame, plan: Plan, out: Path, told: tuple[str, Count | None] = ("", None)) -> Evaluation:
    """Do what `osteon evaluate` does: run a model file on a split and measure it; the folder is whole or absent.

    Args:
        file: The model file.
        films: An index with the plan's split.
        plan: How it is measured; limits and study pooling are the card's.
        out: The folder; one that stands there is made anew.
        told: What a reader would type to get the same, and what is told of the progress.

    Raises:
        ModelFileError: the model cannot be opened.
        MeasurementError: the split is not there, or nothing in it can be measured.
    """
    part = out.with_name(f"{out.name}.part")
    for folder in (part, out):
        shutil.rmtree(folder, ignore_errors=True)
    scored = score_films(load_model(file), file, films, [plan.split], told)
    write_predictions(scored, part / PREDICTIONS)
    evaluation = evaluate(scored, plan_for(scored, plan), part, told[0])
    part.replace(out)
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
    """Return the plan with the limits and the study pooling of the predictions' card; a threshold that is given goes before."""
    card = predictions.card
    if card is not None:
        d = card.decision
        edges = Edges(d.doubt_from, d.doubt_to)
        plan = msgspec.structs.replace(plan, threshold=d.threshold, edges=edges, study_pooling=card.study_pooling)
    return plan if threshold is None else msgspec.structs.replace(plan, threshold=threshold)


def compare_into(a: Predictions, b: Predictions, plans: tuple[Plan, Plan], out: Path, command: str = "") -> tuple[Comparison, pl.DataFrame]:
    """Compare two tables of predictions and write `comparison.json`, `disagreements.csv` and a gallery of them (PNG) into a folder."""
    comparison = msgspec.structs.replace(compare(a, b, plans), command=command)
    apart = disagreements(a, b, plans)
    write_json(comparison, out / COMPARISON)
    numbered = apart.with_row_index("number", offset=1)
    numbered.write_csv(out / DISAGREEMENTS)
    films = [_shown(row) for row in numbered.head(SHOWN).iter_rows(named=True)]
    if films:
        draw_tiles(films, out / "disagreements.png", COLUMNS)
    return comparison, apart


def read_disagreements(comparison: str | Path) -> pl.DataFrame:
    """Return the studies of a comparison's `disagreements.csv`, as `disagreements` says, and their `number`."""
    return pl.read_csv(Path(comparison) / DISAGREEMENTS)


def write_metrics(file: Path, evaluations: Sequence[Evaluation], out: Path) -> Card:
    """Write a copy of a model file whose card carries the metrics of evaluations, and how they were measured; returns the card.

    Raises:
        UsageError: the evaluations are of another file.
        ModelFileError: no model file, or `out` cannot be written.
    """
    if (measured := evaluations[0].origin.model_sha256) and measured != file_sha256(file):
        raise UsageError(f"{file} is not the model file that made these predictions. Name that one (model, --model).")
    metrics = tuple(metric for evaluation in evaluations for metric in evaluation.metrics)
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
    card = msgspec.structs.replace(load_model(file).card, metrics=metrics, measured=how)
    with_card(file, card, out)
    return card


def _shown(row: dict[str, object]) -> Shown:
    word = "abnormal" if row["label"] == 1 else "normal"
    caption = f"{row['number']}: {word}\nA {row['probability_a']:.2f}  B {row['probability_b']:.2f}"
    return Shown(read_tile(Path(str(row["root"]), str(row["path"]))), caption)
