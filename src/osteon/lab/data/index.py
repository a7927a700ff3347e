"""The index: a table of films, a table of studies, and a report of all that is wrong with them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from osteon.atomic import whole
from osteon.errors import BadManifest, UsageError
from osteon.lab.data.layouts import Problem
from osteon.lab.data.layouts.tree import BOXES
from osteon.version import __version__

COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "path": pl.String,
    "root": pl.String,
    "split": pl.String,
    "study_type": pl.String,
    "view": pl.String,
    "patient": pl.String,
    "study": pl.String,
    "label": pl.Int8,
    "width": pl.Int32,
    "height": pl.Int32,
    "format": pl.String,
    "group": pl.String,
    "status": pl.String,
    "sha256": pl.String,
    "boxes": BOXES,
}
"""The columns of every index; `docs/architecture.md` says what they mean. Further ones are the source's own."""

KINDS = {
    "unreadable": "files that cannot be read as a radiograph: never used",
    "truncated": "truncated files, read in part",
    "exact-duplicate": "sets of files with the same bytes: each set stays in one group",
    "near-duplicate": "pairs of films of the same exposure: each pair stays in one group",
    "label-conflict": "contradictory labels: folder against table, or duplicates",
    "missing": "lists of the dataset with films that are not in the folder",
    "unplaced": "sets of films in folders that the dataset does not have: not in the index",
    "unnamed": "sets of films whose names are no Unicode: not in the index",
    "unlisted": "films that the dataset's list lacks",
    "no-boxes": "abnormal films without a marked finding",
    "boxes-misfit": "films whose boxes were drawn on a picture of another shape: left out",
    "no-patient": "sources that name no patient: films of one may stand on both sides of a split, and results are then too good",
    "classes": "sources whose labels come from names of folders or of boxes",
    "ignored-column": "columns that the index makes itself",
    "leak": "patients or duplicates in more than one split: results are then too good",
}
"""What each kind of problem is, after a count."""

