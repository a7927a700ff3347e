from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from made_model import made_card
from osteon.card import Calibration, Decision, Pooling
from osteon.film import Placement
from osteon.prediction import FilmPrediction, pool_evidence, pool_study, study_prediction

PLACEMENT = Placement(0, 0, 64, 64, 1, 1, 0, 0)
PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=11)


def film(probability: float | None, name: str = "a.png") -> FilmPrediction:
    return FilmPrediction(name, probability=probability, error="" if probability is not None else "empty")


@pytest.mark.parametrize("bias", [-2.0, 0.0, 3.5])
def test_log_sum_exp_pooling_is_scipys(bias: float) -> None:
    maps = np.random.default_rng(0).normal(0, 20, (5, 7, 9)).astype(np.float32)
    pooled = pool_evidence(maps, Pooling(kind="logsumexp", sharpness=2.5, bias=bias))
    reference = (logsumexp(2.5 * maps.astype(np.float64), axis=(1, 2)) - np.log(63)) / 2.5 + bias
    np.testing.assert_allclose(pooled, reference, rtol=1e-12)


def test_mean_pooling() -> None:
    maps = np.random.default_rng(0).normal(0, 20, (5, 7, 9)).astype(np.float32)
    np.testing.assert_allclose(pool_evidence(maps, Pooling(kind="mean", bias=1.0)), maps.astype(np.float64).mean((1, 2)) + 1, rtol=1e-12)


@pytest.mark.parametrize("kind", ["mean", "logsumexp"])
def test_a_term_added_to_every_cell_passes_through(kind: str) -> None:
    pooling, maps = Pooling(kind=kind, sharpness=2.0), np.random.default_rng(1).normal(0, 3, (4, 8, 8)).astype(np.float32)  # type: ignore[arg-type]
    np.testing.assert_allclose(pool_evidence(maps + np.float32(5), pooling), pool_evidence(maps, pooling) + 5, atol=1e-5)


def test_huge_evidence_stays_finite() -> None:
    assert np.isfinite(pool_evidence(np.array([[1e4, -1e4]], np.float32), Pooling(kind="logsumexp", sharpness=10.0)))


@given(PROBABILITIES)
def test_study_pooling(probabilities: list[float]) -> None:
    pooled = {kind: pool_study(probabilities, made_card(study_pooling=kind)) for kind in ("mean", "max", "noisy-or", "top-k")}
    assert pooled["mean"] == pytest.approx(np.mean(probabilities))
    assert pooled["max"] == max(probabilities)
    assert pooled["noisy-or"] == pytest.approx(1 - np.prod(1 - np.array(probabilities)))
    assert pooled["top-k"] == pytest.approx(np.mean(np.sort(probabilities)[-2:]))
    assert all(0 <= p <= 1 for p in pooled.values())


@pytest.mark.parametrize("kind", ["mean", "max", "noisy-or", "top-k"])
def test_one_film_is_its_study(kind: str) -> None:
    assert pool_study([0.3], made_card(study_pooling=kind)) == pytest.approx(0.3)


def test_a_film_is_calibrated_and_levelled_by_the_card() -> None:
    card = made_card(calibration=Calibration(slope=2, intercept=-1), decision=Decision(doubt_from=0.2, doubt_to=0.9))
    told = FilmPrediction("a.png", card=card, placement=PLACEMENT).answered(0.75, np.zeros((4, 4), np.float32))
    assert told.probability == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert (told.level, told.logit, told.peak) == ("doubt", 0.75, (16, 16, 0))
    assert told.without_maps().evidence is None
    assert told.without_maps().to_dict() == told.to_dict()


def test_refused_films_stay_in_the_study_and_out_of_its_number() -> None:
    told = study_prediction("study1", [film(0.9, "a"), film(None, "b"), film(0.5, "c")], made_card())
    assert told.probability == pytest.approx(0.7)
    assert (told.study, told.level, told.model, len(told.films)) == ("study1", "yes", "made@1.0.0", 3)
    assert [f.film for f in told.refused] == ["b"]


def test_a_study_of_refused_films_has_no_number() -> None:
    told = study_prediction("study1", [film(None), film(None)], made_card())
    assert (told.probability, told.level, len(told.refused)) == (None, None, 2)


def test_a_line_for_each() -> None:
    assert repr(film(0.25)) == "<FilmPrediction a.png: no answer 0.250>"
    assert repr(FilmPrediction("a.png", level="doubt", probability=0.4, truncated=True)) == (
        "<FilmPrediction a.png: uncertain 0.400, the file ends early>"
    )
    assert repr(study_prediction("a.png", [film(0.5)], made_card())) == "<Prediction a.png: yes 0.500, made@1.0.0>"
    assert repr(study_prediction("s", [film(0.5), film(None)], made_card())) == "<Prediction s: yes 0.500, 2 films, 1 refused, made@1.0.0>"
    assert repr(study_prediction("a.png", [film(None)], made_card())) == "<Prediction a.png: no answer, refused: empty, made@1.0.0>"
