"""Samples as a decoder gave them -> grey in [0, 1]; a colour picture is refused, a viewer's coloured window around a film blackened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from osteon.depth import ENOUGH, FEW, unit
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Box = tuple[int, int, int, int]  # left, top, right, bottom

COLOURED_CELLS = 0.01
"""A film of which more than this share of a coarse grid is coloured is a colour picture. Grey JPEGs in RGB have none."""

COLOUR_SPREAD = 24
"""Grey levels (of 255) between a cell's highest and lowest channel from which it counts as coloured."""

STRIP = 0.2
"""Share of a side that a viewer's window may take."""

STRIP_CELLS = 0.1
"""Share of a strip's innermost line that is coloured at least."""

STRIP_GREY = 6
"""Grey levels (of 255) by which the rest of a strip's line may differ from one grey: a tool bar between its icons."""

STRIP_ODD = 0.05
"""Share of a strip's line that may be of another grey. The film beside a coloured label takes more."""

STRIP_LETTERS = 0.3
"""Share of a line, coloured otherwise, that letters may take."""

FAR = 0.5
"""How far from the others a few pixels of a 32-bit or float file are hot or dead, as a share of the range of the others."""

WINDOW_CUT = "coloured strips along its edges, as of a viewer's window, were cut off"

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


def grey(decoded: Decoded, name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return (H, W) in [0, 1], and remarks; `name` is what a refusal calls the film.

    Transparent pixels are black, and so are coloured strips along the edges.

    Raises:
        UnsupportedFilm: colour, black and white, or values that are not numbers.
    """
    samples = decoded.samples
    if isinstance(samples, np.ndarray):
        if samples.ndim == 3:
            return _grey_of_deep(samples.astype(np.uint16, copy=False), decoded, name)
        return _of_255(samples), ()
    if not samples.mode.startswith(("I", "F")):
        return _grey_of_bytes(samples, name)
    values = np.asarray(samples)
    deep = values.dtype.kind == "u" and values.dtype.itemsize == 2
    shares = unit(values, decoded.said, scaled=decoded.scaled) if deep else _stretched(values, name)
    return 1 - shares if decoded.inverted else shares, ()


def unit_scale(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Bring samples to [0, 1]: uint8 by 255, uint16 by the range that they use (`osteon.depth`); others stay as they are."""
    if values.dtype.kind != "u":
        return values.astype(np.float32)
    return _of_255(values.astype(np.uint8)) if values.dtype.itemsize == 1 else unit(values.astype(np.uint16), 0)


def film_of_picture(image: Image.Image, name: str) -> Box:
    """Return what an RGB picture shows within coloured strips along its edges.

    The noise of JPEG's colour channels, and a small coloured mark, are no colour. With a strip a hundredth of a side may go beside it.

    Raises:
        UnsupportedFilm: it is coloured elsewhere, too.
    """
    step = max(1, min(image.size) // 128)
    # Channel by channel: numpy takes ten times as long over an axis of three.
    small = image.reduce(step)
    red, green, blue = np.moveaxis(np.asarray(small, np.int16), 2, 0)
    coloured = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue) >= COLOUR_SPREAD
    left, top, right, bottom = _within_strips(np.where(coloured, np.float32(np.nan), np.asarray(small.convert("L"), np.float32)))
    if coloured[top:bottom, left:right].mean() > COLOURED_CELLS:
        raise UnsupportedFilm(f"{name}: a colour picture ({coloured.mean():.0%} of it), no radiograph. If it is one, export it in grey.")
    return left * step, top * step, min(right * step, image.width), min(bottom * step, image.height)


def _within_strips(greys: NDArray[np.float32]) -> Box:
    """Return the cells that remain when the sides with most colour have lost their strips, as few as leave no more than a mark.

    Args:
        greys: (H, W), 0 to 255, NaN where it is coloured.
    """
    box = [0, 0, greys.shape[1], greys.shape[0]]
    sides = {0, 1, 2, 3}
    while sides and np.isnan(inner := greys[box[1] : box[3], box[0] : box[2]]).mean() > COLOURED_CELLS:
        lines = (inner.T, inner, inner.T[::-1], inner[::-1])
        depths = [_strip(some) for some in lines]
        side = max(sides, key=lambda side: np.isnan(lines[side][: depths[side]]).sum())
        box[side] += depths[side] if side < 2 else -depths[side]
        sides.remove(side)
    return box[0], box[1], box[2], box[3]


def _strip(lines: NDArray[np.float32]) -> int:
    """Return how many lines, from the first on, are a coloured strip: each is colour and one grey, up to the last that has colour."""
    outer = lines[: int(STRIP * len(lines))]
    unbroken = np.logical_and.accumulate(np.array([_no_film(line) for line in outer], bool))
    return int(np.flatnonzero(unbroken & (np.isnan(outer).mean(1) >= STRIP_CELLS)).max(initial=-1)) + 1


def _no_film(line: NDArray[np.float32]) -> bool:
    """Tell whether a line is coloured but for letters, or is of one grey where it is not."""
    rest = line[~np.isnan(line)]
    return rest.size <= STRIP_LETTERS * line.size or bool((np.abs(rest - np.median(rest)) > STRIP_GREY).sum() <= STRIP_ODD * line.size)


def _blackened(shares: NDArray[np.float32], box: Box) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a film that is black outside of the box, so that it keeps its coordinates and loses what is there as a border."""
    left, top, right, bottom = box
    if box == (0, 0, *shares.shape[::-1]):
        return shares, ()
    film = np.zeros_like(shares)
    film[top:bottom, left:right] = shares[top:bottom, left:right]
    return film, (WINDOW_CUT,)


def _grey_of_bytes(image: Image.Image, name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    if image.mode == "1":
        raise UnsupportedFilm(f"{name}: it is black and white without greys, no radiograph.")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        shares, remarks = _grey_of_bytes(full.convert("RGB"), name)
        return np.asarray(shares * _of_255(full.getchannel("A")), np.float32), remarks
    if image.mode == "L":
        return _of_255(image), ()
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _blackened(_of_255(image.convert("L")), film_of_picture(image, name))


def _grey_of_deep(samples: NDArray[np.uint16], decoded: Decoded, name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    channels = samples.shape[2]
    colours = channels - (channels in (2, 4))
    shares = unit(samples[..., :colours], decoded.said, scaled=decoded.scaled)
    remarks: tuple[str, ...] = ()
    if colours == 3:
        box = film_of_picture(Image.fromarray((shares * np.float32(255)).astype(np.uint8)), name)
        shares, remarks = _blackened(np.asarray(shares @ np.array(LUMA, np.float32), np.float32), box)
    else:
        shares = shares[..., 0]
    shares = 1 - shares if decoded.inverted else shares
    return shares if colours == channels else shares * unit(samples[..., -1], 16), remarks


def _of_255(samples: Image.Image | NDArray[np.integer]) -> NDArray[np.float32]:
    return np.asarray(np.asarray(samples, np.float32) / np.float32(255), np.float32)


def _stretched(values: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not np.isfinite([low, high]).all():
        raise UnsupportedFilm(f"{name}: some pixels are not numbers. Export the film with 8 or 16 bits.")
    if not 0 <= low <= high <= 1:
        low, high = _own_range(wide)
        wide = (wide - low) / ((high - low) or 1)
        np.clip(wide, 0, 1, out=wide)
    return wide.astype(np.float32)


def _own_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of all values but for a few hot or dead pixels, which lie far from the others; 0 to 1 where that holds them."""
    some = values.reshape(-1)[:: -(-values.size // ENOUGH) or 1]
    low, high = np.quantile(some, (FEW, 1 - FEW), method="nearest")
    if 0 <= low < high <= 1:
        return 0.0, 1.0
    reach = FAR * (high - low) or np.inf
    return (
        float(values.min(where=values >= low - reach, initial=low)),
        float(values.max(where=values <= high + reach, initial=high)),
    )
