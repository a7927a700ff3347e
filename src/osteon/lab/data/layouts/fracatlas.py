"""FracAtlas as published: `images/Fractured`, `images/Non_fractured`, `dataset.csv`, `Annotations/COCO JSON`.

Abedeen et al., Scientific Data 10, 521 (2023). It names no patient and no study, so each film is a study, and what must not cross a
split is a block of neighbouring numbers: films of one patient were numbered one after the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from osteon.errors import BadManifest
from osteon.lab.data.layouts.tree import BOXES, Dataset, Files, Problem

REGIONS = ("hand", "leg", "hip", "shoulder")
VIEWS = ("frontal", "lateral", "oblique")
FLAGS = (*REGIONS, "mixed", "hardware", "multiscan", "fracture_count", *VIEWS)
BLOCK = 10
"""Numbers of a block."""

_FOLDERS = {"fractured": 1, "nonfractured": 0, "notfractured": 0}
"""Their names in small letters alone: archives that were packed again have `Non-fractured` or `non fractured`."""
_OWN = ("dataset.csv", "Annotations/", "Utilities/")


def read_fracatlas(root: Path, files: Files) -> Dataset:
    """Return the rows of a FracAtlas folder.

    The folder gives the label; where `dataset.csv` says otherwise that is a problem. Films that stand outside the two folders are
    unplaced. `study_type` is the region where the table flags one, `MIXED` where it flags several.

    Raises:
        BadManifest: `dataset.csv` or the COCO file does not fit.
    """
    placed = pl.DataFrame({"path": files.films}, schema={"path": pl.String}).with_columns(
        image_id=pl.col("path").str.split("/").list.last(),
        folder=pl.col("path")
        .str.extract(r"^[iI]mages/([^/]+)/[^/]+$")
        .str.to_lowercase()
        .str.replace_all("[^a-z]", "")
        .replace_strict(_FOLDERS, default=None, return_dtype=pl.Int8),
    )
    unplaced = placed.filter(pl.col("folder").is_null())["path"].to_list()
    strays = [p for p in files.others if not p.startswith(_OWN)]
    table = _table(root / "dataset.csv")
    films = placed.drop_nulls("folder").join(table, on="image_id", how="left", maintain_order="left")
    films = films.join(_coco(root), on="image_id", how="left", maintain_order="left").sort("path")
    blocks = Problem(
        "no-patient", ("dataset.csv",), f"no patient is named; what stays together are {BLOCK} neighbouring numbers, and duplicates"
    )
    found = [blocks, *_conflicts(films), *_unlisted(films), *_missing(table, films)]
    return Dataset("FracAtlas", root, _rows(films), files.hidden, sorted(strays), unplaced, found)


def _rows(films: pl.DataFrame) -> pl.DataFrame:
    flagged = pl.sum_horizontal(REGIONS)
    region = pl.coalesce(*(pl.when(pl.col(r) == 1).then(pl.lit(r.upper())) for r in REGIONS))
    views = [pl.when(pl.col(v) == 1).then(pl.lit(v.upper())) for v in VIEWS]
    number = pl.col("image_id").str.extract(r"(\d+)").cast(pl.Int64)
    rows = films.select(
        "path",
        split=pl.lit(""),
        study_type=pl.when(flagged > 1).then(pl.lit("MIXED")).when(flagged == 1).then(region).otherwise(pl.lit("")),
        view=pl.concat_str(views, separator="+", ignore_nulls=True),
        patient=pl.lit(""),
        study=pl.col("path").str.replace(r"\.[^./]*$", ""),
        label=pl.col("folder"),
        group=pl.when(number.is_null()).then("path").otherwise(pl.format("block{}", number // BLOCK)),
        boxes=pl.when(pl.col("folder") == 0).then(pl.coalesce("boxes", pl.lit([], BOXES))).otherwise("boxes"),
    )
    return rows.hstack(films.select("boxes_width", "boxes_height", *FLAGS))


def _table(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(
            f"{path}: no table can be read from it ({str(fault).splitlines()[0]}). Take it from the data set's archive again."
        ) from fault
    needed = ["image_id", *FLAGS, "fractured"]
    if missing := [c for c in needed if c not in table.columns]:
        raise BadManifest(f"{path}: the column {missing[0]} is missing. Take the table from the data set's archive again.")
    try:
        table = table.select("image_id", pl.col(*needed[1:]).str.strip_chars().cast(pl.Int8))
    except pl.exceptions.PolarsError as fault:
        raise BadManifest(f"{path}: a flag is no whole number ({str(fault).splitlines()[0]}). Correct it.") from fault
    twice = table.filter(pl.col("image_id").is_duplicated())
    if twice.height:
        raise BadManifest(f"{path}: {twice['image_id'][0]} has more than one row. Keep one.")
    return table


def _coco(root: Path) -> pl.DataFrame:
    """Return the fracture boxes by film, with the size of the picture that they were drawn on."""
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "image_id": pl.String,
        "boxes_width": pl.Int32,
        "boxes_height": pl.Int32,
        "boxes": BOXES,
    }
    rows: list[tuple[Any, ...]] = []
    for path in sorted((root / "Annotations" / "COCO JSON").glob("*.json")):
        try:
            coco = json.loads(path.read_bytes())
            boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in coco["images"]}
            for note in coco["annotations"]:
                boxes[note["image_id"]].append([float(edge) for edge in note["bbox"]])
            rows += [(i["file_name"], int(i["width"]), int(i["height"]), boxes[i["id"]]) for i in coco["images"]]
        except (ValueError, KeyError, TypeError) as fault:
            raise BadManifest(
                f"{path}: no COCO file ({type(fault).__name__}: {fault}). Take it from the data set's archive again."
            ) from fault
    return pl.DataFrame(rows, schema=schema, orient="row").unique("image_id", keep="first", maintain_order=True)


def _conflicts(films: pl.DataFrame) -> list[Problem]:
    said = {0: "not fractured", 1: "fractured"}
    split_up = films.filter(pl.col("folder") != pl.col("fractured"))
    found = [
        Problem(
            "label-conflict",
            (row["path"],),
            f"its folder says {said[row['folder']]}, dataset.csv {said.get(row['fractured'], row['fractured'])}"
            f" with fracture_count {row['fracture_count']}; the folder counts",
        )
        for row in split_up.to_dicts()
    ]
    both = films.group_by("image_id", maintain_order=True).agg("path").filter(pl.col("path").list.len() > 1)
    return found + [Problem("label-conflict", tuple(paths), "the same name stands in both folders") for paths in both["path"].to_list()]


def _unlisted(films: pl.DataFrame) -> list[Problem]:
    alone = films.filter(pl.col("fractured").is_null())["path"].to_list()
    unmarked = films.filter((pl.col("folder") == 1) & pl.col("boxes").is_null())["path"].to_list()
    found = [Problem("unlisted", (path,), "dataset.csv has no row for it: its region and view are unknown") for path in alone]
    return found + [Problem("no-boxes", (path,), "fractured, but the COCO file marks no fracture on it") for path in unmarked]


def _missing(table: pl.DataFrame, films: pl.DataFrame) -> list[Problem]:
    absent = table.join(films, on="image_id", how="anti")["image_id"].to_list()
    return [Problem("missing", tuple(absent), "rows of dataset.csv whose films are not in the folder")] if absent else []
