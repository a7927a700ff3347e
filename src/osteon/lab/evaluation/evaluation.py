"""Predictions -> every metric with its interval, for films and studies, pooled, per study type and per subgroup.

Nothing is left out in silence: refused and unlabelled films are counted, and a metric that cannot be measured has the reason in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card import Metric
from osteon.card_text import metric_value
from osteon.errors import MeasurementError
from osteon.lab.evaluation import bootstrap, subgroups
from osteon.lab.evaluation.levels import Edges, level_metrics
from osteon.lab.evaluation.localisation import COLUMNS, metric_key
from osteon.lab.evaluation.measurement import Row, as_published, macro_metrics, mean_metric, measure_part, part_metrics
from osteon.lab.evaluation.metrics import Bools, Sample
from osteon.lab.evaluation.scoring import Origin, Predictions, of_split
from osteon.lab.evaluation.shortcuts import Shortcut, shortcuts, warnings

Level = Literal["film", "study"]
_USABLE = pl.col("probability").is_not_null() & pl.col("label").is_not_null()

ALL, MACRO, CALLED = "all", "macro over study types", "called abnormal"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured, and how.

    `edges` are of the three answers, None where there are none; `by` are further columns to make subgroups by, `prevalences` where PPV and
    NPV are stated too.
    """

    split: str = "valid"
    threshold: float = 0.5
    edges: Edges | None = None
    study_pooling: subgroups.StudyPooling = "mean"
    by: tuple[str, ...] = ()
    prevalences: tuple[float, ...] = ()
    resamples: int = bootstrap.RESAMPLES
    seed: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """A film that has no score, and why."""

    path: str
    reason: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Films and studies of the split, and how many of them were measured."""

    films: int
    studies: int
    patients: int
    refused_films: int
    unlabelled_films: int
    measured_films: int
    measured_studies: int
    abnormal_films: int
    abnormal_studies: int
    stray_predictions: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics of one split, and what made them; `notes` are what a reader must know before trusting them.

    `datasets` are the names of the films' folders, `shortcuts` attributes of the file with what each reaches alone, the strongest first.

    `folder` is where it stands, for whoever has just made or read it; in the file itself it is "".
    """

    plan: Plan
    origin: Origin
    counts: Counts
    metrics: tuple[Metric, ...]
    refused: tuple[Refusal, ...] = ()
    datasets: tuple[str, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    seconds: float = 0.0
    folder: str = ""

    def __fspath__(self) -> str:
        """Return the folder that it stands in."""
        return self.folder

    def __repr__(self) -> str:
        """Return what was measured, the studies' AUROC, and where it stands."""
        area = metric_value(self.find("study", ALL, "auroc"))
        return (
            f"<Evaluation {self.origin.model or 'predictions'} on {self.plan.split!r}: {self.counts.measured_studies:,} studies, "
            f"AUROC {area}, in {self.folder}>"
        )

    def find(self, level: Level, group: str, name: str) -> Metric | None:
        """Return one metric, None where it was not measured."""
        return next((m for m in self.metrics if (m.level, m.group, m.name) == (level, group, name)), None)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Answered and labelled rows of one level: the table, its numbers, and the resamples' weights (B, C) over all its patients."""

    level: Level
    rows: pl.DataFrame
    sample: Sample
    weights: NDArray[np.float32]


def measure(predictions: Predictions, plan: Plan) -> Evaluation:
    """Measure one split of a table of predictions.

    Raises:
        MeasurementError: the split is not there, or none of its films has both a label and a score.
        UsageError: a column to make subgroups by is not there.
    """
    predictions = of_split(predictions, plan.split)
    films = subgroups.with_classes(predictions.films)
    columns = subgroups.dimensions(films, plan.by)
    tables = list(level_tables(films, plan, columns))
    measured = [m for table in tables for m in _table_metrics(table, columns, plan)]
    refused = films.filter(pl.col("error") != "").select("path", "study", "error").iter_rows()
    alone = shortcuts(films.filter(_USABLE))
    [area] = [m.value for m in measured if (m.level, m.group, m.name) == (tables[-1].level, ALL, "auroc")]
    return Evaluation(
        plan=plan,
        origin=predictions.origin,
        counts=_counts(films, tables, len(predictions.stray)),
        metrics=tuple(measured),
        refused=tuple(Refusal(path or study, reason) for path, study, reason in refused),
        datasets=tuple(sorted({Path(root).name for root in films["root"].unique()})),
        shortcuts=tuple(alone),
        notes=(*_notes(predictions, films, plan), *(warnings(alone, [area]) if area is not None else ())),
    )


def level_tables(films: pl.DataFrame, plan: Plan, columns: tuple[str, ...] = ()) -> Iterator[Table]:
    """Yield the studies, then the films (unless the predictions name studies only), of one split.

    Raises:
        MeasurementError: no film has both a label and a score.
    """
    studies = subgroups.studies(films, plan.study_pooling, columns).filter(_USABLE)
    if studies.is_empty():
        lacking = films["label"].null_count(), films["probability"].null_count()
        raise MeasurementError(f"nothing can be measured: of {len(films)} films {lacking[0]} have no label and {lacking[1]} no score.")
    groups = films["group"].unique(maintain_order=True).to_list()
    codes = {group: code for code, group in enumerate(groups)}
    weights = bootstrap.cluster_weights(len(groups), plan.resamples, plan.seed)
    yield Table("study", studies, subgroups.sample(studies, codes), weights)
    if (films["path"] != "").any():
        rows = films.filter(_USABLE)
        yield Table("film", rows, subgroups.sample(rows, codes), weights)


def _table_metrics(table: Table, columns: tuple[str, ...], plan: Plan) -> Iterator[Metric]:
    yield from _answers(table, columns, plan)
    whole = measure_part(table.sample, plan.threshold, table.weights, plan.prevalences)
    yield from part_metrics(whole, _row(table, plan, ALL))
    yield as_published(whole, _row(table, plan, ALL))
    for column in columns:
        groups = list(subgroups.subgroups(table.rows, column))
        parts = [measure_part(table.sample.part(rows), plan.threshold, table.weights, plan.prevalences) for _, rows in groups]
        if column == "study_type" and parts:
            yield from macro_metrics(parts, _row(table, plan, MACRO))
        for (name, rows), part in zip(groups, parts, strict=True):
            yield from part_metrics(part, _row(table, plan, name, rows))
    if table.level == "film":
        yield from _localisation(table, columns, plan)


def _answers(table: Table, columns: tuple[str, ...], plan: Plan) -> Iterator[Metric]:
    """Yield what the three answers are worth, on the whole and for each study type."""
    if plan.edges is None:
        return
    yield from level_metrics(table.sample, plan.edges, table.weights, _row(table, plan, ALL), plan.prevalences)
    for name, rows in subgroups.subgroups(table.rows, "study_type") if "study_type" in columns else ():
        part = table.sample.part(rows)
        yield from level_metrics(part, plan.edges, table.weights, _row(table, plan, name, rows), plan.prevalences)


def _row(table: Table, plan: Plan, group: str, rows: Bools | None = None) -> Row:
    label = table.sample.label if rows is None else table.sample.label[rows]
    return partial(Metric, split=plan.split, level=table.level, group=group, n=len(label), positives=int(label.sum()))


def _localisation(table: Table, columns: tuple[str, ...], plan: Plan) -> Iterator[Metric]:
    """Yield how the heat maps of abnormal films with boxes meet them, and how moved copies do."""
    boxed = table.rows["pointing"].is_not_null().to_numpy() & table.sample.label
    if not boxed.any():
        return
    parts = [(ALL, boxed), (CALLED, boxed & (table.sample.probability >= plan.threshold))]
    if "study_type" in columns:
        parts += [(name, rows & boxed) for name, rows in subgroups.subgroups(table.rows, "study_type")]
    for group, rows in parts:
        for column in COLUMNS if rows.any() else ():
            values = table.rows[column].to_numpy()[rows]
            yield mean_metric(_row(table, plan, group, rows), metric_key(column), values, table.sample.cluster[rows], table.weights)


def _counts(films: pl.DataFrame, tables: list[Table], stray: int) -> Counts:
    by_level = {table.level: table.sample for table in tables}
    studies, measured = by_level["study"], by_level.get("film")
    return Counts(
        films=len(films),
        studies=films["study"].n_unique(),
        patients=films["group"].n_unique(),
        refused_films=int((films["error"] != "").sum()),
        unlabelled_films=films["label"].null_count(),
        measured_films=len(measured) if measured else 0,
        measured_studies=len(studies),
        abnormal_films=int(measured.label.sum()) if measured else 0,
        abnormal_studies=int(studies.label.sum()),
        stray_predictions=stray,
    )


def _notes(predictions: Predictions, films: pl.DataFrame, plan: Plan) -> Iterator[str]:
    if len(predictions.stray):
        yield f"{len(predictions.stray)} predictions are of films or studies that the index does not know; they were left out"
    if "status" in films.columns and (cut := int((films["status"] == "truncated").sum())):
        yield f"{cut} truncated films were read in part"
    card = predictions.card
    if card is None:
        return
    if (plan.split, predictions.origin.fingerprint) in {(source.split, source.fingerprint) for source in card.data}:
        yield f"the model was trained on this split {plan.split!r}: these results say how well it remembers them"
    elif plan.split in {source.split for source in card.data}:
        yield f"the model was trained on a split named {plan.split!r}: if it is the same data, these results say how well it remembers them"
    if card.scope and "novelty" in films.columns and (outside := int((films["novelty"] > card.scope.threshold).sum())):
        yield f"{outside} of {len(films)} films are out of scope for the model; they were measured all the same"
    for what, split in (("calibrated", card.calibration.split), ("given its threshold", card.decision.split)):
        if split and split == plan.split:
            yield f"the model was {what} on a split named {split!r}: on the same data, these results are optimistic"
