"""How often the strongest evidence lies in a box: as the middle of the highest cell, and as a centroid around it (docs/experiments.md).

    python scripts/peaks.py MODEL INDEX [SPLIT]

For each abnormal film with boxes of the split ("held" by default).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.film import place, prepare, read_film
from osteon.lab.index import read_index
from osteon.lab.localisation import in_boxes, peak
from osteon.model import load_model


def main(file: str, index: str, split: str = "held") -> None:
    """Print the shares."""
    model = load_model(file)
    films = read_index(Path(index)).filter(split=split, label=1).filter(pl.col("boxes").list.len() > 0)
    size, sides, near = model.card.frame.size, [], []
    hits: dict[str, list[bool]] = {"middle of the highest cell": [], "centroid of exp(evidence) over 3 x 3 cells": []}
    for row in films.iter_rows(named=True):
        film, boxes = read_film(Path(row["root"], row["path"])), row["boxes"]
        _, maps = model.run(prepare(film, model.card.frame)[None])
        placement = place(film, model.card.frame)
        points = peak(maps[0], placement, size), placement.to_film(*centroid(maps[0], size))
        for found, (x, y) in zip(hits.values(), points, strict=True):
            found.append(in_boxes(x, y, boxes))
        sides += [width for _, _, width, _ in boxes]
        near.append(away(*points[0], boxes) <= 0.02 * max(film.pixels.shape))
    print(f"{len(films)} films; boxes: median width {np.median(sides):.0f} pixels, a tenth below {np.quantile(sides, 0.1):.0f}")
    for way, found in hits.items():
        print(f"{way}: in a box in {np.mean(found):.3f}")
    print(f"middle of the highest cell: within 2 % of the film's longer side of a box in {np.mean(near):.3f}")


def centroid(evidence: NDArray[np.float32], size: int) -> tuple[float, float]:
    """Return the point (x, y) of the frame around which the strongest evidence lies."""
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    rows, columns = (slice(max(int(at) - 1, 0), int(at) + 2) for at in (row, column))
    weight = np.exp(evidence[rows, columns].astype(np.float64) - float(evidence.max()))
    y, x = (np.mgrid[rows, columns] + 0.5) * size / evidence.shape[0]
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


def away(x: float, y: float, boxes: list[list[float]]) -> float:
    """Return how far a point lies from the nearest box, in pixels."""
    return min(float(np.hypot(max(left - x, 0, x - left - width), max(top - y, 0, y - top - height))) for left, top, width, height in boxes)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
