"""Synthetic films to measure with, and folders of very many."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from osteon.lab.data.build import build_index
from osteon.lab.data.index import write_index
from osteon.lab.phantom.film import make_film
from osteon.regions import MURA_STUDY_TYPES

SIDE = 512
"""Longest side of MURA's films, pixels."""


def make_films(folder: Path, count: int, side: int = SIDE) -> list[Path]:
    """Write synthetic films of all study types as 8-bit grey PNG, the longer side `side` pixels; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(count):
        study_type = MURA_STUDY_TYPES[k % len(MURA_STUDY_TYPES)]
        path = folder / f"film{k:04d}.png"
        Image.fromarray(make_film(np.random.default_rng(k), study_type, abnormal=k % 2 == 1, size=side).pixels).save(path)
        paths.append(path)
    return paths


def link_many(films: list[Path], folder: Path, count: int) -> list[Path]:
    """Give films so many names in a folder that it holds `count`; each is a hard link, so it costs no room."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{k:06d}{films[k % len(films)].suffix}" for k in range(count)]
    for k, path in enumerate(paths):
        os.link(films[k % len(films)], path)
    return paths


def link_tree(films: list[Path], root: Path, counts: dict[str, int]) -> Path:
    """Make a data set in MURA's layout of linked films: a patient and a study a film, as many as `counts` says of each split."""
    number = 0
    for split, count in counts.items():
        for k in range(count):
            number += 1
            label = "positive" if k % 2 else "negative"
            study = root / split / f"XR_{MURA_STUDY_TYPES[k % len(MURA_STUDY_TYPES)]}" / f"patient{number:05d}" / f"study1_{label}"
            study.mkdir(parents=True)
            os.link(films[k % len(films)], study / "image1.png")
    return root


def indexed(tree: Path, folder: Path) -> Path:
    """Write the index of a data set into a folder; returns its file."""
    films, report = build_index(tree, decode=False)
    path = folder / "index.parquet"
    write_index(films, path, report)
    return path
