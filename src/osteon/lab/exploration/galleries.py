"""Films side by side: samples of each label, duplicates, contradictory labels, truncated files.

A film is called by its study type, label and split alone: neither its file nor a patient is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from osteon.lab.data.layouts import Problem
from osteon.lab.exploration.count_figures import title
from osteon.lab.exploration.records import FAULTS, FILMS, WORDS, Figure
from osteon.lab.exploration.samples import Look, choose_grid, files_of, rows_of
from osteon.lab.tiles import Shown

GRID, PAIRS, MOST_FAULTS = 20, 8, 10
"""Films of a sample, pairs of duplicates, films with a fault: how many are shown."""

DUPLICATES = ("exact-duplicate", "near-duplicate")
CONFLICT, TRUNCATED = "label-conflict", "truncated"

_COLUMNS, _PAIR_COLUMNS = 5, 4
_SAMPLES = {
    0: (
        "normal",
        "Look for findings that were missed, for casts and metal implants, and for all else in which they differ from the abnormal ones.",
    ),
    1: ("abnormal", "Look for what is abnormal in each: where only metal or a cast is seen, a model learns that."),
    None: ("unlabelled", "Look whether they are of the kind that the labelled ones are."),
}


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Films to be shown, in order, with what stands over each and whether it is warned of; `figure` says what they are."""

    figure: Figure
    films: pl.DataFrame
    captions: list[str]
    warns: list[bool]
    columns: int = _COLUMNS
    paired: bool = False


def galleries(films: pl.DataFrame, problems: list[Problem], seed: int) -> list[Gallery]:
    """Return all galleries that have a film to show."""
    found = [*(sample(films, label, seed) for label in _SAMPLES), duplicates(films, problems), conflicts(films, problems), truncated(films)]
    return [gallery for gallery in found if gallery is not None]


def sample(films: pl.DataFrame, label: int | None, seed: int) -> Gallery | None:
    """Return films of one label, drawn at random, each study type in turn."""
    chosen = choose_grid(films, label, GRID, seed)
    if chosen.is_empty():
        return None
    name, look_for = _SAMPLES[label]
    kinds = ", ".join(title(t) for t in chosen["study_type"].unique(maintain_order=True))
    boxed = " Orange frames are the findings that the dataset marks." if chosen["boxes"].list.len().fill_null(0).max() else ""
    figure = Figure(
        file=f"{name}-films.png",
        section=FILMS,
        title=f"{name.capitalize()} films",
        caption=f"{chosen.height} of {films['label'].eq_missing(label).sum():,} films, drawn at random, each study type in turn."
        f"{boxed} {look_for}",
        alt=f"{chosen.height} {name} radiographs, small, of: {kinds}.",
    )
    return Gallery(figure, chosen, [title(t) for t in chosen["study_type"]], [False] * chosen.height)


def duplicates(films: pl.DataFrame, problems: list[Problem]) -> Gallery | None:
    """Return pairs of duplicates: those with different labels first, then those in different splits; None where there are none.

    Of a set of more than two files the first and one that differs from it are shown, else the first two.
    """
    pairs = [pair for f in problems if f.kind in DUPLICATES if (pair := _pair(rows_of(films, f))) is not None]
    if not pairs:
        return None
    shown = sorted(pairs, key=lambda pair: (not _differ(pair, "label"), not _differ(pair, "split")))[:PAIRS]
    differing = sum(_differ(pair, "label") for pair in shown)
    wrong = f" Red: {differing} of the pairs shown have different labels, so one of the two is wrong." if differing else ""
    figure = Figure(
        file="duplicates.png",
        section=FAULTS,
        title="Duplicates side by side",
        caption=f"{len(shown)} of {len(pairs):,} sets of files that show the same exposure; those with different labels first, then those"
        f" in different splits.{wrong} A film that stands on both sides of a split is known by heart; osteon split keeps duplicates"
        " together.",
        alt=f"{len(shown)} pairs of radiographs, each pair the same exposure twice; {differing} pairs have different labels.",
    )
    rows = [(number, row, _differ(pair, "label")) for number, pair in enumerate(shown, 1) for row in pair.to_dicts()]
    captions = [f"{number}: {title(row['study_type'])}\n{WORDS[row['label']]}, {row['split']}" for number, row, _ in rows]
    return Gallery(figure, pl.concat(shown), captions, [warns for *_, warns in rows], _PAIR_COLUMNS, paired=True)


def conflicts(films: pl.DataFrame, problems: list[Problem]) -> Gallery | None:
    """Return films whose label is contradicted by another source (a table, a folder, a duplicate); None where there are none."""
    named = pl.concat([films.clear(), *(rows_of(films, f) for f in problems if f.kind == CONFLICT)])
    found = named.unique(["root", "path"], keep="first", maintain_order=True)
    shown = found.head(MOST_FAULTS)
    figure = Figure(
        file="label-conflicts.png",
        section=FAULTS,
        title="Films with contradictory labels",
        caption=f"{shown.height} of {found.height:,} films to which two sources (folder, table, a duplicate of the film) give different"
        " labels; written above is the one that counts in the index. A person should look at them: no model can be right on both.",
        alt=f"{shown.height} radiographs with contradictory labels.",
    )
    return _labelled(figure, shown)


def truncated(films: pl.DataFrame) -> Gallery | None:
    """Return films whose file is truncated; None where there are none."""
    found = films.filter(pl.col("status") == TRUNCATED).sort("root", "path")
    shown = found.head(MOST_FAULTS)
    counts = ", ".join(f"{(found['label'].eq_missing(label)).sum():,} {word}" for label, word in WORDS.items())
    figure = Figure(
        file="truncated.png",
        section=FAULTS,
        title="Truncated files",
        caption=f"{shown.height} of {found.height:,} films whose file was cut off ({counts}): what is missing is grey at the lower edge,"
        " sometimes too little to see. They are read in part. If most have one label, that strip is a possible shortcut.",
        alt=f"{shown.height} radiographs whose files are truncated.",
    )
    return _labelled(figure, shown)


def tiles(gallery: Gallery, looks: dict[str, Look]) -> list[Shown]:
    """Return what is drawn of a gallery; finding boxes where the films have them."""
    told = zip(files_of(gallery.films), gallery.captions, gallery.films["boxes"].to_list(), gallery.warns, strict=True)
    return [Shown(looks[file].tile, caption, boxes or (), warns) for file, caption, boxes, warns in told]


def _pair(rows: pl.DataFrame) -> pl.DataFrame | None:
    if rows.height < 2:
        return None
    other = rows["label"].ne_missing(rows["label"][0]).arg_max() or 1
    return rows[[0, other]]


def _differ(pair: pl.DataFrame, column: str) -> bool:
    return pair[column].n_unique() > 1


def _labelled(figure: Figure, shown: pl.DataFrame) -> Gallery | None:
    captions = [_caption(row) for row in shown.to_dicts()]
    return Gallery(figure, shown, captions, [False] * shown.height) if captions else None


def _caption(row: dict[str, Any]) -> str:
    return f"{title(row['study_type'])}\n{WORDS[row['label']]}"
