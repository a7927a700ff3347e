"""What the three answers that people see are worth: how often each is given, and how often it is right.

A threshold's sensitivity says nothing of these answers, since no answer begins there. So each is measured by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from osteon.card import Metric
from osteon.card_text import LEVELS
from osteon.lab.evaluation import bootstrap, metrics
from osteon.lab.evaluation.measurement import Row, metric, no_interval
from osteon.lab.evaluation.metrics import Bools, Floats, Sample

PREVALENCES = (0.02, 0.1, 0.2)
"""At which predictive values are always stated, whatever it is on the films that are measured."""


class Edges(NamedTuple):
    """Where "doubt" begins and where it ends and "yes" begins, both calibrated probabilities (`Decision`)."""

    doubt_from: float
    doubt_to: float


def level_metrics(
    sample: Sample, edges: Edges, weights: NDArray[np.float32], row: Row, prevalences: Sequence[float] = ()
) -> Iterator[Metric]:
    """Yield what each answer is worth, a row a metric, named as `osteon.card_text.metric_name` reads it.

    Of all, of the normal and of the abnormal: the share that gets the answer. Among those that get it: the share abnormal. And at each
    prevalence: the PPV of "yes" and the NPV of "no" that these shares give (Bayes).

    Args:
        sample: n films or studies.
        edges: of the answers.
        weights: (B, C) of `bootstrap.cluster_weights`, over all clusters that the sample's numbers refer to.
        row: as `Row`.
        prevalences: beside `PREVALENCES`.
    """
    at = np.searchsorted(edges, sample.probability, side="right")  # 0 "no", 1 "doubt", 2 "yes"; an edge belongs to the answer above it
    stated = sorted({*PREVALENCES, *prevalences})

    def rates(rows: Floats) -> dict[str, Floats]:
        return _rates(at, sample.label, rows, stated)

    values = {name: float(value[0]) for name, value in rates(np.ones((1, len(sample)))).items()}
    resampled = bootstrap.replicate(sample, rates, weights)
    for name, value in values.items():
        seen = _seen(name, at, sample.label)
        patients = min(len(np.unique(sample.cluster[part])) for part in seen)
        ends = bootstrap.interval(value, resampled[name], patients) if not np.isnan(value) else None
        yield metric(row, name, value, ends, "nothing gets this answer" if np.isnan(value) else no_interval(sample.part(seen[0])))


def _rates(at: NDArray[np.int64], label: Bools, weights: Floats, prevalences: Sequence[float]) -> dict[str, Floats]:
    rates: dict[str, Floats] = {}
    for place, level in enumerate(LEVELS):
        c = metrics.confusion(label, at == place, weights)
        rates[f"share of {level}"] = metrics.ratio(c.tp + c.fp, weights.sum(axis=1))
        rates[f"share of {level} among normal"] = metrics.ratio(c.fp, c.fp + c.tn)
        rates[f"share of {level} among abnormal"] = metrics.sensitivity(c)
        rates[f"share of abnormal among {level}"] = metrics.ppv(c)
    yes, not_no = (metrics.confusion(label, at >= place, weights) for place in (2, 1))
    for prevalence in prevalences:
        rates[f"ppv of yes at {prevalence:g}"] = metrics.ppv_at(yes, prevalence)
        rates[f"npv of no at {prevalence:g}"] = metrics.npv_at(not_no, prevalence)
    return rates


def _seen(name: str, at: NDArray[np.int64], label: Bools) -> list[Bools]:
    """Return the rows that inform a metric: each of the parts must have patients enough."""
    among = name.partition(" among ")[2]
    if " at " in name:
        return [label, ~label]
    if among in LEVELS:
        return [at == LEVELS.index(among)]
    return [{"normal": ~label, "abnormal": label}.get(among, np.ones(len(label), np.bool_))]
