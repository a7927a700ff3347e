"""Rows of figures: each with its interval or with the reason why there is none."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from osteon.card import Metric
from osteon.lab.evaluation import bootstrap, measurement
from osteon.lab.evaluation.measurement import PAPER_INTERVAL, as_published, macro_metrics, mean_metric, measure_part, part_metrics
from osteon.lab.evaluation.metrics import Sample

ROW = partial(Metric, split="valid", level="study", group="all", n=0, positives=0)


def sample(label: list[int], probability: list[float], cluster: list[int] | None = None) -> Sample:
    return Sample(np.array(label) == 1, np.array(probability, float), np.array(cluster or range(len(label)), np.int64))


def rows(made: Sample, threshold: float = 0.5) -> dict[str, Metric]:
    weights = bootstrap.cluster_weights(int(made.cluster.max(initial=0)) + 1, 300)
    return {m.name: m for m in part_metrics(measure_part(made, threshold, weights), ROW)}


def spread(n: int = 60, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.5
    return Sample(label, np.clip(0.5 * label + rng.random(n) / 1.5, 0, 1), rng.integers(0, n // 2, n))


def test_every_figure_has_a_value_within_its_interval() -> None:
    for metric in rows(spread()).values():
        assert metric.value is not None
        assert metric.low is not None
        assert metric.high is not None
        assert metric.note == ""
        assert metric.name == "ece" or metric.low < metric.value <= metric.high  # the plug-in ece stands too high


def test_a_value_is_there_or_the_reason_and_never_nan() -> None:
    cases = [([], []), ([1], [0.9]), ([0, 0, 0], [0.1, 0.2, 0.9]), ([1, 1], [0.2, 0.3]), ([0, 1], [0.5, 0.5]), ([0, 1], [0.1, 0.2])]
    for label, probability in cases:
        for metric in rows(sample(label, probability)).values():
            assert (metric.value is None) == (metric.low is None and metric.note != "" and "no interval" not in metric.note)
            assert metric.value is None or np.isfinite(metric.value)
            assert metric.low is not None or metric.note != ""


@pytest.mark.parametrize(
    ("label", "probability", "name", "note"),
    [
        ([0] * 9, [0.1] * 9, "kappa", "one class only: all 9 normal"),
        ([1] * 9, [0.9] * 9, "auroc", "one class only: all 9 abnormal"),
        ([1, 0] * 6, [0.7] * 12, "auroc", "constant scores rank nothing"),
        ([0] * 9, [0.1] * 9, "sensitivity", "none is abnormal"),
        ([1] * 9, [0.9] * 9, "specificity", "none is normal"),
        ([1, 0] * 6, [0.2] * 12, "ppv", "none was called abnormal"),
        ([1, 0] * 6, [0.7] * 12, "npv", "none was called normal"),
        ([0] * 9, [0.1] * 9, "f1", "one class only: all 9 normal"),
        ([], [], "accuracy", "nothing to measure"),
    ],
)
def test_what_cannot_be_measured_says_why(label: list[int], probability: list[float], name: str, note: str) -> None:
    metric = rows(sample(label, probability))[name]
    assert metric.value is None
    assert metric.note == note


def test_two_patients_give_values_and_say_that_they_give_no_intervals() -> None:
    found = rows(sample([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2], [0, 1, 1, 0]))
    assert found["accuracy"].value == 0.75
    assert found["accuracy"].low is None
    assert found["accuracy"].note == "no interval: 2 groups"


def test_a_figure_that_few_patients_inform_has_no_interval() -> None:
    found = rows(sample([1, 0, 0, 0, 0, 0, 0, 0], [0.9, 0.1, 0.2, 0.3, 0.1, 0.2, 0.7, 0.3]))
    assert found["sensitivity"].note == "no interval: too few groups inform it"
    assert found["specificity"].low is not None


def test_constant_scores_still_have_a_kappa_of_nought() -> None:
    assert rows(sample([1, 0] * 6, [0.7] * 12))["kappa"].value == 0


def test_intervals_of_few_abnormal_patients_are_wider() -> None:
    few, many = rows(sample([1] * 8 + [0] * 92, [0.9] * 6 + [0.1] * 94)), rows(sample([1] * 48 + [0] * 52, [0.9] * 36 + [0.1] * 64))
    assert few["sensitivity"].value == many["sensitivity"].value == 0.75
    assert few["sensitivity"].low is not None
    assert many["sensitivity"].low is not None
    assert few["sensitivity"].low < many["sensitivity"].low


def test_the_papers_interval_is_far_too_narrow() -> None:
    made = spread(200)
    weights = bootstrap.cluster_weights(100, 500)
    part = measure_part(made, 0.5, weights)
    own, paper = rows(made)["kappa"], as_published(part, ROW)
    assert paper.name == PAPER_INTERVAL
    assert paper.value == own.value
    assert paper.high - paper.low < (own.high - own.low) / 8  # type: ignore[operator]
    assert "not a 95 % interval" in paper.note
    assert as_published(measure_part(sample([1] * 9, [0.9] * 9), 0.5, weights), ROW).value is None


def test_the_macro_figure_is_the_plain_mean_of_what_is_defined() -> None:
    weights = bootstrap.cluster_weights(40, 300)
    label, probability, cluster = spread(80).label, spread(80).probability, spread(80).cluster
    types = [Sample(label[k::2], probability[k::2], cluster[k::2]) for k in range(2)]
    parts = [measure_part(s, 0.5, weights) for s in (*types, Sample(np.zeros(9, bool), np.full(9, 0.1), np.arange(9)))]
    found = {m.name: m for m in macro_metrics(parts, ROW)}
    assert found["accuracy"].value == pytest.approx(np.mean([p.values["accuracy"] for p in parts]))
    assert found["kappa"].value == pytest.approx(np.mean([p.values["kappa"] for p in parts[:2]]))
    assert found["kappa"].note == "mean of 2 of 3 study types: the others do not define it"
    assert found["kappa"].low is not None
    assert found["ece"].low is not None


def test_a_macro_figure_of_one_study_type_is_none() -> None:
    parts = [measure_part(s, 0.5, bootstrap.cluster_weights(40, 200)) for s in (spread(80), sample([0] * 9, [0.1] * 9))]
    found = {m.name: m for m in macro_metrics(parts, ROW)}
    assert found["kappa"].value is None
    assert found["kappa"].note == "1 of 2 study types define it"


def test_a_mean_of_shares_has_an_interval() -> None:
    figures = np.r_[np.ones(30), np.zeros(20)]
    metric = mean_metric(ROW, "pointing", figures, np.arange(50), bootstrap.cluster_weights(50, 500))
    assert metric.value == 0.6
    assert (metric.low, metric.high) == pytest.approx((0.46, 0.73), abs=0.02)


def test_parts_of_one_sample_share_their_resamples() -> None:
    made = spread(60)
    weights = bootstrap.cluster_weights(30, 100)
    half = made.part(np.arange(60) < 30)
    whole, part = (measure_part(s, 0.5, weights).resampled["accuracy"] for s in (made, half))
    assert np.corrcoef(whole, part)[0, 1] > 0.3
    assert measurement.informed_by(measure_part(half, 0.5, weights))["accuracy"] == len(np.unique(half.cluster))
