"""Pictures that are no bone radiographs, synthetic: noise, shading, pages of text, drawings, slices.

They measure a guard; none of them teaches it anything. Each kind is drawn anew from a seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Grey = NDArray[np.floating]
Draw = np.random.Generator

_LETTERS = "aaabcdeeeefghiiijklmnnooopqrrsssttuuvwxyz0123456789,.-"


def made_pictures(kind: str, count: int, seed: int) -> list[NDArray[np.float32]]:
    """Draw `count` pictures (H, W) float32 in [0, 1] of one of `KINDS`, sides 300 to 640 pixels."""
    draw = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    sides = draw.integers(300, 641, (count, 2))
    return [np.clip(KINDS[kind](draw, int(height), int(width)), 0, 1).astype(np.float32) for height, width in sides]


def _noise(draw: Draw, height: int, width: int) -> Grey:
    """White noise, or noise with the power spectrum of natural scenes."""
    white = draw.normal(size=(height, width))
    falling = draw.uniform(0, 1.5)
    across, down = np.fft.rfftfreq(width)[None], np.fft.fftfreq(height)[:, None]
    spectrum = np.fft.rfft2(white) / np.maximum(np.hypot(across, down), 1 / max(height, width)) ** falling
    field = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(0.5 + draw.uniform(0.1, 0.25) * (field - field.mean()) / field.std())


def _shading(draw: Draw, height: int, width: int) -> Grey:
    """A gradient or a vignette, with a little noise: an exposure without an object."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = draw.uniform(0, 2 * np.pi)
    slope = x * np.cos(angle) + y * np.sin(angle) if draw.random() < 0.5 else 1 - np.hypot(x, y)
    low, high = np.sort(draw.uniform(0, 1, 2))
    return np.asarray(low + (high - low + 0.1) * (slope + 1) / 2 + draw.normal(0, 0.01, x.shape))


def _text(draw: Draw, height: int, width: int) -> Grey:
    """A page of words, dark on white or white on dark."""
    size = int(draw.integers(10, 26))
    page, edge = Image.new("L", (width, height), 255), int(draw.integers(10, 50))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for top in range(edge, height - edge, int(size * 1.4)):
        words = ("".join(draw.choice(list(_LETTERS), draw.integers(2, 10))) for _ in range(40))
        line = " ".join(words)[: int((width - 2 * edge) / size * 1.9)]
        if draw.random() < 0.85:
            pen.text((edge, top), line, int(draw.integers(0, 90)), font)
    grey = np.asarray(page) / 255
    return grey if draw.random() < 0.5 else 1 - grey


def _drawing(draw: Draw, height: int, width: int) -> Grey:
    """Lines and filled shapes of even grey."""
    picture = Image.new("L", (width, height), int(draw.integers(0, 256)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(draw.integers(5, 40))):
        x0, x1 = sorted(draw.integers(0, width, 2).tolist())
        y0, y1 = sorted(draw.integers(0, height, 2).tolist())
        grey, shape = int(draw.integers(0, 256)), draw.integers(4)
        if shape == 0:
            pen.line((x0, y0, x1, y1), grey, int(draw.integers(1, 8)))
        elif shape == 1:
            pen.rectangle((x0, y0, x1, y1), grey if draw.random() < 0.5 else None, grey)
        elif shape == 2:
            pen.ellipse((x0, y0, x1, y1), grey if draw.random() < 0.5 else None, grey)
        else:
            pen.polygon(draw.integers(0, min(height, width), (3, 2)).ravel().tolist(), grey)
    return np.asarray(picture) / 255


def _pattern(draw: Draw, height: int, width: int) -> Grey:
    """Stripes, checks, rings: test patterns."""
    y, x = np.mgrid[:height, :width]
    period, angle = draw.uniform(6, 80), draw.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = [
        np.sin(2 * np.pi * along / period),
        np.sign(np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * across / period)),
        np.sin(2 * np.pi * np.hypot(x - width / 2, y - height / 2) / period),
    ][draw.integers(3)]
    return np.asarray(0.5 + draw.uniform(0.2, 0.5) * wave)


def _slice(draw: Draw, height: int, width: int) -> Grey:
    """What a section through a body looks like: an ellipse of soft tissue with organs, a ring of bone, a spine, black around it."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]

    def ellipse(cx: float, cy: float, a: float, b: float) -> NDArray[np.bool_]:
        return np.asarray(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1)

    wide, tall = draw.uniform(0.6, 0.95), draw.uniform(0.5, 0.9)
    grey = np.where(ellipse(0, 0, wide, tall), draw.uniform(0.35, 0.55), 0.0)
    if draw.random() < 0.5:  # a skull's ring
        grey[ellipse(0, 0, wide, tall) & ~ellipse(0, 0, wide - 0.08, tall - 0.08)] = 0.95
    for _ in range(int(draw.integers(3, 10))):
        cx, cy = draw.uniform(-0.5, 0.5, 2) * (wide, tall)
        grey[ellipse(cx, cy, *draw.uniform(0.05, 0.3, 2)) & ellipse(0, 0, wide - 0.1, tall - 0.1)] = draw.uniform(0.05, 0.75)
    grey[ellipse(0, 0.55 * tall, 0.12, 0.14)] = 0.9
    blurred = Image.fromarray(np.uint8(grey * 255)).filter(ImageFilter.GaussianBlur(float(draw.uniform(1, 3))))
    return np.asarray(blurred) / 255 + draw.normal(0, draw.uniform(0.005, 0.04), grey.shape)


KINDS: dict[str, Callable[[Draw, int, int], Grey]] = {
    "noise": _noise,
    "shading": _shading,
    "text": _text,
    "drawing": _drawing,
    "pattern": _pattern,
    "slice": _slice,
}
"""Kinds of synthetic pictures."""
