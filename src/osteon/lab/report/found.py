"""The section on what was found: abnormal films that were called so, with the model's evidence over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osteon.lab.localisation import in_boxes
from osteon.lab.report.document import Block, Gap, Section, Text
from osteon.lab.report.material import Material
from osteon.lab.report.pictured import BESIDE, MOST, Shown, pictures, reported_films


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
    chosen = right[np.unique(np.linspace(0, len(right) - 1, MOST).round().astype(int)).tolist()].to_dicts()
    yield Text(f"{_words(len(chosen), len(right))}{_inside(chosen)} {BESIDE}", m.origins.report)
    yield from pictures(m, [Shown(row, row["number"], "found") for row in chosen], figures)


def _words(shown: int, right: int) -> str:
    if shown == right:
        return f"All {right} abnormal films that were called abnormal, the surest first."
    return f"{shown} of the {right} abnormal films that were called abnormal, evenly from the surest to the least sure."


def _inside(chosen: list[dict[str, Any]]) -> str:
    """Return how many of the shown films have their strongest evidence in a box; the localisation table says it of all."""
    marked = [row for row in chosen if row["boxes"] and row.get("peak_x") is not None]
    inside = sum(in_boxes(row["peak_x"], row["peak_y"], row["boxes"]) for row in marked)
    return f" In {inside} of these {len(marked)} with a marked finding the strongest evidence lies inside." if marked else ""
