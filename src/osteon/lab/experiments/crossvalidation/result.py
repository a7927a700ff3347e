"""What a cross-validation found: the held films of all folds measured together, and fold by fold."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import polars as pl

import osteon
from osteon.atomic import write_json
from osteon.card import Metric
from osteon.lab.evaluation import subgroups
from osteon.lab.evaluation.evaluation import ALL, Plan
from osteon.lab.evaluation.folder import evaluate, plan_for
from osteon.lab.evaluation.folds import fold_metrics, fold_parts, folds_of
from osteon.lab.evaluation.scoring import Origin, Predictions, read_predictions, write_predictions
from osteon.lab.experiments.crossvalidation.folder import CrossValidation, CrossValidationPlan
from osteon.lab.training.run import RunRecord
from osteon.lab.training.start.lineage import unknown_past


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """One fold: its held films, its metrics by name (of films; None where undefined), and what its training cost and started from."""

    fold: int
    films: int
    abnormal: int
    refused: int
    metrics: dict[str, float | None]
    epochs: int
    seconds: float
    films_per_second: float
    weights: str


class CrossValidated(msgspec.Struct, frozen=True, kw_only=True):
    """`cross-validation.json`: `metrics` are means over folds, of films, with 95 % intervals over groups drawn again within each fold."""

    plan: CrossValidationPlan
    threshold: float
    folds: tuple[FoldResult, ...]
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...] = ()
    command: str = ""
    code_commit: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    osteon: str = osteon.__version__

    def find(self, group: str, name: str) -> Metric | None:
        """Return one mean over folds, None where it was not measured."""
        return next((m for m in self.metrics if (m.group, m.name) == (group, name)), None)

    @property
    def seconds(self) -> float:
        """What the trainings took."""
        return sum(fold.seconds for fold in self.folds)


def together(here: CrossValidation, plan: CrossValidationPlan, films: pl.DataFrame, by: tuple[str, ...], command: str) -> CrossValidated:
    """Measure the folds that have been scored, and write the folder's tables, JSON and figures.

    Args:
        here: Its folder.
        plan: What was asked.
        films: The index as it is now, whose columns make the subgroups: it may have gained some since the folds were scored.
        by: Further columns to make subgroups by.
        command: What a reader would type to get the same.

    Raises:
        UsageError: a column to make subgroups by is not there.
        MeasurementError: nothing can be measured.
    """
    numbers = [number for number in plan.folds if here.scored(number).exists()]
    predictions = _held(here, plan, numbers, films, command)
    write_predictions(predictions, here.predictions)
    reading = plan_for(predictions, Plan(split=ALL, by=by))
    evaluate(predictions, reading, here.folder, command)
    scored = subgroups.with_classes(predictions.films)
    folds = folds_of(scored, reading.resamples, reading.seed)
    values = {name: part.values for name, part in zip(folds.names, fold_parts(folds, folds.films, reading.threshold), strict=True)}
    records = [here.run(number).record() for number in numbers]
    found = CrossValidated(
        plan=plan,
        threshold=reading.threshold,
        folds=tuple(_fold(here, number, scored, values.get(f"fold-{number}", {})) for number in numbers),
        metrics=tuple(fold_metrics(folds, subgroups.dimensions(scored, by), reading)),
        notes=tuple(_notes(plan, numbers, records)),
        command=command,
        code_commit=tuple(dict.fromkeys(record.code_commit for record in records)),
        device=tuple(dict.fromkeys(record.device for record in records)),
        threads=tuple(dict.fromkeys(record.threads for record in records)),
    )
    write_json(found, here.result)
    return found


def _held(here: CrossValidation, plan: CrossValidationPlan, numbers: list[int], films: pl.DataFrame, command: str) -> Predictions:
    """Return the held films of all folds as one table; its card is that of the first fold, without its training data."""
    tables = [read_predictions(here.scored(number), films.filter(fold=number)) for number in numbers]
    named = [table.films.with_columns(split=pl.lit(f"fold-{number}")) for number, table in zip(numbers, tables, strict=True)]
    card = tables[0].card and msgspec.structs.replace(tables[0].card, name=plan.name, data=())
    origin = Origin(f"{plan.name}, {len(numbers)} folds", "", card, plan.films, command, osteon.__version__)
    return Predictions(pl.concat(named), origin)


def _fold(here: CrossValidation, number: int, films: pl.DataFrame, values: dict[str, float]) -> FoldResult:
    run, held = here.run(number), films.filter(split=f"fold-{number}")
    history = run.history()
    seconds = sum(row.seconds for row in history)
    return FoldResult(
        fold=number,
        films=len(held),
        abnormal=int((held["label"] == 1).sum()),
        refused=int((held["error"] != "").sum()),
        metrics={name: None if math.isnan(value) else value for name, value in values.items()},
        epochs=len(history),
        seconds=seconds,
        films_per_second=sum(row.films_per_second * row.seconds for row in history) / seconds if seconds else 0.0,
        weights=run.record().weights,
    )


def _notes(plan: CrossValidationPlan, numbers: list[int], records: list[RunRecord]) -> Iterator[str]:
    if len(numbers) < len(plan.folds):
        yield f"{len(numbers)} of {len(plan.folds)} folds: the mean is of these, and the others may be easier or harder"
    if any(unknown_past(record.recipe) for record in records):
        yield f"the trainings started from {plan.recipe.init}: if that has learned from held films, the metrics are too good"
    if len({record.code_commit for record in records}) > 1:
        yield "the folds were trained by different commits"
    if len({(record.device, record.threads) for record in records}) > 1:
        yield "the folds were trained on different devices or threads: their cost cannot be compared"
    if refused := sum(len(record.refused) for record in records):
        yield f"{refused} films, counted in each fold, could not be prepared and were not learned from"
