"""A dataset folder becomes rows: MURA, FracAtlas, or a manifest of anybody's own films. The layout is found by what stands there."""

from __future__ import annotations

import os
from pathlib import Path

from osteon.errors import DatasetError, EmptyDataset
from osteon.lab.data.layouts.fracatlas import read_fracatlas
from osteon.lab.data.layouts.manifest import read_own
from osteon.lab.data.layouts.mura import read_mura
from osteon.lab.data.layouts.tree import Dataset, Files, Problem, walk

__all__ = ["Dataset", "Files", "Problem", "read_dataset", "walk"]

NAMED_FOLDERS = 3
"""How many folders a refusal names."""


def read_dataset(path: str | Path) -> Dataset:
    """Find the layout of a folder, or read a manifest, and return its rows sorted by path; no film is opened.

    Raises:
        EmptyDataset: there is no such folder, or no film in it.
        DatasetError: the films stand in no known layout.
        BadManifest: a table of the data set does not fit.
    """
    top = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", resolve() would lose a linked folder's name
    if not top.exists():
        raise EmptyDataset(f"{path}: there is no such folder. Give the folder of a data set, or a manifest (CSV).")
    if top.is_file():
        return read_own(top)
    if (table := top / "manifest.csv").is_file():
        return read_own(table)
    if root := _fracatlas_root(top):
        files = walk(root)
        return _checked(read_fracatlas(root, files), files.unnamed)
    files = walk(top)
    if not files.films:
        there = f"{len(files.others)} other and {len(files.hidden)} hidden files are there"
        there += f", and {len(files.unnamed)} films whose names are no Unicode" if files.unnamed else ""
        raise EmptyDataset(f"{path}: no film (PNG, JPEG, TIFF, DICOM) below it; {there}. Give the folder that holds the films.")
    if dataset := read_mura(top, files):
        return _checked(dataset, files.unnamed)
    raise DatasetError(
        f"{path}: {len(files.films)} films, the first {files.films[0]}, but neither MURA's folders (XR_HAND/patient00001/study1_positive)"
        " nor FracAtlas's (images, dataset.csv). List the films in a CSV with the column path, and index that."
    )


def _checked(dataset: Dataset, unnamed: list[str]) -> Dataset:
    """Name the films that stand in no folder of the layout, and those that no table can name.

    Raises:
        DatasetError: there is no other film, or the others have one label only: folders are spelled in another way.
    """
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
