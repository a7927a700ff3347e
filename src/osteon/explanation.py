"""Evidence -> heat map on a fixed scale -> overlay.

The scale is the card's, the same for every film: a cell's heat is the probability that the film would have if this cell alone spoke.
No map is stretched to its own range, so a normal film does not glow: no cell is hotter than the film's own probability.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from osteon.card_text import level_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from osteon.card import Card, Frame, Level
    from osteon.film import Placement

# Nine equal steps of the perceptually uniform map "plasma" (van der Walt, Smith; CC0): lightness rises with the value, so it can be
# read in any kind of colour blindness, and every step has colour, so it parts from a grey film.
_PLASMA = ("0d0887", "4c02a1", "7e03a8", "a92395", "cc4778", "e56b5d", "f89540", "fdc527", "f0f921")

STRONGEST = 0.5
"""The share of colour where heat is 1; the bone stays visible below it."""

FINE = 20
"""Cells a side from which on a finding is larger than a cell: fractures take a twentieth of a film (`docs/experiments.md`)."""

HEAT_LONGER = 160
"""Pixels of the longer side of a heat map on a page: it has no finer detail."""

_STEPS = 1000
_SMALLEST_TEXT, _TEXTS_A_SIDE = 13, 40
_LEGEND_TEXTS = 30
_DISCLAIMER = "Research use only. Not for diagnosis."
_MEANING = {
    "logsumexp": "Colour: probability from this spot alone",
    "mean": "Colour: probability if all spots were like this one",
    "top-k": "Colour: probability if the strongest spots were like this one",
}


def heat(evidence: NDArray[np.float32], probability: float, card: Card) -> NDArray[np.float64]:
    """Turn evidence into heat.

    A cell's value is the calibrated probability of the film whose other cells say nothing (log-sum-exp pooling), or of the film whose
    other cells say the same (mean pooling; with top-k the highest ones), never above the film's own. `scale` then makes levels visible.

    Args:
        evidence: (h, w), logit units.
        probability: The film's, calibrated.
        card: Of the model that both come from.

    Returns:
        (h, w), 0 to 1.
    """
    pooling = card.pooling
    alone = math.log(evidence.size) / pooling.sharpness if pooling.kind == "logsumexp" else 0.0
    cells = [min(card.probability(float(e) - alone + pooling.bias), probability) for e in evidence.ravel()]
    return scale(np.array(cells).reshape(evidence.shape), card)


def scale(probability: NDArray[np.float64], card: Card) -> NDArray[np.float64]:
    """Map probabilities to heat: each of the three levels takes a third of the colours, whatever the model's thresholds are."""
    knots, steps = _knots(card)
    return np.asarray(np.interp(probability, knots, steps), np.float64)


def spread(
    cells: NDArray[np.float64], placement: Placement, frame: Frame, shape: tuple[int, int], drawn: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """Lay a map over the frame's square back on the film, bilinearly between the middles of its cells.

    Args:
        cells: (h, w), over the whole frame.
        placement: Where the film stands in the frame.
        frame: The model's.
        shape: (H, W) of the film.
        drawn: (h, w) of the picture of the film that it is for, by default its own.

    Returns:
        (h, w); 0 where the network did not see the film.
    """
    p, (height, width) = placement, drawn or shape
    x, y = (np.arange(width) + 0.5) * (shape[1] / width), (np.arange(height) + 0.5) * (shape[0] / height)
    along_x, along_y = p.to_frame(x, y)  # type: ignore[arg-type]  # the same arithmetic for all columns and rows at once
    rows = _between(cells, along_y * (cells.shape[0] / frame.size) - 0.5)
    full = _between(rows.T, along_x * (cells.shape[1] / frame.size) - 0.5).T
    seen_x, seen_y = (x >= p.left) & (x < p.left + p.width), (y >= p.top) & (y < p.top + p.height)
    return (full * seen_y[:, None] * seen_x).astype(np.float32)


def peak(evidence: NDArray[np.float32], placement: Placement, size: int) -> tuple[float, float, float]:
    """Return the point at which a map is strongest, x and y in film pixels, and the highest cell there in logit units.

    The strongest place is the cell on the film whose exp(evidence), with that of the cells around it, is highest: a finding is larger than
    a cell of a fine map, and a cell that stands alone seldom is one. The point is the centroid of exp(evidence) over those cells, since a
    finding seldom lies in the middle of one. Cells count by the middle of their part that lies on the film.

    Args:
        evidence: (h, w) over the whole frame.
        placement: Where the film stands in the frame.
        size: The frame's side S.
    """
    down, across = cells_on_film(evidence.shape, placement, size)
    seen = evidence[down.start : down.stop, across.start : across.stop].astype(np.float64)
    places = np.exp(seen - seen.max())
    if min(evidence.shape) >= FINE:
        places = _with_neighbours(_with_neighbours(places).T).T
    row, column = (int(at) for at in np.unravel_index(int(places.argmax()), places.shape))
    near = slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2)
    around = seen[near]
    weight = np.exp(around - around.max())
    x = [_middle(cell, size / evidence.shape[1], placement.offset_x, placement.width * placement.scale_x) for cell in across[near[1]]]
    y = [_middle(cell, size / evidence.shape[0], placement.offset_y, placement.height * placement.scale_y) for cell in down[near[0]]]
    there = placement.to_film(float(weight.sum(0) @ x / weight.sum()), float(weight.sum(1) @ y / weight.sum()))
    return *there, float(around.max())


