"""`boxes.csv` beside the films: where findings stand, for data sets that have no file of their own for it; phantoms write it.

path,kind,x,y,width,height        path relative to the root; film pixels; a row a finding
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from osteon.errors import BadManifest
from osteon.lab.data.layouts.tree import BOXES, Problem

TABLE = "boxes.csv"
NONE = "none"
"""The kind of finding of a film that has no row."""

_EDGES = ("x", "y", "width", "height")


def with_boxes(films: pl.DataFrame, root: Path) -> tuple[pl.DataFrame, list[Problem]]:
    """Fill `boxes`, and `finding` with the kind of a film's first box, where the table stands in the root; a film without row has none.

    Raises:
        BadManifest: the table does not fit.
    """
    table = root / TABLE
    if not table.is_file():
        return films, []
    rows = _read(table)
    listed = rows.group_by("path", maintain_order=True).agg(pl.col("box").alias("listed"), pl.first("kind").alias("finding"))
    films = films.join(listed, on="path", how="left", maintain_order="left")
    films = films.with_columns(boxes=pl.coalesce("listed", pl.lit([], BOXES)), finding=pl.col("finding").fill_null(NONE)).drop("listed")
    absent = sorted(set(rows["path"]) - set(films["path"]))
    return films, [Problem("missing", tuple(absent), f"rows of {TABLE} that are not in the folder")] if absent else []


def _read(table: Path) -> pl.DataFrame:
    """Return `path`, `kind` and `box`."""
    try:
        rows = pl.read_csv(table, infer_schema=False)
        return rows.select("path", "kind", box=pl.concat_list(pl.col(edge).cast(pl.Float32) for edge in _EDGES))
    except (pl.exceptions.PolarsError, OSError) as fault:
        said = str(fault).partition("\n")[0]
        raise BadManifest(f"{table}: no boxes can be read from it ({said}). Write path,kind,{','.join(_EDGES)}.") from fault
