from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from made_model import made_card
from osteon.card import Calibration, Card, DataSource, Decision, Frame, Metric, Pooling
from osteon.errors import ModelFileError


def test_a_card_survives_its_json() -> None:
    card = made_card(
        calibration=Calibration(kind="isotonic", logits=(-2.0, 1.0), probabilities=(0.1, 0.8), split="calibration"),
        decision=Decision(threshold=0.3, doubt_from=0.2, doubt_to=0.6, rule="maximum kappa", split="calibration"),
        data=(DataSource(name="phantoms", films=12, abnormal_films=5),),
        metrics=(Metric(split="valid", level="film", group="all", name="AUROC", value=0.9, low=0.8, high=0.95, n=12, positives=5),),
        study_types=("HAND", "WRIST"),
    )
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json(card.to_json().encode()) == card


def test_reference() -> None:
    assert made_card().reference == "made@1.0.0"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": 3}, "schema 3"),
        ({"frame": {"size": 8}}, "frame.size"),
        ({"frame": {"size": 64, "aspect": "round"}}, "frame.aspect"),
        ({"pooling": {"kind": "logsumexp", "sharpness": 0}}, "pooling.sharpness"),
        ({"decision": {"threshold": 1.5}}, "decision.threshold"),
        ({"decision": {"doubt_from": 0.7, "doubt_to": 0.6}}, "doubt_from lies above"),
        ({"calibration": {"kind": "isotonic", "logits": [0.0], "probabilities": [0.5]}}, "calibration.logits"),
        ({"calibration": {"kind": "isotonic", "logits": [1.0, 0.0], "probabilities": [0.1, 0.5]}}, "calibration.logits"),
        ({"calibration": {"slope": 1e308}}, "calibration.slope"),
        ({"calibration": {"intercept": -1e308}}, "calibration.intercept"),
        ({"calibration": {"kind": "isotonic", "logits": [-1e308, 1e308], "probabilities": [0.1, 0.5]}}, "calibration.logits"),
        ({"pooling": {"kind": "logsumexp", "sharpness": 1e300}}, "pooling.sharpness"),
        ({"study_pooling": "median"}, "study_pooling"),
        ({"name": 3}, "name"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_and_the_field_named(change: dict[str, object], named: str) -> None:
    text = json.dumps(json.loads(made_card().to_json()) | change)
    with pytest.raises(ModelFileError, match=named):
        Card.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "a"}', b"\xff\xfe", "[" * 100_000, '{"name": ' * 100_000])
def test_what_is_no_card_is_refused(text: str | bytes) -> None:
    with pytest.raises(ModelFileError, match=r"card|schema"):
        Card.from_json(text)


@given(logit=st.floats(-800, 800), slope=st.floats(0.01, 5), intercept=st.floats(-5, 5))
def test_logistic_calibration_is_scipys_expit(logit: float, slope: float, intercept: float) -> None:
    card = made_card(calibration=Calibration(slope=slope, intercept=intercept))
    assert card.probability(logit) == pytest.approx(float(expit(slope * logit + intercept)), abs=1e-12)


@given(logit=st.floats(-10, 10), knots=st.lists(st.floats(-5, 5), min_size=2, max_size=6, unique=True))
def test_isotonic_calibration_is_numpys_interp(logit: float, knots: list[float]) -> None:
    xs, ys = sorted(knots), np.linspace(0.05, 0.95, len(knots))
    card = made_card(calibration=Calibration(kind="isotonic", logits=tuple(xs), probabilities=tuple(ys.tolist())))
    assert card.probability(logit) == pytest.approx(float(np.interp(logit, xs, ys)), abs=1e-9)


def test_levels_meet_at_the_thresholds() -> None:
    card = made_card(decision=Decision(doubt_from=0.2, doubt_to=0.6))
    assert [card.level(p) for p in (0, 0.1999, 0.2, 0.5999, 0.6, 1)] == ["no", "no", "doubt", "doubt", "yes", "yes"]


def test_one_threshold_leaves_no_doubt() -> None:
    assert {made_card().level(p) for p in np.linspace(0, 1, 101)} == {"no", "yes"}


def test_a_card_cannot_be_changed() -> None:
    card = Card(name="a", version="1", frame=Frame(size=64), pooling=Pooling(kind="mean"))
    with pytest.raises(AttributeError):
        card.name = "b"  # type: ignore[misc]
    assert msgspec.structs.replace(card, name="b").name == "b"
