"""Films side by side: galleries of an exploration and of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from osteon.errors import FilmError
from osteon.film import read_film
from osteon.lab.drawing import COLUMN, ORANGE, plain

TILE = 256
"""Longest side of a film in a gallery, pixels."""

SMALL = 6
"""Points of the numbers in a figure and of the words over a film."""

WARNING = "#a63c00"
MISSING, REFUSED = "missing", "not readable"

_LINE, _PAIR_GAP = 0.105, 0.25  # inches of a line of a caption; what is left between pairs, in films


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A film of a gallery, small: `scale` times as large as the film, or the reason why it is not there."""

    pixels: NDArray[np.uint8] | None
    scale: float = 1
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A film as it is drawn: what stands over it, its finding boxes (film pixels), and whether it is to be warned of."""

    tile: Tile
    caption: str
    boxes: Sequence[Sequence[float]] = ()
    warns: bool = False


def tile_of(pixels: NDArray[np.float32]) -> Tile:
    """Return a film (H, W) in [0, 1] as a tile."""
    small = Image.fromarray(np.rint(255 * pixels).astype(np.uint8))
    small.thumbnail((TILE, TILE), Image.Resampling.BOX, reducing_gap=2)
    return Tile(np.asarray(small), small.width / pixels.shape[1])


def read_tile(path: str | Path) -> Tile:
    """Open a film as a tile."""
    if not Path(path).is_file():
        return Tile(None, reason=MISSING)
    try:
        return tile_of(read_film(path).pixels)
    except FilmError:
        return Tile(None, reason=REFUSED)


def draw_tiles(films: Sequence[Shown], path: Path, columns: int, origin: str = "", paired: bool = False) -> None:
    """Draw films side by side, each with its caption over it; `paired` sets every two apart from the next two."""
    gaps = (columns - 1) // 2 if paired else 0
    side = COLUMN / (columns + _PAIR_GAP * gaps)
    head = _LINE * max(film.caption.count("\n") + 1 for film in films)
    high = -(-len(films) // columns) * (head + side)
    with plain(path, (COLUMN, high), origin) as axes:  # one axes for all is several times as fast as one each
        for k, film in enumerate(films):
            row, column = divmod(k, columns)
            left = side * (column + (_PAIR_GAP * (column // 2) if paired else 0))
            _draw_tile(axes, film, (left, row * (head + side) + head), side)
        axes.set(xlim=(0, COLUMN), ylim=(high, 0), aspect="auto")


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters.

    >>> shortened("acquired at the weekend", 9)
    'acquired…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _draw_tile(axes: Axes, film: Shown, corner: tuple[float, float], side: float) -> None:
    """Draw a film below its caption into a square: `corner` is the upper left one, in inches like `side`."""
    left, top = corner
    caption = "\n".join(shortened(line, 20) for line in film.caption.split("\n"))
    colour = WARNING if film.warns else "black"
    axes.text(left + side / 2, top - 0.03, caption, ha="center", va="baseline", fontsize=SMALL, color=colour, linespacing=1.1)
    pixels = film.tile.pixels
    if pixels is None:
        axes.text(left + side / 2, top + side / 2, film.tile.reason or "not opened", ha="center", va="center", fontsize=SMALL)
        return
    inches = 0.94 * side / max(pixels.shape)  # of a pixel
    high, wide = (inches * count for count in pixels.shape)
    left += (side - wide) / 2
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(left, left + wide, top + high, top), aspect="auto")
    if film.warns:
        axes.add_patch(Rectangle((left, top), wide, high, fill=False, edgecolor=WARNING, linewidth=1.4))
    for box in film.boxes:
        x, y, across, down = (inches * film.tile.scale * edge for edge in box)
        axes.add_patch(Rectangle((left + x, top + y), across, down, fill=False, edgecolor=ORANGE, linewidth=0.8))
