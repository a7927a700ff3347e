"""Thresholds by rule, against trying every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from osteon.errors import MeasurementError, UsageError
from osteon.lab.calibration import decision
from osteon.lab.calibration.decision import Rule, choose, confusions, cuts, decide, read_band, read_rule
from osteon.lab.evaluation import metrics
from osteon.lab.evaluation.metrics import Sample


def made(seed: int, n: int = 60, ties: bool = False) -> Sample:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    label[:2] = (True, False)
    probability = np.clip(0.3 * label + 0.7 * rng.random(n), 0, 1)
    return Sample(label, np.round(probability, 1) if ties else probability, np.arange(n))


def rates(sample: Sample, threshold: float) -> tuple[float, float]:
    called = sample.probability >= threshold
    return called[sample.label].mean(), (~called)[~sample.label].mean()


@given(st.integers(0, 500), st.booleans())
def test_counts_at_a_threshold_are_those_of_the_metrics(seed: int, ties: bool) -> None:
    sample = made(seed, 20, ties)
    thresholds = cuts(sample.probability)
    fast = confusions(sample, thresholds)
    for i, threshold in enumerate(thresholds):
        slow = metrics.confusion(sample.label, sample.probability >= threshold, np.ones((1, 20)))
        assert (fast.tp[i], fast.fp[i], fast.fn[i], fast.tn[i]) == (slow.tp[0], slow.fp[0], slow.fn[0], slow.tn[0])


@settings(max_examples=20)
@given(st.integers(0, 500), st.booleans())
def test_maximum_kappa_is_the_maximum(seed: int, ties: bool) -> None:
    sample = made(seed, 30, ties)
    chosen = reference.cohen_kappa_score(sample.label, sample.probability >= choose(sample, Rule("max-kappa")))
    every = [reference.cohen_kappa_score(sample.label, sample.probability >= t) for t in np.unique(sample.probability)]
    assert chosen >= max(every) - 1e-12


@given(st.integers(0, 500), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]), st.booleans())
def test_a_target_is_met_as_tightly_as_it_can_be(seed: int, target: float, ties: bool) -> None:
    sample = made(seed, ties=ties)
    for place, kind in enumerate(("sensitivity", "specificity")):
        threshold = choose(sample, Rule(kind, target))  # type: ignore[arg-type]
        assert rates(sample, threshold)[place] >= target
        tighter = [t for t in cuts(sample.probability) if (t > threshold if kind == "sensitivity" else t < threshold)]
        assert all(rates(sample, t)[place] < target for t in tighter)


def test_scores_of_one_cannot_be_cut_off() -> None:
    sample = Sample(np.array([True, False]), np.array([1.0, 1.0]), np.arange(2))
    assert choose(sample, Rule("specificity", 0.9)) == 1


def test_the_band_of_doubt_has_its_rates() -> None:
    sample = made(7, 400)
    found = decide(sample, Rule("max-kappa"), (0.95, 0.9), "calib")
    assert found.doubt_from <= found.threshold <= found.doubt_to
    assert rates(sample, found.doubt_from)[0] >= 0.95
    assert rates(sample, found.doubt_to)[1] >= 0.9
    assert found.split == "calib"
    assert found.rule == "maximum kappa; uncertain from sensitivity 0.95 to specificity 0.9"


def test_a_reader_without_doubt_has_no_band() -> None:
    sample = Sample(np.arange(40) >= 20, np.r_[np.linspace(0.1, 0.2, 20), np.linspace(0.8, 0.9, 20)], np.arange(40))
    found = decide(sample, Rule("max-kappa"), (0.95, 0.95), "calib")
    assert found.doubt_from <= found.threshold <= found.doubt_to
    assert found.threshold == pytest.approx(0.5)
    without = decide(sample, Rule("fixed", 0.3), None, "calib")
    assert (without.threshold, without.doubt_from, without.doubt_to, without.rule) == (0.3, 0.3, 0.3, "fixed at 0.3")


@pytest.mark.parametrize("abnormal", [True, False])
def test_one_class_decides_nothing(abnormal: bool) -> None:
    with pytest.raises(MeasurementError, match="one label"):
        decide(Sample(np.full(5, abnormal), np.linspace(0, 1, 5), np.arange(5)), Rule("max-kappa"), None, "calib")


@pytest.mark.parametrize(
    ("text", "rule"),
    [("max-kappa", Rule("max-kappa")), ("specificity >= .9", Rule("specificity", 0.9)), ("0.35", Rule("fixed", 0.35))],
)
def test_rules_are_read(text: str, rule: Rule) -> None:
    assert read_rule(text) == rule


@pytest.mark.parametrize("text", ["", "best", "sensitivity>=90", "sensitivity<=0.9", "0", "1", "kappa>=0.5"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no rule for a threshold"):
        read_rule(text)


@pytest.mark.parametrize("text", ["", "0.95", "0.95;0.9", "95,95", "-0.1,0.5"])
def test_what_is_no_band_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="says nothing of --uncertain"):
        read_band(text)
    assert decision.read_band("none") is None
