"""A folder whose answers are other than the card promises is said to be."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pytest

from osteon import load_model
from osteon.card import Card
from osteon.cli.unlike import unlike
from osteon.prediction import FilmPrediction, study_prediction
from osteon.results import Predictions


@pytest.fixture(scope="module")
def card() -> Card:
    return load_model().card


def folder(card: Card, *counted: tuple[Any, int]) -> Predictions:
    levels = [level for level, count in counted for level in repeat(level, count)]
    films = [FilmPrediction(f"{i}.png", level=level, card=card) for i, level in enumerate(levels)]
    return Predictions([study_prediction(film.film, [film], card) for film in films], card, {})


@pytest.mark.parametrize("prevalence", [0.0, 0.02, 0.17, 0.3])
@pytest.mark.parametrize("films", [50, 654])
def test_films_of_the_cards_own_kind_are_not_spoken_of(card: Card, films: int, prevalence: float) -> None:
    rates = {m.name: m.value or 0 for m in card.metrics if (m.level, m.group) == ("film", "all")}
    names = ("no", "doubt", "yes")
    normal, abnormal = (np.array([rates[f"share of {name} among {kind}"] for name in names]) for kind in ("normal", "abnormal"))
    share = (1 - prevalence) * normal + prevalence * abnormal
    draws = np.random.default_rng(0).multinomial(films, share / share.sum(), size=100)
    assert [told for draw in draws if (told := unlike(folder(card, *zip(names, draw.tolist(), strict=True))))] == []


def test_another_machines_films_are(card: Card) -> None:
    told = unlike(folder(card, ("no", 66), ("doubt", 174), ("yes", 60), (None, 3)))
    assert told.startswith(f"these 300 films are unlike those that {card.reference} was measured on: ")
    assert '22 % are "no", where ' in told and told.count(". ") == 1
    assert '67 % are "yes"' in unlike(folder(card, ("no", 10), ("doubt", 23), ("yes", 67)))
    assert '30 % are "out of scope"' in unlike(folder(card, ("no", 31), ("doubt", 27), ("yes", 12), ("out of scope", 30)))


def test_few_films_and_a_card_without_shares_say_nothing(card: Card) -> None:
    assert unlike(folder(card, ("yes", 49))) == ""
    bare = Card(name="bare", version="1", frame=card.frame, pooling=card.pooling)
    assert unlike(folder(bare, ("yes", 100))) == ""
