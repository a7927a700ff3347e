"""What an answer is worth: pure functions of labels, probabilities and weights.

Every function takes weights (B, n), a row a resample, and gives (B,): the plain value is the case of one row of ones, a bootstrap the
case of integer weights. Nothing is looped over resamples. Where a metric is undefined (nothing to divide by) it is NaN here;
`osteon.lab.evaluation.evaluation` turns that into an empty cell with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 10
"""Equal-width bins of the expected calibration error (Naeini et al., AAAI 2015)."""
EXACT_BELOW = 25
"""With fewer discordant pairs than this, McNemar's test is the exact binomial one."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Answered and labelled films, or studies: label (n,), probability (n,) in [0, 1], cluster (n,) 0 to C - 1, the patient."""

    label: Bools
    probability: Floats
    cluster: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def part(self, rows: Bools) -> Sample:
        """Return the chosen rows; the clusters keep their numbers, so that parts of one sample share their resamples."""
        return Sample(self.label[rows], self.probability[rows], self.cluster[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Weighted counts (B,) of true and false positives and negatives."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats


def confusion(label: Bools, called: Bools, weights: Floats) -> Confusion:
    """Count right and wrong calls.

    Args:
        label: (n,) True where abnormal.
        called: (n,) True where called abnormal.
        weights: (B, n), not negative.
    """
    cells = np.stack([label & called, ~label & called, label & ~called, ~label & ~called], axis=1).astype(weights.dtype)
    tp, fp, fn, tn = (weights @ cells).T.astype(np.float64)
    return Confusion(tp, fp, fn, tn)


def sensitivity(c: Confusion) -> Floats:
    """Return the share of the abnormal that is called abnormal (recall)."""
    return ratio(c.tp, c.tp + c.fn)


def specificity(c: Confusion) -> Floats:
    """Return the share of the normal that is called normal."""
    return ratio(c.tn, c.tn + c.fp)


def ppv(c: Confusion) -> Floats:
    """Return the share of the called that is abnormal (precision), at the sample's own prevalence."""
    return ratio(c.tp, c.tp + c.fp)


def npv(c: Confusion) -> Floats:
    """Return the share of the not called that is normal, at the sample's own prevalence."""
    return ratio(c.tn, c.tn + c.fn)


def ppv_at(c: Confusion, prevalence: float) -> Floats:
    """Return the PPV that the same sensitivity and specificity give at a stated prevalence (Bayes)."""
    hit, alarm = sensitivity(c) * prevalence, (1 - specificity(c)) * (1 - prevalence)
    return ratio(hit, hit + alarm)


def npv_at(c: Confusion, prevalence: float) -> Floats:
    """Return the NPV that the same sensitivity and specificity give at a stated prevalence (Bayes)."""
    clear, miss = specificity(c) * (1 - prevalence), (1 - sensitivity(c)) * prevalence
    return ratio(clear, clear + miss)


def accuracy(c: Confusion) -> Floats:
    """Return the share of right calls."""
    return ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn)


def f1(c: Confusion) -> Floats:
    """Return the harmonic mean of PPV and sensitivity."""
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def kappa(c: Confusion) -> Floats:
    """Return Cohen's kappa: agreement with the label beyond chance (Cohen 1960)."""
    n = c.tp + c.fp + c.fn + c.tn
    observed = ratio(c.tp + c.tn, n)
    chance = ratio((c.tp + c.fp) * (c.tp + c.fn) + (c.fn + c.tn) * (c.fp + c.tn), n * n)
    return ratio(observed - chance, 1 - chance)


def ranking(label: Bools, score: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return AUROC and average precision, both (B,), exact with ties.

    AUROC is the weighted Mann-Whitney statistic, a tie counting half. Average precision is the step-wise sum of precision times the gain in
    recall over the distinct scores, without interpolation (scikit-learn's definition).
    """
    if not len(label):
        nothing = np.full(len(weights), np.nan)
        return nothing, nothing
    positive, negative = _by_score(label, score, weights)
    true, false = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    positives, negatives = true[:, -1], false[:, -1]
    # A positive wins over every negative that stands below it: all of them less those above or level, and half of the level ones.
    wins = np.einsum("bu,bu->b", positive, negatives[:, None] - false + negative / 2)
    called = true + false
    gains = np.einsum("bu,bu->b", positive, true / np.where(called > 0, called, 1))
    return ratio(wins, positives * negatives), ratio(gains, positives)


def sensitivity_at(label: Bools, score: Floats, weights: Floats, specificity: float) -> Floats:
    """Return the highest sensitivity (B,) of the thresholds whose specificity is at least the one stated; no normal row sets none."""
    if not len(label):
        return np.full(len(weights), np.nan)
    positive, negative = _by_score(label, score, weights)
    false = np.cumsum(negative, axis=1)
    allowed = false <= (1 - specificity) * false[:, -1:] + 1e-9
    return np.where(false[:, -1] > 0, ratio((positive * allowed).sum(axis=1), positive.sum(axis=1)), np.nan)


def brier(label: Bools, probability: Floats, weights: Floats) -> Floats:
    """Return the mean squared distance of probability and label (Brier 1950)."""
    return ratio(weights @ np.square(probability - label), weights.sum(axis=1))


def calibration_error(label: Bools, probability: Floats, weights: Floats, bins: int = BINS) -> Floats:
    """Return the expected calibration error: the mean over films of |share abnormal - mean probability| of the film's bin.

    The plug-in value lies above the true one in small samples (each bin adds its own noise): with 200 films a perfectly calibrated model
    shows about 0.05. Its interval (`bootstrap.gap_interval`) allows for that.
    """
    return np.asarray(np.abs(calibration_gaps(label, probability, weights, bins)).sum(axis=1))


def calibration_gaps(label: Bools, probability: Floats, weights: Floats, bins: int = BINS) -> Floats:
    """Return (B, bins): each bin's share of films times (share abnormal - mean probability) in it.

    Bins are of equal width; a probability on an edge belongs to the bin above, 1 to the last.
    """
    gap = np.zeros((len(label), bins))
    gap[np.arange(len(label)), bin_of(probability, bins)] = label - probability
    return ratio(weights @ gap, weights.sum(axis=1)[:, None])


def bin_of(probability: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return which of the equal-width bins (0 to bins - 1) a probability falls into."""
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def measure(sample: Sample, threshold: float, weights: Floats, prevalences: Sequence[float] = ()) -> dict[str, Floats]:
    """Return every metric of a sample by name, each (B,), in the order of the report; NaN where undefined.

    Args:
        sample: n films or studies.
        threshold: at or above it a probability counts as abnormal.
        weights: (B, n), a row a resample.
        prevalences: at which PPV and NPV are stated beside those of the sample.
    """
    label, probability = sample.label, sample.probability
    c = confusion(label, probability >= threshold, weights)
    auroc, average_precision = ranking(label, probability, weights)
    metrics = {
        "kappa": kappa(c),
        "auroc": auroc,
        "average precision": average_precision,
        "sensitivity": sensitivity(c),
        "specificity": specificity(c),
        "ppv": ppv(c),
        "npv": npv(c),
        "accuracy": accuracy(c),
        "f1": f1(c),
        "brier": brier(label, probability, weights),
        "ece": calibration_error(label, probability, weights),
    }
    for prevalence in prevalences:
        metrics[f"ppv at {prevalence:g}"] = ppv_at(c, prevalence)
        metrics[f"npv at {prevalence:g}"] = npv_at(c, prevalence)
    return metrics


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN, without a warning, where there is nothing to divide by."""
    empty = denominator <= 0
    return np.where(empty, np.nan, numerator / np.where(empty, 1.0, denominator))


def _by_score(label: Bools, score: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weights of abnormal and of normal rows at each distinct score, the highest first, both (B, u)."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    ordered = weights[:, order]
    return _by_tie(ordered * label[order], starts), _by_tie(ordered * ~label[order], starts)


def _by_tie(sorted_weights: Floats, starts: NDArray[np.intp]) -> Floats:
    if len(starts) == sorted_weights.shape[1]:
        return sorted_weights.astype(np.float64)
    return np.add.reduceat(sorted_weights, starts, axis=1)


def mcnemar_p(only_a: int, only_b: int) -> tuple[float, bool]:
    """Return the p-value of McNemar's test for two counts of discordant pairs, and whether it is the exact one.

    >>> mcnemar_p(1, 8)
    (0.0390625, True)
    """
    discordant = only_a + only_b
    if discordant == 0:
        return 1.0, True
    if discordant < EXACT_BELOW:
        return float(stats.binomtest(only_a, discordant).pvalue), True
    return float(stats.chi2.sf(max(abs(only_a - only_b) - 1, 0) ** 2 / discordant, 1)), False
