"""Dataset folder -> index, split."""

from __future__ import annotations

import polars as pl

from osteon.errors import UsageError
from osteon.lab.data.build import build_index
from osteon.lab.data.index import Index, Report, check_index_name, check_rows, read_index, read_report, write_index
from osteon.lab.data.layouts import Named
from osteon.lab.data.leaks import refuse_leaks
from osteon.lab.data.splits import Into, divided
from osteon.lab.face.given import Films, PathLike, index_file, path_of
from osteon.lab.progress import Watch, counting

PARTS = {"train": 0.75, "tune": 0.10, "valid": 0.15}


def index(
    dataset: PathLike | Named,
    out: PathLike = "index.parquet",
    *,
    decode: bool = True,
    count_check: bool = True,
    allow_leaks: bool = False,
    progress: Watch | None = None,
) -> Index:
    """Scan a dataset, check every film, and write the index with its table of studies and its report.

    Args:
        dataset: A folder in a known layout (docs/how-to/own-films.md), or a manifest (CSV with the column path); with other names as
            `lab.Named("films.csv", path="file", label="diagnosis", abnormal="fractured")`.
        out: The index, .parquet or .csv.
        decode: Decode every film, which finds the truncated and the duplicate ones; else read names and headers alone.
        count_check: Refuse a folder that is named as MURA but has other counts than the published ones.
        allow_leaks: Go on where a patient or a duplicate is in two splits; the report then says so.
        progress: Called for each film.

    Raises:
        EmptyDataset, BadManifest, CountMismatch, DatasetError: as `lab.data.build.build_index`.
        LeakySplit: a patient or a duplicate is in two splits.
    """
    check_index_name(out := path_of(out, "the index"))
    where = path_of(dataset.where if isinstance(dataset, Named) else dataset, "a dataset")
    if out.exists() and out.samefile(where):
        raise UsageError(f"{out}: this is the table that is read, and would be written over. Give the index another name.")
    films, report = build_index(
        dataset if isinstance(dataset, Named) else where,
        decode=decode,
        count_check=count_check,
        progress=counting("look at films", progress),
    )
    report.findings += refuse_leaks(films, allow_leaks)
    return Index(out, films, write_index(films, out, report))


def split(
    index: Films,
    out: PathLike | None = None,
    *,
    into: Into = PARTS,
    of: str | None = None,
    seed: int = 0,
    progress: Watch | None = None,
) -> Index:
    """Split films at random by patient: duplicates stay together, parts are alike in study types and labels.

    Args:
        index: The index.
        out: The index to write; by default the same file.
        into: The share of each part (together 1); or `Folds`, a file of folds (CSV: path, fold; split), or `Apart`: films of a condition
            are the test.
        of: With shares: split this split alone, and leave the others as they are.
        seed: Another seed, another split.
        progress: Called when it is done.

    Raises:
        UsageError: shares that do not sum to 1, more folds than groups, no such split, or rows without `out`.
        BadManifest: the index, or the file of folds, cannot be read.
        LeakySplit: folds that part a patient.
    """
    if isinstance(index, pl.DataFrame):
        films, report = index, None
    else:
        file = index_file(index, None)
        films, report, out = read_index(file), read_report(file), out or file
    if out is None:
        raise UsageError("rows have no file of their own: say where to write the index (out).")
    check_index_name(out := path_of(out, "the index"))
    check_rows(films)
    report = report or Report(dataset=str(out), layout="index", decoded=bool((films["sha256"] != "").any()))
    films, report.split = divided(films, into, seed, of)
    report.findings = [f for f in report.findings if f.kind != "leak"] + refuse_leaks(films, allow=True)
    made = Index(out, films, write_index(films, out, report))
    counting("split", progress)(1, 1)
    return made
