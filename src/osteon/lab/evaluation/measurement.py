"""A sample and its resamples -> rows of metrics, each with its interval, or with the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteon.card import Metric
from osteon.lab.evaluation import bootstrap, metrics
from osteon.lab.evaluation.metrics import Floats, Sample
from osteon.lab.evaluation.published import paper_interval

Ends = tuple[float, float] | None
Row = Callable[..., Metric]
"""`Metric` with split, level, group, n and positives already given."""

PAPER_INTERVAL = "kappa, interval as the MURA paper computed it"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A sample with its metrics by name: `values` (NaN where undefined), `resampled` each (B,), and the calibration gaps of both."""

    sample: Sample
    threshold: float
    values: dict[str, float]
    resampled: dict[str, Floats]
    gaps: Floats
    resampled_gaps: Floats


def measure_part(sample: Sample, threshold: float, weights: NDArray[np.float32], prevalences: Sequence[float] = ()) -> Part:
    """Compute every metric of `metrics.measure` for a sample and for its resamples.

    Args:
        sample: n films or studies.
        threshold: at or above it a probability counts as abnormal.
        weights: (B, C) of `bootstrap.cluster_weights`, over all clusters that the sample's numbers refer to.
        prevalences: at which PPV and NPV are stated too.
    """

    def compute(rows: Floats) -> dict[str, Floats]:
        gaps = metrics.calibration_gaps(sample.label, sample.probability, rows)
        return {**metrics.measure(sample, threshold, rows, prevalences), "gaps": gaps}

    once = compute(np.ones((1, len(sample))))
    resampled = bootstrap.replicate(sample, compute, weights)
    gaps, resampled_gaps = once.pop("gaps")[0], resampled.pop("gaps")
    values = {name: np.nan if undefined(name, sample, threshold) else float(value[0]) for name, value in once.items()}
    return Part(sample, threshold, values, resampled, gaps, resampled_gaps)


def intervals(part: Part) -> dict[str, Ends]:
    """Return the 95 % interval of every metric by name; None where there is none."""
    informing = informed_by(part)
    ends: dict[str, Ends] = dict.fromkeys(part.values)
    for name, value in part.values.items():
        patients = informing[name]
        if name == "ece":
            ends[name] = bootstrap.gap_interval(part.gaps, part.resampled_gaps, patients)
        elif not np.isnan(value):
            ends[name] = bootstrap.interval(value, part.resampled[name], patients, bootstrap.SCALES.get(name, bootstrap.SHARE))
    return ends


def part_metrics(part: Part, row: Row) -> Iterator[Metric]:
    """Yield a row for every metric of a part."""
    ends = intervals(part)
    for name, value in part.values.items():
        yield metric(row, name, value, ends[name], undefined(name, part.sample, part.threshold) or no_interval(part.sample))


def metric(row: Row, name: str, value: float, ends: Ends, reason: str) -> Metric:
    """Return one metric; `reason` says why it, or its interval, is not there."""
    if np.isnan(value):
        return row(name=name, value=None, note=reason)
    if ends is None:
        return row(name=name, value=value, note=reason)
    return row(name=name, value=value, low=ends[0], high=ends[1])


def undefined(name: str, sample: Sample, threshold: float) -> str:
    """Return why a metric cannot be measured, "" where it can."""
    if not len(sample):
        return "nothing to measure"
    plain, positives, called = name.partition(" at ")[0], int(sample.label.sum()), int((sample.probability >= threshold).sum())
    needs_both = plain in {"kappa", "auroc", "average precision"} or name != plain
    if (needs_both and positives in {0, len(sample)}) or (plain == "f1" and positives + called == 0):
        return f"one class only: all {len(sample)} {'abnormal' if positives else 'normal'}"
    if plain in {"auroc", "average precision"} and np.ptp(sample.probability) == 0:
        return "constant scores rank nothing"
    empty = {
        "sensitivity": (positives == 0, "none is abnormal"),
        "specificity": (positives == len(sample), "none is normal"),
        "ppv": (called == 0, "none was called abnormal"),
        "npv": (called == len(sample), "none was called normal"),
    }
    lacking, reason = empty.get(plain, (False, ""))
    return reason if lacking else ""