def _with_neighbours(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add to each row half of the one before and of the one after."""
    padded = np.pad(cells, ((1, 1), (0, 0)))
    return np.asarray(cells + (padded[:-2] + padded[2:]) / 2, np.float64)


def cells_on_film(shape: tuple[int, ...], placement: Placement, size: int) -> tuple[range, range]:
    """Return the rows and columns of a map (h, w) over the frame of side `size` that the film covers, in part or whole."""
    p = placement
    return _cells(shape[0], p.offset_y, p.height * p.scale_y, size), _cells(shape[1], p.offset_x, p.width * p.scale_x, size)


def _cells(cells: int, offset: float, length: float, size: int) -> range:
    step = size / cells
    first, last = int((offset + 1e-6) // step), math.ceil((offset + length - 1e-6) / step)
    return range(max(first, 0), min(max(last, first + 1), cells))


def _middle(cell: int, step: float, offset: float, length: float) -> float:
    return (max(cell * step, offset) + min((cell + 1) * step, offset + length)) / 2


def overlay(pixels: NDArray[np.float32], hot: NDArray[np.float32] | None, words: tuple[str, str], card: Card) -> Image.Image:
    """Draw a film with its heat over it and a legend below; the film begins at the upper left corner, at its own resolution.

    Args:
        pixels: The film (H, W) in [0, 1].
        hot: Its heat (H, W), as `spread` lays it; None where the model does not answer for it: the film stays as it is.
        words: The legend's title, and the reason where there is no heat.
        card: Of the model that answered.
    """
    height, width = pixels.shape
    text = max(_SMALLEST_TEXT, min(height, width) // _TEXTS_A_SIDE)
    legend = _legend(words, card if hot is not None else None, text, max(width, _LEGEND_TEXTS * text))
    for line, told in ((6.8, card.reference), (8.1, _DISCLAIMER)):
        ImageDraw.Draw(legend).text((text // 2, text * line), told, "silver", _font(text * 0.95))
    canvas = Image.new("RGB", (legend.width, height + legend.height))
    canvas.paste(Image.fromarray(_blend(pixels, np.zeros_like(pixels) if hot is None else hot)))
    canvas.paste(legend, (0, height))
    return canvas


def html_pictures(pictures: Iterable[Image.Image | NDArray[np.float32]], caption: str) -> str:
    """Return pictures, or grey pixels (H, W) in [0, 1], side by side over a caption, for a notebook and with nothing outside."""
    shown = []
    for one in pictures:
        image = one if isinstance(one, Image.Image) else Image.fromarray(np.uint8(np.rint(one * 255)))
        shown.append(f'<img src="data:image/png;base64,{_coded(image, "PNG")}" alt="" style="vertical-align: top; margin-right: 8px">')
    return f'<figure style="margin: 0 0 12px">{"".join(shown)}<figcaption>{html.escape(caption)}</figcaption></figure>'


def picture(pixels: NDArray[np.float32], hot: Callable[[tuple[int, int]], NDArray[np.float32]] | None, longer: int) -> str:
    """Return a small picture of a film and one of its heat map as JSON for a page: `film` (JPEG), `heat` (PNG with transparency), base64.

    Args:
        pixels: The film (H, W) in [0, 1].
        hot: Gives its heat at a size (h, w) that is asked for; None where the model does not answer for it.
        longer: Pixels of the longer side, at most.
    """
    height, width = pixels.shape
    grey = Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    grey.thumbnail((longer, longer), reducing_gap=2)
    told = {"film": _coded(grey, "JPEG", quality=82), "width": width, "height": height}
    if hot is not None:
        scale = min(1.0, HEAT_LONGER / max(width, height))
        told["heat"] = _coded(Image.fromarray(layer(hot((max(1, round(height * scale)), max(1, round(width * scale)))))), "PNG")
    return json.dumps(told)


def _coded(image: Image.Image, form: str, **options: int) -> str:
    content = io.BytesIO()
    image.save(content, form, **options)
    return base64.b64encode(content.getvalue()).decode()


def colours(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colours (..., 3), 0 to 255, of heat (...)."""
    table = np.array([list(bytes.fromhex(c)) for c in _PLASMA], np.float64)
    ends = np.linspace(0, 1, len(table))
    return np.stack([np.interp(heat, ends, channel) for channel in table.T], axis=-1)


def _knots(card: Card) -> tuple[list[float], list[float]]:
    d = card.decision
    pairs = {0.0: 0.0, d.doubt_from: 1 / 3, d.doubt_to: 2 / 3, 1.0: 1.0}
    if d.doubt_from == d.doubt_to:
        pairs[d.doubt_from] = 0.5
    return list(pairs), list(pairs.values())


def _between(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate along the first axis; beyond the middles of the first and last cell their values hold."""
    inside = np.clip(at, 0, len(values) - 1)
    low = np.minimum(inside.astype(np.intp), max(0, len(values) - 2))
    high = np.minimum(low + 1, len(values) - 1)
    part = (inside - low)[:, None]
    return np.asarray(values[low] * (1 - part) + values[high] * part, np.float64)


def layer(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return heat (H, W) as a picture (H, W, 4) to lay over a film: colour, which covers the film where heat is strongest."""
    covered = np.dstack([colours(heat.astype(np.float64)), 255 / STRONGEST * _share(heat)])
    return np.rint(covered).astype(np.uint8)


def _share(heat: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how much colour covers the film: none below a sixth, half of "no"; the most from five sixths, half of "yes"."""
    rise = np.clip((heat - 1 / 6) * 1.5, 0, 1)
    return np.asarray(STRONGEST * rise * rise * (3 - 2 * rise), np.float64)


def _blend(grey: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay colour over a grey picture (H, W) in [0, 1], the more the hotter."""
    steps = np.linspace(0, 1, 1 + _STEPS)
    share = _share(steps)
    paint = share[:, None] * colours(steps)
    at = np.rint(heat * _STEPS).astype(np.uint16)
    light = np.clip(grey, 0, 1) * (255 * (1 - share)).astype(np.float32)[at]
    drawn = np.empty((*grey.shape, 3), np.uint8)
    for channel in range(3):
        drawn[..., channel] = np.rint(light + paint[:, channel].astype(np.float32)[at])
    return drawn


def _legend(words: tuple[str, str], card: Card | None, text: int, width: int) -> Image.Image:
    image, edge = Image.new("RGB", (width, int(text * 9.5))), text // 2
    draw, (title, reason) = ImageDraw.Draw(image), words
    draw.text((edge, text * 0.4), title, "white", _font(text * 1.25))
    if card is None:
        reason = textwrap.fill(reason, max(1, int(width / text * 2.2)), max_lines=4, placeholder=" ...")
        draw.text((edge, text * 2), reason, "silver", _font(text * 0.95))
    else:
        _bar(image, card, text, (edge, int(text * 2.6), width - 2 * edge))
        draw.text((edge, text * 5.5), _MEANING[card.pooling.kind], "silver", _font(text * 0.95))
    return image


def _bar(image: Image.Image, card: Card, text: int, place: tuple[int, int, int]) -> None:
    """Draw the colours as they look over mid-grey, the levels' names in them, and the probabilities where levels meet."""
    left, top, width = place
    draw, font = ImageDraw.Draw(image), _font(text * 0.95)
    steps = np.linspace(0, 1, width, dtype=np.float32)[None].repeat(int(text * 1.4), axis=0)
    image.paste(Image.fromarray(_blend(np.full_like(steps, 0.5), steps)), (left, top))
    knots, ends = _knots(card)
    for knot, end in zip(knots, ends, strict=True):
        x = left + end * (width - 1)
        anchor = {0.0: "la", 1.0: "ra"}.get(end, "ma")
        draw.line((x, top, x, top + text * 1.6), "white", max(1, text // 12))
        draw.text((x, top + text * 1.7), f"{knot:.2g}" if 0 < knot < 1 else f"{knot:.0f}", "silver", font, anchor)
    levels: tuple[Level, ...] = ("no", "doubt", "yes") if len(knots) == 4 else ("no", "yes")
    for level, start, end in zip(levels, ends, ends[1:], strict=False):
        at = left + (start + end) / 2 * width, top + text * 0.7
        draw.text(at, level_in_words(level), "white", font, "mm", stroke_width=1, stroke_fill="black")


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
