"""A dataset folder becomes rows: MURA, FracAtlas, GRAZPEDWRI-DX, a folder a class, films with boxes beside them, or a manifest.

The layout is found by what stands there.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from osteon.errors import DatasetError, EmptyDataset, UsageError
from osteon.lab.data.layouts.annotated import read_annotated
from osteon.lab.data.layouts.classes import read_classes
from osteon.lab.data.layouts.fracatlas import read_fracatlas
from osteon.lab.data.layouts.grazpedwri import is_grazpedwri, read_grazpedwri
from osteon.lab.data.layouts.manifest import Named, read_own
from osteon.lab.data.layouts.mura import read_mura
from osteon.lab.data.layouts.studies import names_studies, read_studies
from osteon.lab.data.layouts.tree import Dataset, Files, Problem, walk

__all__ = ["Dataset", "Files", "Named", "Problem", "read_dataset", "walk"]

NAMED_FOLDERS = 3
"""How many folders a refusal names."""


def read_dataset(given: str | Path | Named) -> Dataset:
    """Find the layout of a folder, or read a manifest, and return its rows sorted by path; no film is opened.

    Args:
        given: The folder or the manifest, or one with what a person says of its names.

    Raises:
        EmptyDataset: there is no such folder, or no film in it.
        DatasetError: the films stand in no known layout.
        BadManifest: a table of the data set does not fit.
        UsageError: names are said of what the data set has not.
    """
    named = given if isinstance(given, Named) else Named(given)
    path = named.where
    top = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", resolve() would lose a linked folder's name
    if not top.exists():
        raise EmptyDataset(f"{path}: there is no such folder. Give the folder of a data set, or a manifest (CSV).")
    if table := next((file for file in (top, top / "manifest.csv") if file.is_file()), None):
        return read_studies(table, named) if names_studies(table, named) else read_own(table, named)
    if named != Named(named.where, abnormal=named.abnormal):
        raise UsageError(f"{path}: columns are said of a table, and this is a folder. Leave --path-column and --label-column out.")
    if is_grazpedwri(top):
        files = walk(top)
        return _checked(read_grazpedwri(top, files), files.unnamed, named)
    if root := _fracatlas_root(top):
        files = walk(root)
        return _checked(read_fracatlas(root, files), files.unnamed, named)
    files = walk(top)
    if not files.films:
        there = f"{len(files.others)} other and {len(files.hidden)} hidden files are there"
        there += f", and {len(files.unnamed)} films whose names are no Unicode" if files.unnamed else ""
        raise EmptyDataset(f"{path}: no film (PNG, JPEG, TIFF, DICOM) below it; {there}. Give the folder that holds the films.")
    for read in (partial(read_mura, top, files), *(partial(one, top, files, named.abnormal) for one in (read_classes, read_annotated))):
        if dataset := read():
            return _checked(dataset, files.unnamed, named)
    raise DatasetError(
        f"{path}: {len(files.films)} films, the first {files.films[0]}, but in no layout that is known: MURA's folders"
        " (XR_HAND/patient00001/study1_positive), FracAtlas's (images, dataset.csv), folders fractured and normal, or boxes beside the"
        " films. Say which folder is abnormal with --abnormal, or list the films in a CSV with the column path, and index that."
    )


def _checked(dataset: Dataset, unnamed: list[str], named: Named) -> Dataset:
    """Name the films that stand in no folder of the layout, and those that no table can name.

    Raises:
        DatasetError: there is no other film, or the others have one label only: folders are spelled in another way.
        UsageError: it was said what is abnormal, and the layout itself says it.
    """
    if named.abnormal and dataset.layout in ("MURA", "FracAtlas", "GRAZPEDWRI-DX"):
        raise UsageError(f"{dataset.root}: {dataset.layout} says itself what is abnormal. Leave --abnormal {named.abnormal} out.")
    folders = sorted({os.path.dirname(name) or "." for name in dataset.unplaced})  # noqa: PTH120 - posix already
    where = f"{len(dataset.unplaced)} films stand in folders that {dataset.layout} does not have ({', '.join(folders[:NAMED_FOLDERS])})"
    labels = dataset.films["label"].drop_nulls().unique().to_list()
    if dataset.films.is_empty() or (dataset.unplaced and len(labels) == 1):
        others = f", and all {dataset.films.height} others are {'abnormal' if labels[0] else 'normal'}" if labels else ""
        raise DatasetError(
            f"{dataset.root}: {where}{others}. Name the folders as published, or list the films in a CSV with the columns path and label."
        )
    if dataset.unplaced:
        dataset.problems.append(Problem("unplaced", tuple(sorted(dataset.unplaced)), where))
    if unnamed:
        reason = f"{len(unnamed)} films have names that are no Unicode (UTF-8). Rename them, and index again"
        dataset.problems.append(Problem("unnamed", tuple(unnamed), reason))
    return dataset


def _fracatlas_root(top: Path) -> Path | None:
    """Return the folder of FracAtlas: this one, or the one inside it that its archive unpacks to."""
    tables = [top / "dataset.csv", *sorted(top.glob("*/dataset.csv"))]
    return next((t.parent for t in tables if t.is_file() and any(f.is_dir() for f in t.parent.glob("[iI]mages"))), None)
