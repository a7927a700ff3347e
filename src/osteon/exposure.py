"""Where on a film the limb is: the part that `Frame.crop` "exposed" keeps.

Most films show a limb in air, many with a white strip along an edge where the plate was not covered or the collimator stood. The air
is found by its level, its slow gradients are taken out, strips along the edges go, and what is left is enclosed with a margin. It
must never cut a limb, so every doubt keeps more.

Measured on FracAtlas (`tests/test_exposure.py`): all 673 fracture boxes lie inside; the median film keeps 0.62 of its area.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from osteon.border import bare_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grid = NDArray[np.float32]
    Mask = NDArray[np.bool_]

MARGIN = 0.04
"""Share of a side that is kept around the limb."""

LEAST = 0.35
"""Share of a side that is kept at least."""

_CELLS = 64  # of the coarse grid, on the longer side
_SPECK = 0.006  # share of the grid; smaller islands are noise, dust, letters
_FLOOR, _CEILING = 0.02, 0.03  # how far above air tissue begins, if air is even; three deviations if it is not
_CONTRAST = 0.1  # between air and the brightest tissue; below that nothing can be told


def exposed_part(pixels: NDArray[np.float32], bare: tuple[int, int, int, int] | None = None) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the part of a film that shows something, the whole film in doubt.

    Args:
        pixels: (H, W) in [0, 1], bone bright.
        bare: What `border.bare_part` returned of it, where the caller has it already.
    """
    left, top, width, height = bare or bare_part(pixels)
    x, y, wide, high = _shown(pixels[top : top + height, left : left + width])
    return left + x, top + y, wide, high


