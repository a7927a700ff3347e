"""Whether a folder's answers are such as the model's card promises: without labels, the shares of the answers are all there is."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from osteon.card_text import LEVELS, level_in_words
from osteon.prediction import OUT_OF_SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osteon.card import Card
    from osteon.results import Studies

LEAST_FILMS = 50
"""Fewer say nothing of a folder."""

MOST_ABNORMAL = 0.3
"""Share of abnormal films up to which the card's shares of the answers are allowed for."""

DEVIATIONS = 3.0
"""Standard deviations of a share of so many films that are allowed for beyond the card's intervals."""


def unlike(studies: Studies) -> str:
    """Return a sentence where the films' answers are other than the card promises; "" where they are alike, few, or it promises nothing."""
    levels: Counter[str] = Counter(film.level for study in studies for film in study.films if film.level)
    films = levels.total()
    if films < LEAST_FILMS:
        return ""
    strange = list(_strange(levels, films, studies.card))
    if not strange:
        return ""
    advice = "What its card says of its answers need not hold here: measure on labelled films of your own (osteon evaluate)"
    return f"these {films:,} films are unlike those that {studies.card.reference} was measured on: {'; '.join(strange)}. {advice}."


def _strange(levels: Counter[str], films: int, card: Card) -> Iterator[str]:
    for name, low, high in _promised(card):
        count, of = levels[name], films if name == OUT_OF_SCOPE else films - levels[OUT_OF_SCOPE]
        if of and not low - _chance(low, of) <= count / of <= high + _chance(high, of):
            told = level_in_words(name)  # type: ignore[arg-type]
            yield f'{100 * count / of:.0f} % are "{told}", where {100 * low:.0f} to {100 * high:.0f} % are expected'


def _chance(share: float, films: int) -> float:
    return DEVIATIONS * math.sqrt(share * (1 - share) / films) + 1 / films


def _promised(card: Card) -> Iterator[tuple[str, float, float]]:
    """Yield each answer with the least and the highest share that the card's intervals leave it, and how many are out of scope at most."""
    rows = {m.name: m for m in card.metrics if (m.level, m.group) == ("film", "all")}
    for level in LEVELS:
        normal, abnormal = (rows.get(f"share of {level} among {kind}") for kind in ("normal", "abnormal"))
        if normal and abnormal and None not in (ends := (normal.low, normal.high, abnormal.low, abnormal.high)):
            low, high, abnormal_low, abnormal_high = (float(end or 0) for end in ends)
            least, most = (MOST_ABNORMAL * b + (1 - MOST_ABNORMAL) * a for a, b in ((low, abnormal_low), (high, abnormal_high)))
            yield level, min(low, least), max(high, most)
    own = [r.high for r in (card.scope.measured if card.scope else ()) if not r.foreign and r.high is not None]
    if own:
        yield OUT_OF_SCOPE, 0.0, max(own)
