"""A folder a class: `films/fractured/*.png`, `films/normal/*.png`, as people have them, with or without `train`, `valid`, `test` above.

One class alone will do, and may be the folder itself: `normal/*.png`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import polars as pl

from osteon.errors import DatasetError
from osteon.lab.data.layouts.annotated import marks_of
from osteon.lab.data.layouts.mura import SPLITS
from osteon.lab.data.layouts.tree import BOXES, Dataset, Files, Problem

NAMES = dict.fromkeys(("fractured", "fracture", "fractures", "abnormal", "positive", "pos", "1"), 1) | dict.fromkeys(
    ("normal", "notfractured", "nonfractured", "nofracture", "unfractured", "negative", "neg", "healthy", "0"), 0
)
"""Names of folders that say a label, in small letters and digits alone."""

NAMED = 5
"""How many folders a refusal names."""


def read_classes(top: Path, files: Files, abnormal: str = "") -> Dataset | None:
    """Return the rows of a folder whose folders are the labels, None where none of them says one.

    Args:
        top: The folder.
        files: What stands below it.
        abnormal: The folder of the abnormal films, where its name says nothing; all others are then normal.

    Raises:
        DatasetError: a folder that says no label stands beside those that do, or `abnormal` is none of them.
    """
    placed = [_place(path) for path in files.films]
    found = Counter(name for _, name in placed)
    kind, marks = marks_of(top, files)
    if abnormal and kind and not any(name.lower() == abnormal.lower() for name in found):
        return None  # a class of boxes is meant
    labels = _labels(top, found, abnormal)
    if not labels:
        return None
    if strange := [name or "the folder itself" for name in found if name not in labels]:
        shown = ", ".join(f"{name} ({found.get(name, found[''])})" for name in sorted(strange)[:NAMED])
        raise DatasetError(
            f"{top}: films stand in folders that say no label: {shown}. Move them away, or say which folder is abnormal with --abnormal."
        )
    rows = {"path": files.films, "split": [split for split, _ in placed], "label": [labels[name] for _, name in placed]}
    boxes = [None if path not in marks else [box for _, box in marks[path].boxes] for path in files.films]
    sides = [(marks[path].width, marks[path].height) if path in marks else (None, None) for path in files.films]
    films = pl.DataFrame(rows, schema_overrides={"label": pl.Int8}).with_columns(
        *(pl.lit("").alias(column) for column in ("study_type", "view", "patient", "study", "group")),
        pl.Series("boxes", boxes, dtype=BOXES),
        pl.Series("boxes_width", [wide for wide, _ in sides], dtype=pl.Int32),
        pl.Series("boxes_height", [high for _, high in sides], dtype=pl.Int32),
    )
    told = ", ".join(f"{name}: {found[name]} {'abnormal' if label else 'normal'}" for name, label in sorted(labels.items()) if found[name])
    problems = [
        Problem("no-patient", (top.name,), "no patient is named; what stays together are duplicates, and the films of one DICOM study"),
        Problem("classes", (top.name,), f"labels come from the folders' names ({told})"),
    ]
    said = {(1, 0): "abnormal, and its file of boxes has none", (0, 1): "normal, and a box is on it"}
    problems += [
        Problem("label-conflict", (path,), f"its folder says {said[label, int(bool(marked))]}; the folder counts")
        for path, label, marked in films.select("path", "label", "boxes").iter_rows()
        if marked is not None and (label, int(bool(marked))) in said
    ]
    strays = [] if kind else sorted(files.others)
    return Dataset("folder a class", top, films, files.hidden, strays, problems=problems)


def _place(path: str) -> tuple[str, str]:
    """Return the split and the name of the class that a film's folders say, "" for neither."""
    folders = path.split("/")[:-1]
    split = SPLITS.get(folders[0].lower(), "") if len(folders) > 1 else ""
    folders = folders[1:] if split else folders
    return split, folders[0] if folders else ""


def _labels(top: Path, found: Counter[str], abnormal: str) -> dict[str, int]:
    if abnormal:
        if not any(name.lower() == abnormal.lower() for name in found):
            there = ", ".join(sorted(name for name in found if name)[:NAMED])
            raise DatasetError(f"{top}: no film stands in a folder {abnormal!r}; there are: {there or 'none'}. Name one of these.")
        others = [name for name in found if name and name.lower() != abnormal.lower()]
        if len(others) > 1 and (unsaid := [name for name in others if NAMES.get(_word(name)) != 0]):
            told = ", ".join(sorted(unsaid)[:NAMED])
            raise DatasetError(f"{top}: {abnormal} is abnormal, but {told} need not be normal. Move aside what is neither, or rename it.")
        return {name: int(name.lower() == abnormal.lower()) for name in found if name}
    alone = list(found) == [""]  # the folder itself is the class: all that a hospital has are normal films
    said = {name: NAMES.get(_word(top.name if alone else name)) for name in found}
    return {name: label for name, label in said.items() if label is not None}


def _word(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
