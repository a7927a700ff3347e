"""Sub-commands that make an index: index, split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app

if TYPE_CHECKING:
    from polars import DataFrame

    from osteon.lab.data.index import Index, Report

PARTS = "train=0.75,tune=0.10,valid=0.15"


@app.command()
def index(
    dataset: Annotated[Path, typer.Argument(help="folder of a data set, or a table of films (CSV with the column path)")],
    out: Annotated[Path, typer.Option("-o", "--out", help="index to write: .parquet or .csv")] = Path("index.parquet"),
    no_decode: Annotated[bool, typer.Option("--no-decode", help="read names and headers alone: quick, finds no duplicates")] = False,
    allow_leaks: Annotated[bool, typer.Option("--allow-leaks", help="go on where a patient or duplicate is in two splits")] = False,
    no_count_check: Annotated[bool, typer.Option("--no-count-check", help="go on where MURA has other counts than published")] = False,
    article_csv: Annotated[Path | None, typer.Option(help="folder to write the article's four tables to as well")] = None,
    path_column: Annotated[str, typer.Option(metavar="NAME", help="column of the table that names the film")] = "path",
    label_column: Annotated[str, typer.Option(metavar="NAME", help="column of the table that holds the label")] = "label",
    abnormal: Annotated[str, typer.Option(metavar="NAME", help="what is abnormal: a label of the table, a folder, a class of boxes")] = "",
) -> None:
    """Scan a dataset and check every film.

    A dataset is a table, or a folder as MURA, FracAtlas or GRAZPEDWRI-DX
    have it; a folder a class (fractured, normal); or films with boxes
    beside them as COCO, YOLO or Pascal VOC write them.
    """
    from osteon import lab
    from osteon.cli.progress import progress_bar
    from osteon.lab.data.index import write_article_csv

    with progress_bar() as progress:
        named = lab.Named(dataset, path_column, label_column, abnormal)
        made = lab.index(named, out, decode=not no_decode, count_check=not no_count_check, allow_leaks=allow_leaks, progress=progress)
    _show(made)
    for table in write_article_csv(made.films, article_csv) if article_csv else []:
        typer.echo(f"{table}")
    if (made.films["status"] == "unreadable").any():
        raise typer.Exit(1)


@app.command()
def split(
    index: Annotated[Path, typer.Argument(help="index.parquet, from `osteon index`")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="index to write; name the same one to write over it")] = None,
    parts: Annotated[str, typer.Option(help="name=share of each part, together 1")] = PARTS,
    of: Annotated[str | None, typer.Option(help="divide this split alone, and leave the others as they are")] = None,
    folds: Annotated[
        str,
        typer.Option(
            metavar="N|FILE", help="write a column `fold` for cross-validation instead of parts; FILE: folds to take, CSV path,fold[,split]"
        ),
    ] = "",
    first: Annotated[str, typer.Option(help="with --folds N: fold 0 is this split, the other films make the other folds")] = "",
    test: Annotated[
        str,
        typer.Option(
            metavar="CONDITION",
            help="films for which this holds over the index's columns (as in SQL: width > 454) are split `test`, the others the --parts",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="another seed, another split")] = 0,
) -> None:
    """Split films at random by patient: duplicates stay together, parts are alike in study types and labels."""
    from osteon import lab
    from osteon.errors import UsageError

    if out is None:
        raise UsageError(f"say where to write the index: -o FILE. To write over {index}: -o {index}")
    if test and folds:
        raise UsageError("--test and --folds are two ways to split. Take one.")
    if first and not folds.isdigit():
        raise UsageError("--first goes with a number of folds: say how many with --folds.")
    shares = lab.Apart(test, _parts(parts)) if test else _parts(parts)
    into = lab.Folds(int(folds), first) if folds.isdigit() else folds or shares
    _show(lab.split(index, out, into=into, of=of, seed=seed))


def _parts(text: str) -> dict[str, float]:
    from osteon.errors import UsageError

    parts: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            parts[name.strip()] = float(share)
        except ValueError as fault:
            raise UsageError(f"--parts {text!r}: {part!r} is no name=share. Write them as in {PARTS}.") from fault
    return parts


def _show(index: Index) -> None:
    from osteon.cli.terminal import show, show_table
    from osteon.lab.data.index import KINDS

    report, out = index.report, index.path
    rows = list(_rows(report))
    header = ("split", "study type", "studies", "films", "abnormal films", "normal", "no label")
    show_table(header, rows, bold=[place for place, row in enumerate(rows) if row[1] == "all"])
    show_table(("fold", "films", "abnormal", "groups"), _folds(index.films))
    patients = f"{report.patients:,} patients, " if report.patients else ""
    show(f"{report.layout}: {report.films:,} films, {report.studies:,} studies, {patients}{report.groups:,} groups")
    if report.split:
        show(f"split: {report.split}")
    for kind, count in report.found.items():
        told = next((problem.reason for problem in report.findings if problem.kind == kind == "classes"), KINDS[kind])
        show(f"{count:>6,}  {kind}: {told}", "yellow")
    for name, ignored in (("hidden files", report.hidden), ("other files", report.strays)):
        if ignored.count:
            show(f"{ignored.count:>6,}  {name}, ignored: {', '.join(ignored.first[:2])}{' ...' if ignored.count > 2 else ''}")
    more = "" if report.decoded else "; no film was decoded: truncated and duplicate ones are not known"
    show(f"{out}, with {out.with_suffix('').name}.studies{out.suffix} and the problems in {out.with_suffix('').name}.report.json{more}")


def _folds(films: DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield the counts of each fold; nothing where the index has none."""
    if "fold" in films.columns:
        from polars import col
        from polars import len as count

        table = films.group_by("fold").agg(count(), (col("label") == 1).sum(), col("group").n_unique()).sort("fold")
        yield from (tuple(f"{n:,}" for n in row) for row in table.iter_rows())


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield the counts of each split and study type, and of all types of a split."""
    cells: dict[tuple[str, str], dict[str, int]] = {}
    for row in report.table:
        for key in ((str(row["split"]), str(row["study_type"])), (str(row["split"]), "all")):
            cell = cells.setdefault(key, {"studies": 0, "films": 0, "1": 0, "0": 0, "None": 0})
            cell["studies"] += int(row["studies"] or 0)
            cell["films"] += int(row["films"] or 0)
            cell[str(row["label"])] += int(row["films"] or 0)
    for (split_, kind), cell in sorted(cells.items(), key=lambda item: (item[0][0], item[0][1] == "all", item[0][1])):
        yield (split_ or "-", kind or "-", *(f"{n:,}" for n in cell.values()))
