"""GRAZPEDWRI-DX as published: `dataset.csv`, wrists of children as 16-bit PNG in `images...`, boxes as YOLO in `labels`.

Nagy et al., Scientific Data 9, 222 (2022). Patients and studies are numbered, so no split parts them.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from osteon.errors import BadManifest
from osteon.lab.data.layouts.tree import BOXES, Dataset, Files, Problem
from osteon.lab.data.layouts.yolo import read_yolo

TABLE = "dataset.csv"
FRACTURE = 3
"""The class of a fracture: boneanomaly, bonelesion, foreignbody, fracture, metal, periostealreaction, pronatorsign, softtissue, text."""

_NEEDED = ("filestem", "patient_id", "study_number", "fracture_visible")
_VIEWS = {"1": "AP", "2": "LATERAL", "3": "OBLIQUE"}
_FLAGS = ("initial_exam", "cast", "diagnosis_uncertain", "osteopenia", "metal")


def is_grazpedwri(top: Path) -> bool:
    """Return whether a folder holds its table."""
    try:
        with (top / TABLE).open(encoding="utf-8-sig") as table:
            return set(_NEEDED) <= set(table.readline().strip().split(","))
    except (OSError, UnicodeDecodeError):
        return False


def read_grazpedwri(top: Path, files: Files) -> Dataset:
    """Return the rows of the films that are there; a film without a row of the table is unplaced.

    A film is abnormal where `fracture_visible` is 1. Boxes are those of fractures, known for films that have a file in `labels`.

    Raises:
        BadManifest: the table, or a file of boxes, does not fit.
    """
    table = _table(top / TABLE)
    stem = pl.col("path").str.extract(r"([^/]+)\.[^./]*$")
    there = pl.DataFrame({"path": files.films}, schema={"path": pl.String}).with_columns(filestem=stem)
    films = there.join(table, on="filestem", how="inner", maintain_order="left")
    unplaced = there.join(table, on="filestem", how="anti")["path"].to_list()
    boxes = [_boxes(top / "labels" / f"{stem}.txt") for stem in films["filestem"]]
    rows = films.select(
        "path",
        split=pl.lit(""),
        study_type=pl.lit("WRIST"),
        view=pl.col("projection").replace_strict(_VIEWS, default="", return_dtype=pl.String),
        patient=pl.format("patient{}", "patient_id"),
        study=pl.format("patient{}/study{}", "patient_id", "study_number"),
        label=(pl.col("fracture_visible").str.strip_suffix(".0") == "1").cast(pl.Int8),
        group=pl.format("patient{}", "patient_id"),
        boxes=pl.Series(boxes, dtype=BOXES),
        boxes_width=pl.lit(1, pl.Int32),
        boxes_height=pl.lit(1, pl.Int32),
        **{flag: (pl.col(flag).str.strip_suffix(".0") == "1").cast(pl.Int8) for flag in _FLAGS},
    ).sort("path")
    absent = table.join(there, on="filestem", how="anti")["filestem"].to_list()
    problems = [Problem("missing", tuple(absent), f"rows of {TABLE} whose films are not in the folder")] if absent else []
    unmarked = rows.filter((pl.col("label") == 1) & pl.col("boxes").is_null())["path"].to_list()
    problems += [Problem("no-boxes", (path,), "fractured, but no file in labels marks a fracture on it") for path in unmarked]
    marked = rows.filter((pl.col("label") == 0) & (pl.col("boxes").list.len() > 0))["path"].to_list()
    problems += [
        Problem("label-conflict", (path,), f"{TABLE} says no fracture, and a box of one is on it; the table counts") for path in marked
    ]
    strays = [name for name in files.others if name != TABLE and not name.startswith("labels/")]
    return Dataset("GRAZPEDWRI-DX", top, rows, files.hidden, sorted(strays), unplaced, problems)


def _table(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False).with_columns(pl.all().fill_null("").str.strip_chars())
    except (pl.exceptions.PolarsError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise BadManifest(f"{path}: no table can be read from it ({said}). Take it from the data set again.") from fault
    table = table.with_columns(pl.lit("").alias(name) for name in ("projection", *_FLAGS) if name not in table.columns)
    if (odd := table.filter(~pl.col("fracture_visible").str.strip_suffix(".0").is_in(["", "0", "1"]))).height:
        raise BadManifest(f"{path}: {odd['filestem'][0]} has {odd['fracture_visible'][0]!r} for fracture_visible; it is 1, 0 or nothing.")
    if (twice := table.filter(pl.col("filestem").is_duplicated())).height:
        raise BadManifest(f"{path}: {twice['filestem'][0]} has more than one row. Keep one.")
    return table


def _boxes(file: Path) -> list[list[float]] | None:
    return [box for kind, box in read_yolo(file) if kind == FRACTURE] if file.is_file() else None
