"""A card in words: what is not there is said, what is measured stands with its interval."""

from __future__ import annotations

import msgspec
import pytest

from made_model import made_card
from osteon.card import Frame, Int8, Int8Cost, Refusals, Scope
from osteon.card_text import GUARD_HEADER, INT8_HEADER, facts, frame_in_words, guard_rows, int8_rows


@pytest.mark.parametrize("change", [{}, {"aspect": "stretch"}, {"crop": "exposed"}, {"greys": "normalised"}])
def test_the_frame_in_words(change: dict[str, str]) -> None:
    frame = msgspec.convert({"size": 64, **change}, Frame)
    words = frame_in_words(frame)
    assert "64 x 64 pixels" in words
    assert ("exposed" in words) == (frame.crop == "exposed")
    assert ("stretched" in words) == (frame.aspect == "stretch")
    assert ("one range" in words) == (frame.greys == "normalised")


def test_what_a_card_lacks_is_said_or_empty() -> None:
    told = facts(made_card())
    assert told["guard"].startswith("none: ")
    assert told["INT8"].startswith("none: ")
    assert told["licence"] == ""


def test_the_guards_figures_say_which_are_false_refusals() -> None:
    films = Refusals(kind="films of valid", films=200, refused=2, foreign=False, low=0.003, high=0.04, note="55 groups")
    chests = Refusals(kind="chests", films=0, refused=0, foreign=True)
    rows = guard_rows(Scope(threshold=2, split="tune", rule="1 %", measured=(films, chests)))
    assert rows[0] == ("films of valid", "200", "2", "0.010", "(0.003, 0.040)", "these are false refusals; 55 groups")
    assert rows[1] == ("chests", "0", "0", "0.000", "", "")
    assert {len(row) for row in rows} == {len(GUARD_HEADER)}


def test_what_8_bits_cost() -> None:
    cost = Int8Cost(split="valid", films=400, changed=2, pointed=30, lost=1, again=12, auroc_float32=0.91, auroc=None, shift=0.05)
    [row] = int8_rows(Int8(calibrated_on="train", films=12, held="tune", layers=40, kept=2, costs=(cost,)))
    assert row == ("valid", "400", "12", "0.9100", "-", "2 (0.50%)", "30", "1", "0.050")
    assert len(row) == len(INT8_HEADER)
