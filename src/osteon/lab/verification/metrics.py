"""A card's metrics, measured again on the same split with the same resamples; how far rounding may move each.

Another processor adds in another order, and in INT8 a value on the edge between two levels falls to the other side. Each film's logit
may so move by `rounding`, up or down. What that does to a metric is tried: with all films moved up, all moved down, and each film drawn up
or down. A metric holds if the card's lies within what these gave, and as much again to either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from osteon.card import INT8_LIMITS, Card, Measured, Metric
from osteon.lab.calibration.calibrate import apply
from osteon.lab.evaluation import subgroups
from osteon.lab.evaluation.evaluation import CALLED, Plan, measure
from osteon.lab.evaluation.localisation import COLUMNS, metric_key
from osteon.lab.evaluation.scoring import Predictions
from osteon.lab.verification.check import Check, between
from osteon.precision import Precision

FLOAT32 = 1e-3
"""Logit units: float32 engines differ in the order of their sums; the tolerance of an export."""

DRAWS = 6
"""How often each film is drawn up or down."""

OVERLAP = 0.005
"""How far a mean share of the evidence inside boxes may move."""

Key = tuple[str, str, str]
Found = dict[Key, Metric]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The metrics of a split by level, group and name: as they are now, and with the films' logits moved in each of several ways."""

    now: Found
    moved: tuple[Found, ...]

    def reach(self, key: Key) -> list[Metric]:
        """Return one metric as it is now, and as it becomes."""
        return [found[key] for found in (self.now, *self.moved) if key in found]


def rounding(card: Card, precision: Precision) -> float:
    """Return by how much another processor may move a film's logit.

    In INT8 as much as INT8 itself does (the card's largest root mean square): levels that flip move it less than rounding to them.
    Measured on `fracture@0.1.0`, 80 films of valid, with kernels for AVX in the place of AVX2 (`ONEDNN_MAX_CPU_ISA=AVX`): 0.011 root mean
    square and 0.036 at most, where the card has 0.035; in float32 0.00004 at most.
    """
    if precision == "float32" or card.int8 is None:
        return FLOAT32
    return max(FLOAT32, *(cost.shift for cost in card.int8.costs))


def plan_of(card: Card, split: str) -> Plan:
    """Return how a split's metrics were measured: as the card says, or, in a card that does not, as its metrics show and by default."""
    how = next((m for m in card.measured if m.split == split), None) or _guessed(card, split)
    return Plan(split=split, by=how.by, prevalences=how.prevalences, resamples=how.resamples, seed=how.seed)


def metric_checks(card: Card, split: str, predictions: Predictions, plan: Plan, precision: Precision) -> Iterator[Check]:
    """Yield a check of each metric that the card has of a split, of its interval's ends, and of how many films it is of.

    Args:
        card: The card.
        split: Its name in the card.
        predictions: Of that split, made now.
        plan: How it is measured, with the card's threshold and pooling.
        precision: In which the model was read.
    """
    bounds = _bounds(card, predictions, plan, rounding(card, precision))
    counted: set[tuple[str, str]] = set()
    for metric in (m for m in card.metrics if m.split == split):
        key = metric.level, metric.group, metric.name
        now, where = bounds.now.get(key), f"{split}, {metric.level}, {metric.group}"
        if key[:2] not in counted and now is not None:
            counted.add(key[:2])
            yield from _counts(metric, bounds.reach(key), where)
        yield from _metric(metric, now, bounds, where)


def _metric(metric: Metric, now: Metric | None, bounds: Bounds, where: str) -> Iterator[Check]:
    if now is None:
        yield between("metrics", where, metric.name, (metric.value, None), [])
        return
    reach = bounds.reach((metric.level, metric.group, metric.name))
    values = [m.value for m in reach]
    wide = _span(values) + _slack(metric, now, reach)
    yield between("metrics", where, metric.name, (metric.value, now.value), values, wide)
    for name in ("low", "high"):  # an interval near a bound moves more than its metric does
        ends = [getattr(m, name) for m in reach]
        yield between("metrics", where, f"{metric.name}, {name}", (getattr(metric, name), getattr(now, name)), ends, 2 * wide + _span(ends))


def _span(values: Sequence[float | None]) -> float:
    there = [value for value in values if value is not None]
    return max(there) - min(there) if there else 0.0


def _counts(metric: Metric, reach: list[Metric], where: str) -> Iterator[Check]:
    """Yield how many films, and abnormal ones, metrics are of; those that were called abnormal may be a few others."""
    chosen = reach if metric.group == CALLED else reach[:1]
    for name, numbers, counts in (
        ("n", (metric.n, reach[0].n), [m.n for m in chosen]),
        ("abnormal", (metric.positives, reach[0].positives), [m.positives for m in chosen]),
    ):
        yield between("metrics", where, name, numbers, counts, _span(counts))


def _slack(metric: Metric, now: Metric, reach: list[Metric]) -> float:
    """Return how much further a metric of the evidence's place may lie: a peak moves where two cells are nearly alike."""
    if metric.name not in set(map(metric_key, COLUMNS)):
        return 0.0
    others = _span([m.n for m in reach]) / max(now.n, 1) if metric.group == CALLED else 0.0
    own = max(1 / max(now.n, 1), INT8_LIMITS["lost"]) if metric.name.startswith("pointing") else OVERLAP
    return own + others


def _bounds(card: Card, predictions: Predictions, plan: Plan, by: float) -> Bounds:
    ones, draw = np.ones(len(predictions.films)), np.random.default_rng(0)
    signs = [ones, -ones, *(draw.choice([-1.0, 1.0], len(ones)) for _ in range(DRAWS))]
    moved = tuple(_measured(card, predictions, plan, by * sign) for sign in signs)
    return Bounds(_by_key(measure(predictions, plan).metrics), moved)


def _measured(card: Card, predictions: Predictions, plan: Plan, by: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Found:
    films = predictions.films
    logits = films["logit"].fill_null(0.0).to_numpy() + by
    told = pl.when(pl.col("probability").is_not_null()).then(pl.Series(apply(card.calibration, logits)))
    return _by_key(measure(Predictions(films.with_columns(probability=told), predictions.origin), plan).metrics)


def _by_key(metrics: Sequence[Metric]) -> Found:
    return {(m.level, m.group, m.name): m for m in metrics}


def _guessed(card: Card, split: str) -> Measured:
    own = [m for m in card.metrics if m.split == split]
    columns = dict.fromkeys(m.group.partition("=")[0] for m in own if "=" in m.group)
    prevalences = dict.fromkeys(float(m.name.rpartition(" ")[2]) for m in own if m.name.startswith("ppv at "))
    return Measured(split=split, by=tuple(c for c in columns if c not in subgroups.USUAL), prevalences=tuple(prevalences))
