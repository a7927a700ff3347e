"""Paired comparison: differences, McNemar, disagreements."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest
from scipy import stats

from made_predictions import made_films, made_predictions
from osteon.errors import MeasurementError
from osteon.lab.comparison import Comparison, Difference, compare, disagreements, mcnemar_p
from osteon.lab.evaluation import Plan, measure
from osteon.lab.scoring import Predictions

PLAN = Plan(resamples=300)
PLANS = (PLAN, PLAN)


def noisier(predictions: Predictions, noise: float, seed: int = 1) -> Predictions:
    logit = predictions.films["logit"].to_numpy() + noise * np.random.default_rng(seed).normal(size=len(predictions.films))
    films = predictions.films.with_columns(logit=pl.Series(logit), probability=pl.Series(1 / (1 + np.exp(-logit))))
    return replace(predictions, films=films)


def find(comparison: Comparison, level: str, name: str, group: str = "all") -> Difference:
    return next(d for d in comparison.differences if (d.level, d.group, d.name) == (level, group, name))


def test_a_difference_is_that_of_the_two_evaluations() -> None:
    a = made_predictions()
    b = noisier(a, 1.5)
    comparison = compare(a, b, PLANS)
    evaluations = measure(a, PLAN), measure(b, PLAN)
    for level in ("study", "film"):
        for name in ("auroc", "kappa", "brier"):
            first, second = (e.find(level, "all", name) for e in evaluations)
            found = find(comparison, level, name)
            assert (found.a, found.b) == (pytest.approx(first.value), pytest.approx(second.value))
            assert found.value == pytest.approx(second.value - first.value)
            assert found.low < found.value < found.high


def test_pairing_makes_the_interval_narrower_than_both_alone() -> None:
    a = made_predictions()
    found = find(compare(a, noisier(a, 0.3), PLANS), "study", "auroc")
    alone = measure(a, PLAN).find("study", "all", "auroc")
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_two_alike_differ_by_nothing() -> None:
    a = made_predictions(studies=40)
    comparison = compare(a, a, PLANS)
    assert all(d.value in (0, None) and d.low in (0, None) for d in comparison.differences)
    assert all(test.p == 1 for test in comparison.mcnemar)
    assert disagreements(a, a, PLANS).is_empty()


def test_mcnemar_counts_who_is_right() -> None:
    a = made_predictions()
    b = noisier(a, 1.5)
    [_, films] = compare(a, b, PLANS).mcnemar
    label = a.films["label"].to_numpy() == 1
    right_a, right_b = ((p.films["probability"].to_numpy() >= 0.5) == label for p in (a, b))
    assert films.only_a_right == (right_a & ~right_b).sum()
    assert films.both_right + films.only_a_right + films.only_b_right + films.both_wrong == len(label)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 5), (3, 9), (12, 12)])
def test_few_discordant_pairs_are_tested_exactly(only_a: int, only_b: int) -> None:
    p, exact = mcnemar_p(only_a, only_b)
    tail = sum(stats.binom.pmf(k, only_a + only_b, 0.5) for k in range(min(only_a, only_b) + 1))
    assert exact
    assert p == pytest.approx(min(1, 2 * tail))


def test_many_discordant_pairs_give_nearly_the_exact_value() -> None:
    p, exact = mcnemar_p(40, 65)
    assert not exact
    assert p == pytest.approx(stats.binomtest(40, 105).pvalue, abs=0.002)


def test_only_films_that_both_answered_are_compared() -> None:
    a = made_predictions(studies=60)
    b = replace(a, films=a.films.head(100))
    shorter = replace(a, films=a.films.tail(len(a.films) - 5))
    comparison = compare(shorter, b, PLANS)
    assert (comparison.films, comparison.only_a, comparison.only_b) == (95, len(a.films) - 100, 5)


def test_study_types_are_compared_and_one_class_says_so() -> None:
    films = made_films(studies=60).with_columns(label=pl.when(pl.col("study_type") == "HAND").then(0).otherwise("label").cast(pl.Int8))
    found = find(compare(made_predictions(films), made_predictions(films), PLANS), "study", "auroc", "study_type=HAND")
    assert found.value is None
    assert found.note.startswith("one class only")


def test_each_is_read_by_its_own_threshold() -> None:
    a = made_predictions()
    plans = (PLAN, msgspec.structs.replace(PLAN, threshold=0.99))
    comparison = compare(a, a, plans)
    assert find(comparison, "study", "sensitivity").value < -0.5
    assert find(comparison, "study", "auroc").value == 0
    assert comparison.thresholds == (0.5, 0.99)


def test_disagreements_are_sorted_by_distance_and_name_a_film() -> None:
    a = made_predictions()
    b = noisier(a, 1.5)
    rows = disagreements(a, b, PLANS)
    apart = (rows["probability_a"] - rows["probability_b"]).abs().to_list()
    assert apart == sorted(apart, reverse=True)
    for row in rows.iter_rows(named=True):
        assert (row["probability_a"] >= 0.5) != (row["probability_b"] >= 0.5)
        assert row["path"].startswith(row["study"])
        assert row["right"] == ("A" if (row["probability_a"] >= 0.5) == (row["label"] == 1) else "B")


def test_labels_that_differ_are_refused() -> None:
    a = made_predictions(studies=20)
    b = replace(a, films=a.films.with_columns(label=1 - pl.col("label")))
    with pytest.raises(MeasurementError, match=f"{len(a.films)} films have another label"):
        compare(a, b, PLANS)


def test_nothing_in_common_is_refused() -> None:
    a = made_predictions(studies=20)
    b = replace(a, films=a.films.with_columns(path=pl.col("path") + "x"))
    with pytest.raises(MeasurementError, match="no film that both"):
        compare(a, b, PLANS)


def test_a_table_of_studies_is_compared_by_study() -> None:
    a = made_predictions(studies=60)
    studies = a.films.unique("study", maintain_order=True).with_columns(path=pl.lit(""))
    comparison = compare(replace(a, films=studies), noisier(replace(a, films=studies), 1), PLANS)
    assert {d.level for d in comparison.differences} == {"study"}


def test_two_indexes_and_one_model_are_noted() -> None:
    a = made_predictions(studies=30)
    a = replace(a, origin=msgspec.structs.replace(a.origin, model_sha256="1"))
    notes = compare(a, replace(a, origin=msgspec.structs.replace(a.origin, fingerprint="2")), PLANS).notes
    assert len(notes) == 2
