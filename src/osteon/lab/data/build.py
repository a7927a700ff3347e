"""Dataset folder -> index: rows of a layout, each film looked at, duplicates kept together."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from osteon.film import read_film
from osteon.lab.data.duplicates import SIDE, Pair, near_duplicates, processed_twice
from osteon.lab.data.index import COLUMNS, Ignored, Report
from osteon.lab.data.inspection import inspect_films, read_headers
from osteon.lab.data.layouts import Dataset, Named, Problem, read_dataset
from osteon.lab.data.layouts.mura import check_counts
from osteon.lab.progress import Count
from osteon.network import cores

SHAPE_TOLERANCE = 0.01
"""How much the aspect ratio of a film and of the picture that its boxes were drawn on may differ."""


def build_index(
    given: str | Path | Named, *, decode: bool = True, count_check: bool = True, progress: Count | None = None
) -> tuple[pl.DataFrame, Report]:
    """Index a dataset.

    Args:
        given: A folder in a known layout, or a manifest; or one with what a person says of its names.
        decode: Decode every film, which finds the truncated and the duplicate ones; else read names and headers alone.
        count_check: Refuse a folder that is named as MURA but has other counts than the published ones.
        progress: Called with (done, total) while films are decoded.

    Returns:
        The films, sorted by path, with the columns of an index, and the report. A patient or duplicate in two splits is no error here:
        `leaks.refuse_leaks` makes it one.

    Raises:
        EmptyDataset, BadManifest, DatasetError: as `read_dataset`.
        CountMismatch: naming the differing counts.
    """
    path = given.where if isinstance(given, Named) else given
    dataset = read_dataset(given)
    if dataset.layout == "MURA" and count_check:
        check_counts(dataset, Path(os.path.abspath(path)))  # noqa: PTH100 - as read_dataset does
    files = [f"{dataset.root}/{name}" for name in dataset.films["path"]]
    seen = inspect_films(files, progress) if decode else read_headers(files)
    films = _completed(dataset, seen)
    films, misfits = _fit_boxes(films)
    films = films.with_columns(group=_merged(films["group"], _scattered(films)))
    problems = [*dataset.problems, *_unwell(films, seen), *misfits]
    if decode:
        films, duplicates = _keep_duplicates_together(films, seen["thumbnail"])
        problems += duplicates
    report = Report(dataset=str(path), layout=dataset.layout, decoded=decode, findings=problems)
    report.hidden, report.strays = Ignored.of(dataset.hidden), Ignored.of(dataset.strays)
    return films.select(*COLUMNS, *(c for c in films.columns if c not in COLUMNS)), report


def _completed(dataset: Dataset, seen: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with what was seen; where the source does not say type, view or study, the film (DICOM) may."""
    films = dataset.films.hstack(seen.drop("thumbnail", "reason")).with_columns(root=pl.lit(str(dataset.root)))
    said = {"study_type": "film_type", "view": "film_view", "study": "film_visit"}
    films = films.with_columns(pl.when(pl.col(c) == "").then(f).otherwise(c).alias(c) for c, f in said.items())
    alone = pl.col("path").str.replace(r"\.[^./]*$", "")
    films = films.with_columns(study=pl.when(pl.col("study") == "").then(alone).otherwise("study"))
    return films.with_columns(group=pl.when(pl.col("group") == "").then("study").otherwise("group")).drop(said.values())


def _fit_boxes(films: pl.DataFrame) -> tuple[pl.DataFrame, list[Problem]]:
    """Scale boxes from the picture that they were drawn on to the film; leave out those of another shape."""
    if "boxes_width" not in films.columns:
        return films, []
    across, down = pl.col("width") / pl.col("boxes_width"), pl.col("height") / pl.col("boxes_height")
    films = films.with_columns(across=across, down=down, misfit=(pl.col("boxes_width") > 1) & ((across / down - 1).abs() > SHAPE_TOLERANCE))
    found = [
        Problem(
            "boxes-misfit",
            (row["path"],),
            f"boxes drawn on {row['boxes_width']} x {row['boxes_height']}, film {row['width']} x {row['height']}",
        )
        for row in films.filter("misfit").to_dicts()
    ]
    scaled = [
        None
        if misfit
        else boxes
        if boxes is None or (x, y) in ((1, 1), (None, None))
        else [[b[0] * x, b[1] * y, b[2] * x, b[3] * y] for b in boxes]
        for boxes, x, y, misfit in films.select("boxes", "across", "down", "misfit").iter_rows()
    ]
    films = films.with_columns(pl.Series("boxes", scaled, dtype=COLUMNS["boxes"]))
    return films.drop("across", "down", "misfit", "boxes_width", "boxes_height"), found


