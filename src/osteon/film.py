"""File -> Film, and Film -> the square that a network sees.

`place` and `prepare` are the only way from a film to network input: training, evaluation and prediction all use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from osteon.errors import UnreadableFilm, UnsupportedFilm
from osteon.raster import raster_format, read_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from osteon.card import Frame

LEAST_SIDE = 32
"""Pixels; MURA's smallest side is 89."""


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A radiograph.

    `pixels` is (H, W) float32 in [0, 1], bone bright (the sense of MONOCHROME2). `truncated`: the file ends early and was read as
    far as it goes. `study_type`, `view` (ViewPosition) and `study` (StudyInstanceUID) are "" where the file does not say.
    """

    pixels: NDArray[np.float32]
    path: str
    format: Literal["PNG", "JPEG", "TIFF", "DICOM"]
    truncated: bool = False
    study_type: str = ""
    view: str = ""
    study: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a film stands in the frame.

    The crop `left, top, width, height` (film pixels) becomes the frame's rectangle that begins at `offset_x, offset_y`;
    `scale_x, scale_y` are frame pixels per film pixel. Coordinates are continuous, (0, 0) the upper left corner of the upper
    left pixel, in film and frame alike.
    """

    left: float
    top: float
    width: float
    height: float
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """Return where the film's point (x, y) stands in the frame; outside the crop it lies outside the rectangle."""
        return self.offset_x + (x - self.left) * self.scale_x, self.offset_y + (y - self.top) * self.scale_y

    def to_film(self, x: float, y: float) -> tuple[float, float]:
        """Return which point of the film stands at the frame's point (x, y)."""
        return self.left + (x - self.offset_x) / self.scale_x, self.top + (y - self.offset_y) / self.scale_y


def read_film(path: str | Path) -> Film:
    """Read a film from PNG, JPEG, TIFF or DICOM; the content decides which, not the name.

    Raises:
        UnreadableFilm: the file is not there, or no decoder makes pixels of it.
        UnsupportedFilm: no radiograph, or a side shorter than 32 pixels.
        OversizedFilm: the header promises more pixels than is sane.
    """
    name = str(path)
    content = _content(Path(path))
    if raster_format(content) is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG, TIFF nor DICOM. Export the film in one of these.")
    raster = read_raster(content, name)
    return _checked(Film(raster.pixels, name, raster.format, raster.truncated))


def place(film: Film, frame: Frame) -> Placement:
    """Return where a film stands in a frame."""
    height, width = film.pixels.shape
    left, top, wide, high = 0, 0, width, height
    size = frame.size
    if frame.aspect == "stretch":
        return Placement(left, top, wide, high, size / wide, size / high, 0, 0)
    longer = max(wide, high)
    across, down = max(1, round(wide * size / longer)), max(1, round(high * size / longer))
    return Placement(left, top, wide, high, across / wide, down / high, (size - across) // 2, (size - down) // 2)


def prepare(film: Film, frame: Frame) -> NDArray[np.uint8]:
    """Turn a film into one network input.

    The crop is scaled with Pillow's antialiased triangle filter and set into a black square.

    Returns:
        (S, S) with S = `frame.size`, 0 to 255, bone bright.
    """
    at = place(film, frame)
    across, down = round(at.width * at.scale_x), round(at.height * at.scale_y)
    box = (at.left, at.top, at.left + at.width, at.top + at.height)
    scaled = Image.fromarray(film.pixels).resize((across, down), Image.Resampling.BILINEAR, box=box)
    square = np.zeros((frame.size, frame.size), np.uint8)
    x, y = int(at.offset_x), int(at.offset_y)
    square[y : y + down, x : x + across] = np.rint(np.clip(np.asarray(scaled), 0, 1) * 255).astype(np.uint8)
    return square


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableFilm(f"{path}: a folder, no film. Name the films in it.")
        content = path.read_bytes()
    except FileNotFoundError as fault:
        raise UnreadableFilm(f"{path}: there is no such file.") from fault
    except OSError as fault:
        raise UnreadableFilm(f"{path}: cannot be opened ({fault.strerror}).") from fault
    if not content:
        raise UnreadableFilm(f"{path}: the file is empty. Copy it again.")
    return content


def _checked(film: Film) -> Film:
    if min(film.pixels.shape) < LEAST_SIDE:
        height, width = film.pixels.shape
        raise UnsupportedFilm(f"{film.path}: {width} x {height} pixels; a film has at least {LEAST_SIDE} on each side.")
    return film
