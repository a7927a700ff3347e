"""Predictions -> a table for people, JSON, CSV, and the competition's CSV."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from osteon.prediction import OUT_OF_SCOPE, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osteon.batch import Answer
    from osteon.card import Card
    from osteon.results import Study
    from osteon.sources import Sources

MOST_ROWS = 200
"""Rows of the table where the same stands in a file anyway."""

WIDE = 10_000
"""Characters."""


_COLOURS = {"yes": "bold red", "doubt": "yellow", "no": "green", OUT_OF_SCOPE: "cyan", None: "magenta"}


def show(studies: Sequence[Study], most: int) -> None:
    """Print the table; beyond `most` rows it says how many more there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Where no person looks, a row stays one line however long its path is.
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table("study / film", "level", "probability", "remark", box=None, pad_edge=False, header_style="bold")
    for study in studies:
        if table.row_count >= most:
            break
        p, alone = study.prediction, study.is_its_film
        told = "" if p.probability is None else f"{p.probability:.3f}"
        remark = _remark(study.answers[0]) if alone else _counts(p)
        table.add_row(Text(p.study, "bold"), Text(p.level or "-", _COLOURS[p.level]), told, Text(remark))
        for a in () if alone else study.answers:
            f = a.prediction
            told = "" if f.probability is None else f"{f.probability:.3f}"
            name = a.source.name.removeprefix(f"{p.study.rstrip('/')}/")
            table.add_row(Text(f"  {name}"), Text(f.level or "-", _COLOURS[f.level]), told, Text(_remark(a)))
    console.print(table)
    shown = table.row_count
    total = sum(1 if s.is_its_film else 1 + len(s.answers) for s in studies)
    if shown < total:
        console.print(f"... and {total - shown} more rows, in the file.")


def _remark(answer: Answer) -> str:
    p = answer.prediction
    parts = ("refused: " + answer.error if answer.error else "", p.reason, "the file ends early" if p.truncated else "", answer.overlay)
    return "; ".join(part for part in parts if part)


def _counts(prediction: Prediction) -> str:
    films = f"{len(prediction.films)} film{'s' if len(prediction.films) > 1 else ''}"
    apart = {"refused": len(prediction.refused), OUT_OF_SCOPE: len(prediction.out_of_scope)}
    return ", ".join([films, *(f"{count} {name}" for name, count in apart.items() if count)])


def summary(studies: Sequence[Study], sources: Sources, card: Card) -> str:
    """Return two lines: how many of what, and what the numbers are."""
    levels = Counter(s.prediction.level for s in studies)
    films = sum(len(s.answers) for s in studies)
    refused = sum(len(s.prediction.refused) for s in studies)
    outside = sum(len(s.prediction.out_of_scope) for s in studies)
    parts = [f"{levels[level]} {level}" for level in ("yes", "doubt", "no", OUT_OF_SCOPE) if levels[level]]
    parts += [f"{levels[None]} without an answer"] if levels[None] else []
    counts = f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}, {films} film{'' if films == 1 else 's'}: {', '.join(parts)}"
    counts += f"; {refused} film{'' if refused == 1 else 's'} refused" if refused else ""
    counts += f"; {outside} film{'' if outside == 1 else 's'} out of scope" if outside else ""
    counts += f"; ignored: {sources.ignored_text()}" if sources.ignored else ""
    d = card.decision
    levels_text = f"yes from {d.doubt_to:.2g}" + (f", doubt from {d.doubt_from:.2g}" if d.doubt_from < d.doubt_to else "")
    return f"{counts}.\n{card.reference}: probability of {card.finding}, {levels_text}. Not for diagnosis."
