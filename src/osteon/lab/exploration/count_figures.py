"""Figures of what was counted: patients, studies, labels, films."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from osteon.lab.exploration.counts import interval
from osteon.lab.exploration.records import ABNORMAL, ALL, NORMAL, UNLABELLED, Cell, Exploration, Tally
from osteon.lab.exploration.sheet import (
    LABEL_COLOURS,
    MARKERS,
    SPLIT_COLOURS,
    Mark,
    add_legend,
    draw_mark,
    name_rows,
    place,
    sheet,
)
from osteon.lab.tiles import SMALL, shortened

MOST_TYPES, MOST_SPLITS = 20, len(SPLIT_COLOURS)
"""How many a figure shows; with more splits it shows all of them together."""

LAST_SIZE, MOST_ABOVE = 8, 0.05
"""Sizes from this one on share a column, unless more than that share of all are above it."""

_STUDIES: dict[str, Callable[[Cell], int]] = {
    NORMAL: lambda c: c.normal_studies,
    ABNORMAL: lambda c: c.abnormal_studies,
    UNLABELLED: lambda c: c.unlabelled_studies,
}


def shown_splits(e: Exploration) -> list[str]:
    """Return the splits that figures tell apart."""
    return e.splits if len(e.splits) <= MOST_SPLITS else [ALL]


def shown_types(e: Exploration) -> list[str]:
    """Return the study types that figures show, the most frequent first."""
    return e.study_types[:MOST_TYPES]


def title(study_type: str) -> str:
    """Return how a study type is written in a figure.

    >>> title("SHOULDER"), title("all")
    ('Shoulder', 'All')
    """
    return study_type.capitalize()


def draw_patients(e: Exploration, path: Path) -> None:
    """Draw patients (groups, where no patient is named) per study type and split."""
    types, splits = shown_types(e), shown_splits(e)
    with sheet(path, e.origin, 0.75 + 0.125 * len(types) * (len(splits) + 0.8)) as [axes]:
        for k, split in enumerate(splits):
            cells = [e.cell(split, t) for t in types]
            values = [c.people if c else 0 for c in cells]
            rows = [i + place(k, len(splits)) for i in range(len(types))]
            axes.barh(rows, values, 0.8 / len(splits), color=SPLIT_COLOURS[k], label=shortened(split, 14))
            for y, value in zip(rows, values, strict=True):
                axes.text(value, y, f" {value:,}", va="center", fontsize=SMALL)
        name_rows(axes, [title(t) for t in types])
        axes.set(xlabel=f"{e.who}s")
        axes.margins(x=0.12)
        add_legend(axes, len(splits))


def draw_tally(tallies: Sequence[Tally], e: Exploration, path: Path, *, words: tuple[str, str]) -> None:
    """Draw how many parts each whole has, by split; `words` names the parts per whole, and the wholes."""
    splits, columns = shown_splits(e), size_columns(tallies)
    with sheet(path, e.origin, 2.3) as [axes]:
        for k, split in enumerate(splits):
            mine = [t for t in tallies if split in (ALL, t.split)]
            counts = np.array([sum(t.count for t in mine if low <= t.size <= high) for low, high in columns], np.float64)
            shares = 100 * counts / max(1, counts.sum())
            places = np.arange(len(columns)) + place(k, len(splits))
            axes.bar(places, shares, 0.8 / len(splits), color=SPLIT_COLOURS[k], label=f"{shortened(split, 14)} ({int(counts.sum()):,})")
            for x, share, count in zip(places, shares, counts, strict=True):
                if count:
                    axes.text(x, share, f" {int(count):,}", ha="center", va="bottom", fontsize=SMALL - 0.5, rotation=90)
        axes.set_xticks(range(len(columns)), [_column_name(*column, last=column is columns[-1]) for column in columns])
        axes.set(xlabel=words[0], ylabel=f"share of {words[1]}, %")
        axes.margins(y=0.25)
        add_legend(axes, len(splits))


def size_columns(tallies: Sequence[Tally]) -> list[tuple[int, int]]:
    """Return the columns (from, to) that sizes are drawn in: one a size where that shows nearly all, else each twice as wide as the last.

    >>> size_columns([Tally("train", 1, 90), Tally("train", 3, 10)])
    [(1, 1), (2, 2), (3, 3)]
    >>> size_columns([Tally("train", 11, 90)])[-2:]
    [(5, 8), (9, 16)]
    """
    most = max((t.size for t in tallies), default=1)
    above = sum(t.count for t in tallies if t.size >= LAST_SIZE)
    if above <= MOST_ABOVE * sum(t.count for t in tallies):
        columns = [(size, size) for size in range(1, LAST_SIZE)]
        return [*columns, (LAST_SIZE, most)] if above else columns[: max(3, most)]
    columns = [(1, 1), (2, 2)]
    while columns[-1][1] < most and len(columns) < LAST_SIZE - 2:
        columns.append((columns[-1][1] + 1, 2 * columns[-1][1]))
    return columns if columns[-1][1] >= most else [*columns, (columns[-1][1] + 1, most)]


def draw_classes(e: Exploration, path: Path) -> None:
    """Draw normal and abnormal studies per study type, and beside them the abnormal share by split with its interval."""
    types, splits = [ALL, *shown_types(e)], shown_splits(e)
    with sheet(path, e.origin, 0.85 + 0.2 * len(types), (1.15, 1)) as [left, right]:
        _stack_studies(left, e, types)
        for k, split in enumerate(splits):
            mark = Mark(SPLIT_COLOURS[k], MARKERS[k])
            for i, name in enumerate(types):
                if cell := e.cell(split, name):
                    draw_mark(right, i + place(k, len(splits), 0.6), _abnormal_percent(cell), mark)
            right.plot([], [], linestyle="", label=shortened(split, 14), **mark.look)
        right.set(xlabel="abnormal studies, %", xlim=(-2, 100))
        right.grid(axis="x", linewidth=0.3)
        add_legend(right, len(splits))
        name_rows(left, [title(t) for t in types])
        left.set(xlabel="studies")
        add_legend(left, 2)


def _abnormal_percent(cell: Cell) -> tuple[float | None, float | None, float | None]:
    if (share := cell.abnormal_share) is None:
        return None, None, None
    low, high = interval(share, min(cell.groups, cell.labelled_studies)) or (None, None)
    return 100 * share, None if low is None else 100 * low, None if high is None else 100 * high


def _stack_studies(axes: Axes, e: Exploration, types: list[str]) -> None:
    """Draw a bar for each study type; all of them together would dwarf the rest, so they are a number."""
    rows = [(y, cell) for y, name in enumerate(types) if (cell := e.cell(ALL, name))]
    left = np.zeros(len(rows))
    for word, of in _STUDIES.items():
        values = np.array([of(cell) if cell.study_type != ALL else 0 for _, cell in rows], np.float64)
        if values.any():
            axes.barh([y for y, _ in rows], values, 0.7, left=left, color=LABEL_COLOURS[word], label=word)
        left += values
    for (y, cell), value in zip(rows, left, strict=True):
        word = " studies" if cell.study_type == ALL else ""
        axes.text(value, y, f" {cell.studies:,}{word}", va="center", fontsize=SMALL)
    axes.margins(x=0.25)


def _column_name(low: int, high: int, *, last: bool) -> str:
    if low == high:
        return f"{low}"
    return f"{low} +" if last else f"{low}-{high}"
