"""How often the strongest evidence lies in a box: middle of the highest cell, centroid around it, osteon's peak (docs/experiments.md).

    python scripts/peaks.py MODEL INDEX [SPLIT]

For each abnormal film with boxes of the split ("held" by default).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.explanation import peak
from osteon.film import Placement, place, prepare, read_film
from osteon.lab.data.index import read_index
from osteon.lab.evaluation.localisation import in_boxes
from osteon.opening import load_model


def main(file: str, index: str, split: str = "held") -> None:
    """Print the shares."""
    model = load_model(file)
    films = read_index(Path(index)).filter(split=split, label=1).filter(pl.col("boxes").list.len() > 0)
    size, sides, near = model.card.frame.size, [], []
    hits: dict[str, list[bool]] = {"middle of the highest cell": [], "centroid around it": [], "centroid around the strongest place": []}
    for row in films.iter_rows(named=True):
        film, boxes = read_film(Path(row["root"], row["path"])), row["boxes"]
        _, maps = model.run(prepare(film, model.card.frame)[None])
        placement = place(film, model.card.frame)
        points = middle(maps[0], placement, size), peak(only(maps[0]), placement, size)[:2], peak(maps[0], placement, size)[:2]
        for found, (x, y) in zip(hits.values(), points, strict=True):
            found.append(in_boxes(x, y, boxes))
        sides += [width for _, _, width, _ in boxes]
        near.append(away(*points[0], boxes) <= 0.02 * max(film.pixels.shape))
    print(f"{len(films)} films; boxes: median width {np.median(sides):.0f} pixels, a tenth below {np.quantile(sides, 0.1):.0f}")
    for way, found in hits.items():
        print(f"{way}: in a box in {np.mean(found):.3f}")
    print(f"middle of the highest cell: within 2 % of the film's longer side of a box in {np.mean(near):.3f}")


def middle(evidence: NDArray[np.float32], placement: Placement, size: int) -> tuple[float, float]:
    """Return the middle (x, y) of the highest cell in film pixels."""
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    step = size / evidence.shape[0]
    return placement.to_film((float(column) + 0.5) * step, (float(row) + 0.5) * step)


def only(evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the map with nothing but its highest cell and those around it, whose strongest place that cell is."""
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    near = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
    alone = np.full_like(evidence, -np.inf)
    alone[near] = evidence[near]
    return alone


def away(x: float, y: float, boxes: list[list[float]]) -> float:
    """Return how far a point lies from the nearest box, in pixels."""
    return min(float(np.hypot(max(left - x, 0, x - left - width), max(top - y, 0, y - top - height))) for left, top, width, height in boxes)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
