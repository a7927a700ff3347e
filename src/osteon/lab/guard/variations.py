"""The same films as another machine and another hand would have made them: what a guard must let pass.

Training varies films in much the same way, so the network answers for these too. Without them a guard takes its training films' own
machine for the world, and refuses whatever another hospital sends.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from osteon.lab.evaluation.corruptions import as_jpeg

GAMMA = 0.5  # the power is within exp(-0.5) and exp(0.5): other processing
GAIN = 0.3
TURN, ZOOM, SHIFT = 30.0, 0.2, 0.05  # degrees; shares of the side
STRIPS, WIDEST = 0.35, 0.15  # how often there are white strips along edges, where the collimator stood, and their share of a side

FILTERED, REACH, RAISED = 0.3, (1.0, 16.0), 150  # how often the console's filters are others; pixels; per cent of the detail, at most
GRAINY, GRAIN = 0.3, (0.004, 0.03)  # how often there is more grain; its standard deviation as a share of white
COMPRESSED, QUALITY = 0.3, (30, 90)  # how often the file was JPEG


def varied(square: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return a prepared film (S, S) with other contrast, pose, collimation and texture; its padding stays black."""
    shown = square > 0
    grey = (square / np.float32(255)) ** math.exp(draw.uniform(-GAMMA, GAMMA)) * draw.uniform(1 - GAIN, 1 + GAIN)
    if draw.random() < STRIPS and shown.any():
        _strips(grey, shown, draw)
    if draw.random() < 0.5:
        grey = grey[:, ::-1]
    turned = _moved(Image.fromarray(np.ascontiguousarray(np.clip(grey, 0, 1), np.float32)), draw)
    return _textured(np.asarray(np.rint(np.clip(np.asarray(turned), 0, 1) * 255), np.uint8), draw)


def _strips(grey: NDArray[np.floating], shown: NDArray[np.bool_], draw: np.random.Generator) -> None:
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    level = draw.uniform(0.7, 1)
    for along, (first, last) in enumerate(((rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1))):
        widths = (draw.uniform(0, WIDEST, 2) * (last - first) * (draw.random(2) < 0.6)).astype(int)
        lines = grey if along == 0 else grey.T
        inside = shown if along == 0 else shown.T
        for part in (slice(first, first + widths[0]), slice(last - widths[1], last)):
            lines[part][inside[part]] = level


def _textured(square: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return a film with the grain of another exposure, through another console's filters and another file's compression."""
    grainy, filtered, compressed = draw.random(3) < (GRAINY, FILTERED, COMPRESSED)
    shown, made = square > 0, square
    if grainy:
        deviation = math.exp(draw.uniform(*np.log(GRAIN)))
        made = np.clip(made + draw.normal(0, 255 * deviation, made.shape), 0, 255).astype(np.uint8)
    if filtered:
        raised = ImageFilter.UnsharpMask(draw.uniform(*REACH), int(draw.uniform(0, RAISED)), 0)
        made = np.asarray(Image.fromarray(made).filter(raised))
    if compressed:
        made = as_jpeg(made, int(draw.integers(*QUALITY)))
    return made * shown


def _moved(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    side = picture.width
    angle, zoom = math.radians(draw.uniform(-TURN, TURN)), draw.uniform(1 - ZOOM, 1 + ZOOM)
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    middle, (dx, dy) = side / 2, draw.uniform(-SHIFT, SHIFT, 2) * side
    back = (
        cosine,
        sine,
        middle - cosine * (middle + dx) - sine * (middle + dy),
        -sine,
        cosine,
        middle + sine * (middle + dx) - cosine * (middle + dy),
    )
    return picture.transform((side, side), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
