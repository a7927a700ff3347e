"""A manifest of anybody's own films -> rows. Columns that osteon does not know are kept for subgroups."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from osteon.errors import BadManifest, EmptyDataset
from osteon.lab.data.layouts.tree import BOXES, Dataset, Problem
from osteon.manifest import Manifest, read_manifest
from osteon.regions import study_type

LABELS = {"1": 1, "abnormal": 1, "positive": 1, "true": 1, "0": 0, "normal": 0, "negative": 0, "false": 0, "": None}
"""What may stand in the column `label`, in upper or lower case."""

NAMED_ROWS = 3
"""How many rows a refusal names."""

NAMED_VALUES = 20
"""How many values of a column of labels are counted by name."""

_TEXTS = ("split", "study_type", "view", "patient", "study", "group")
_MADE = ("root", "width", "height", "format", "status", "sha256")


@dataclass(frozen=True, slots=True)
class Named:
    """A data set with what a person says of its names.

    Attributes:
        where: The folder or the table.
        path: The table's column that names the film.
        label: The table's column that holds the label.
        abnormal: What is abnormal: a label of the table, a folder of a folder a class, a class of boxes; "" where the names say it.
    """

    where: str | Path
    path: str = "path"
    label: str = "label"
    abnormal: str = ""


def read_own(table: Path, named: Named | None = None) -> Dataset:
    """Return the rows of a manifest. Paths are relative to its folder, or absolute; what it does not say is "".

    What must not cross a split is the patient, or what a column `group` says.

    Raises:
        BadManifest: no table, no column `path`, a label or box that is none, a path that leads to no file or stands there twice.
        EmptyDataset: it has no row.
    """
    named = named or Named(table)
    manifest = read_manifest(table, {named.path: "path", named.label: "label"})
    rows = pl.DataFrame(list(manifest.rows), schema=dict.fromkeys(manifest.columns, pl.String))
    if rows.is_empty():
        raise EmptyDataset(f"{table}: it has a header and no row. List a film a row.")
    taken = [c for c in _MADE if c in rows.columns]
    rows = rows.drop(taken)
    films = rows_of(rows, table, manifest.lines, named)
    _check_paths(films["path"].to_list(), dict(zip(manifest.lines, rows["path"], strict=True)), table)
    found = _told_values(manifest, named, table)
    found += [Problem("ignored-column", (c,), "the index itself makes a column of this name") for c in taken]
    if (alone := films.filter(pl.col("group") == "")).height:
        found.append(
            Problem("no-patient", (table.name,), f"{alone.height} films name no patient; what stays together is the study, else the film")
        )
    return Dataset("manifest", table.parent, films, problems=found)


def rows_of(rows: pl.DataFrame, table: Path, lines: tuple[int, ...], named: Named) -> pl.DataFrame:
    """Return the rows of a data set that rows of a table, which end at these lines, say.

    Raises:
        BadManifest: a label or box is none.
    """
    if named.abnormal:
        rows = rows.with_columns(_of_value(rows, named, table))
    return _rows(rows, table, lines).sort("path")


def _rows(rows: pl.DataFrame, table: Path, lines: tuple[int, ...]) -> pl.DataFrame:
    path = pl.Series("path", [_relative(p, table.parent) for p in rows["path"]], dtype=pl.String)
    films = rows.with_columns(path, *(pl.lit("").alias(c) for c in _TEXTS if c not in rows.columns))
    types = {text: study_type(text) for text in films["study_type"].unique()}
    group = pl.coalesce(pl.when(pl.col(c) != "").then(c) for c in ("group", "patient"))
    named = pl.when(pl.col("patient") != "").then("patient")  # a film without a patient belongs to the first one of its study
    patient = named.rank("dense").over("study").fill_null(1)
    of_several = (pl.col("study") != "") & (patient > 1)  # patients that number their studies alike
    films = films.with_columns(
        study=pl.when(of_several).then(pl.format("{} ({})", "study", patient)).otherwise("study"),
        label=_labels(rows, table, lines),
        boxes=_boxes(rows, table, lines),
        group=group.fill_null(""),
        study_type=pl.col("study_type").replace_strict(types, return_dtype=pl.String),
    )
    known = ["path", *_TEXTS, "label", "boxes"]
    return films.select(*known, *(_typed(films[c]) for c in films.columns if c not in known))


def _of_value(rows: pl.DataFrame, named: Named, table: Path) -> pl.Series:
    """Return labels as 1 where the column says what is abnormal, 0 where it says anything else, and nothing where it says nothing."""
    if "label" not in rows.columns:
        raise BadManifest(f"{table}: there is no column label in which {named.abnormal!r} could stand. Name it with --label-column.")
    said = rows["label"].str.to_lowercase()
    if not (said == named.abnormal.lower()).any():
        there = ", ".join(sorted(set(rows["label"]) - {""})[:NAMED_ROWS])
        raise BadManifest(f"{table}: no {named.label} is {named.abnormal!r}; there are: {there or 'none'}. Name one of these.")
    return pl.Series("label", ["" if one == "" else str(int(one == named.abnormal.lower())) for one in said])


def _told_values(manifest: Manifest, named: Named, table: Path) -> list[Problem]:
    """Say which values of the column of labels were taken as what."""
    if not named.abnormal:
        return []
    counts = Counter(row["label"] for row in manifest.rows)
    is_abnormal = named.abnormal.lower()
    meant = {value: "abnormal" if value.lower() == is_abnormal else "normal" if value else "without a label" for value in counts}
    told = ", ".join(f"{value or 'nothing'}: {count} {meant[value]}" for value, count in counts.most_common(NAMED_VALUES))
    return [Problem("classes", (table.name,), f"labels come from the column {named.label} ({told})")]


def _relative(path: str, folder: Path) -> str:
    whole = Path(os.path.abspath(folder / path))  # noqa: PTH100 - a link keeps its name
    return Path(os.path.relpath(whole, folder)).as_posix()


def _labels(rows: pl.DataFrame, table: Path, lines: tuple[int, ...]) -> pl.Series:
    if "label" not in rows.columns:
        return pl.Series("label", [None] * rows.height, dtype=pl.Int8)
    said = rows["label"].str.to_lowercase().str.strip_suffix(".0")
    if (wrong := said.is_in(list(LABELS)).not_().arg_true()).len():
        row = wrong[0]
        label = rows["label"][row]
        raise BadManifest(f"{table}, line {lines[row]}: {label!r} is no label that osteon knows. Use 1 (abnormal), 0 (normal) or nothing.")
    return said.replace_strict(LABELS, return_dtype=pl.Int8)


def _boxes(rows: pl.DataFrame, table: Path, lines: tuple[int, ...]) -> pl.Series:
    given = rows["boxes"] if "boxes" in rows.columns else [""] * rows.height
    return pl.Series("boxes", [_box(text, f"{table}, line {line}") for line, text in zip(lines, given, strict=True)], dtype=BOXES)


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


def _check_paths(paths: list[str], written: dict[int, str], table: Path) -> None:
    if twice := next((path for path, count in Counter(paths).items() if count > 1), ""):
        raise BadManifest(f"{table}: {twice} stands in more than one row. Keep one.")
    absent = [line for line, path in written.items() if not path or not os.path.isfile(table.parent / path)]  # noqa: PTH113 - names too long
    if absent:
        shown = ", ".join(f"line {line} ({written[line]!r})" for line in absent[:NAMED_ROWS])
        raise BadManifest(f"{table}: {len(absent)} of {len(written)} rows lead to no file: {shown}. Correct the paths or delete the rows.")