def _shown(pixels: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Return the part of a film without a border that shows something."""
    height, width = pixels.shape
    grid, step = _coarse(pixels)
    islands = _islands(_tissue(grid)) if min(grid.shape) >= 8 else []
    large = [island for island in islands if island[0] >= _SPECK * grid.size]
    if not large:
        return 0, 0, width, height
    _, left, top, right, bottom = (np.array(edge) for edge in zip(*large, strict=True))
    x0, x1 = _span(int(left.min()), int(right.max()), grid.shape[1], step, width)
    y0, y1 = _span(int(top.min()), int(bottom.max()), grid.shape[0], step, height)
    return x0, y0, x1 - x0, y1 - y0


def _coarse(pixels: NDArray[np.float32]) -> tuple[Grid, int]:
    """Return the film in cells, and how many film pixels a cell's side is."""
    stride = max(1, min(pixels.shape) // 256)
    sample = pixels[::stride, ::stride]
    side = -(-max(sample.shape) // _CELLS)
    rows, columns = sample.shape[0] // side, sample.shape[1] // side
    cells = sample[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cells.mean(axis=(1, 3), dtype=np.float32), stride * side


def _tissue(grid: Grid) -> Mask:
    """Tell which cells show tissue; none where air and tissue cannot be told apart."""
    top = float(np.quantile(grid, 0.99))
    white = grid >= max(0.7, 0.88 * top)
    level = _air_level(grid[~white])
    air = (grid <= level) & ~white
    if not air.any() or white.mean() > 0.5 or top - float(np.median(grid[air])) < _CONTRAST:
        return np.zeros(grid.shape, np.bool_)
    even = _evened(grid, air)
    base = float(np.median(even[air]))
    deviation = 1.4826 * float(np.median(np.abs(even[air] - base)))
    rise = min(max(_FLOOR, 0.35 * (level - base)), max(_CEILING, 3 * deviation))
    tissue = even > base + rise
    inner = _inside_strips(grid, white, tissue & ~white)
    kept = np.zeros(grid.shape, np.bool_)
    if min(tissue[inner].shape) >= 8:
        _clear_borders(tissue[inner])
        kept[inner] = tissue[inner]
    return kept


def _air_level(values: Grid) -> float:
    """Return a level between air and tissue: Otsu's, and again below it where a bright body has hidden a dim limb."""
    if not values.size:
        return 0.0
    level, _, _ = _otsu(values)
    again, share, gap = _otsu(values[values <= level])
    return again if share > 0.7 and gap > 0.06 else level


def _otsu(values: Grid) -> tuple[float, float, float]:
    """Return Otsu's threshold (IEEE Trans. SMC 9, 1979), the share of variance that it explains, the gap between both means."""
    low, high, bins = float(values.min()), float(values.max()), 64
    if high - low < 1e-3:
        return high, 0.0, 0.0
    width = (high - low) / bins
    counts = np.bincount(np.minimum((values - low) / width, bins - 1).astype(np.intp), minlength=bins) / values.size
    middles = np.arange(bins) + 0.5
    below, moment = np.cumsum(counts)[:-1], np.cumsum(counts * middles)
    mean, moment = moment[-1], moment[:-1]
    split = below * (1 - below)
    between = np.where(split > 0, (mean * below - moment) ** 2 / np.maximum(split, 1e-12), 0)
    best = int(between.argmax())
    variance = float((counts * (middles - mean) ** 2).sum())
    gap = (mean - moment[best]) / (1 - below[best]) - moment[best] / below[best]
    return low + (best + 1) * width, float(between[best]) / max(variance, 1e-9), float(gap) * width


def _evened(grid: Grid, air: Mask) -> Grid:
    """Take the air's slow rise and fall (heel effect, scatter, scan lines) out, column by column, then row by row."""
    base = float(np.median(grid[air]))
    even = grid
    for axis in (0, 1):
        count = air.sum(axis=axis, keepdims=True)
        ranked = np.sort(np.where(air, even, np.inf), axis=axis)
        quarter = np.take_along_axis(ranked, np.maximum(0, count // 4 - 1), axis)
        even = even - np.where(count >= 0.3 * grid.shape[axis], quarter - base, 0)
    return even.astype(np.float32)


def _inside_strips(grid: Grid, white: Mask, grey: Mask) -> tuple[slice, slice]:
    """Return the grid without white and uniform strips along its edges: lines half white or more, with little grey in them."""
    inner = []
    for axis in (1, 0):
        strip = ((white.mean(axis) >= 0.5) & (grey.mean(axis) <= 0.12)) | (np.ptp(grid, axis) < 0.004)
        first, last = (_leading(line) for line in (strip, strip[::-1]))
        inner.append(slice(first, strip.size - last))
    return inner[0], inner[1]


def _leading(strip: Mask) -> int:
    half = strip[: strip.size // 2]
    return half.size if half.all() else int(half.argmin())


def _clear_borders(tissue: Mask) -> None:
    """Clear what lies along an edge without reaching inwards, as no limb does: the glow of a strip, a plate's rim."""
    for side in (tissue, tissue[::-1], tissue.T, tissue.T[::-1]):
        band = side[: max(2, int(0.12 * side.shape[0]))]
        shallow = band.any(0) & ~band[-1]
        if shallow.mean() >= 0.35:
            band[:, shallow] = False


def _islands(mask: Mask) -> list[list[int]]:
    """Return cells, left, top, right and bottom of each 8-connected island: runs of rows, joined by union-find."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    root: list[int] = []
    found: list[list[int]] = []
    above: list[tuple[int, int, int]] = []
    current: list[tuple[int, int, int]] = []
    row = -2
    for y, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if y != row:
            above, current, row = (current if y == row + 1 else []), [], y
        own = len(root)
        root.append(own)
        found.append([end - start, start, y, end, y + 1])
        for left, right, other in above:
            if left <= end and right >= start:
                _join(root, found, other, own)
        current.append((start, end, own))
    return [found[i] for i, parent in enumerate(root) if i == parent]


def _join(root: list[int], found: list[list[int]], one: int, other: int) -> None:
    one, other = _root(root, one), _root(root, other)
    if one == other:
        return
    root[other] = one
    a, b = found[one], found[other]
    found[one] = [a[0] + b[0], min(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3]), max(a[4], b[4])]


def _root(root: list[int], i: int) -> int:
    while root[i] != i:
        i = root[i]
    return i


def _span(first: int, last: int, cells: int, step: int, side: int) -> tuple[int, int]:
    """Return where to cut a side, in film pixels: the margin added, never less than `LEAST` of it."""
    start, end = max(0.0, first - MARGIN * cells), min(float(cells), last + MARGIN * cells)
    lack = LEAST * cells - (end - start)
    if lack > 0:
        start = min(max(0.0, start - lack / 2), (1 - LEAST) * cells)
        end = start + LEAST * cells
    # The last cells' remainder belongs to the film's end.
    return int(start * step), side if end >= cells else min(side, math.ceil(end * step))
