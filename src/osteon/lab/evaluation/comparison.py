"""Two tables of predictions of the same films: how far apart are they, and where do they disagree?

Both are measured on the studies, or films, that both answered. The difference of a metric is taken within each resample, so what makes
both better or worse in the same patients cancels out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card_text import interval
from osteon.errors import MeasurementError
from osteon.lab.evaluation import bootstrap, metrics, subgroups
from osteon.lab.evaluation.evaluation import ALL, Level, Plan
from osteon.lab.evaluation.folds import FOLDS, POINTING, fold_names, fold_parts, folds_of, informed
from osteon.lab.evaluation.measurement import Part, informed_by, measure_part, no_interval, undefined
from osteon.lab.evaluation.metrics import Bools, Sample
from osteon.lab.evaluation.scoring import Origin, Predictions, of_split
from osteon.lab.evaluation.shortcuts import Shortcut, shortcuts, warnings


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of A and of B, B - A, and the 95 % interval of that; None where it cannot be measured, `note` then says why."""

    level: Level
    group: str
    name: str
    a: float | None
    b: float | None
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero: chance alone would give that in one of twenty."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def words(self) -> str:
        """The difference with its interval, or why either is not there."""
        digits = 4 if self.group == FOLDS else 3  # one recipe's next change may be worth a few thousandths
        value = "" if self.value is None else f"{self.value:+.{digits}f} "
        return (value + (interval(self.low, self.high, f"+.{digits}f") or self.note)).strip()


