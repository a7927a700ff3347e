"""Calibration against scikit-learn, cross-fitting by patients, and the card that comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from made_model import made_card
from made_predictions import made_films, made_predictions
from osteon.card import Card, DataSource, Metric
from osteon.errors import MeasurementError
from osteon.lab.calibration.calibrate import CalibrationPlan, apply, calibrate, check_split, cross_fit, fit
from osteon.lab.calibration.decision import Rule

PLAN = CalibrationPlan(split="valid", resamples=200)


def logits_and_labels(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    return 4 * (label - 0.3) + 3 * rng.normal(size=n), label


def test_the_logistic_fit_is_scikit_learns_on_platts_targets() -> None:
    logits, label = logits_and_labels()
    found = fit("logistic", logits, label, "calib")
    top, bottom = (label.sum() + 1) / (label.sum() + 2), 1 / ((~label).sum() + 2)
    target = np.where(label, top, bottom)
    twice, ones = np.r_[logits, logits][:, None], np.repeat([True, False], len(logits))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(twice, ones, sample_weight=np.r_[target, 1 - target])
    assert found.slope == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)
    assert found.split == "calib"


def test_temperature_leaves_the_intercept_alone() -> None:
    logits, label = logits_and_labels()
    found = fit("temperature", logits, label, "calib")
    assert found.intercept == 0
    better = [np.mean(np.log1p(np.exp(-s * np.where(label, logits, -logits)))) for s in (found.slope, found.slope * 0.9, found.slope * 1.1)]
    assert better[0] < min(better[1:])


def test_the_isotonic_fit_is_scikit_learns_within_platts_bounds() -> None:
    logits, label = logits_and_labels()
    found = fit("isotonic", logits, label, "calib")
    theirs = IsotonicRegression(out_of_bounds="clip").fit(logits, label).predict(logits)
    np.testing.assert_allclose(
        apply(found, logits), np.clip(theirs, 1 / ((~label).sum() + 2), (label.sum() + 1) / (label.sum() + 2)), atol=1e-9
    )
    assert min(found.probabilities) > 0
    assert max(found.probabilities) < 1


@pytest.mark.parametrize("method", ["logistic", "temperature", "isotonic"])
def test_the_card_gives_the_same_probabilities(method: str) -> None:
    logits, label = logits_and_labels()
    found = fit(method, logits, label, "calib")  # type: ignore[arg-type]
    card = Card.from_json(made_card(calibration=found).to_json())
    asked = np.r_[logits[:50], -99, 99]
    np.testing.assert_allclose(apply(found, asked), [card.probability(x) for x in asked], atol=1e-12)


@pytest.mark.parametrize("method", ["logistic", "temperature", "isotonic"])
def test_separable_films_give_no_certainty(method: str) -> None:
    logits = np.r_[np.linspace(-900, -800, 30), np.linspace(700, 800, 30)]
    found = apply(fit(method, logits, logits > 0, ""), logits)  # type: ignore[arg-type]
    assert 0 < found.min() < 0.1
    assert 0.9 < found.max() < 1


@pytest.mark.parametrize("method", ["logistic", "temperature", "isotonic"])
def test_logits_against_the_labels_are_refused(method: str) -> None:
    logits, label = logits_and_labels()
    with pytest.raises(MeasurementError, match="the model ranks normal films above abnormal ones"):
        fit(method, -logits, label, "")  # type: ignore[arg-type]


def test_a_film_is_cross_fitted_without_its_patient() -> None:
    films = made_films(studies=60)
    before = cross_fit("logistic", films, seed=0)
    patient = pl.col("group") == films["group"][0]
    flipped = films.with_columns(label=pl.when(patient).then(1 - pl.col("label")).otherwise("label"))
    after = cross_fit("logistic", flipped, seed=0)
    own = films.select(patient).to_series().to_numpy()
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).any()


def test_calibration_makes_probabilities_mean_what_they_say() -> None:
    films = made_films(studies=400).with_columns(logit=3 * pl.col("logit") + 2)
    films = films.with_columns(probability=1 / (1 + (-pl.col("logit")).exp()))
    result, crossed = calibrate(made_predictions(films), made_card(), PLAN)
    before, after = (next(r for r in result.reliability if r.method == m) for m in ("before", "logistic"))
    assert after.log_loss < before.log_loss
    assert after.ece < before.ece / 3
    assert len(crossed.films) == result.films == len(films)


def test_the_card_names_split_and_rule_and_drops_stale_figures() -> None:
    stale = Metric(split="other", level="study", group="all", name="auroc", value=0.9)
    card = made_card(metrics=(stale,))
    plan = CalibrationPlan(split="valid", rule=Rule("sensitivity", 0.9), pooling="max", resamples=200)
    new = calibrate(made_predictions(), card, plan)[0].card
    assert new.calibration.split == new.decision.split == "valid"
    assert new.decision.rule.startswith("sensitivity of at least 0.9")
    assert new.study_pooling == "max"
    assert new.metrics == ()
    assert (new.name, new.frame, new.pooling) == (card.name, card.frame, card.pooling)
    assert Card.from_json(new.to_json()) == new


def test_the_operating_point_is_what_the_new_card_gives() -> None:
    predictions = made_predictions()
    result, _ = calibrate(predictions, made_card(), PLAN)
    films = predictions.films.with_columns(p=pl.Series([result.card.probability(x) for x in predictions.films["logit"]]))
    studies = films.group_by("study").agg(pl.col("p").mean(), pl.col("label").first())
    called = studies["p"].to_numpy() >= result.card.decision.threshold
    point = next(m for m in result.operating_point if m.name == "sensitivity" and m.group.startswith("threshold"))
    assert point.value == pytest.approx(called[studies["label"].to_numpy() == 1].mean())
    assert point.split == "valid"


def test_poolings_are_compared_with_the_mean() -> None:
    result, _ = calibrate(made_predictions(), made_card(), PLAN)
    assert [p.pooling for p in result.poolings] == ["mean", "max", "noisy-or", "top-k"]
    assert result.poolings[0].gain == 0
    for p in result.poolings[1:]:
        assert p.low <= p.gain <= p.high  # type: ignore[operator]
        assert p.gain == pytest.approx(p.auroc - result.poolings[0].auroc)


def test_one_film_a_study_says_that_pooling_is_nothing() -> None:
    films = made_films().unique("study", maintain_order=True)
    notes = calibrate(made_predictions(films), made_card(), PLAN)[0].notes
    assert [n for n in notes if "all poolings are the same" in n]


@pytest.mark.parametrize("kept", [pl.col("label") == 0, pl.col("label").is_null(), pl.int_range(pl.len()) < 10])
def test_too_little_is_refused(kept: pl.Expr) -> None:
    predictions = made_predictions()
    few = replace(predictions, films=predictions.films.filter(kept))
    with pytest.raises(MeasurementError, match=r"calibrating takes 20 of each|no film in split"):
        calibrate(few, made_card(), PLAN)


def test_probabilities_without_logits_cannot_be_calibrated() -> None:
    films = made_films().with_columns(logit=pl.lit(None, dtype=pl.Float64))
    with pytest.raises(MeasurementError, match="0 abnormal and 0 normal films with a label and a logit"):
        calibrate(made_predictions(films), made_card(), PLAN)


def test_few_patients_are_refused() -> None:
    films = made_films().with_columns(group=pl.lit("one"))
    with pytest.raises(MeasurementError, match="1 patients"):
        calibrate(made_predictions(films), made_card(), PLAN)


def test_the_training_and_the_reported_split_are_refused() -> None:
    metric = Metric(split="valid", level="study", group="all", name="auroc", value=0.9)
    card = made_card(data=(DataSource(name="made", split="train"),), metrics=(metric,))
    for split, reason in (("train", "trained on split 'train'"), ("valid", "reports its metrics on split 'valid'")):
        with pytest.raises(MeasurementError, match=reason):
            check_split(card, split, made_films(), "")
    check_split(card, "calib", made_films(), "")
