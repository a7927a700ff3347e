"""What the lab's figures share: style, size (a paper's column of 86 mm at 300 dots an inch, or a page's width at 200), colours.

Colours are Okabe and Ito's; what they tell apart differs in place, mark or dash as well. Nothing is set globally: the style holds while a
figure is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b6b6b"

COLUMN, PAGE = 3.4, 7.2
"""Inches: a paper's column, and both of them."""

STYLE: dict[Any, Any] = {
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
    "svg.hashsalt": "osteon",
    "text.parse_math": False,  # a name may hold a dollar sign
}


@contextmanager
def drawn(
    path: Path, size: tuple[float, float], description: str = "", layout: Literal["constrained"] | None = None, *, paper: bool = False
) -> Iterator[Figure]:
    """Give a figure to draw on, and write it as PNG when it is drawn; for a paper as SVG and PDF beside it, too.

    Args:
        path: PNG.
        size: Width and height in inches.
        description: What made it, for the file's metadata.
        layout: How matplotlib makes room for its axes.
        paper: Whether it is of lines alone, which a paper wants without dots.
    """
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks is right in the tables of the page
        figure = Figure(figsize=size, layout=layout)
        FigureCanvasAgg(figure)
        yield figure
        # Without the program's version and the time in the file the same numbers give the same bytes.
        figure.savefig(
            path, dpi=300 if size[0] < PAGE else 200, metadata={"Software": None, **({"Description": description} if description else {})}
        )
        if paper:
            figure.savefig(path.with_suffix(".svg"), metadata={"Creator": None, "Date": None})
            figure.savefig(path.with_suffix(".pdf"), metadata={"Creator": None, "Producer": None, "CreationDate": None})


@contextmanager
def panels(path: Path, size: tuple[float, float], heights: Sequence[float] = (1,)) -> Iterator[list[Axes]]:
    """Give axes one above the other, of these relative heights, of a figure for a paper."""
    with drawn(path, size, layout="constrained", paper=True) as figure:
        yield list(figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])


@contextmanager
def plain(path: Path, size: tuple[float, float], description: str = "") -> Iterator[Axes]:
    """Give axes without lines or ticks over the whole figure, in inches from the upper left."""
    with drawn(path, size, description) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        axes.set_axis_off()
        yield axes
