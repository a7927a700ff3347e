"""Predictions as a table for people."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from osteon.card_text import level_in_words, levels_in_words
from osteon.content import printable
from osteon.prediction import OUT_OF_SCOPE, FilmPrediction, Prediction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osteon.results import Studies

MOST_ROWS = 200
"""Rows of the table where the same stands in a file anyway."""

WIDE = 10_000
"""Characters."""

_COLOURS = {"yes": "bold red", "doubt": "yellow", "no": "green", OUT_OF_SCOPE: "cyan", None: "magenta"}


def show(studies: Studies, most: int) -> None:
    """Print the table; beyond `most` rows it says how many more there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Where no person looks, a row stays one line however long its path is.
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table("study / film", "level", "probability", "remark", box=None, pad_edge=False, header_style="bold")
    total = 0
    for study in studies:
        told = list(_rows(study))
        total += len(told)
        for name, p, remark in told if table.row_count < most else ():
            number = "" if p.probability is None else f"{p.probability:.3f}"
            style = "bold" if p is study else ""
            table.add_row(Text(printable(name), style), Text(level_in_words(p.level), _COLOURS[p.level]), number, Text(printable(remark)))
    console.print(table)
    if table.row_count < total:
        console.print(f"... and {total - table.row_count} more rows, in the file.")


def _rows(study: Prediction) -> Iterator[tuple[str, Prediction | FilmPrediction, str]]:
    """Yield a study and each of its films: name, prediction, remark; a study that is its film stands alone."""
    films = study.films
    yield study.study, study, "; ".join(filter(None, (study.remark, films[0].overlay_file if study.is_its_film else "")))
    for film in () if study.is_its_film else films:
        name = film.film.removeprefix(f"{study.study.rstrip('/')}/")
        yield f"  {name}", film, "; ".join(filter(None, (film.remark, film.overlay_file)))


def summary(studies: Studies) -> str:
    """Return two lines: how many of what, and what the numbers are."""
    levels = Counter(s.level for s in studies)
    films, refused, outside = (sum(map(len, lists)) for lists in zip(*((s.films, s.refused, s.out_of_scope) for s in studies), strict=True))
    parts = [f"{levels[level]} {level_in_words(level)}" for level in ("yes", "doubt", "no", OUT_OF_SCOPE, None) if levels[level]]
    text = f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}, {_films(films)}: {', '.join(parts)}"
    text += f"; {_films(refused)} refused" if refused else ""
    text += f"; {_films(outside)} out of scope" if outside else ""
    text += f"; ignored: {', '.join(f'{count} {reason}' for reason, count in sorted(studies.ignored.items()))}" if studies.ignored else ""
    card = studies.card
    return f"{text}.\n{card.reference}: probability of {card.finding}, {levels_in_words(card.decision)}. Not for diagnosis."


def _films(count: int) -> str:
    return f"{count} film{'' if count == 1 else 's'}"
