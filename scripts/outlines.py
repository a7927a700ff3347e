"""An index whose boxes are strips of FracAtlas's outlines, so that a training is taught by masks (docs/experiments.md).

    python scripts/outlines.py INDEX MASKS.json OUT

MASKS.json is FracAtlas's COCO_fracture_masks.json. An outline becomes rows of boxes, `TILE` pixels high: a square of that side counts if
half of it lies inside. The films and all else stay as they are.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

from osteon.lab.data.index import read_index, read_report, write_index

TILE = 6  # pixels: two thirds of a cell of stride 8 in a film of 454 pixels at 384


def main(index: str, masks: str, out: str) -> None:
    """Write the index."""
    coco = json.loads(Path(masks).read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    outlines: dict[str, list[list[list[float]]]] = defaultdict(list)
    for finding in coco["annotations"]:
        outlines[names[finding["image_id"]]] += [strips(part) for part in finding["segmentation"]]
    films, report = read_index(Path(index)), read_report(Path(index))
    if report is None:
        raise SystemExit(f"{index}: its report is not beside it.")
    boxes = [
        [strip for part in outlines[Path(path).name] for strip in part] if given and Path(path).name in outlines else given
        for path, given in films.select("path", "boxes").iter_rows()
    ]
    write_index(films.with_columns(boxes=pl.Series(boxes, dtype=films["boxes"].dtype)), Path(out), report)
    print(f"{sum(map(len, outlines.values()))} outlines in {len(outlines)} films, {sum(len(b or []) for b in boxes)} strips")


def strips(outline: list[float]) -> list[list[float]]:
    """Return an outline (x, y, x, y, ...) as boxes (x, y, width, height) in pixels."""
    points = np.array(outline).reshape(-1, 2)
    low = np.floor(points.min(0))
    columns, rows = (np.ceil((points.max(0) - low) / TILE).astype(int)).clip(1)
    drawn = Image.new("L", (int(columns) * TILE, int(rows) * TILE))
    ImageDraw.Draw(drawn).polygon([(x, y) for x, y in points - low], fill=1)
    inside = np.asarray(drawn).reshape(rows, TILE, columns, TILE).mean((1, 3))
    inside = inside >= min(0.5, inside.max())  # one that is thinner than half a tile has its fullest
    found = []
    for row, cells in enumerate(inside):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], cells.astype(int), [0]])))
        found += [[low[0] + a * TILE, low[1] + row * TILE, (b - a) * TILE, TILE] for a, b in edges.reshape(-1, 2).tolist()]
    return [[float(v) for v in box] for box in found]


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
