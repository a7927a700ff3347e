"""A sheet to draw on, its origin in the file; and what is drawn on several: marks, legends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from osteon.lab.drawing import BLUE, COLUMN, ORANGE, drawn
from osteon.lab.exploration.records import ABNORMAL, NORMAL, UNLABELLED, Origin
from osteon.lab.tiles import shortened

LABEL_COLOURS = {NORMAL: BLUE, ABNORMAL: ORANGE, UNLABELLED: "#b5b5b5"}
SPLIT_COLOURS = ("#1b6f5a", "#CC79A7", "#56B4E9", "#8c6d1f")
MARKERS = "os^D"


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


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a figure, the first on top."""
    axes.set_yticks(range(len(names)), [shortened(name, 24) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def add_legend(axes: Axes, columns: int) -> None:
    """Put the legend over the axes."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns, handlelength=1, handletextpad=0.4, columnspacing=0.8)
