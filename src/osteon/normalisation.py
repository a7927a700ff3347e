"""The greys of a film's crop -> one range and one middle: what `Frame.greys` "normalised" does.

Consoles process films otherwise, and what a network has learned of one machine's greys does not hold for another's. Where it was tried,
and what it gained on another machine: docs/experiments/another-machine.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DARKEST, BRIGHTEST = 0.01, 0.995
"""Shares of the pixels below what becomes 0 and 1: letters and a few dead pixels do not set the range."""

LEAST_RANGE = 0.05
"""Range of greys that is stretched to the whole at most: what is fainter is noise."""

SHOWN = 0.1
"""Grey of the stretched crop above which it shows something; the air below does not count for the middle."""

MIDDLE = 0.45
"""Grey of the median of what is shown, afterwards."""

STRONGEST = 2.5
"""Largest exponent of the curve that brings it there, and the inverse of the smallest."""

_LEVELS = 1 << 12  # a table of so many greys: exact enough, quick, and the same on every processor


def normalised(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a crop's greys in one range, with one middle.

    Its 1st and 99.5th percentiles become 0 and 255, and a gamma curve brings the median of what is shown to 0.45 of that. The order of
    two greys never changes. A film whose greys a console stretched, or bent by a gamma curve, becomes the same picture.

    Args:
        grey: (H, W) in [0, 1], bone bright.
    """
    index = np.rint(grey * np.float32(_LEVELS - 1)).astype(np.uint16)
    counts = np.bincount(index.ravel(), minlength=_LEVELS)
    low, high = _quantiles(counts, DARKEST, BRIGHTEST) / (_LEVELS - 1)
    levels = np.clip((np.arange(_LEVELS) / (_LEVELS - 1) - low) / max(high - low, LEAST_RANGE), 0, 1)
    shown = np.where(levels > SHOWN, counts, 0)
    middle = levels[_quantiles(shown, 0.5)[0]] if shown.any() else MIDDLE
    gamma = np.clip(np.log(MIDDLE) / np.log(np.clip(middle, SHOWN, 1 - SHOWN)), 1 / STRONGEST, STRONGEST)
    table: NDArray[np.uint8] = np.rint(levels**gamma * 255).astype(np.uint8)
    greys: NDArray[np.uint8] = table.take(index)
    return greys


def _quantiles(counts: NDArray[np.int64], *shares: float) -> NDArray[np.int64]:
    """Return the level below or at which each share of what is counted lies."""
    below = np.cumsum(counts)
    return np.array([below.searchsorted(share * below[-1]) for share in shares])
