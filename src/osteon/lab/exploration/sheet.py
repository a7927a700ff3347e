"""A sheet to draw on: a paper's column of 86 mm at 300 dpi, colours that the colour-blind tell apart, its origin in the file.

Nothing is set globally: the style holds while a sheet is drawn. The colours are Okabe and Ito's; what they tell apart differs in place,
mark or dash as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from osteon.lab.exploration.records import ABNORMAL, NORMAL, UNLABELLED, Origin
from osteon.lab.exploration.samples import Look

WIDE = 3.4
"""Inches: a column."""

LABEL_COLOURS = {NORMAL: "#0072B2", ABNORMAL: "#E69F00", UNLABELLED: "#b5b5b5"}
SPLIT_COLOURS = ("#1b6f5a", "#CC79A7", "#56B4E9", "#8c6d1f")
GREY, WARNING, FINDING = "#6b6b6b", "#a63c00", "#E69F00"
MARKERS = "os^D"

SMALL = 6
"""Points of the numbers in a figure and of the words over a film."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "text.parse_math": False,  # a name may hold a dollar sign
}


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
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDE, high), layout="constrained")
        FigureCanvasAgg(figure)
        yield list(figure.subplots(1, len(widths), width_ratios=widths, sharey=True, squeeze=False)[0])
        _save(figure, path, origin)


def draw_tiles(tiles: Sequence[Tile], path: Path, origin: Origin, columns: int, paired: bool = False) -> None:
    """Draw films side by side, each with its caption; `paired` sets every two apart from the next two."""
    rows = -(-len(tiles) // columns)
    widths: list[float] = []
    for column in range(columns):
        widths += [1, 0.25] if paired and column % 2 and column < columns - 1 else [1]
    places = [k for k, width in enumerate(widths) if width == 1]
    lines = max((tile.caption.count("\n") + 1 for tile in tiles), default=1)
    side = WIDE / sum(widths)
    with mpl.rc_context(_STYLE):
        tight = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.02, wspace=0, hspace=0)
        figure = Figure(figsize=(WIDE, rows * (side + 0.1 * lines + 0.08)), layout=tight)
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
        for k, tile in enumerate(tiles):
            _draw_tile(figure.add_subplot(grid[k // columns, places[k % columns]]), tile)
        _save(figure, path, origin)


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


def _draw_tile(axes: Axes, tile: Tile) -> None:
    axes.set(xticks=[], yticks=[], anchor="N")
    caption = "\n".join(shortened(line, 20) for line in tile.caption.split("\n"))
    axes.set_title(caption, fontsize=SMALL, pad=2, color=WARNING if tile.warns else "black")
    for spine in axes.spines.values():
        spine.set(visible=tile.warns, color=WARNING, linewidth=1.4)
    pixels = tile.look.tile
    if pixels is None:
        axes.set_aspect("equal")
        axes.text(0.5, 0.5, tile.look.reason or "not opened", ha="center", va="center", fontsize=SMALL, transform=axes.transAxes)
        return
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    for x, y, wide, high in tile.boxes:
        left, top, right, bottom = (edge * tile.look.scale for edge in (x, y, x + wide, y + high))
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=FINDING, linewidth=0.8)


def _save(figure: Figure, path: Path, origin: Origin) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks is right in the tables of the page
        # Without the program's version in the file the same figures give the same bytes.
        figure.savefig(path, metadata={"Software": None, "Description": origin.line})