SHOWN = 20
"""How many ignored files a report names."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Files that were left out: how many, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    @staticmethod
    def of(names: list[str]) -> Ignored:
        """Return the count of names, and the first few."""
        return Ignored(len(names), names[:SHOWN])


@dataclass(slots=True, kw_only=True)
class Report:
    """What `index.report.json` says.

    `findings` are the problems (the file keeps that name), `found` counts them by kind; `table` has the films and studies of each split,
    study type and label; `split` says how the films were split, "" where they stand as the dataset has them.
    """

    dataset: str
    layout: str
    decoded: bool
    osteon: str = __version__
    fingerprint: str = ""
    films: int = 0
    studies: int = 0
    patients: int = 0
    groups: int = 0
    split: str = ""
    found: dict[str, int] = field(default_factory=dict)
    hidden: Ignored = Ignored()
    strays: Ignored = Ignored()
    table: list[dict[str, str | int | None]] = field(default_factory=list)
    findings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Index:
    """An index that stands in a file: its films (the columns of `COLUMNS` and the source's own), and its report. It serves as its path."""

    path: Path
    films: pl.DataFrame
    report: Report

    def __fspath__(self) -> str:
        """Return the file."""
        return str(self.path)

    def __repr__(self) -> str:
        """Return counts of films, studies, splits and problems, and where it stands."""
        splits = ", ".join(f"{name or 'no split'} {count:,}" for name, count in self.films["split"].value_counts(sort=True).iter_rows())
        problems = sum(self.report.found.values())
        return f"<Index {self.report.films:,} films ({splits}), {self.report.studies:,} studies, {problems:,} problems, in {self.path}>"


@dataclass(frozen=True, slots=True)
class Study:
    """The films of one visit (absolute paths). `label` is 1 where any film is abnormal, None where none has a label."""

    study: str
    patient: str
    group: str
    study_type: str
    split: str
    label: int | None
    films: tuple[str, ...]


def read_index(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read an index (Parquet, or CSV) with the types of `COLUMNS`.

    Raises:
        BadManifest: there is no such file, or it is no index.
    """
    path = Path(path)
    try:
        films = _read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    except FileNotFoundError as fault:
        raise BadManifest(f"{path}: there is no such index. Make one with: osteon index DATASET -o {path}") from fault
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(f"{path}: no index can be read from it ({_line(fault)}). Make it again with osteon index.") from fault
    if missing := [c for c in COLUMNS if c not in films.columns]:
        raise BadManifest(f"{path}: no index: the column {missing[0]} is missing. Make it with: osteon index DATASET -o {path}")
    try:
        return films.with_columns(_boxes(films["boxes"])).cast(COLUMNS)  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, ValueError) as fault:
        raise BadManifest(f"{path}: a column has another type than an index ({_line(fault)}). Make it again.") from fault


def write_index(films: pl.DataFrame, path: str | Path, report: Report) -> Report:
    """Write an index with its table of studies and its report beside it, each at once or not at all.

    For `index.parquet` these are `index.studies.parquet` and `index.report.json`; with `.csv` both tables are CSV. Returns the report
    with its counts.
    """
    path = Path(path)
    _write(films, path)
    _write(study_table(films), path.with_suffix(f".studies{path.suffix}"))
    whole = replace(report, **_counts(films, report.findings))
    text = msgspec.json.format(msgspec.json.encode(whole), indent=1)
    _replace(report_path(path), lambda part: part.write_bytes(text))
    return whole


def check_rows(films: pl.DataFrame) -> None:
    """Refuse a table that is no index.

    Raises:
        BadManifest: a column is missing.
    """
    if missing := [column for column in COLUMNS if column not in films.columns]:
        raise BadManifest(f"these rows are no index: the column {missing[0]} is missing. Take what osteon.lab.index returned.")


def check_index_name(path: Path) -> None:
    """Refuse a name that no index can have.

    Raises:
        UsageError: it ends neither in .parquet nor in .csv.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{path}: an index ends in .parquet or .csv. Name it so with -o.")


def report_path(index: str | os.PathLike[str]) -> Path:
    """Return where the report of an index stands."""
    return Path(index).with_suffix(".report.json")


def read_report(index: str | os.PathLike[str]) -> Report | None:
    """Read the report beside an index, None where there is none that can be read."""
    try:
        return msgspec.json.decode(report_path(index).read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return None


def fingerprint(films: pl.DataFrame) -> str:
    """Return a sha256 of what a training sees: films, labels, study types, studies, groups, splits and boxes, in any order of rows."""
    columns = ["path", "sha256", "label", "study_type", "study", "group", "split"]
    corners = pl.col("boxes").list.eval(pl.element().list.eval(pl.element().cast(pl.String)).list.join(" ")).list.join(",")
    rows = films.select(*(pl.col(c).cast(pl.String).fill_null("?") for c in columns), corners.fill_null("?")).sort(columns)
    columns.append("boxes")
    text = rows.select(pl.concat_str(columns, separator="\t")).to_series().str.join("\n").item()
    return hashlib.sha256(text.encode()).hexdigest()


def study_table(films: pl.DataFrame) -> pl.DataFrame:
    """Return a row a study: `path` (its folder, or its film where other studies share the folder), `films` (how many), `label`."""
    shared = ["split", "study_type", "patient", "group"]
    by_study = films.sort("path").group_by("study", maintain_order=True)
    rows = by_study.agg(pl.first("path", *shared), pl.len().cast(pl.Int32).alias("films"), pl.max("label"))
    folder = pl.col("path").str.extract(r"^(.*)/[^/]*$").fill_null("")
    path = pl.when(folder.is_unique()).then(folder).otherwise("path").alias("path")
    return rows.select(path, "study", "films", "label", *shared)


def studies(films: pl.DataFrame) -> list[Study]:
    """Return the studies of an index in order of name."""
    table = films.with_columns(file=pl.format("{}/{}", "root", "path")).sort("study", "path")
    shared = ["patient", "group", "study_type", "split"]
    rows = table.group_by("study", maintain_order=True).agg(pl.first(*shared), pl.max("label"), pl.col("file"))
    return [Study(films=tuple(row.pop("file")), **row) for row in rows.to_dicts()]


def write_article_csv(films: pl.DataFrame, folder: str | Path) -> list[Path]:
    """Write the article's tables of each split: `train_study_data.csv` (path, count, label) and `train_image_data.csv` (path, label).

    No header; paths begin with the data set's folder, as in MURA's own tables. Returns the files.

    Raises:
        UsageError: no film stands in a split.
    """
    file = pl.col("root").str.extract(r"([^/]*)$") + "/" + pl.col("path")
    placed = films.filter(pl.col("split") != "").select("split", "study", "label", file=file, folder=file.str.replace(r"[^/]*$", ""))
    if placed.is_empty():
        raise UsageError("the article's tables are written a split, and the index has none. Make one with osteon split.")
    written = []
    for (split,), part in placed.sort("file").partition_by("split", as_dict=True).items():
        by_study = part.group_by("study", maintain_order=True).agg(pl.first("folder"), pl.len(), pl.max("label")).drop("study")
        for name, table in (("study", by_study), ("image", part.select("file", "label"))):
            written.append(Path(folder) / f"{split}_{name}_data.csv")
            _replace(written[-1], partial(table.write_csv, include_header=False))
    return written


def _counts(films: pl.DataFrame, problems: list[Problem]) -> dict[str, Any]:
    cells = films.group_by("split", "study_type", "label").agg(films=pl.len(), studies=pl.n_unique("study"))
    return {
        "fingerprint": fingerprint(films),
        "films": films.height,
        "studies": films["study"].n_unique(),
        "patients": films.filter(pl.col("patient") != "")["patient"].n_unique(),
        "groups": films["group"].n_unique(),
        "found": dict(Counter(problem.kind for problem in problems)),
        "table": cells.sort("split", "study_type", "label").to_dicts(),
    }


def _read_csv(path: Path) -> pl.DataFrame:
    texts = {name: kind for name, kind in COLUMNS.items() if kind == pl.String}
    films = pl.read_csv(path, infer_schema_length=None, schema_overrides=texts | {"boxes": pl.String})
    return films.with_columns(pl.col(name).fill_null("") for name in texts if name in films.columns)


def _write(table: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        if "boxes" in table.columns:
            text = [None if boxes is None else json.dumps(boxes) for boxes in table["boxes"].to_list()]
            table = table.with_columns(pl.Series("boxes", text, dtype=pl.String))
        _replace(path, table.write_csv)
    else:
        _replace(path, table.write_parquet)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    try:
        with whole(path, shared=True) as part:
            write(part)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise UsageError(f"{path}: cannot be written ({_line(fault)}). Free some space, or name another file.") from fault


def _line(fault: Exception) -> str:
    return (isinstance(fault, OSError) and fault.strerror) or str(fault).partition("\n")[0]


def _boxes(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String:
        return column
    return pl.Series("boxes", [json.loads(text) if text else None for text in column], dtype=BOXES)
