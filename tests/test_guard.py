from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_model import made_card
from osteon.card import Card, Frame, Scope
from osteon.errors import ModelFileError
from osteon.film import Film, place, prepare
from osteon.guard import blank, novel, undeclared
from osteon.prediction import FilmPrediction, study_prediction
from osteon.regions import MURA_STUDY_TYPES, study_type

SCOPE = Scope(threshold=1.5, split="tune", rule="1 % of the films")


class TestDeclaredBodyPart:
    CARD = made_card(study_types=("HAND", "LEG"))

    @pytest.mark.parametrize("part", ["CHEST", "SKULL", "KNEE", "L-SPINE", "Wrist"])
    def test_one_that_the_model_never_learned_is_named(self, part: str) -> None:
        assert f"declares the body part {study_type(part)}, which made@1.0.0 was not" in undeclared(study_type(part), self.CARD)

    @pytest.mark.parametrize("part", ["HAND", "lower leg", "", "EXTREMITY", "XR LEFT 2 VIEWS", "UNKNOWN", "MIXED"])
    def test_its_own_and_words_that_name_no_place_are_in_scope(self, part: str) -> None:
        assert undeclared(study_type(part), self.CARD) == ""

    def test_a_card_that_knows_no_study_type_refuses_none(self) -> None:
        assert undeclared("CHEST", made_card()) == ""

    def test_the_scope_names_more_than_the_index_called_them(self) -> None:
        wider = msgspec.structs.replace(self.CARD, scope=msgspec.structs.replace(SCOPE, body_parts=("HAND", "WRIST")))
        assert undeclared("WRIST", wider) == ""
        assert undeclared("LEG", wider) != ""

    @pytest.mark.parametrize("part", MURA_STUDY_TYPES)
    def test_a_model_of_mura_covers_its_seven(self, part: str) -> None:
        card = made_card(study_types=MURA_STUDY_TYPES)
        assert undeclared(study_type(f"XR_{part}"), card) == ""
        assert undeclared("CHEST", card) != ""


class TestBlank:
    @given(grey=st.floats(0, 1), noise=st.floats(0, 0.01), height=st.integers(40, 90), width=st.integers(40, 90))
    def test_hardly_any_contrast(self, grey: float, noise: float, height: int, width: int) -> None:
        assert told(grey + np.random.default_rng(height).uniform(-noise, noise, (height, width))).startswith("blank")

    def test_a_speck_or_a_letter_does_not_make_a_film(self) -> None:
        pixels = np.full((200, 200), 0.2)
        pixels[5:12, 5:12] = 1
        assert told(pixels).startswith("blank")

    def test_padding_is_no_contrast(self) -> None:
        assert told(np.full((40, 90), 0.8) + np.linspace(0, 0.02, 90)).startswith("blank")

    def test_a_dim_limb_is_no_blank(self) -> None:
        pixels = np.full((90, 60), 0.02)
        pixels[:, 20:40] = 0.08
        assert told(pixels) == ""


def told(pixels: np.ndarray) -> str:  # type: ignore[type-arg]
    film, frame = Film(np.clip(pixels, 0, 1).astype(np.float32), "made.png", "PNG"), Frame(size=64)
    spot = place(film, frame)
    return blank(prepare(film, frame, spot), spot)


class TestNovelty:
    def test_above_the_threshold_is_out(self) -> None:
        card = made_card(scope=SCOPE)
        assert novel(1.5, card) == ""
        assert "too different from the training films (1.5; limit 1.5)" in novel(1.51, card)

    def test_a_model_without_a_guard_refuses_none(self) -> None:
        assert novel(1e9, made_card()) == ""


class TestStudy:
    INSIDE = FilmPrediction("a", logit=1.0, probability=0.8, level="yes")
    OUTSIDE = FilmPrediction("b", level="out of scope", reason="blank")
    REFUSED = FilmPrediction("c", error="empty")

    def test_is_answered_from_the_films_in_scope(self) -> None:
        told = study_prediction("s", [self.OUTSIDE, self.INSIDE, self.REFUSED], made_card())
        assert (told.probability, told.level, len(told.out_of_scope), len(told.refused)) == (0.8, "yes", 1, 1)

    def test_is_out_of_scope_where_no_film_has_a_number(self) -> None:
        for films in ([self.OUTSIDE], [self.OUTSIDE, self.REFUSED]):
            told = study_prediction("s", films, made_card())
            assert (told.probability, told.level) == (None, "out of scope")
        assert study_prediction("s", [self.REFUSED], made_card()).level is None


def test_the_card_keeps_its_scope() -> None:
    card = made_card(scope=SCOPE, study_types=("HAND",))
    assert Card.from_json(card.to_json()) == card
    assert card.body_parts == ("HAND",)


def test_a_threshold_that_is_none_is_refused() -> None:
    text = made_card(scope=SCOPE).to_json().replace('"threshold": 1.5', '"threshold": 0')
    with pytest.raises(ModelFileError, match=r"scope\.threshold"):
        Card.from_json(text)
