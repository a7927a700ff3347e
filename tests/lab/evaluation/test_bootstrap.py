"""Intervals: the weights, the forms, the edges, and how often they hold the truth."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from osteon.lab.evaluation import bootstrap, metrics
from osteon.lab.evaluation.bootstrap import (
    Scale,
    cluster_weights,
    difference_interval,
    gap_interval,
    interval,
    logit_interval,
    stratified_weights,
    wilson,
)
from osteon.lab.evaluation.metrics import Sample

PROMISED = ("auroc", "kappa", "sensitivity", "specificity", "accuracy", "ece")


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The benchmark that the docstring's table comes from."""
    path = Path(__file__).parents[3] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("coverage_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_resample_draws_as_many_patients_as_there_are() -> None:
    weights = cluster_weights(37, 500, seed=1)
    assert weights.shape == (500, 37)
    assert (weights.sum(axis=1) == 37).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1 - 1 / 37, abs=0.05)


def test_the_seed_decides() -> None:
    assert (cluster_weights(9, 20, seed=4) == cluster_weights(9, 20, seed=4)).all()
    assert (cluster_weights(9, 20, seed=4) != cluster_weights(9, 20, seed=5)).any()


def test_strata_are_drawn_each_for_itself() -> None:
    weights = stratified_weights([7, 7, 20], 1000, seed=3)
    assert weights.shape == (1000, 34) and weights.dtype == np.float32
    parts = weights[:, :7], weights[:, 7:14], weights[:, 14:]
    assert [(part.sum(axis=1) == part.shape[1]).all() for part in parts] == [True] * 3
    assert all(part.mean() == pytest.approx(1) and part.var() == pytest.approx(1 - 1 / part.shape[1], abs=0.05) for part in parts)
    # Strata of one size are not drawn alike: a mean over them would have the spread of one.
    assert np.abs(np.corrcoef(weights[:, :14].T)[:7, 7:]).max() < 0.15
    assert (stratified_weights([7, 7, 20], 1000, seed=3) == weights).all()
    assert (stratified_weights([7, 7, 20], 1000, seed=4) != weights).any()


def test_films_of_a_patient_are_drawn_together() -> None:
    sample = Sample(np.array([True, False, True]), np.array([0.9, 0.2, 0.4]), np.array([0, 1, 0]))
    weights = cluster_weights(2, 600, seed=0)
    rows = np.concatenate(list(bootstrap.film_weights(sample, weights)))
    assert (rows[:, 0] == rows[:, 2]).all()
    assert (rows[:, 1] == weights[:, 1]).all()


def test_a_replicate_is_the_figure_of_the_resampled_films() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(rng.random(40) < 0.5, rng.random(40), rng.integers(0, 15, 40))
    weights = cluster_weights(15, 30, seed=2)
    resampled = bootstrap.replicate(sample, lambda rows: metrics.measure(sample, 0.5, rows), weights)
    for b, row in enumerate(weights):
        chosen = np.repeat(np.arange(40), row[sample.cluster].astype(int))
        again = Sample(sample.label[chosen], sample.probability[chosen], sample.cluster[chosen])
        plain = metrics.measure(again, 0.5, np.ones((1, len(again))))
        assert all(resampled[name][b] == pytest.approx(plain[name][0], nan_ok=True) for name in plain)


def test_with_a_film_a_patient_a_share_has_wilsons_interval() -> None:
    label = np.arange(200) < 60
    weights = cluster_weights(200, 20_000, seed=0)
    ends = interval(0.3, (weights @ label) / 200, clusters=200)
    theirs = stats.binomtest(60, 200).proportion_ci(method="wilson")
    assert ends == pytest.approx((theirs.low, theirs.high), abs=0.003)


@pytest.mark.parametrize("n", [*range(1, 60), 74.3, 1e6])
def test_none_and_all_lie_within_their_own_interval(n: float) -> None:
    assert wilson(1.0, n, 2.1)[1] == 1
    assert wilson(0.0, n, 2.1)[0] == 0


def test_wilsons_interval_is_scipys() -> None:
    theirs = stats.binomtest(3, 17).proportion_ci(method="wilson")
    assert wilson(3 / 17, 17, stats.norm.ppf(0.975)) == pytest.approx((theirs.low, theirs.high))


def test_the_logit_interval_is_symmetric_in_log_odds() -> None:
    low, high = logit_interval(0.93, 50, 2)
    assert np.log(low / (1 - low)) + np.log(high / (1 - high)) == pytest.approx(2 * np.log(0.93 / 0.07))


def test_no_error_among_few_still_has_a_width() -> None:
    ends = interval(1.0, np.ones(500), clusters=12)
    assert ends is not None
    assert ends[0] == pytest.approx(0.72, abs=0.02)
    assert ends[1] == 1


def test_an_interval_stays_within_its_bounds() -> None:
    resampled = np.random.default_rng(0).normal(0.97, 0.05, 500)
    ends = interval(0.97, resampled, 30, Scale(low=-1))
    assert ends is not None
    assert -1 <= ends[0] < 0.97 < ends[1] <= 1


@pytest.mark.parametrize(("clusters", "undefined"), [(4, 0), (50, 260)])
def test_too_little_gives_no_interval(clusters: int, undefined: int) -> None:
    resampled = np.r_[np.full(undefined, np.nan), np.random.default_rng(0).random(500 - undefined)]
    assert interval(0.5, resampled, clusters) is None
    assert difference_interval(0.5, resampled, clusters) is None


def test_a_difference_of_nothing_is_nothing() -> None:
    assert difference_interval(0.0, np.zeros(100), 20) == (0, 0)


def test_a_perfectly_calibrated_models_error_may_be_nought() -> None:
    gaps = 0.01 * stats.norm.ppf((np.arange(10) + 0.5) / 10)
    ends = gap_interval(gaps, gaps + np.random.default_rng(3).normal(0, 0.01, (2000, 10)), 100)
    assert ends is not None
    assert ends[0] == 0
    assert 0 < ends[1] < 2 * np.abs(gaps).sum()


def test_a_large_error_is_found() -> None:
    rng = np.random.default_rng(3)
    gaps = np.full(10, 0.03)
    ends = gap_interval(gaps, gaps + rng.normal(0, 0.003, (2000, 10)), 100)
    assert ends is not None
    assert 0.27 < ends[0] < 0.3 < ends[1] < 0.33
    assert gap_interval(gaps, gaps[None], 4) is None


def test_intervals_hold_the_truth(simulation: ModuleType) -> None:
    held = simulation.coverage(simulation.POPULATIONS["common"], sets=60, kinds=("osteon",), known_from=200_000)
    # The standard error of a share of 60 at 0.95 is 0.028.
    assert all(0.85 <= held[name]["osteon"] <= 1 for name in PROMISED), held


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("population", ["common", "rare", "weak reader", "strong reader", "calibrated", "ten films a patient"])
def test_intervals_hold_the_truth_in_93_to_97_of_100_sets(simulation: ModuleType, population: str) -> None:
    held = {name: kinds["osteon"] for name, kinds in simulation.coverage(simulation.POPULATIONS[population], kinds=("osteon",)).items()}
    assert all(0.93 <= held[name] <= 0.97 for name in PROMISED), held
    assert all(0.925 <= share <= 0.975 for share in held.values()), held
