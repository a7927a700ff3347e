"""A manifest: a CSV with the column `path`, and what else is known of anybody's own films.

Known columns are `patient`, `study`, `study_type`, `view`, `label`, `split`, `group`, `boxes`; any other is kept for subgroups.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl

from osteon.errors import BadManifest, EmptyDataset
from osteon.lab.data.layouts.tree import BOXES, Dataset, Problem
from osteon.regions import study_type

LABELS = {"1": 1, "abnormal": 1, "positive": 1, "true": 1, "0": 0, "normal": 0, "negative": 0, "false": 0, "": None}
"""What may stand in the column `label`, in upper or lower case."""

NAMED_ROWS = 3
"""How many rows a refusal names."""

_TEXTS = ("split", "study_type", "view", "patient", "study", "group")
_MADE = ("root", "width", "height", "format", "status", "sha256")


def read_manifest(table: Path) -> Dataset:
    """Return the rows of a manifest. Paths are relative to its folder, or absolute; what it does not say is "".

    What must not cross a split is the patient, or what a column `group` says.

    Raises:
        BadManifest: no table, no column `path`, a label or box that is none, a path that leads to no file or stands there twice.
        EmptyDataset: it has no row.
    """
    rows = _read(table)
    if rows.is_empty():
        raise EmptyDataset(f"{table}: it has a header and no row. List a film a row.")
    taken = [c for c in _MADE if c in rows.columns]
    rows = rows.drop(taken)
    films = _rows(rows, table).sort("path")
    _check_paths(films["path"].to_list(), rows["path"].to_list(), table)
    found = [Problem("ignored-column", (c,), "the index itself makes a column of this name") for c in taken]
    if (alone := films.filter(pl.col("group") == "")).height:
        found.append(
            Problem("no-patient", (table.name,), f"{alone.height} films name no patient; what stays together is the study, else the film")
        )
    return Dataset("manifest", table.parent, films, problems=found)


def _read(table: Path) -> pl.DataFrame:
    try:
        text = table.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        separator = max(",;\t", key=header.count)
        rows = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except UnicodeDecodeError as fault:
        raise BadManifest(f"{table}: it is no text in UTF-8. Save the table as CSV (UTF-8), or give the data set's folder.") from fault
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(f"{table}: no table can be read from it ({str(fault).splitlines()[0]}). Save it as CSV.") from fault
    if len({name.strip() for name in rows.columns}) < rows.width:
        raise BadManifest(f"{table}: two of its columns have one name. Name each column once.")
    rows = rows.rename(lambda name: name.strip()).with_columns(pl.all().str.strip_chars().fill_null(""))
    if "path" not in rows.columns:
        raise BadManifest(
            f"{table}: the column path is missing; its columns are {', '.join(rows.columns)}. Name a film's file in each row."
        )
    return rows


def _rows(rows: pl.DataFrame, table: Path) -> pl.DataFrame:
    path = pl.Series("path", [_relative(p, table.parent) for p in rows["path"]], dtype=pl.String)
    films = rows.with_columns(path, *(pl.lit("").alias(c) for c in _TEXTS if c not in rows.columns))
    types = {text: study_type(text) for text in films["study_type"].unique()}
    group = pl.coalesce(pl.when(pl.col(c) != "").then(c) for c in ("group", "patient"))
    films = films.with_columns(
        label=_labels(rows, table),
        boxes=_boxes(rows, table),
        group=group.fill_null(""),
        study_type=pl.col("study_type").replace_strict(types, return_dtype=pl.String),
    )
    known = ["path", *_TEXTS, "label", "boxes"]
    return films.select(*known, *(_typed(films[c]) for c in films.columns if c not in known))


def _relative(path: str, folder: Path) -> str:
    whole = Path(os.path.abspath(folder / path.replace("\\", "/")))  # noqa: PTH100 - a link keeps its name
    return Path(os.path.relpath(whole, folder)).as_posix()


def _labels(rows: pl.DataFrame, table: Path) -> pl.Series:
    if "label" not in rows.columns:
        return pl.Series("label", [None] * rows.height, dtype=pl.Int8)
    said = rows["label"].str.to_lowercase().str.strip_suffix(".0")
    if (wrong := said.is_in(list(LABELS)).not_().arg_true()).len():
        row = wrong[0]
        label = rows["label"][row]
        raise BadManifest(f"{table}, line {row + 2}: {label!r} is no label that osteon knows. Use 1 (abnormal), 0 (normal) or nothing.")
    return said.replace_strict(LABELS, return_dtype=pl.Int8)


def _boxes(rows: pl.DataFrame, table: Path) -> pl.Series:
    given = rows["boxes"] if "boxes" in rows.columns else [""] * rows.height
    return pl.Series("boxes", [_box(text, f"{table}, line {line}") for line, text in enumerate(given, 2)], dtype=BOXES)


def _box(text: str, place: str) -> list[list[float]] | None:
    if not text:
        return None
    try:
        boxes = [[float(edge) for edge in box] for box in json.loads(text)]
    except (ValueError, TypeError) as fault:
        raise BadManifest(f"{place}: no boxes: {text[:40]!r}. Write [[x, y, width, height], ...] in pixels of the film.") from fault
    if any(len(box) != 4 or min(box[2:]) <= 0 for box in boxes):
        raise BadManifest(f"{place}: a box has four numbers, x, y, width and height, the last two above 0. Correct it.")
    return boxes


def _typed(column: pl.Series) -> pl.Series:
    """Return a further column as whole numbers or numbers where all of it is that, else as text."""
    typed = column.set(column == "", None)
    for kind in (pl.Int64, pl.Float64):
        numbers = typed.cast(kind, strict=False)
        if numbers.null_count() == typed.null_count() < len(column):
            return numbers
    return column


def _check_paths(paths: list[str], written: list[str], table: Path) -> None:
    seen: set[str] = set()
    twice = [p for p in paths if p in seen or seen.add(p)]  # type: ignore[func-returns-value]
    if twice:
        raise BadManifest(f"{table}: {twice[0]} stands in more than one row. Keep one.")
    absent = [line for line, path in enumerate(written, 2) if not path or not (table.parent / path.replace("\\", "/")).is_file()]
    if absent:
        shown = ", ".join(f"line {line} ({written[line - 2]!r})" for line in absent[:NAMED_ROWS])
        raise BadManifest(f"{table}: {len(absent)} of {len(written)} rows lead to no file: {shown}. Correct the paths or delete the rows.")
