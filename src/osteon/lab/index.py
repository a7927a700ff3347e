"""The index: a table of films, a table of studies, and a report of all that is wrong with them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl

from osteon import __version__
from osteon.errors import BadManifest, UsageError
from osteon.lab.layouts import Finding
from osteon.lab.layouts.tree import BOXES

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

    `found` counts the findings by kind; `table` has the films and studies of each split, study type and label; `split` says how the
    films were dealt out, "" where they stand as the data set has them.
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
    findings: list[Finding] = field(default_factory=list)


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


def read_index(path: str | Path) -> pl.DataFrame:
    """Read an index (Parquet, or CSV) with the types of `COLUMNS`.

    Raises:
        BadManifest: there is no such file, or it is no index.
    """
    path = Path(path)
    try:
        films = pl.read_csv(path, infer_schema_length=None, missing_utf8_is_empty_string=True) if path.suffix == ".csv" else pl.read_parquet(path)
    except FileNotFoundError as fault:
        raise BadManifest(f"{path}: there is no such index. Make one with: osteon index DATASET -o {path}") from fault
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(f"{path}: no index can be read from it ({str(fault).splitlines()[0]}). Make it again with osteon index.") from fault
    if missing := [c for c in COLUMNS if c not in films.columns]:
        raise BadManifest(f"{path}: no index: the column {missing[0]} is missing. Make it with: osteon index DATASET -o {path}")
    try:
        return films.with_columns(_boxes(films["boxes"])).cast(COLUMNS)  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, ValueError) as fault:
        raise BadManifest(f"{path}: a column has another type than an index ({str(fault).splitlines()[0]}). Make it again.") from fault


def write_index(films: pl.DataFrame, path: str | Path, report: Report) -> None:
    """Write an index with its table of studies and its report beside it, each at once or not at all.

    For `index.parquet` these are `index.studies.parquet` and `index.report.json`; with `.csv` both tables are CSV.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(films, path)
    _write(study_table(films), path.with_suffix(f".studies{path.suffix}"))
    text = msgspec.json.format(msgspec.json.encode(_counted(report, films)), indent=1)
    _replace(report_path(path), lambda part: part.write_bytes(text))


def report_path(index: str | Path) -> Path:
    """Return where the report of an index stands."""
    return Path(index).with_suffix(".report.json")


def read_report(index: str | Path) -> Report | None:
    """Read the report beside an index, None where there is none that can be read."""
    try:
        return msgspec.json.decode(report_path(index).read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return None


def fingerprint(films: pl.DataFrame) -> str:
    """Return a sha256 of what a training sees: paths, contents, labels, studies, groups and splits, in any order of rows."""
    columns = ["path", "sha256", "label", "study", "group", "split"]
    rows = films.select(pl.col(c).cast(pl.String).fill_null("?") for c in columns).sort(columns)
    text = rows.select(pl.concat_str(columns, separator="\t")).to_series().str.join("\n").item()
    return hashlib.sha256(text.encode()).hexdigest()


def study_table(films: pl.DataFrame) -> pl.DataFrame:
    """Return a row a study: `path` (its folder, or its film where it has one alone), `study`, `films`, `label`, and what its films share."""
    shared = ["split", "study_type", "patient", "group"]
    rows = films.sort("path").group_by("study", maintain_order=True).agg(pl.first("path"), *(pl.first(c) for c in shared), pl.len().alias("films"), pl.max("label"))
    folder = pl.col("path").str.extract(r"^(.*)/[^/]*$").fill_null("")
    path = pl.when(folder.is_unique()).then(folder).otherwise("path")
    return rows.select(path=path, study="study", films=pl.col("films").cast(pl.Int32), label="label", **{c: pl.col(c) for c in shared})


def studies(films: pl.DataFrame) -> list[Study]:
    """Return the studies of an index in order of name."""
    table = films.with_columns(file=pl.format("{}/{}", "root", "path")).sort("study", "path")
    shared = ["patient", "group", "study_type", "split"]
    rows = table.group_by("study", maintain_order=True).agg(*(pl.first(c) for c in shared), pl.max("label"), pl.col("file"))
    return [Study(**{**row, "films": tuple(row.pop("file"))}) for row in rows.to_dicts()]


def write_article_csv(films: pl.DataFrame, folder: str | Path) -> list[Path]:
    """Write the article's tables of each split: `train_study_data.csv` (path, count, label) and `train_image_data.csv` (path, label).

    No header; paths begin with the data set's folder, as in MURA's own tables. Returns the files.

    Raises:
        UsageError: no film stands in a split.
    """
    placed = films.filter(pl.col("split") != "").with_columns(file=pl.col("root").str.extract(r"([^/]*)$") + "/" + pl.col("path"))
    if placed.is_empty():
        raise UsageError("the article's tables are written a split, and the index has none. Make one with osteon split.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for (split,), part in placed.sort("path").partition_by("split", as_dict=True).items():
        part = part.with_columns(folder=pl.col("file").str.replace(r"[^/]*$", ""))
        by_study = part.group_by("study", maintain_order=True).agg(pl.first("folder"), pl.len(), pl.max("label")).drop("study")
        for name, table in ((f"{split}_study_data.csv", by_study), (f"{split}_image_data.csv", part.select("file", "label"))):
            written.append(folder / name)
            table.write_csv(folder / name, include_header=False)
    return written


def _counted(report: Report, films: pl.DataFrame) -> Report:
    table = films.group_by("split", "study_type", "label").agg(films=pl.len(), studies=pl.n_unique("study")).sort("split", "study_type", "label")
    return msgspec.structs.replace(report) if False else Report(
        **{f: getattr(report, f) for f in ("dataset", "layout", "decoded", "split", "hidden", "strays", "findings")},
        fingerprint=fingerprint(films), films=films.height, studies=films["study"].n_unique(),
        patients=films.filter(pl.col("patient") != "")["patient"].n_unique(), groups=films["group"].n_unique(),
        found=dict(Counter(f.kind for f in report.findings)), table=table.to_dicts(),
    )
