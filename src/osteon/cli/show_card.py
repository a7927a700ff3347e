"""A model's card for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from osteon.card_text import GUARD_HEADER, INT8_HEADER, eight_bits, facts, guard, guard_rows, int8_rows
from osteon.cli.prediction_table import WIDE

if TYPE_CHECKING:
    from osteon.card import Card, Metric


def show_card(card: Card) -> None:
    """Print a card: the facts, the data it learned from, its figures with their intervals, its limits."""
    console = _console()
    console.print(Text(f"{card.reference}: finds {card.finding}", "bold"))
    told = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts(card).items():
        if value:
            told.add_row(Text(name, "dim"), Text(value))
    console.print(told)
    if card.data:
        console.print(_data(card))
    if card.int8 and card.int8.costs:
        console.print(_table(INT8_HEADER, int8_rows(card.int8)))
    if card.scope:
        console.print(_table(GUARD_HEADER, guard_rows(card.scope)))
    console.print(_metrics(card) if card.metrics else Text("It carries no measured figures.", "yellow"))


def show_scope(card: Card) -> None:
    """Print what a card says of its guard."""
    console = _console()
    console.print(Text(guard(card)))
    if card.scope:
        console.print(_table(GUARD_HEADER, guard_rows(card.scope)))


def show_int8(card: Card) -> None:
    """Print what a card says of its 8-bit form."""
    console = _console()
    console.print(Text(eight_bits(card.int8)))
    if card.int8:
        console.print(_table(INT8_HEADER, int8_rows(card.int8)))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _data(card: Card) -> Table:
    header = ("trained on", "split", "films", "abnormal", "studies", "licence", "fingerprint")
    rows = [
        (
            f"{d.name} ({d.source})" if d.source else d.name,
            *(d.split, f"{d.films:,}", f"{d.abnormal_films:,}", f"{d.studies:,}", d.licence, d.fingerprint[:12]),
        )
        for d in card.data
    ]
    return _table(header, rows)


def _metrics(card: Card) -> Table:
    header = ("split", "level", "group", "figure", "value", "95 % interval", "n", "abnormal", "remark")
    rows = [(m.split, m.level, m.group, m.name, *_value(m), f"{m.n:,}", f"{m.positives:,}", m.note) for m in card.metrics]
    return _table(header, rows)


def _value(m: Metric) -> tuple[str, str]:
    value = "-" if m.value is None else f"{m.value:.3f}"
    return value, "" if m.low is None or m.high is None else f"{m.low:.3f} to {m.high:.3f}"
