"""Paired comparison: differences, McNemar, disagreements, means over folds."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from made_predictions import made_films, made_predictions
from osteon.errors import MeasurementError
from osteon.lab.evaluation import metrics
from osteon.lab.evaluation.comparison import Comparison, Difference, compare, disagreements
from osteon.lab.evaluation.evaluation import Plan, measure
from osteon.lab.evaluation.metrics import Floats
from osteon.lab.evaluation.scoring import Predictions

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
    p, exact = metrics.mcnemar_p(only_a, only_b)
    tail = sum(stats.binom.pmf(k, only_a + only_b, 0.5) for k in range(min(only_a, only_b) + 1))
    assert exact
    assert p == pytest.approx(min(1, 2 * tail))


def test_many_discordant_pairs_give_nearly_the_exact_value() -> None:
    p, exact = metrics.mcnemar_p(40, 65)
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


# Over folds


def folded(seed: int = 0) -> Predictions:
    """A cross-validation's predictions: patients dealt out to three folds."""
    films = made_films(90, seed)
    hits = pl.Series(np.random.default_rng(seed).integers(0, 2, len(films)).astype(np.float64))
    fold = pl.format("fold-{}", pl.col("group").rank("dense").cast(pl.Int64) % 3)
    return made_predictions(films.with_columns(split=fold, pointing=pl.when(pl.col("label") == 1).then(hits)))


def over_folds(comparison: Comparison) -> dict[str, Difference]:
    return {d.name: d for d in comparison.differences if d.group == "mean over folds"}


FOLD_PLANS = (Plan(split="all", resamples=400), Plan(split="all", resamples=400))


def fold_areas(predictions: Predictions) -> list[float]:
    return [roc_auc_score(fold["label"], fold["probability"]) for _, fold in predictions.films.group_by("split", maintain_order=True)]


def test_cross_validations_are_compared_by_their_means_over_folds_first() -> None:
    a, b = folded(), noisier(folded(), 1.5)
    comparison = compare(a, b, FOLD_PLANS)
    found = over_folds(comparison)
    assert [d.name for d in comparison.differences[: len(found)]] == list(found)
    auroc = found["auroc"]
    assert (auroc.level, auroc.n) == ("film", len(a.films))
    assert (auroc.a, auroc.b) == (pytest.approx(np.mean(fold_areas(a))), pytest.approx(np.mean(fold_areas(b))))
    assert auroc.value == pytest.approx(auroc.b - auroc.a) and auroc.low < auroc.value < auroc.high
    assert {"kappa", "sensitivity at specificity 0.9", "pointing", "brier"} <= found.keys()
    assert found["ece"].low is None and found["ece"].note.startswith("no interval: noise adds to both")


def test_their_interval_is_that_of_a_plain_paired_bootstrap() -> None:
    a, b = folded(), noisier(folded(), 1.5)
    abnormal, fold, patient = (a.films[name].to_numpy() for name in ("label", "split", "group"))
    scores = [p.films["probability"].to_numpy() for p in (a, b)]
    films_of = [[np.flatnonzero(patient == name) for name in np.unique(patient[fold == one])] for one in np.unique(fold)]

    def area(score: Floats, rows: NDArray[np.int64]) -> float:
        up, down = score[rows][abnormal[rows] == 1], score[rows][abnormal[rows] == 0]
        return float((up[:, None] > down).mean())

    draw, apart = np.random.default_rng(7), []
    for _ in range(400):  # the same patients for both, drawn again within each fold
        drawn = [np.concatenate([mine[k] for k in draw.integers(0, len(mine), len(mine))]) for mine in films_of]
        apart.append(np.mean([area(scores[1], rows) - area(scores[0], rows) for rows in drawn]))
    found = over_folds(compare(a, b, FOLD_PLANS))["auroc"]
    half = 1.96 * np.std(apart, ddof=1)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.17)  # Student's t for normal, and each spread is known to 3.5 %
    assert (found.high + found.low) / 2 == pytest.approx(found.value)


def test_a_cross_validation_differs_from_itself_by_nothing() -> None:
    found = over_folds(compare(folded(), folded(), FOLD_PLANS))
    assert found and all(d.value == 0 and (d.low, d.high) in {(0, 0), (None, None)} for d in found.values())


def test_pointing_is_paired_in_and_over_folds() -> None:
    a = folded()
    never = replace(a, films=a.films.with_columns(pointing=pl.when(pl.col("label") == 1).then(0.0)))
    comparison = compare(a, never, FOLD_PLANS)
    abnormal = a.films.filter(pl.col("label") == 1)
    shares = [fold["pointing"].mean() for _, fold in abnormal.group_by("split")]
    means, pooled = over_folds(comparison)["pointing"], find(comparison, "film", "pointing")
    assert (means.a, means.b, means.value) == (pytest.approx(np.mean(shares)), 0, pytest.approx(-np.mean(shares)))
    assert (pooled.a, pooled.b, pooled.n) == (pytest.approx(abnormal["pointing"].mean()), 0, len(abnormal))
    assert means.high < 0 and pooled.high < 0


def test_folds_that_are_not_the_same_are_not_averaged() -> None:
    a, few = folded(), Plan(split="all", resamples=20)
    dealt_anew = replace(a, films=a.films.with_columns(split=pl.lit("fold-1")))
    reported = replace(a, films=a.films.with_columns(split=pl.lit("valid")))
    for first, second in ((a, dealt_anew), (dealt_anew, a), (a, reported), (reported, a), (reported, reported)):
        assert not over_folds(compare(first, second, (few, few)))
    one_fold = msgspec.structs.replace(few, split="fold-1")
    assert not over_folds(compare(a, a, (one_fold, one_fold)))


def test_folds_that_both_have_are_averaged() -> None:
    a, some = folded(), replace(folded(), films=folded().films.filter(pl.col("split") != "fold-0"))
    assert over_folds(compare(a, some, FOLD_PLANS))["auroc"].n == len(some.films)
    normal = replace(a, films=a.films.with_columns(label=pl.when(pl.col("split") == "fold-0").then(0).otherwise("label").cast(pl.Int8)))
    found = over_folds(compare(normal, noisier(normal, 1), FOLD_PLANS))["auroc"]
    assert found.note == "mean of 2 of 3 folds: the others do not define it" and found.n == len(some.films)
    assert found.low < found.value < found.high
