"""The section on what was found: abnormal films that were called so, with the model's heat maps over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from osteon.lab.evaluation.localisation import in_boxes
from osteon.lab.reporting.document import Block, Gap, Section, Text
from osteon.lab.reporting.material import Material
from osteon.lab.reporting.pictured import BESIDE, MOST, Shown, pictures, reported_films


def found_section(m: Material, figures: Path) -> Section:
    """Return the section; its pictures are written into the report's folder."""
    return Section("found", "What it found", list(_blocks(m, figures)))


def _blocks(m: Material, figures: Path) -> Iterator[Block]:
    films, threshold = reported_films(m), m.measured.evaluation.plan.threshold
    if isinstance(films, Gap):
        yield films
        return
    right = films.filter((pl.col("label") == 1) & (pl.col("probability") >= threshold))
    right = right.sort("probability", "path", descending=[True, False]).with_row_index("number", offset=1)
    if right.is_empty():
        yield Gap("Not one abnormal film was called abnormal.")
        return
    # Evenly from the surest to the one that barely passed: the surest alone would flatter the model.
    chosen = right[np.unique(np.linspace(0, len(right) - 1, MOST).round().astype(int)).tolist()]
    yield Text(f"{_words(len(chosen), len(right))}{_inside(right, chosen)} {BESIDE}", m.origins.report)
    yield from pictures(m, [Shown(row, row["number"], "found") for row in chosen.to_dicts()], figures)


def _words(shown: int, right: int) -> str:
    if shown == right:
        return f"All {right} abnormal films that were called abnormal, the surest first."
    return f"{shown} of the {right} abnormal films that were called abnormal, evenly from the surest to the least sure."


def _inside(right: pl.DataFrame, chosen: pl.DataFrame) -> str:
    """Return in how many films the hottest point lies in a box: of all, since those shown are few, and of these."""
    all_marked, all_inside = _marked(right)
    if not all_marked:
        return ""
    marked, inside = _marked(chosen)
    shown = "" if len(chosen) == len(right) else f"; of those shown in {inside} of {marked}"
    return f" In {all_inside} of the {all_marked} with a marked finding the hottest point of the heat map lies inside it{shown}."


def _marked(films: pl.DataFrame) -> tuple[int, int]:
    """Return how many films have a marked finding and a peak, and how many of these peaks lie inside."""
    rows = [row for row in films.select("boxes", "peak_x", "peak_y").iter_rows() if row[0] and row[1] is not None]
    return len(rows), sum(in_boxes(x, y, boxes) for boxes, x, y in rows)