def no_interval(sample: Sample) -> str:
    """Return why a metric that can be measured has no interval."""
    groups = len(np.unique(sample.cluster))
    if groups < bootstrap.LEAST_CLUSTERS:
        return f"no interval: {groups} group{'s' if groups != 1 else ''}"
    return "no interval: too few groups inform it"


def as_published(part: Part, row: Row) -> Metric:
    """Return kappa with the interval that the MURA paper would print beside it."""
    if reason := undefined("kappa", part.sample, part.threshold):
        return row(name=PAPER_INTERVAL, value=None, note=reason)
    called, label, kappa = part.sample.probability >= part.threshold, part.sample.label, part.values["kappa"]
    a, b = float(called.mean()), float(label.mean())
    low, high = paper_interval(kappa, float((called == label).mean()), a * b + (1 - a) * (1 - b), len(label))
    return row(name=PAPER_INTERVAL, value=kappa, low=low, high=high, note="not a 95 % interval: the variance stands where its root belongs")


def macro_metrics(
    parts: Sequence[Part], row: Row, what: str = "study types", least: int = 2, informed: dict[str, int] | None = None
) -> Iterator[Metric]:
    """Yield the plain mean over parts of each metric that enough of them define.

    Args:
        parts: Of one set of resamples.
        row: As `Row`.
        what: What the parts are.
        least: How many must define a metric.
        informed: By metric, how many patients inform it; all of them where it is None, as parts may share patients.
    """
    everybody = len(np.unique(np.concatenate([part.sample.cluster for part in parts])))
    for name in parts[0].values:
        defined = [part for part in parts if not np.isnan(part.values[name])]
        note = "" if len(defined) == len(parts) else f"mean of {len(defined)} of {len(parts)} {what}: the others do not define it"
        if len(defined) < least:
            yield row(name=name, value=None, note=f"{len(defined)} of {len(parts)} {what} define it")
            continue
        value = float(np.mean([part.values[name] for part in defined]))
        low, high = _macro_interval(name, value, defined, informed[name] if informed else everybody) or (None, None)
        lacking = "" if low is not None else "no interval: too few groups inform it"
        yield row(name=name, value=value, low=low, high=high, note="; ".join(part for part in (lacking, note) if part))


def mean_metric(row: Row, name: str, values: Floats, cluster: NDArray[np.int64], weights: NDArray[np.float32]) -> Metric:
    """Return the mean of n values in [0, 1] with its interval."""
    sample = Sample(np.ones(len(values), dtype=bool), values, cluster)
    means = bootstrap.replicate(sample, lambda rows: {"mean": metrics.ratio(rows @ values, rows.sum(axis=1))}, weights)["mean"]
    ends = bootstrap.interval(float(values.mean()), means, len(np.unique(cluster)))
    return metric(row, name, float(values.mean()), ends, no_interval(sample))


def _macro_interval(name: str, value: float, parts: list[Part], patients: int) -> Ends:
    if name == "ece":
        gaps, resampled = np.concatenate([p.gaps for p in parts]), np.concatenate([p.resampled_gaps for p in parts], axis=1)
        return bootstrap.gap_interval(gaps / len(parts), resampled / len(parts), patients)
    return bootstrap.interval(
        value, np.mean([p.resampled[name] for p in parts], axis=0), patients, bootstrap.SCALES.get(name, bootstrap.SHARE)
    )


def informed_by(part: Part) -> dict[str, int]:
    """Return by metric how many patients inform it; most need abnormal and normal rows, and have the fewer of the two."""
    sample, called = part.sample, part.sample.probability >= part.threshold
    count = {
        name: len(np.unique(sample.cluster[rows]))
        for name, rows in (("sensitivity", sample.label), ("specificity", ~sample.label), ("ppv", called), ("npv", ~called))
    }
    count |= dict.fromkeys(("accuracy", "brier", "ece"), len(np.unique(sample.cluster)))
    fewer = min(count["sensitivity"], count["specificity"])
    return {name: count.get(name, fewer) for name in part.values}
