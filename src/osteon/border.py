"""Where on a picture the film is: what viewers and exports put around a film is no part of it.

A border is made of lines along the edges that are of one grey, each by itself: black, white or any other, on one to four sides, one
within another. Letters on it stand between such lines. Where a JPEG's ringing or a change of size has blurred its end, the film begins
with the steepest step. Air, or a strip, that is saturated all along an edge looks the same and goes as well: it shows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.float32]
    Edges = tuple[int, int, int, int]  # top, left, bottom, right

EVEN = 2.5 / 255
"""Between the darkest and the brightest pixel of a line of one grey: what is left of one in a lossy file."""

_LETTERS = 0.3  # share of a line that letters may cover
_INK = 16 / 255  # by which a letter differs from the border at least, and a JPEG's ringing around it does not
_REACH = 1 / 16  # of a side: how far behind the first line with letters on it one without must follow; a second small view is higher
_FRAME = 24  # lines, within a border, that a frame line and its ringing may take
_BLUR = 8  # lines that a JPEG's block or an antialiasing filter may spoil
_STEP = 4 / 255  # of three quarters of a line: the least that a border's blurred end may differ from the film by
_LEAST = 32  # pixels of a side; where less would be left, nothing is understood


def bare_part(pixels: Grey) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a picture without its border, the whole picture where too little would be left.

    Args:
        pixels: (H, W) in [0, 1].
    """
    height, width = pixels.shape
    whole = (0, 0, height, width)
    edges = _peeled(pixels, whole)
    if edges != whole and _enough(edges):
        edges = _peeled(pixels, _sharpened(pixels, edges))
    top, left, bottom, right = edges if _enough(edges) else whole
    return left, top, right - left, bottom - top


def _enough(edges: Edges) -> bool:
    return min(edges[2] - edges[0], edges[3] - edges[1]) >= _LEAST


def _peeled(pixels: Grey, edges: Edges) -> Edges:
    """Move the edges inwards over the border, until no side has any: that of one side may hide that of another."""
    before = None
    while edges != before:
        before = edges
        for side in range(4):
            edges = _moved(edges, side, _border(_from_side(pixels, edges, side)))
    return edges


def _from_side(pixels: Grey, edges: Edges, side: int) -> Grey:
    """Return the lines within the edges, from the top, the left, the bottom or the right on."""
    top, left, bottom, right = edges
    inner = pixels[top:bottom, left:right]
    lines = inner.T if side % 2 else inner
    return lines if side < 2 else lines[::-1]


def _moved(edges: Edges, side: int, lines: int) -> Edges:
    top, left, bottom, right = (edge + (lines if side < 2 else -lines) * (i == side) for i, edge in enumerate(edges))
    return top, left, bottom, right


def _border(lines: Grey) -> int:
    """Return how many lines are border, from the first on."""
    cut = 0
    while lines[cut:].size and (further := _even(lines[cut:]) or _marked(lines[cut:], begun=cut > 0)):
        cut += further
    return cut


def _even(lines: Grey) -> int:
    """Return how many lines, from the first on, are of one grey."""
    for i, line in enumerate(lines):
        if line.max() - line.min() > EVEN:
            return i
    return len(lines)


def _marked(lines: Grey, *, begun: bool) -> int:
    """Return how many lines, from the first on, are letters on a border, or a frame within one that has `begun`; 0 if no line follows."""
    near = lines[: max(int(len(lines) * _REACH), _FRAME)]
    grey = np.median(near[0])
    for i in np.flatnonzero(np.ptp(near, axis=1) <= EVEN).tolist():
        if begun and i < _FRAME:
            return i
        if abs(near[i, 0] - grey) <= EVEN:
            letters = np.mean(np.abs(near[:i] - grey) > _INK, axis=1)
            return i if (letters <= _LETTERS).all() else 0
    return 0


def _sharpened(pixels: Grey, edges: Edges) -> Edges:
    """Move the edges of sides that have a border to where the film begins, if its end is blurred."""
    height, width = pixels.shape
    for side, outer in enumerate((0, 0, height, width)):
        if edges[side] != outer:
            edges = _moved(edges, side, _blurred(_from_side(pixels, _moved(edges, side, -1), side)))
    return edges


def _blurred(lines: Grey) -> int:
    """Return how many lines lie between a border's last line, the first here, and the film.

    The film begins with a step of most of the line that its own lines do not have.
    """
    steps = np.quantile(np.abs(np.diff(lines[: 3 * _BLUR], axis=0)), 0.25, axis=1)
    if len(steps) <= _BLUR:
        return 0
    steepest = int(steps[:_BLUR].argmax())
    return steepest if steps[steepest] > max(_STEP, 3 * np.median(steps[_BLUR:])) else 0
