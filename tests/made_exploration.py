"""Indexes as tables alone, whose films need not exist: any mixture, and one with MURA's published counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from made_trees import MURA_FILMS, MURA_PATIENTS, MURA_STUDIES
from osteon.lab.data.index import COLUMNS

SECRETS = ("SMITH", "MRN4711")
"""What stands in patients, groups, studies, paths and roots of a made table, and must stand nowhere else."""


def table(rows: Iterable[dict[str, object]], **columns: list[object]) -> pl.DataFrame:
    """An index of rows that say only what matters; further columns by name."""
    usual = {"root": "/SMITH", "split": "", "study_type": "HAND", "view": "", "patient": "", "label": None, "width": 300, "height": 400}
    usual |= {"format": "PNG", "status": "ok", "sha256": "", "boxes": None}
    films = [usual | {"path": f"MRN4711/{k}.png", "study": f"MRN4711-{k}", "group": f"SMITH{k}"} | row for k, row in enumerate(rows)]
    return pl.DataFrame(films, schema=COLUMNS, orient="row").with_columns(pl.Series(name, values) for name, values in columns.items())


def written(films: pl.DataFrame, folder: Path, name: str = "index.parquet") -> Path:
    """An index file of a table, without a report."""
    folder.mkdir(parents=True, exist_ok=True)
    films.write_parquet(folder / name)
    return folder / name


def mixture(films: int, types: int = 3, seed: int = 0) -> pl.DataFrame:
    """A table of films of random size, label and split, two films a study, two studies a patient."""
    draw = np.random.default_rng(seed)
    rows = [
        {
            "patient": f"SMITH{k // 4}",
            "group": f"SMITH{k // 4}",
            "study": f"MRN4711-{k // 2}",
            "study_type": f"TYPE{k // 2 % types}",
            "split": "valid" if k // 4 % 5 == 0 else "train",
            "label": int(draw.random() < 0.4),
            "width": int(draw.integers(100, 500)),
            "height": int(draw.integers(100, 500)),
        }
        for k in range(films)
    ]
    return table(rows)


def mura_table() -> pl.DataFrame:
    """40,005 rows with MURA's published patients, studies and films."""
    rows: list[dict[str, object]] = []
    first = 1
    for at, split in enumerate(("train", "valid")):
        people, number = MURA_PATIENTS[split][0], 0
        for kind, studies in MURA_STUDIES.items():
            for label in (0, 1):
                count, films = studies[2 * at + label], MURA_FILMS[kind][2 * at + 1 - label]
                for k in range(count):
                    patient = f"patient{first + number % people:05d}"
                    study = f"{split}/XR_{kind}/{patient}/study{number // people + 1}"
                    shared = {"patient": patient, "group": patient, "study": study, "study_type": kind, "split": split, "label": label}
                    number += 1
                    rows += [
                        shared | {"path": f"{study}/image{i}.png", "width": 89 + (7 * number + i) % 424, "height": 512 - label}
                        for i in range(films // count + (k < films % count))
                    ]
        first += people
    return table(rows)
