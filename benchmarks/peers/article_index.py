"""The baseline: how the article that osteon starts from makes its tables, written from its description.

For each study type it walks the patients' folders with `os.walk` and appends to a pandas table with `DataFrame.loc[i] = row`, one row a
film in one function and one row a study in the other; then it writes CSVs without header.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

STUDY_TYPES = ("XR_ELBOW", "XR_FINGER", "XR_FOREARM", "XR_HAND", "XR_HUMERUS", "XR_SHOULDER", "XR_WRIST")
LABELS = {"positive": 1, "negative": 0}


def studies(root: str, split: str) -> Iterator[tuple[str, list[str], int]]:
    """Yield folder, file names and label of each study."""
    for study_type in STUDY_TYPES:
        folder = os.path.join(root, split, study_type)  # noqa: PTH118 - as the article does
        for patient in next(os.walk(folder))[1]:
            for path, _, films in os.walk(os.path.join(folder, patient)):  # noqa: PTH118
                if films:
                    yield path, films, LABELS[path.rsplit("_", 1)[1]]


def image_table(root: str, split: str) -> pd.DataFrame:
    """Return a row (path, label) for each film of a split."""
    table = pd.DataFrame(columns=["path", "label"])
    i = 0
    for path, films, label in studies(root, split):
        for film in films:
            table.loc[i] = [os.path.join(path, film), label]  # noqa: PTH118
            i += 1
    return table


def study_table(root: str, split: str) -> pd.DataFrame:
    """Return a row (path, count, label) for each study of a split."""
    table = pd.DataFrame(columns=["path", "count", "label"])
    for i, (path, films, label) in enumerate(studies(root, split)):
        table.loc[i] = [path + "/", len(films), label]
    return table


def index_films(root: str, out: Path) -> int:
    """Write the two tables of films and return their rows."""
    return sum(_write(image_table(root, split), out / f"{split}_image_data.csv") for split in ("train", "valid"))


def index_studies(root: str, out: Path) -> int:
    """Write the two tables of studies and return their rows."""
    return sum(_write(study_table(root, split), out / f"{split}_study_data.csv") for split in ("train", "valid"))


def _write(table: pd.DataFrame, path: Path) -> int:
    table.to_csv(path, header=False, index=False)
    return len(table)