def _unwell(films: pl.DataFrame, seen: pl.DataFrame) -> list[Problem]:
    told = films.select("path", "status").with_columns(seen["reason"]).filter(pl.col("status") != "ok").sort("status", "path")
    return [Problem(status, (path,), reason) for path, status, reason in told.iter_rows()]


def _keep_duplicates_together(films: pl.DataFrame, thumbnails: pl.Series) -> tuple[pl.DataFrame, list[Problem]]:
    """Merge the groups of duplicates, and list them; where their labels differ, that is a problem of its own."""
    films = films.with_row_index("at")
    copies = films.filter(pl.col("status") != "unreadable").group_by("sha256").agg("at").filter(pl.col("at").list.len() > 1)["at"]
    exact = sorted(list(map(int, at)) for at in copies.to_list())
    near, again = _near(films, thumbnails, exact)
    sets = exact + [[pair.first, pair.second] for pair in near + again]
    paths, labels = films["path"].to_list(), films["label"].to_list()
    found = [Problem("exact-duplicate", tuple(paths[k] for k in at), "the same bytes") for at in exact]
    found += [
        Problem("near-duplicate", (paths[p.first], paths[p.second]), f"the same exposure: their detail correlates by {p.correlation:.3f}")
        for p in near
    ]
    found += [
        Problem(
            "near-duplicate",
            (paths[p.first], paths[p.second]),
            f"the same exposure, processed in two ways: their edges agree by {p.correlation:.3f}",
        )
        for p in again
    ]
    found += [
        Problem(
            "label-conflict",
            tuple(paths[k] for k in at),
            f"duplicates with the labels {', '.join(str(labels[k]) for k in at)}; each keeps its own",
        )
        for at in sets
        if len({labels[k] for k in at} - {None}) > 1
    ]
    return films.drop("at").with_columns(group=_merged(films["group"], sets)), found


def _scattered(films: pl.DataFrame) -> list[list[int]]:
    """Return the films (positions) of each patient and each study whose films the source puts in more than one group."""
    sets = []
    for column in ("patient", "study"):
        named = films.with_row_index("at").filter(pl.col(column) != "").group_by(column).agg("at", groups=pl.n_unique("group"))
        sets += [list(map(int, at)) for at in named.filter(pl.col("groups") > 1)["at"].to_list()]
    return sets


def _near(films: pl.DataFrame, thumbnails: pl.Series, exact: list[list[int]]) -> tuple[list[Pair], list[Pair]]:
    """Return near duplicates by position, and those that differ in processing; of files with the same bytes the first stands for all."""
    again = {k for at in exact for k in at[1:]}
    usable = [k for k, small in enumerate(thumbnails) if small and k not in again]
    if len(usable) < 2:
        return [], []
    pictures = np.frombuffer(b"".join(thumbnails.gather(usable)), np.uint8).reshape(-1, SIDE, SIDE)
    files = films.select(pl.format("{}/{}", "root", "path")).to_series().gather(usable)
    near = near_duplicates(pictures)
    patients = films["patient"].gather(usable).to_list()
    processed = processed_twice(pictures, near, lambda k: read_film(files[k]).pixels, patients, cores())
    return _placed(near, usable), _placed(processed, usable)


def _placed(pairs: list[Pair], at: list[int]) -> list[Pair]:
    return [Pair(at[p.first], at[p.second], p.correlation) for p in pairs]


def _merged(groups: pl.Series, sets: list[list[int]]) -> pl.Series:
    """Return the groups, those that a set (positions) connects under the first of their names."""
    names, under = groups.to_list(), dict[str, str]()

    def first_of(name: str) -> str:
        while name in under:
            name = under[name]
        return name

    for one, *others in sets:
        for other in others:
            first, second = sorted((first_of(names[one]), first_of(names[other])))
            if first != second:
                under[second] = first
    return groups.replace({name: first_of(name) for name in under})
