"""MURA: `{train,valid}/XR_HAND/patient00001/study1_positive/image1.png`, and what it was published with.

Rajpurkar et al., arXiv 1712.06957v4. In the test layout a study's folder has no suffix and its label is unknown.
Upper and lower case are one, `validation` is `valid`, and what an unpacker adds (`study1_positive (1)`) names no other study.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from osteon.errors import BadManifest, CountMismatch, DatasetError
from osteon.lab.data.layouts.boxes import with_boxes
from osteon.lab.data.layouts.tree import BOXES, Dataset, Files, Problem
from osteon.regions import study_type

NAMED_CELLS = 5
"""How many differing counts a refusal names."""

PUBLISHED: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "train": {
        "ELBOW": (1094, 660, 2925, 2006),
        "FINGER": (1280, 655, 3138, 1968),
        "FOREARM": (590, 287, 1164, 661),
        "HAND": (1497, 521, 4059, 1484),
        "HUMERUS": (321, 271, 673, 599),
        "SHOULDER": (1364, 1457, 4211, 4168),
        "WRIST": (2134, 1326, 5765, 3987),
    },
    "valid": {
        "ELBOW": (92, 66, 235, 230),
        "FINGER": (92, 83, 214, 247),
        "FOREARM": (69, 64, 150, 151),
        "HAND": (101, 66, 271, 189),
        "HUMERUS": (68, 67, 148, 140),
        "SHOULDER": (99, 95, 285, 278),
        "WRIST": (140, 97, 364, 295),
    },
}
"""Studies normal, studies abnormal, films normal, films abnormal by split and study type (table 1 and the released files)."""

PUBLISHED_PATIENTS = {"train": 11_184, "valid": 783}

SPLITS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}
"""Folders of a split, in small letters."""
_FOLDERS = rf"(?:({'|'.join(SPLITS)})/)?XR_([^/]+)/([^/]+)/(study[^/_]*?)(?:_(positive|negative))?(?: \(\d+\))?"
_FILM = rf"(?i)^(.*?)/{_FOLDERS}/[^/]+$"
_STUDY = rf"(?i){_FOLDERS}/?$"
_SUFFIXES = {"negative": 0, "positive": 1}
_UNTOLD = "(?i)pos|neg|normal"
"""What no study's number holds, but a label that is written in another way."""

_PARTS = ("split", "type", "patient", "number", "suffix")


def read_mura(top: Path, files: Files) -> Dataset | None:
    """Return the rows of a MURA tree, None where no film stands as in MURA.

    `top` may be the root, its parent, or a folder below it; paths are relative to the root in any case, so the rows are the same.

    Raises:
        DatasetError: two trees stand below the folder, or a study's folder says its label in another way.
        BadManifest: a table of labels does not fit.
    """
    whole = pl.format("{}/{}", pl.lit(str(top)), "file")
    named = pl.DataFrame({"file": files.films}, schema={"file": pl.String}).with_columns(whole=whole)
    fields = pl.col("whole").str.extract_groups(_FILM).struct.rename_fields(["base", *_PARTS])
    named = named.with_columns(fields=fields).unnest("fields")
    placed = named.drop_nulls("base")
    if placed.is_empty():
        return None
    _check_labels(placed, top)
    root = _only_root(placed, top)
    films = _rows(placed, root)
    unplaced = named.filter(pl.col("base").is_null())["file"].to_list()
    strays = [name for name in files.others if Path(top, name).parent != root or not name.endswith(".csv")]
    films, found = _with_tables(films, root)
    films, absent = with_boxes(films, root)
    return Dataset("MURA", root, films, files.hidden, sorted(strays), unplaced, found + absent)


def check_counts(dataset: Dataset, top: Path) -> None:
    """Compare a tree whose root is named MURA-v1.1 with the published counts, as far as the folder `top` covers them.

    Raises:
        CountMismatch: naming the differing counts.
    """
    if not dataset.root.name.upper().startswith("MURA-V1.1"):
        return
    below = os.path.relpath(top, dataset.root).split("/")
    below = [] if below[0] in (".", "..") else [SPLITS.get(below[0].lower(), below[0]), *below[1:]]
    wrong = [f"{cell} {got:,} instead of {want:,}" for cell, got, want in _cells(dataset.films, below) if got != want]
    if wrong:
        more = f", and {len(wrong) - NAMED_CELLS} more" if len(wrong) > NAMED_CELLS else ""
        raise CountMismatch(
            f"{dataset.root} is named as MURA but has other counts than the published ones: {'; '.join(wrong[:NAMED_CELLS])}{more}."
            " Unpack the archive again, or go on with --no-count-check."
        )


def _cells(films: pl.DataFrame, below: list[str]) -> list[tuple[str, int, int]]:
    """Return (name, count found, count published) of every cell that a folder covers."""
    studies = films.unique("study").group_by("split", "study_type", "label").len()
    counts = films.group_by("split", "study_type", "label").len()
    got = {("studies", *row[:3]): row[3] for row in studies.iter_rows()} | {("films", *row[:3]): row[3] for row in counts.iter_rows()}
    cells = []
    for split, types in PUBLISHED.items():
        if (below and below[0] != split) or len(below) > 2:
            continue
        if not below[1:]:
            patients = films.filter(pl.col("split") == split)["patient"].n_unique()
            cells.append((f"{split}: patients", patients, PUBLISHED_PATIENTS[split]))
        for name, want in types.items():
            if below[1:] not in ([], [f"XR_{name}"]):
                continue
            keys = [(what, split, name, label) for what in ("studies", "films") for label in (0, 1)]
            words = {0: "normal", 1: "abnormal"}
            cells += [(f"{split} {name}: {words[k[3]]} {k[0]}", got.get(k, 0), n) for k, n in zip(keys, want, strict=True)]
    return cells


