"""A sheet to draw on, its origin in the file; and what is drawn on several: marks, legends, films side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from osteon.lab.drawing import BLUE, COLUMN, ORANGE, drawn, plain
from osteon.lab.exploration.records import ABNORMAL, NORMAL, UNLABELLED, Origin
from osteon.lab.exploration.samples import Look

LABEL_COLOURS = {NORMAL: BLUE, ABNORMAL: ORANGE, UNLABELLED: "#b5b5b5"}
SPLIT_COLOURS = ("#1b6f5a", "#CC79A7", "#56B4E9", "#8c6d1f")
WARNING = "#a63c00"
MARKERS = "os^D"

SMALL = 6
"""Points of the numbers in a figure and of the words over a film."""

_LINE, _PAIR_GAP = 0.105, 0.25  # inches of a line of a caption; what is left between pairs, in films


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A film of a gallery: what was seen, what stands over it, its finding boxes (film pixels), and whether it is to be warned of."""

    look: Look
    caption: str
    boxes: Sequence[Sequence[float]] = ()
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """How a measured value is drawn."""

    colour: str
    marker: str = "o"
    hollow: bool = False

    @property
    def look(self) -> dict[str, Any]:
        """Return what matplotlib calls it."""
        face = "white" if self.hollow else self.colour
        return {"color": self.colour, "marker": self.marker, "markersize": 3.5, "markerfacecolor": face, "markeredgewidth": 0.8}


@contextmanager
def sheet(path: Path, origin: Origin, high: float, widths: Sequence[float] = (1,)) -> Iterator[list[Axes]]:
    """Give axes side by side, which share the vertical one, and write the PNG when they are filled.

    Args:
        path: PNG.
        origin: Its line is written into the file's metadata.
        high: Inches.
        widths: Relative, one for each of the axes.
    """
    with drawn(path, (COLUMN, high), origin.line, layout="constrained") as figure:
        yield list(figure.subplots(1, len(widths), width_ratios=widths, sharey=True, squeeze=False)[0])


def draw_tiles(tiles: Sequence[Tile], path: Path, origin: Origin, columns: int, paired: bool = False) -> None:
    """Draw films side by side, each with its caption over it; `paired` sets every two apart from the next two."""
    gaps = (columns - 1) // 2 if paired else 0
    side = COLUMN / (columns + _PAIR_GAP * gaps)
    head = _LINE * max(tile.caption.count("\n") + 1 for tile in tiles)
    high = -(-len(tiles) // columns) * (head + side)
    with plain(path, (COLUMN, high), origin.line) as axes:  # one axes for all is several times as fast as one each
        for k, tile in enumerate(tiles):
            row, column = divmod(k, columns)
            left = side * (column + (_PAIR_GAP * (column // 2) if paired else 0))
            _draw_tile(axes, tile, (left, row * (head + side) + head), side)
        axes.set(xlim=(0, COLUMN), ylim=(high, 0), aspect="auto")


def draw_mark(axes: Axes, y: float, point: tuple[float | None, float | None, float | None], mark: Mark) -> None:
    """Draw a value with the ends of its interval in a row; what is None is left out."""
    value, low, high = point
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=mark.colour, linewidth=0.9, solid_capstyle="butt", zorder=3)
    if value is not None:
        axes.plot([value], [y], linestyle="", zorder=4, **mark.look)


def place(k: int, of: int, width: float = 0.8) -> float:
    """Return where the k-th of several marks stands about the middle of its row, which they share evenly.

    >>> [round(place(k, 2), 1) for k in range(2)]
    [-0.2, 0.2]
    """
    return width * ((k + 0.5) / of - 0.5)


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters.

    >>> shortened("acquired at the weekend", 9)
    'acquired…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure, the first on top."""
    axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def add_legend(axes: Axes, columns: int) -> None:
    """Put the legend over the axes."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, handlelength=1, handletextpad=0.4, columnspacing=0.8)


def _draw_tile(axes: Axes, tile: Tile, corner: tuple[float, float], side: float) -> None:
    """Draw a film below its caption into a square: `corner` is the upper left one, in inches like `side`."""
    left, top = corner
    caption = "\n".join(shortened(line, 20) for line in tile.caption.split("\n"))
    colour = WARNING if tile.warns else "black"
    axes.text(left + side / 2, top - 0.03, caption, ha="center", va="baseline", fontsize=SMALL, color=colour, linespacing=1.1)
    pixels = tile.look.tile
    if pixels is None:
        axes.text(left + side / 2, top + side / 2, tile.look.reason or "not opened", ha="center", va="center", fontsize=SMALL)
        return
    inches = 0.94 * side / max(pixels.shape)  # of a pixel
    high, wide = (inches * count for count in pixels.shape)
    left += (side - wide) / 2
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(left, left + wide, top + high, top), aspect="auto")
    if tile.warns:
        axes.add_patch(Rectangle((left, top), wide, high, fill=False, edgecolor=WARNING, linewidth=1.4))
    for box in tile.boxes:
        x, y, across, down = (inches * tile.look.scale * edge for edge in box)
        axes.add_patch(Rectangle((left + x, top + y), across, down, fill=False, edgecolor=ORANGE, linewidth=0.8))
