"""Metrics of a cross-validation: measured in each fold, then averaged over folds.

The scores of two folds come from two models and need not lie on one scale, so a film is ranked only against those of its own fold. For the
intervals whole groups are drawn again within each fold, and each resample gives its own mean over folds. That is the spread over films; how
far another seed's trainings would lie from these is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card import Metric
from osteon.lab.evaluation import bootstrap, metrics, subgroups
from osteon.lab.evaluation.evaluation import ALL, Plan
from osteon.lab.evaluation.measurement import Part, Row, informed_by, macro_metrics, measure_part
from osteon.lab.evaluation.metrics import Floats

FOLDS = "mean over folds"
SPECIFICITY = 0.9
AT_SPECIFICITY = f"sensitivity at specificity {SPECIFICITY:g}"
POINTING = "pointing"


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Answered and labelled films, the names of their folds, and the resamples' weights (B, C) over all groups, numbered by `codes`."""

    films: pl.DataFrame
    names: tuple[str, ...]
    codes: dict[str, int]
    weights: NDArray[np.float32]


def fold_names(films: pl.DataFrame) -> tuple[str, ...]:
    """Return the folds of a cross-validation's films (splits "fold-0", "fold-1", ...), none for films of anything else."""
    names = films["split"].unique().to_list()
    if not names or not all(re.fullmatch(r"fold-\d+", name) for name in names):
        return ()
    return tuple(sorted(names, key=lambda name: int(name.removeprefix("fold-"))))


def folds_of(films: pl.DataFrame, resamples: int, seed: int) -> Folds:
    """Return a cross-validation's films that have a label and a score, ready to be measured."""
    films = films.filter(pl.col("probability").is_not_null() & pl.col("label").is_not_null())
    names = fold_names(films)
    groups = [films.filter(split=name)["group"].unique(maintain_order=True).to_list() for name in names]
    codes = {group: code for code, group in enumerate(group for part in groups for group in part)}
    return Folds(films, names, codes, bootstrap.stratified_weights([len(part) for part in groups], resamples, seed))


def fold_parts(folds: Folds, films: pl.DataFrame, threshold: float) -> list[Part]:
    """Measure films fold by fold; a fold that has none of them is left out.

    Args:
        folds: Of which the films are.
        films: All of `folds.films`, or some rows.
        threshold: At or above it a probability counts as abnormal.
    """
    by_fold = films.partition_by("split", as_dict=True)
    return [_part(folds, by_fold[name,], threshold) for name in folds.names if (name,) in by_fold]


def informed(part: Part) -> dict[str, int]:
    """Return by metric how many patients inform it in one fold; two folds share none."""
    patients = informed_by(part)
    return patients | {POINTING: patients["sensitivity"]}  # boxes are of abnormal films


def fold_metrics(folds: Folds, columns: Sequence[str], plan: Plan) -> Iterator[Metric]:
    """Yield the mean over folds of every metric, of all films and by subgroup.

    A subgroup may lack films of one label in some folds: a note says of how many folds a metric is the mean.
    """
    yield from _mean(folds, folds.films, ALL, plan)
    for column in columns:
        for name, rows in subgroups.subgroups(folds.films, column):
            yield from _mean(folds, folds.films.filter(rows), name, plan)


def _mean(folds: Folds, films: pl.DataFrame, group: str, plan: Plan) -> Iterator[Metric]:
    row: Row = partial(Metric, split=plan.split, level="film", group=group, n=len(films), positives=int((films["label"] == 1).sum()))
    parts = fold_parts(folds, films, plan.threshold)
    patients = {name: sum(informed(part)[name] for part in parts if not np.isnan(part.values[name])) for name in parts[0].values}
    yield from macro_metrics(parts, row, "folds", least=1, informed=patients)


def _part(folds: Folds, films: pl.DataFrame, threshold: float) -> Part:
    """Measure one fold: all that an evaluation measures, and sensitivity at a fixed specificity and the pointing game."""
    sample = subgroups.sample(films, folds.codes)
    part = measure_part(sample, threshold, folds.weights)
    boxed = films[POINTING].is_not_null().to_numpy() & sample.label
    hits = np.where(boxed, films[POINTING].fill_null(0).to_numpy(), 0)

    def further(rows: Floats) -> dict[str, Floats]:
        at = metrics.sensitivity_at(sample.label, sample.probability, rows, SPECIFICITY)
        return {AT_SPECIFICITY: at, POINTING: metrics.ratio(rows @ hits, rows @ boxed)}

    values = {name: float(value[0]) for name, value in further(np.ones((1, len(sample)))).items()}
    resampled = bootstrap.replicate(sample, further, folds.weights)
    return replace(part, values=part.values | values, resampled=part.resampled | resampled)
