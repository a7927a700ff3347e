"""Samples as a decoder gave them -> grey in [0, 1]; a colour picture is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from osteon.depth import unit
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOURED_CELLS = 0.01
"""A film of which more than this share of a coarse grid is coloured is a colour picture. Grey JPEGs in RGB have none."""

COLOUR_SPREAD = 24
"""Grey levels (of 255) between a cell's highest and lowest channel from which it counts as coloured."""

LUMA = (0.299, 0.587, 0.114)
"""Red, green and blue of a grey (ITU-R BT.601), as Pillow weighs them."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture, and what its header says.

    `samples` is Pillow's image, or (H, W) of 8 bits, or (H, W, C) of 16: grey or red, green and blue, then alpha. `said` and `scaled`
    are those of `depth.unit`, `turn` the EXIF orientation that is still to be applied, `inverted` where white is 0.
    """

    samples: Image.Image | NDArray[np.uint8] | NDArray[np.uint16]
    truncated: bool = False
    said: int = 0
    scaled: bool = False
    turn: int = 1
    inverted: bool = False


def grey(decoded: Decoded, name: str) -> NDArray[np.float32]:
    """Return (H, W) in [0, 1]; `name` is what a refusal calls the film. Transparent pixels are black.

    Raises:
        UnsupportedFilm: colour, black and white, or values that are not numbers.
    """
    samples = decoded.samples
    if isinstance(samples, np.ndarray):
        return _of_255(samples) if samples.ndim == 2 else _grey_of_deep(samples.astype(np.uint16, copy=False), decoded, name)
    if not samples.mode.startswith(("I", "F")):
        return _grey_of_bytes(samples, name)
    values = np.asarray(samples)
    deep = values.dtype.kind == "u" and values.dtype.itemsize == 2
    shares = unit(values, decoded.said, scaled=decoded.scaled) if deep else _stretched(values, name)
    return 1 - shares if decoded.inverted else shares


def unit_scale(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Bring samples to [0, 1]: uint8 by 255, uint16 by the range that they use (`osteon.depth`); others stay as they are."""
    if values.dtype.kind != "u":
        return values.astype(np.float32)
    return _of_255(values.astype(np.uint8)) if values.dtype.itemsize == 1 else unit(values.astype(np.uint16), 0)


def check_colour(image: Image.Image, name: str) -> None:
    """Refuse an RGB picture that is coloured; the noise of JPEG's colour channels, and a small coloured mark, are none.

    Raises:
        UnsupportedFilm: it is one.
    """
    # Channel by channel: numpy takes ten times as long over an axis of three.
    red, green, blue = np.moveaxis(np.asarray(image.reduce(max(1, min(image.size) // 128)), np.int16), 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    coloured = (spread >= COLOUR_SPREAD).mean()
    if coloured > COLOURED_CELLS:
        raise UnsupportedFilm(f"{name}: a colour picture ({coloured:.0%} of it), no radiograph. If it is one, export it in grey.")


def _grey_of_bytes(image: Image.Image, name: str) -> NDArray[np.float32]:
    if image.mode == "1":
        raise UnsupportedFilm(f"{name}: it is black and white without greys, no radiograph.")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        return np.asarray(_grey_of_bytes(full.convert("RGB"), name) * _of_255(full.getchannel("A")), np.float32)
    if image.mode != "L":
        image = image if image.mode == "RGB" else image.convert("RGB")
        check_colour(image, name)
        image = image.convert("L")
    return _of_255(image)


def _grey_of_deep(samples: NDArray[np.uint16], decoded: Decoded, name: str) -> NDArray[np.float32]:
    channels = samples.shape[2]
    colours = channels - (channels in (2, 4))
    shares = unit(samples[..., :colours], decoded.said, scaled=decoded.scaled)
    if colours == 3:
        check_colour(Image.fromarray((shares * np.float32(255)).astype(np.uint8)), name)
        shares = np.asarray(shares @ np.array(LUMA, np.float32), np.float32)
    else:
        shares = shares[..., 0]
    shares = 1 - shares if decoded.inverted else shares
    return shares if colours == channels else shares * unit(samples[..., -1], 16)


def _of_255(samples: Image.Image | NDArray[np.integer]) -> NDArray[np.float32]:
    return np.asarray(np.asarray(samples, np.float32) / np.float32(255), np.float32)


def _stretched(values: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not np.isfinite([low, high]).all():
        raise UnsupportedFilm(f"{name}: some pixels are not numbers. Export the film with 8 or 16 bits.")
    if not 0 <= low <= high <= 1:
        wide = (wide - low) / ((high - low) or 1)
    return wide.astype(np.float32)
