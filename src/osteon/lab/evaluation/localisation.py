"""Does the evidence lie where the finding is?

Three metrics for a film with finding boxes, each beside the same map moved: to the middle of the film, and to everywhere (the mean over all
cyclic shifts). What a map gains over its moved copies is what it knows of the place.

- pointing: the point of strongest evidence (`explanation.peak`) lies in a box, edges included (pointing game of Zhang et al., IJCV 126,
  2018, no tolerance).
- inside: share of the positive evidence that lies in boxes.
- iou: intersection over union of the boxes and the cells of at least half the highest positive evidence.

Boxes are measured in the evidence's cells, each cell with the share of it that boxes cover. Padding round the film takes no part. What
the frame's crop cut away cannot be found, and counts as missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteon.explanation import cells_on_film, peak
from osteon.film import Placement
from osteon.lab.evaluation.metrics import Bools, Floats

METRICS = ("pointing", "inside", "iou")
BASELINES = ("centre", "random")
COLUMNS = tuple(f"{metric}{suffix}" for metric in METRICS for suffix in ("", *(f"_{baseline}" for baseline in BASELINES)))
"""Columns that `locate` gives a film."""

_FINE = 8  # points along a cell's side at which box or no box is asked
Boxes = Sequence[Sequence[float]]


def locate(evidence: NDArray[np.float32], placement: Placement, size: int, boxes: Boxes) -> dict[str, float]:
    """Return the metrics of one film by `COLUMNS`, each in [0, 1].

    Args:
        evidence: (h, w) over the whole frame, in logit units.
        placement: where the film stands in the frame.
        size: the frame's side S.
        boxes: x, y, width, height in film pixels, at least one.
    """
    down, across = cells_on_film(evidence.shape, placement, size)
    heat = np.maximum(evidence[down.start : down.stop, across.start : across.stop].astype(np.float64), 0)
    covered = _covered(evidence.shape, placement, size, boxes)[down.start : down.stop, across.start : across.stop]
    cell = size * size / evidence.size
    boxed = max(union_area(boxes) * placement.scale_x * placement.scale_y / cell, float(covered.sum()))
    x, y, _ = peak(evidence, placement, size)
    middle = placement.left + placement.width / 2, placement.top + placement.height / 2
    return {
        "pointing": float(in_boxes(x, y, boxes)),
        "pointing_centre": float(in_boxes(*middle, boxes)),
        "pointing_random": float(covered.mean()),
        **_moved("inside", _inside(heat, covered), heat),
        **_moved("iou", _overlap(heat, covered, boxed), heat),
    }


def metric_key(column: str) -> str:
    """Return how a column of `COLUMNS` is called in a report.

    >>> metric_key("iou"), metric_key("iou_random")
    ('iou', 'iou, random')
    """
    return column.replace("_", ", ")


def in_boxes(x: float, y: float, boxes: Boxes) -> bool:
    """Return whether a point lies in a box (x, y, width, height), edges included."""
    return any(left <= x <= left + width and top <= y <= top + height for left, top, width, height in boxes)


def union_area(boxes: Boxes) -> float:
    """Return the area that boxes (x, y, width, height) cover, what several cover counted once.

    >>> union_area([(0, 0, 2, 2), (1, 1, 2, 2)])
    7.0
    """
    xs = sorted({edge for left, _, width, _ in boxes for edge in (left, left + width)})
    ys = sorted({edge for _, top, _, height in boxes for edge in (top, top + height)})
    return float(
        sum((x1 - x0) * (y1 - y0) for x0, x1 in pairwise(xs) for y0, y1 in pairwise(ys) if in_boxes((x0 + x1) / 2, (y0 + y1) / 2, boxes))
    )


def _covered(shape: tuple[int, ...], placement: Placement, size: int, boxes: Boxes) -> Floats:
    """Return for each cell (h, w) the share that boxes cover."""
    ys, xs = ((np.arange(cells * _FINE) + 0.5) * size / (cells * _FINE) for cells in shape)
    x = placement.left + (xs - placement.offset_x) / placement.scale_x
    y = placement.top + (ys - placement.offset_y) / placement.scale_y
    fine: Bools = np.zeros((len(y), len(x)), dtype=bool)
    for left, top, width, height in boxes:
        fine |= np.outer((y >= top) & (y <= top + height), (x >= left) & (x <= left + width))
    return np.asarray(fine.reshape(shape[0], _FINE, shape[1], _FINE).mean(axis=(1, 3)))


def _inside(heat: Floats, covered: Floats) -> Floats:
    """Return for each cyclic shift (h, w) of the heat the share of it that boxes cover; 0 where there is no positive evidence."""
    total = float(heat.sum())
    return _correlate(heat, covered) / total if total else np.zeros_like(heat)


def _overlap(heat: Floats, covered: Floats, boxed: float) -> Floats:
    hot = ((heat > 0) & (heat >= heat.max() / 2)).astype(np.float64)
    shared = _correlate(hot, covered)
    return np.asarray(shared / (hot.sum() + boxed - shared))


def _correlate(moving: Floats, fixed: Floats) -> Floats:
    """Return [dy, dx]: the sum over cells of `moving`, rolled by dy and dx, times `fixed`."""
    product = np.fft.rfft2(fixed) * np.conj(np.fft.rfft2(moving))
    return np.maximum(np.fft.irfft2(product, s=moving.shape), 0)


def _moved(name: str, by_shift: Floats, heat: Floats) -> dict[str, float]:
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    to_middle = (heat.shape[0] // 2 - int(row)) % heat.shape[0], (heat.shape[1] // 2 - int(column)) % heat.shape[1]
    return {
        name: min(1.0, float(by_shift[0, 0])),
        f"{name}_centre": min(1.0, float(by_shift[to_middle])),
        f"{name}_random": min(1.0, float(by_shift.mean())),
    }
