"""Corruptions: a film as it might have come instead, of another exposure, console, file or pose. A robust model hardly changes its answer.

Strengths are in the film's own pixels; a film larger than a model's frame is scaled down, and much of noise and blur with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Grey = NDArray[np.floating]
"""(H, W) in [0, 1], bone bright; above and below where a corruption has just been done."""

Corruption = Callable[[Grey, np.random.Generator], Grey]


def _grain(deviation: float) -> Corruption:
    return lambda grey, draw: grey + draw.normal(0, deviation, grey.shape)


def _blurred(sigma: float) -> Corruption:
    return lambda grey, _: gaussian_filter(grey, sigma)


def _raised(sigma: float, strength: float) -> Corruption:
    """Add some of a film's difference to its blur: unsharp masking, and with a wide blur what CLAHE does."""
    return lambda grey, _: grey + strength * (grey - gaussian_filter(grey, sigma))


def _jpeg(quality: int) -> Corruption:
    return lambda grey, _: as_jpeg(np.rint(grey * 255).astype(np.uint8), quality) / np.float32(255)


def _bordered(level: float) -> Corruption:
    def bordered(grey: Grey, _: np.random.Generator) -> Grey:
        rows, columns = (round(0.05 * side) for side in grey.shape)
        return np.pad(grey, ((rows, rows), (columns, columns)), constant_values=level)

    return bordered


def _coarse(grey: Grey, _: np.random.Generator) -> Grey:
    height, width = grey.shape
    picture = Image.fromarray(grey)
    small = picture.resize((max(width // 2, 1), max(height // 2, 1)), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


CORRUPTIONS: dict[str, Corruption] = {
    "mirrored": lambda grey, _: grey[:, ::-1],
    "turned by 180 degrees": lambda grey, _: grey[::-1, ::-1],
    "turned by 90 degrees": lambda grey, _: np.rot90(grey),
    "noise of 2 greys": _grain(2 / 255),
    "noise of 4 greys": _grain(4 / 255),
    "noise of 8 greys": _grain(8 / 255),
    "blur of 1 pixel": _blurred(1),
    "blur of 2 pixels": _blurred(2),
    "half the resolution": _coarse,
    "sharpened": _raised(2, 1.5),
    "more local contrast": _raised(16, 1.5),
    "JPEG at quality 60": _jpeg(60),
    "JPEG at quality 30": _jpeg(30),
    "half the contrast": lambda grey, _: np.float32(0.25) + grey / 2,
    "brighter by half": lambda grey, _: grey * np.float32(1.5),
    "gamma 0.6": lambda grey, _: grey ** np.float32(0.6),
    "gamma 1.6": lambda grey, _: grey ** np.float32(1.6),
    "black border": _bordered(0),
    "white border": _bordered(1),
    "grey border": _bordered(0.5),
    "black border, JPEG at quality 60": lambda grey, draw: _jpeg(60)(_bordered(0)(grey, draw), draw),
}
"""By name; noise (of 256 greys) and blur are standard deviations, a border has 5 % of the film's side."""


def as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return what a JPEG file of a grey picture (H, W) shows."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def corrupted(grey: NDArray[np.float32], name: str, seed: int) -> NDArray[np.float32]:
    """Return a film's pixels corrupted; the same seed gives the same film.

    Args:
        grey: (H, W) in [0, 1].
        name: A key of `CORRUPTIONS`.
        seed: Of what is random in it.
    """
    made = CORRUPTIONS[name](grey, np.random.default_rng(seed))
    return np.ascontiguousarray(np.clip(made, 0, 1), dtype=np.float32)
