"""What the sub-commands print for people: lines, notes and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Characters of a row where no person looks: it stays one line however long its words are."""


def show(words: str, style: str = "") -> None:
    """Print a line."""
    _console().print(Text(words, style))


def show_notes(notes: Iterable[str]) -> None:
    """Print what a reader must know, a line each."""
    for note in notes:
        show(f"note: {note}", "yellow")


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", bold: Iterable[int] = ()) -> None:
    """Print a table, nothing where it has no row.

    Args:
        header: A name a column; the first column names the rows.
        rows: Cells.
        title: What stands over it.
        bold: The rows that stand out.
    """
    table = Table(*header, box=None, title=title or None, title_justify="left", title_style="bold", pad_edge=False, show_header=any(header))
    for column in table.columns[1:]:  # rather breaks a cell's interval than a word of a header
        column.min_width = max(map(len, str(column.header).split()), default=0)
    marked = set(bold)
    for number, row in enumerate(rows):
        table.add_row(*map(Text, row), style="bold" if number in marked else "")
    if table.row_count:
        _console().print(table)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)
