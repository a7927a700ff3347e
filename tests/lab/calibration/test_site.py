"""The answers' edges at another hospital, moved as far as its films bear it."""

from __future__ import annotations

import numpy as np
import pytest

from osteon.card import Decision
from osteon.errors import MeasurementError
from osteon.lab.calibration.site import edges_by_labels, edges_by_normal, normal_shares
from osteon.lab.evaluation.metrics import Floats, Sample

CARD = Decision(threshold=0.5, doubt_from=0.2, doubt_to=0.5)
TARGETS = (0.95, 0.92)


def normal_films(n: int, shift: float = 0.0) -> Floats:
    """Probabilities of normal films, their log-odds shifted as another machine shifts them."""
    logits = np.random.default_rng(n).normal(-2, 1, n) + shift
    return np.asarray(1 / (1 + np.exp(-logits)))


SHARES = normal_shares(CARD, normal_films(5000))


def test_films_of_the_cards_own_kind_leave_the_edges_where_they_are() -> None:
    moved = edges_by_normal(CARD, SHARES, normal_films(4000))
    assert moved.doubt_from == pytest.approx(CARD.doubt_from, abs=0.01)
    assert moved.doubt_to == pytest.approx(CARD.doubt_to, abs=0.03)


def test_another_machines_normal_films_get_the_answers_that_the_cards_own_got() -> None:
    strange = normal_films(4000, shift=1.5)
    assert normal_shares(CARD, strange).below_doubt < SHARES.below_doubt - 0.3
    moved = edges_by_normal(CARD, SHARES, strange)
    assert normal_shares(moved, strange) == pytest.approx(SHARES, abs=0.02)
    assert moved.doubt_from < moved.threshold == moved.doubt_to


def test_few_films_move_the_edges_less_and_fewer_not_at_all() -> None:
    thirty, many = (edges_by_normal(CARD, SHARES, normal_films(n, shift=1.5)) for n in (30, 4000))
    assert CARD.doubt_from < thirty.doubt_from < many.doubt_from
    with pytest.raises(MeasurementError, match=r"29 normal films .* it takes 30"):
        edges_by_normal(CARD, SHARES, normal_films(29))


def site(normal: int, abnormal: int) -> Sample:
    probability = np.r_[normal_films(normal, shift=1.0), np.linspace(0.3, 0.99, abnormal)]
    return Sample(np.arange(normal + abnormal) >= normal, probability, np.arange(normal + abnormal))


def test_labels_count_from_twenty_abnormal_films_on() -> None:
    few = site(200, 19)
    assert edges_by_labels(CARD, SHARES, few, TARGETS) == edges_by_normal(CARD, SHARES, few.probability[:200])
    films = site(200, 20)
    moved = edges_by_labels(CARD, SHARES, films, TARGETS)
    assert (films.probability[films.label] >= moved.doubt_from).mean() >= TARGETS[0]
    assert (films.probability[~films.label] < moved.doubt_to).mean() >= TARGETS[1]
    assert "220 labelled films" in moved.rule


def test_edges_stand_in_order_where_certainty_hides_them() -> None:
    moved = edges_by_normal(CARD, SHARES, np.ones(50))
    assert 0 < moved.doubt_from <= moved.threshold <= moved.doubt_to < 1
