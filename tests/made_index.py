"""A small index of made films, quickly: dim noise, and in each abnormal film a bright bar whose box the index gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

SCHEMA = {
    "path": pl.String, "root": pl.String, "split": pl.String, "study_type": pl.String, "view": pl.String, "patient": pl.String,
    "study": pl.String, "label": pl.Int8, "width": pl.Int32, "height": pl.Int32, "format": pl.String, "group": pl.String,
    "status": pl.String, "sha256": pl.String, "boxes": pl.List(pl.List(pl.Float32)),
}  # fmt: skip
"""The columns of `docs/architecture.md`."""

SPLITS = {"train": 12, "tune": 6, "valid": 6}
TYPES = ("HAND", "WRIST", "HAND")
SIDE = 64


def made_index(folder: Path, splits: dict[str, int] | None = None) -> Path:
    """Write films and their index; returns the index file.

    A third of the films of each split is abnormal. Study types are HAND, twice, and WRIST; a study has two films.
    """
    films = made_films(folder / "films", splits or SPLITS)
    path = folder / "index.parquet"
    films.write_parquet(path)
    return path


def made_films(root: Path, splits: dict[str, int]) -> pl.DataFrame:
    """Write the films of an index, and return its rows."""
    rows = [_film(root, split, number) for split, count in splits.items() for number in range(count)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def made_film(seed: int, abnormal: bool, width: int = SIDE, height: int = SIDE) -> tuple[NDArray[np.uint8], list[list[float]]]:
    """Return a film (H, W) uint8 and the boxes of its findings: x, y, width, height in film pixels."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(20, 90, (height, width)).astype(np.uint8)
    if not abnormal:
        return pixels, []
    x, y, wide, high = (int(n) for n in (draw.integers(4, 36), draw.integers(4, 36), draw.integers(10, 20), draw.integers(6, 12)))
    pixels[y : y + high, x : x + wide] = 250
    return pixels, [[float(x), float(y), float(wide), float(high)]]


def _film(root: Path, split: str, number: int) -> tuple[object, ...]:
    abnormal = number % 3 == 0
    seed = int.from_bytes(f"{split}{number}".encode()[-4:])
    wide = SIDE + 32 * (number % 2)
    pixels, boxes = made_film(seed, abnormal, width=wide)
    patient = f"{split}-patient{number // 2}"
    path = f"{split}/{patient}/image{number}.png"
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    kind = TYPES[number // 2 % len(TYPES)]
    study = f"{split}/XR_{kind}/{patient}/study1"
    return (path, str(root), split, kind, "", patient, study, int(abnormal), wide, SIDE, "PNG", patient, "ok", digest, boxes)
