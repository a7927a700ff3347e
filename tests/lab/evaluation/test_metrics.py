"""Each figure against scikit-learn, plain and weighted, on random, tied, tiny and one-class inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference

from osteon.lab.evaluation import metrics
from osteon.lab.evaluation.metrics import Confusion, Floats, Sample

THRESHOLD = 0.5


def made(kind: str, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    n = 4 if kind == "tiny" else 120
    label = rng.random(n) < 0.4
    label[:2] = (True, False)
    probability = rng.random(n) if kind != "tied" else rng.integers(0, 4, n) / 3
    if kind == "constant":
        probability[:] = 0.3
    return Sample(label, probability, rng.integers(0, n, n))


def weights_of(sample: Sample, seed: int) -> Floats:
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(sample))).astype(float)
    weights[0] = 1
    weights[:, :2] = 1  # both classes stay
    return weights


def by_threshold(figure: Callable[..., float], **given: object) -> Callable[[Sample, Floats], float]:
    return lambda s, w: figure(s.label, s.probability >= THRESHOLD, sample_weight=w, **given)


def specificity(sample: Sample, weights: Floats) -> float:
    return reference.recall_score(~sample.label, sample.probability < THRESHOLD, sample_weight=weights, zero_division=np.nan)


def npv(sample: Sample, weights: Floats) -> float:
    return reference.precision_score(~sample.label, sample.probability < THRESHOLD, sample_weight=weights, zero_division=np.nan)


def plain_calibration_error(sample: Sample, weights: Floats, bins: int = 10) -> float:
    """The definition of Naeini et al., read out loud."""
    error = 0.0
    for k in range(bins):
        below = sample.probability < (k + 1) / bins if k < bins - 1 else np.ones(len(sample), dtype=bool)
        rows = (sample.probability >= k / bins) & below & (weights > 0)
        if rows.any():
            share = np.average(sample.label[rows], weights=weights[rows])
            mean = np.average(sample.probability[rows], weights=weights[rows])
            error += weights[rows].sum() / weights.sum() * abs(share - mean)
    return error


REFERENCES: dict[str, Callable[[Sample, Floats], float]] = {
    "kappa": by_threshold(reference.cohen_kappa_score),
    "auroc": lambda s, w: reference.roc_auc_score(s.label, s.probability, sample_weight=w),
    "average precision": lambda s, w: reference.average_precision_score(s.label, s.probability, sample_weight=w),
    "sensitivity": by_threshold(reference.recall_score),
    "specificity": specificity,
    "ppv": by_threshold(reference.precision_score, zero_division=np.nan),
    "npv": npv,
    "accuracy": by_threshold(reference.accuracy_score),
    "f1": by_threshold(reference.f1_score, zero_division=np.nan),
    "brier": lambda s, w: reference.brier_score_loss(s.label, s.probability, sample_weight=w),
    "ece": plain_calibration_error,
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("kind", ["random", "tied", "tiny", "constant"])
def test_every_figure_is_scikit_learns(kind: str, name: str) -> None:
    for seed in range(3):
        sample = made(kind, seed)
        weights = weights_of(sample, seed)
        ours = metrics.measure(sample, THRESHOLD, weights)[name]
        theirs = [REFERENCES[name](sample, row) for row in weights]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_every_figure_has_a_reference() -> None:
    assert set(metrics.measure(made("random", 0), THRESHOLD, np.ones((1, 120)))) == set(REFERENCES)


@pytest.mark.parametrize("abnormal", [True, False])
def test_one_class_leaves_undefined_what_scikit_learn_leaves_undefined(abnormal: bool) -> None:
    sample = Sample(np.full(9, abnormal), np.linspace(0, 1, 9), np.arange(9))
    ours = metrics.measure(sample, THRESHOLD, np.ones((1, 9)))
    assert np.isnan(ours["auroc"][0])
    assert np.isnan(ours["specificity" if abnormal else "sensitivity"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(reference.roc_auc_score(sample.label, sample.probability))
        assert ours["kappa"][0] == pytest.approx(REFERENCES["kappa"](sample, np.ones(9)), abs=1e-12)


def test_nothing_at_all_is_undefined_without_a_warning() -> None:
    sample = Sample(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0, dtype=np.int64))
    assert all(np.isnan(value).all() for value in metrics.measure(sample, THRESHOLD, np.ones((2, 0)), (0.1,)).values())


def test_weights_of_nought_are_rows_that_are_not_there() -> None:
    sample = made("tied", 3)
    weights = np.random.default_rng(0).integers(0, 2, (1, len(sample))).astype(float)
    kept = sample.part(weights[0] > 0)
    ours = metrics.measure(sample, THRESHOLD, weights)
    for name, value in metrics.measure(kept, THRESHOLD, np.ones((1, len(kept)))).items():
        np.testing.assert_allclose(ours[name], value, atol=1e-12)


def test_predictive_values_at_the_samples_own_prevalence_are_the_samples_own() -> None:
    sample = made("random", 5)
    ours = metrics.measure(sample, THRESHOLD, np.ones((1, 120)), (float(sample.label.mean()),))
    at = f" at {sample.label.mean():g}"
    assert ours["ppv" + at][0] == pytest.approx(ours["ppv"][0])
    assert ours["npv" + at][0] == pytest.approx(ours["npv"][0])


def test_predictive_values_at_a_stated_prevalence_follow_bayes() -> None:
    c = Confusion(*(np.array([float(x)]) for x in (90, 20, 10, 80)))
    assert metrics.ppv_at(c, 0.01)[0] == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.2 * 0.99))
    assert metrics.npv_at(c, 0.01)[0] == pytest.approx(0.8 * 0.99 / (0.8 * 0.99 + 0.1 * 0.01))


@pytest.mark.parametrize(("probability", "place"), [(0.0, 0), (0.0999, 0), (0.1, 1), (0.95, 9), (1.0, 9)])
def test_bins_hold_their_lower_edge(probability: float, place: int) -> None:
    assert metrics.bin_of(np.array([probability]))[0] == place


@pytest.mark.parametrize("specificity", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", ["random", "tied", "tiny", "constant"])
def test_sensitivity_at_a_specificity_is_read_off_scikit_learns_curve(kind: str, specificity: float) -> None:
    for seed in range(3):
        sample = made(kind, seed)
        weights = weights_of(sample, seed)
        ours = metrics.sensitivity_at(sample.label, sample.probability, weights, specificity)
        for value, row in zip(ours, weights, strict=True):
            false, true, _ = reference.roc_curve(sample.label, sample.probability, sample_weight=row, drop_intermediate=False)
            assert value == pytest.approx(max(true[1 - false >= specificity - 1e-9]))


@pytest.mark.parametrize("label", [[True] * 3, [False] * 3, []])
def test_sensitivity_at_a_specificity_needs_both_labels(label: list[bool]) -> None:
    ours = metrics.sensitivity_at(np.array(label, dtype=bool), np.linspace(0, 1, len(label)), np.ones((2, len(label))), 0.9)
    assert np.isnan(ours).all() and ours.shape == (2,)


def test_sensitivity_at_a_specificity_is_undefined_where_a_resample_draws_no_normal_row() -> None:
    label, score = np.array([True, False]), np.array([0.9, 0.1])
    ours = metrics.sensitivity_at(label, score, np.array([[1.0, 1.0], [2.0, 0.0]]), 0.9)
    assert ours[0] == 1 and np.isnan(ours[1])
