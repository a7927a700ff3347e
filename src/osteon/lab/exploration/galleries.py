"""Films of an exploration side by side: samples of each label, duplicates, contradictory labels, files that end early.

A film is called by its study type and label alone: neither its file nor a patient is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from osteon.lab.exploration.records import WORDS
from osteon.lab.exploration.samples import Look, choose_grid, files_of, rows_of
from osteon.lab.exploration.sheet import Tile
from osteon.lab.layouts import Finding

GRID, GRID_COLUMNS = 20, 5
"""Films of a sample, and how many stand in a row."""

PAIRS, PAIR_COLUMNS = 8, 4
"""Pairs of duplicates that are shown, and films in a row."""

FAULTS, FAULT_COLUMNS = 10, 5
"""Films with a fault that are shown, and how many stand in a row."""

DUPLICATES = ("exact-duplicate", "near-duplicate")
CONFLICT, TRUNCATED = "label-conflict", "truncated"


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Films to be shown, in order, of `total` (films, or sets of duplicates); `by_label` is how many of all are normal and abnormal."""

    films: pl.DataFrame
    captions: tuple[str, ...]
    warns: tuple[bool, ...]
    columns: int
    paired: bool = False
    total: int = 0
    by_label: tuple[int, int] = (0, 0)


def samples(films: pl.DataFrame, seed: int) -> dict[int | None, Gallery]:
    """Return a gallery of each label, and of the films without one."""
    found = {}
    for label in (0, 1, None):
        chosen = choose_grid(films, label, GRID, seed)
        if chosen.height:
            found[label] = _single(chosen, GRID_COLUMNS, int(films["label"].eq_missing(label).sum()), with_label=False)
    return found


def duplicates(films: pl.DataFrame, findings: list[Finding]) -> Gallery | None:
    """Return pairs of duplicates: those with different labels first, then those in different splits; None where there are none.

    Of a set of more than two files with the same bytes the first that differ are shown, else the first two.
    """
    pairs = [_pair(rows_of(films, f)) for f in findings if f.kind in DUPLICATES]
    ranked = sorted((p for p in pairs if p is not None), key=_rank)
    if not ranked:
        return None
    shown = ranked[:PAIRS]
    captions, warns = [], []
    for number, pair in enumerate(shown, 1):
        differ = pair["label"].n_unique() > 1
        for row in pair.to_dicts():
            captions.append(f"{number}: {_title(row)}\n{WORDS[row['label']]}, {row['split']}")
            warns.append(differ)
    return Gallery(pl.concat(shown), tuple(captions), tuple(warns), PAIR_COLUMNS, paired=True, total=len(ranked))


def conflicts(films: pl.DataFrame, findings: list[Finding]) -> Gallery | None:
    """Return films whose label is contradicted by another source (a table, a folder, a duplicate); None where there are none."""
    return _faulty(pl.concat([films.clear(), *(rows_of(films, f) for f in findings if f.kind == CONFLICT)]))


def truncated(films: pl.DataFrame) -> Gallery | None:
    """Return films whose file ends early; None where there are none."""
    return _faulty(films.filter(pl.col("status") == TRUNCATED).sort("root", "path"))


def tiles(gallery: Gallery, looks: dict[str, Look]) -> list[Tile]:
    """Return what is drawn of a gallery; finding boxes where the films have them."""
    boxes = gallery.films["boxes"].to_list()
    files = files_of(gallery.films)
    told = zip(files, gallery.captions, boxes, gallery.warns, strict=True)
    return [Tile(looks[file], caption, box or (), warns) for file, caption, box, warns in told]


def _pair(rows: pl.DataFrame) -> pl.DataFrame | None:
    if rows.height < 2:
        return None
    other = (rows["label"].ne_missing(rows["label"][0])).arg_max() or 1
    return rows[[0, other]]


def _rank(pair: pl.DataFrame) -> tuple[bool, bool]:
    return pair["label"].n_unique() == 1, pair["split"].n_unique() == 1


def _faulty(films: pl.DataFrame) -> Gallery | None:
    films = films.unique(["root", "path"], keep="first", maintain_order=True)
    if not films.height:
        return None
    by_label = int((films["label"] == 0).sum()), int((films["label"] == 1).sum())
    return replace(_single(films.head(FAULTS), FAULT_COLUMNS, films.height), by_label=by_label)


def _single(films: pl.DataFrame, columns: int, total: int, with_label: bool = True) -> Gallery:
    captions = tuple(f"{_title(row)}\n{WORDS[row['label']]}" if with_label else _title(row) for row in films.to_dicts())
    return Gallery(films, captions, (False,) * films.height, columns, total=total)


def _title(row: dict[str, Any]) -> str:
    return str(row["study_type"]).capitalize()
