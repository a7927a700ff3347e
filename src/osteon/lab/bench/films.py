"""Made films to measure with: of the sizes that clinics and data sets have, and folders of very many."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osteon.lab.phantom.film import make_film
from osteon.lab.phantom.png import encode_png
from osteon.regions import MURA_STUDY_TYPES

SIDE = 512
"""Longest side of MURA's films, pixels."""

LARGE = (2000, 1500)
"""Height and width of a film as a detector gives it, scaled to half."""


def make_films(folder: Path, count: int, side: int = SIDE) -> list[Path]:
    """Write made radiographs of all study types as 8-bit grey PNG, the longer side `side` pixels; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(count):
        study_type = MURA_STUDY_TYPES[k % len(MURA_STUDY_TYPES)]
        path = folder / f"film{k:04d}.png"
        path.write_bytes(encode_png(make_film(np.random.default_rng(k), study_type, abnormal=k % 2 == 1, size=side).pixels))
        paths.append(path)
    return paths


def make_kinds(folder: Path) -> dict[str, Path]:
    """Write one made film as each kind of file that predictions meet; what each is -> its path."""
    small = make_film(np.random.default_rng(0), "WRIST", abnormal=True, size=SIDE).pixels
    large = _enlarged(small)
    folder.mkdir(parents=True, exist_ok=True)
    deep: NDArray[np.uint16] = large.astype(np.uint16) * 257
    kinds: dict[str, tuple[NDArray[np.generic], str]] = {"PNG": (small, "png"), "JPEG": (small, "jpg")}
    kinds |= {"large PNG": (large, "png"), "large 16-bit PNG": (deep, "png"), "large JPEG": (large, "jpg")}
    paths = {}
    for name, (pixels, suffix) in kinds.items():
        path = folder / f"{name.replace(' ', '-')}.{suffix}"
        Image.fromarray(pixels).save(path)
        paths[f"{name}, {pixels.shape[1]} x {pixels.shape[0]}"] = path
    return paths


def _enlarged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge a film and give it the grain that a detector has, without which a PNG would be too small a file."""
    wide = Image.fromarray(pixels).resize(LARGE[::-1], Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, 2, LARGE)
    return np.clip(np.asarray(wide, np.float32) + grain, 0, 255).astype(np.uint8)


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