def _check_labels(placed: pl.DataFrame, top: Path) -> None:
    if odd := placed.filter(pl.col("number").str.contains(_UNTOLD))["file"].head(1).to_list():
        folder = os.path.dirname(f"{top}/{odd[0]}")  # noqa: PTH120 - posix already
        raise DatasetError(f"{folder}: the label of this study is not written as in MURA. Name it study1_positive or study1_negative.")


def _only_root(placed: pl.DataFrame, top: Path) -> Path:
    roots = placed["base"].unique().sort().to_list()
    if len(roots) > 1:
        raise DatasetError(f"{top}: {len(roots)} MURA trees stand below it ({roots[0]}, {roots[1]}). Index one at a time.")
    return Path(roots[0])


def _rows(placed: pl.DataFrame, root: Path) -> pl.DataFrame:
    types = {name: study_type(name) for name in placed["type"].unique()}
    split, study = _split(), _study()
    return placed.select(
        path=pl.col("whole").str.strip_prefix(f"{root}/"),
        split=split,
        study_type=pl.col("type").replace_strict(types, return_dtype=pl.String),
        view=pl.lit(""),
        patient="patient",
        study=study,
        label=pl.col("suffix").str.to_lowercase().replace_strict(_SUFFIXES, default=None, return_dtype=pl.Int8),
        group="patient",
        boxes=pl.lit(None, BOXES),
    ).sort("path")


def _split() -> pl.Expr:
    return pl.col("split").str.to_lowercase().replace_strict(SPLITS, default=None, return_dtype=pl.String).fill_null("")


def _study() -> pl.Expr:
    return pl.format("{}/XR_{}/{}/{}", _split(), "type", "patient", pl.col("number").str.to_lowercase()).str.strip_chars_start("/")


def _with_tables(films: pl.DataFrame, root: Path) -> tuple[pl.DataFrame, list[Problem]]:
    """Compare the rows with the tables that stand beside them; a table gives a label only where the folder gives none."""
    found = [
        Problem("label-conflict", (study,), "its folders say positive and negative; each film keeps its folder's label")
        for study in films.group_by("study").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1)["study"].sort()
    ]
    for split in films["split"].unique().sort():
        if (table := root / f"{split}_labeled_studies.csv").is_file():
            said, twice = _read_labels(table)
            films = films.join(said, on="study", how="left", maintain_order="left")
            found += [
                Problem("label-conflict", (study,), f"its folder and {table.name} say different labels; the folder counts")
                for study in films.filter(pl.col("label") != pl.col("said"))["study"].unique().sort()
            ]
            found += [Problem("label-conflict", (study,), f"rows of {table.name} give it both labels; the first counts") for study in twice]
            found += _absent(said["study"], films["study"], table)
            films = films.with_columns(pl.coalesce("label", "said").alias("label")).drop("said")
        if (table := root / f"{split}_image_paths.csv").is_file():
            listed = _columns(table, 1)[0].str.extract(rf"({split}/.*)$")
            found += _absent(listed.drop_nulls(), films["path"], table)
    return films, found


def _absent(listed: pl.Series, there: pl.Series, table: Path) -> list[Problem]:
    absent = listed.filter(~listed.is_in(there.implode())).unique().sort()
    return [Problem("missing", tuple(absent), f"rows of {table.name} that are not in the folder")] if len(absent) else []


def _read_labels(table: Path) -> tuple[pl.DataFrame, list[str]]:
    """Return `study` and `said` (0 or 1), and the studies that have both, of a table without header.

    A row: `MURA-v1.1/train/XR_SHOULDER/patient00001/study1_positive/,1`.
    """
    folders, labels = _columns(table, 2)
    parts = folders.str.extract_groups(_STUDY).struct.rename_fields(list(_PARTS)).struct.unnest()
    said = labels.str.strip_chars().replace_strict({"0": 0, "1": 1}, default=None, return_dtype=pl.Int8)
    rows = parts.select(study=_study(), said=said)
    if rows.null_count().sum_horizontal()[0]:
        line = int(rows.select(pl.any_horizontal(pl.all().is_null()).arg_max()).item()) + 1
        raise BadManifest(f"{table}, line {line}: no study with its label. Write <study folder>/,<0 or 1>.")
    both = rows.group_by("study", maintain_order=True).agg(pl.n_unique("said")).filter(pl.col("said") > 1)["study"].to_list()
    return rows.unique("study", keep="first", maintain_order=True), both


def _columns(table: Path, count: int) -> list[pl.Series]:
    """Return the first columns of a table without header, as text."""
    try:
        rows = pl.read_csv(table, has_header=False, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(f"{table}: no table can be read from it ({_first_line(fault)}). Take it from the archive again.") from fault
    if rows.width < count:
        raise BadManifest(f"{table}: {rows.width} columns instead of {count}. Take it from the archive again.")
    return rows.get_columns()[:count]


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
