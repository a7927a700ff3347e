"""Answers -> a page for a person: one file that opens without a network, the most suspicious study first, each film with its heat map.

Pictures are drawn when a film is answered and wait in files. In the page they stand as text, which the browser turns into a picture only
when it is looked at, so that thousands of films stay usable.
"""

from __future__ import annotations

import heapq
import html
import json
import os
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from osteon.card_text import level_in_words, levels_in_words, levels_measured
from osteon.content import printable
from osteon.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from osteon.batch import Pictures
    from osteon.card import Card
    from osteon.prediction import FilmPrediction, Prediction
    from osteon.results import Studies

MOST = 2000
"""Films whose pictures the page holds at most, so that it stays below 50 megabytes."""

_PLACES = ("<!-- title -->", "<!-- introduction -->", "<!-- pictures -->", "<!-- studies -->")


def as_page(studies: Studies, folder: Path, made: datetime, pictures: Pictures | None = None) -> Iterator[str]:
    """Yield the page, piece by piece.

    Args:
        studies: In any order; the page sorts them.
        folder: Where the page will stand, from which it links overlays.
        made: When.
        pictures: Those of the `MOST` most suspicious films stand in it.
    """
    head, after_title, after_words, after_pictures, end = _template()
    yield head + html.escape(f"{studies.card.finding}: answers of {studies.card.reference}") + after_title
    yield "\n".join(_introduction(studies.card, made)) + after_words
    numbers: dict[str, int] = {}
    for film, told in _pictured(studies, pictures) if pictures else ():
        numbers[film] = len(numbers)
        yield f'<script type="text/plain" id="picture-{numbers[film]}">{told}</script>\n'
    yield after_pictures + "["
    for place, study in enumerate(studies):
        yield ("," if place else "") + json.dumps(_study(study, numbers, folder)).replace("<", "\\u003c")
    yield "]" + end


def _pictured(studies: Studies, pictures: Pictures) -> Iterator[tuple[str, str]]:
    """Yield the most suspicious films that have a picture, and it."""

    def rank(told: tuple[Prediction, FilmPrediction]) -> float:
        return -1.0 if told[0].probability is None else told[0].probability

    pairs = ((study, film) for study in studies for film in study.films if not film.error)
    for _, film in heapq.nlargest(MOST, pairs, key=rank):
        if told := pictures.of(film.film):
            yield film.film, told


def _template() -> list[str]:
    text = resources.files("osteon").joinpath("page.html").read_text(encoding="utf-8")
    pieces = []
    for place in _PLACES:
        before, _, text = text.partition(place)
        pieces.append(before)
    return [*pieces, text]


def _introduction(card: Card, made: datetime) -> Iterator[str]:
    when = made.astimezone().strftime("%Y-%m-%d %H:%M")
    yield f"<p>{html.escape(f'{card.reference} looked for: {card.finding}. Made {when} with osteon {__version__}.')}</p>"
    yield "<p><strong>For research. Not for diagnosis.</strong></p>"
    yield f"<details><summary>What the answers mean, and the limits of the model</summary><p>{html.escape(_answers(card))}</p>"
    for split in dict.fromkeys(metric.split for metric in card.metrics):
        told = list(levels_measured([m for m in card.metrics if m.split == split], "film"))
        if told:
            items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in told)
            yield f"<p>Measured on {html.escape(split)}, with 95 % intervals:</p><ul>{items}</ul>"
    yield from (f"<p>{html.escape(words)}</p>" for words in (card.intended_use, card.limits) if words)
    yield "</details>"


def _answers(card: Card) -> str:
    return (
        f"The number is a probability between 0 and 1: {levels_in_words(card.decision)}. Colour on a film says where it comes from, the "
        "ring is round the strongest place. A film out of scope is unlike the films that the model knows: it gets a reason, no number."
    )


def _study(study: Prediction, numbers: dict[str, int], folder: Path) -> dict[str, object]:
    films = [_film(film, numbers.get(film.film), folder) for film in study.films]
    return _told(study, study.study) | {"films": films}


def _film(film: FilmPrediction, number: int | None, folder: Path) -> dict[str, object]:
    link = quote(os.fsencode(os.path.relpath(film.overlay_file, folder))) if film.overlay_file else ""
    peak = film.peak and film.peak[:2]
    return _told(film, film.film) | {"remark": printable(film.remark), "picture": number, "peak": peak, "overlay": link}


def _told(answer: Prediction | FilmPrediction, name: str) -> dict[str, object]:
    return {"name": printable(name), "level": level_in_words(answer.level), "probability": answer.probability}