class McNemar(msgspec.Struct, frozen=True, kw_only=True):
    """Who is right where, and the p-value of "both are right equally often" (McNemar, Psychometrika 12, 1947).

    Exact (two-sided binomial) with few discordant pairs, else chi-square with continuity correction. It takes studies as independent; the
    interval of the accuracy's difference does not.
    """

    level: Level
    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    p: float
    exact: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All differences; `only_a`, `only_b` count the films that the other did not answer or does not know."""

    a: Origin
    b: Origin
    split: str
    thresholds: tuple[float, float]
    resamples: int
    seed: int
    studies: int
    films: int
    only_a: int
    only_b: int
    differences: tuple[Difference, ...]
    mcnemar: tuple[McNemar, ...]
    shortcuts: tuple[Shortcut, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    folder: str = ""

    def __fspath__(self) -> str:
        """Return the folder that it stands in."""
        return self.folder

    def __repr__(self) -> str:
        """Return what was compared, the difference of the studies' AUROC, and where it stands."""
        [area, *_] = [d for d in self.differences if (d.level, d.group, d.name) == ("study", ALL, "auroc")]
        return (
            f"<Comparison {self.b.model or 'B'} against {self.a.model or 'A'} on {self.split!r}: {self.studies:,} studies, "
            f"AUROC {area.words}, in {self.folder}>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Rows that both answered: the table (`study`, `probability`, `probability_b`, ...), both samples, both thresholds, the weights."""

    level: Level
    rows: pl.DataFrame
    a: Sample
    b: Sample
    thresholds: tuple[float, float]
    weights: NDArray[np.float32]


def compare(a: Predictions, b: Predictions, plans: tuple[Plan, Plan]) -> Comparison:
    """Compare two tables of predictions on one split.

    Args:
        a: The first.
        b: The second; differences are b - a.
        plans: How each is read; split, resamples and seed are those of the first.

    Raises:
        MeasurementError: nothing that both answered, or labels that differ.
    """
    films, only_a, only_b = _common(a, b, plans[0].split)
    pairs = list(_pairs(films, plans))
    thresholds = plans[0].threshold, plans[1].threshold
    differences = (*_fold_differences(films, plans), *(difference for pair in pairs for difference in _differences(pair)))
    alone = shortcuts(films, ("probability", "probability_b"))
    return Comparison(
        a=a.origin,
        b=b.origin,
        split=plans[0].split,
        thresholds=thresholds,
        resamples=plans[0].resamples,
        seed=plans[0].seed,
        studies=len(pairs[0].rows),
        films=len(films),
        only_a=only_a,
        only_b=only_b,
        differences=differences,
        mcnemar=tuple(_mcnemar(pair) for pair in pairs),
        shortcuts=tuple(alone),
        notes=(*_notes(a, b), *_explained(alone, differences, pairs[-1].level)),
    )


def disagreements(a: Predictions, b: Predictions, plans: tuple[Plan, Plan]) -> pl.DataFrame:
    """Return the studies that one calls abnormal and the other does not, the furthest apart first.

    Columns: `study`, `study_type`, `label`, `probability_a`, `probability_b`, `right` ("A" or "B"), and `path`, `root`, of the film on
    which the two are furthest apart.
    """
    films, _, _ = _common(a, b, plans[0].split)
    [pair, *_] = _pairs(films, plans)
    called_a, called_b = (pl.col(name) >= plan.threshold for name, plan in zip(("probability", "probability_b"), plans, strict=True))
    rows = pair.rows.filter(called_a != called_b).with_columns(
        right=pl.when(called_a == (pl.col("label") == 1)).then(pl.lit("A")).otherwise(pl.lit("B")),
        apart=(pl.col("probability") - pl.col("probability_b")).abs(),
    )
    spread = (pl.col("probability") - pl.col("probability_b")).abs()
    shown = films.sort(spread, descending=True, maintain_order=True).unique("study", keep="first", maintain_order=True)
    rows = rows.join(shown.select("study", "path", "root"), on="study", how="left").sort("apart", "study", descending=[True, False])
    columns = ("study", "study_type", "label", pl.col("probability").alias("probability_a"), "probability_b", "right", "path", "root")
    return rows.select(*columns)


def _common(a: Predictions, b: Predictions, split: str) -> tuple[pl.DataFrame, int, int]:
    """Return the films that both answered, and how many only the one did."""
    usable = pl.col("probability").is_not_null() & pl.col("label").is_not_null()
    first, second = (of_split(p, split).films.filter(usable) for p in (a, b))
    key = ["path"] if (first["path"] != "").all() and (second["path"] != "").all() else ["study"]
    other = second.select(*key, pl.col("probability", "label", "split", POINTING).name.suffix("_b"))
    both = first.join(other, on=key, how="inner", maintain_order="left")
    if both.is_empty():
        raise MeasurementError("there is no film that both tables answered and that has a label. Compare two tables of one index.")
    if differing := int((both["label"] != both["label_b"]).sum()):
        raise MeasurementError(f"{differing} films have another label in B than in A. Read both with one index (index, --index).")
    return both, len(first) - len(both), len(second) - len(both)


def _pairs(films: pl.DataFrame, plans: tuple[Plan, Plan]) -> Iterator[Pair]:
    groups = {group: code for code, group in enumerate(films["group"].unique(maintain_order=True).to_list())}
    weights = bootstrap.cluster_weights(len(groups), plans[0].resamples, plans[0].seed)
    theirs = films.with_columns(probability="probability_b")
    second = subgroups.studies(theirs, plans[1].study_pooling).select("study", pl.col("probability").alias("probability_b"))
    studies = subgroups.studies(films, plans[0].study_pooling, ("study_type",)).join(second, on="study", maintain_order="left")
    levels: list[tuple[Level, pl.DataFrame]] = [("study", studies)]
    if (films["path"] != "").any():
        levels.append(("film", films))
    for level, rows in levels:
        first, other = (subgroups.sample(table, groups) for table in (rows, rows.with_columns(probability="probability_b")))
        yield Pair(level, rows, first, other, (plans[0].threshold, plans[1].threshold), weights)


def _differences(pair: Pair) -> Iterator[Difference]:
    everything = np.ones(len(pair.a), dtype=bool)
    for group, rows in [(ALL, everything), *subgroups.subgroups(pair.rows, "study_type")]:
        yield from _group_differences(pair, group, rows)
        yield from _pointing(pair, group, rows)


def _group_differences(pair: Pair, group: str, rows: Bools) -> Iterator[Difference]:
    a, b = (measure_part(s.part(rows), t, pair.weights) for s, t in zip((pair.a, pair.b), pair.thresholds, strict=True))
    informing = informed_by(a)
    for name, value in a.values.items():
        low, high, note = _interval(name, a, b, informing[name])
        value_a, value_b = (None if np.isnan(v) else v for v in (value, b.values[name]))
        apart = None if value_a is None or value_b is None else value_b - value_a
        yield Difference(
            level=pair.level, group=group, name=name, a=value_a, b=value_b, value=apart, low=low, high=high, n=int(rows.sum()), note=note
        )


def _pointing(pair: Pair, group: str, rows: Bools) -> Iterator[Difference]:
    """Yield the difference of the pointing game, on abnormal films with boxes; nothing where there are none, or one table says nothing."""
    columns = POINTING, f"{POINTING}_b"
    if pair.level != "film" or not set(columns) <= set(pair.rows.columns):
        return
    boxed = rows & pair.a.label & pair.rows.select(pl.all_horizontal(pl.col(*columns).is_not_null())).to_series().to_numpy()
    if not boxed.any():
        return
    a, b = (pair.rows[column].to_numpy()[boxed].astype(np.float64) for column in columns)
    sample = pair.a.part(boxed)
    means = bootstrap.replicate(sample, lambda w: {POINTING: metrics.ratio(w @ (b - a), w.sum(axis=1))}, pair.weights)[POINTING]
    value, patients = float((b - a).mean()), len(np.unique(sample.cluster))
    low, high = bootstrap.difference_interval(value, means, patients) or (None, None)
    note = "" if low is not None else no_interval(sample)
    row = partial(Difference, level="film", group=group, name=POINTING, n=int(boxed.sum()))
    yield row(a=float(a.mean()), b=float(b.mean()), value=value, low=low, high=high, note=note)


def _fold_differences(films: pl.DataFrame, plans: tuple[Plan, Plan]) -> Iterator[Difference]:
    """Yield the differences of the means over folds, where both tables are cross-validations with the same folds."""
    if plans[0].split not in {"", ALL} or not fold_names(films) or (films["split"] != films["split_b"]).any():
        return
    folds = folds_of(films, plans[0].resamples, plans[0].seed)
    first = fold_parts(folds, folds.films, plans[0].threshold)
    theirs = folds.films.with_columns(pl.col("probability_b").alias("probability"), pl.col(f"{POINTING}_b").alias(POINTING))
    both = list(zip(first, fold_parts(folds, theirs, plans[1].threshold), strict=True))
    for name in first[0].values:
        pairs = [(a, b) for a, b in both if not np.isnan([a.values[name], b.values[name]]).any()]
        yield _fold_difference(name, pairs, len(both))


def _fold_difference(name: str, pairs: list[tuple[Part, Part]], folds: int) -> Difference:
    films, patients = sum(len(a.sample) for a, _ in pairs), sum(informed(a)[name] for a, _ in pairs)
    row = partial(Difference, level="film", group=FOLDS, name=name, n=films)
    if not pairs:
        return row(a=None, b=None, value=None, note="no fold defines it")
    a, b = (float(np.mean([pair[side].values[name] for pair in pairs])) for side in (0, 1))
    note = "" if len(pairs) == folds else f"mean of {len(pairs)} of {folds} folds: the others do not define it"
    if name == "ece":
        return row(a=a, b=b, value=b - a, note="no interval: noise adds to both; compare the Brier score")
    apart = np.mean([pair[1].resampled[name] - pair[0].resampled[name] for pair in pairs], axis=0)
    low, high = bootstrap.difference_interval(b - a, apart, patients) or (None, None)
    lacking = "" if low is not None else "no interval: too few groups inform it"
    return row(a=a, b=b, value=b - a, low=low, high=high, note="; ".join(part for part in (lacking, note) if part))


def _interval(name: str, a: Part, b: Part, patients: int) -> tuple[float | None, float | None, str]:
    if reason := undefined(name, a.sample, a.threshold) or undefined(name, b.sample, b.threshold):
        return None, None, reason
    if name == "ece":
        return None, None, "no interval: noise adds to both; compare the Brier score"
    value, resampled = b.values[name] - a.values[name], b.resampled[name] - a.resampled[name]
    ends = bootstrap.difference_interval(value, resampled, patients)
    return (*ends, "") if ends else (None, None, no_interval(a.sample))


def _mcnemar(pair: Pair) -> McNemar:
    right_a, right_b = ((s.probability >= t) == s.label for s, t in zip((pair.a, pair.b), pair.thresholds, strict=True))
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    p, exact = metrics.mcnemar_p(only_a, only_b)
    both, neither = int((right_a & right_b).sum()), int((~right_a & ~right_b).sum())
    return McNemar(level=pair.level, both_right=both, only_a_right=only_a, only_b_right=only_b, both_wrong=neither, p=p, exact=exact)


def _explained(alone: list[Shortcut], differences: tuple[Difference, ...], level: Level) -> Iterator[str]:
    """Yield where an attribute of the file explains most of what B has, or of the gain."""
    [area] = [d for d in differences if (d.level, d.group, d.name) == (level, ALL, "auroc")]
    if area.a is not None and area.b is not None:
        yield from warnings(alone, [area.a, area.b], area.value if area.clear else None)


def _notes(a: Predictions, b: Predictions) -> Iterator[str]:
    if a.origin.fingerprint and b.origin.fingerprint and a.origin.fingerprint != b.origin.fingerprint:
        yield "the two were made from different indexes; only the films that both know are compared"
    if a.origin.model_sha256 and a.origin.model_sha256 == b.origin.model_sha256:
        yield "both were made by the same model file"
