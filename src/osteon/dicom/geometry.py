"""Which pixels a film shows, and how square they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from osteon.bounds import MOST_PIXELS
from osteon.dicom.tags import numbers, texts
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

SQUARE = 0.01
"""Between the sides of a pixel; below that it is square."""

MOST_ASPECT = 10.0
"""Between the sides of a pixel; above that the attribute is wrong, and no film is stretched by it."""

_ASPECTS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
_MOST_VERTICES = 2_000
_NUDGE = 1e-3  # pixels, to either side: a polygon's edges belong to what is shown


def pixel_aspect(ds: Dataset) -> float:
    """Return a pixel's height over its width.

    PixelSpacing (0028,0030), ImagerPixelSpacing (0018,1164), NominalScannedPixelSpacing (0018,2010) and PixelAspectRatio (0028,0034),
    each between rows first; the first of them that makes sense holds (PS3.3 C.7.6.3.1.7, 10.7.1.3).
    """
    for keyword in _ASPECTS:
        try:
            sides = numbers(ds, keyword)
        except UnsupportedFilm:
            continue
        if len(sides) == 2 and min(sides) > 0 and 1 / MOST_ASPECT <= sides[0] / sides[1] <= MOST_ASPECT:
            return sides[0] / sides[1]
    return 1.0


def squared(pixels: NDArray[np.float32], aspect: float) -> NDArray[np.float32]:
    """Return a film with square pixels: along the longer side of its pixels it gets more of them, interpolated linearly.

    Args:
        pixels: (H, W) in [0, 1].
        aspect: `pixel_aspect`.

    Raises:
        UnsupportedFilm: it would have more than `MOST_PIXELS`.
    """
    if abs(aspect - 1) <= SQUARE:
        return pixels
    if pixels.size * max(aspect, 1 / aspect) > MOST_PIXELS:
        raise UnsupportedFilm("its pixels are not square, and as squares they are too many. Scale the film down.")
    return _longer(pixels, aspect) if aspect > 1 else np.ascontiguousarray(_longer(pixels.T, 1 / aspect).T)


def shutter(ds: Dataset, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Return which pixels the display shutter hides (PS3.3 C.7.6.11), None for none.

    Of several shapes all must show a pixel. Rows and columns count from 1, edges belong to what is shown. A shutter that hides
    everything hides nothing.

    Args:
        ds: the data set.
        shape: (H, W).
    """
    shown = np.ones(shape, np.bool_)
    rows, columns = np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)[None, :]
    try:
        for kind in map(str.upper, texts(ds, "ShutterShape")[:3]):
            if kind == "RECTANGULAR":
                left, right = numbers(ds, "ShutterLeftVerticalEdge")[0], numbers(ds, "ShutterRightVerticalEdge")[0]
                top, bottom = numbers(ds, "ShutterUpperHorizontalEdge")[0], numbers(ds, "ShutterLowerHorizontalEdge")[0]
                shown &= (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
            elif kind == "CIRCULAR":
                (row, column), radius = numbers(ds, "CenterOfCircularShutter"), numbers(ds, "RadiusOfCircularShutter")[0]
                shown &= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            elif kind == "POLYGONAL":
                vertices = numbers(ds, "VerticesOfThePolygonalShutter")
                shown &= _inside(vertices, rows - _NUDGE, columns - _NUDGE) | _inside(vertices, rows + _NUDGE, columns + _NUDGE)
    except (UnsupportedFilm, ValueError, IndexError):
        return None
    return None if shown.all() or not shown.any() else ~shown


def _inside(vertices: list[float], rows: NDArray[np.floating], columns: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which points lie inside a polygon of (row, column) pairs: a ray to the left crosses an odd number of edges."""
    corners = np.reshape(vertices[:_MOST_VERTICES], (-1, 2))
    flips = np.zeros((rows.size, columns.size + 1), np.uint8)
    for (row, column), (next_row, next_column) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if row == next_row:
            continue
        low, high = sorted((row, next_row))
        crossed = np.flatnonzero((rows.ravel() >= low) & (rows.ravel() < high))
        where = column + (rows.ravel()[crossed] - row) * (next_column - column) / (next_row - row)
        flips[crossed, np.searchsorted(columns.ravel(), where)] ^= 1
    return np.bitwise_xor.accumulate(flips[:, :-1], axis=1).astype(np.bool_)


def stored_point(x: float, y: float, ds: Dataset) -> tuple[float, float]:
    """Return where the point (x, y) of a film with square pixels, as `squared` makes it, stands among the pixels of its file."""
    aspect = pixel_aspect(ds)
    if abs(aspect - 1) <= SQUARE:
        return x, y
    return (x, y / aspect) if aspect > 1 else (x * aspect, y)


def _longer(pixels: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return `factor` times as many rows, each a mean of the two that stand nearest."""
    count = pixels.shape[0]
    target = max(1, round(count * factor))
    at = np.clip((np.arange(target) + 0.5) * count / target - 0.5, 0, count - 1)
    low = np.floor(at).astype(np.int64)
    share = (at - low).astype(np.float32)[:, None]
    return np.asarray(pixels[low] * (1 - share) + pixels[np.minimum(low + 1, count - 1)] * share, np.float32)
