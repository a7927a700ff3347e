"""File -> Film, and Film -> the square that a network sees.

`place` and `prepare` are the only way from a film to network input: training, evaluation and prediction all use them.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from osteon.dicom import is_dicom, read_dicom
from osteon.errors import BlankFilm, OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.exposure import exposed_part
from osteon.raster import raster_format, read_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from osteon.card import Frame

LEAST_SIDE = 32
"""Pixels; MURA's smallest side is 89."""

LEAST_CONTRAST = 2 / 255
"""Between a film's darkest and brightest pixel; below that it is blank."""

MOST_BYTES = 2**30
"""Of a file; 100 million pixels of 16 bits are a fifth of it."""


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

    Files show bone bright as they stand; DICOM says what is bright (PS3.4 N.2) and is turned so. It may be called from several
    threads at once.

    Raises:
        UnreadableFilm: the file is not there, or no decoder makes pixels of it.
        UnsupportedFilm: no radiograph, or a side shorter than 32 pixels.
        BlankFilm: all pixels have one grey.
        OversizedFilm: the file or the picture that its header promises is larger than is sane.
    """
    name, content = str(path), _content(Path(path))
    with _SILENCE:
        film = _decoded(content, name)
    height, width = film.pixels.shape
    if min(height, width) < LEAST_SIDE:
        raise UnsupportedFilm(f"{name}: {width} x {height} pixels; a film has at least {LEAST_SIDE} on each side.")
    if float(film.pixels.max() - film.pixels.min()) < LEAST_CONTRAST:
        raise BlankFilm(f"{name}: it is blank, all its pixels have one grey. Export the film again.")
    return film


def place(film: Film, frame: Frame) -> Placement:
    """Return where a film stands in a frame.

    The part that `frame.crop` keeps is scaled to fill the frame ("stretch"), or until its longer side does ("pad": centred, the
    shorter side rounded to whole frame pixels, `scale_x` and `scale_y` then differ by that rounding).
    """
    height, width = film.pixels.shape
    left, top, wide, high = exposed_part(film.pixels) if frame.crop == "exposed" else (0, 0, width, height)
    size = frame.size
    if frame.aspect == "stretch":
        return Placement(left, top, wide, high, size / wide, size / high, 0, 0)
    longer = max(wide, high)
    across, down = max(1, round(wide * size / longer)), max(1, round(high * size / longer))
    return Placement(left, top, wide, high, across / wide, down / high, (size - across) // 2, (size - down) // 2)


def prepare(film: Film, frame: Frame, placement: Placement | None = None) -> NDArray[np.uint8]:
    """Turn a film into one network input.

    The crop is scaled with Pillow's antialiased triangle filter and set into a black square. Scaling works on the film's own
    floating-point pixels and rounds once, to the nearest of 256 greys.

    Args:
        film: Pixels in [0, 1], bone bright.
        frame: The card's.
        placement: What `place(film, frame)` returned, where the caller has it already.

    Returns:
        (S, S) with S = `frame.size`, 0 to 255, bone bright.
    """
    at = placement or place(film, frame)
    across, down = round(at.width * at.scale_x), round(at.height * at.scale_y)
    box = (at.left, at.top, at.left + at.width, at.top + at.height)
    scaled = np.asarray(Image.fromarray(film.pixels).resize((across, down), Image.Resampling.BILINEAR, box=box))
    square = np.zeros((frame.size, frame.size), np.uint8)
    x, y = int(at.offset_x), int(at.offset_y)
    square[y : y + down, x : x + across] = np.rint(np.clip(scaled, 0, 1) * 255)
    return square


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableFilm(f"{path}: a folder, no film. Name the films in it.")
        if path.exists() and not path.is_file():
            raise UnreadableFilm(f"{path}: no regular file. Copy the film to one.")
        if path.stat().st_size > MOST_BYTES:
            raise OversizedFilm(f"{path}: larger than {MOST_BYTES:,} bytes. Export one film by itself.")
        content = path.read_bytes()
    except FileNotFoundError as fault:
        raise UnreadableFilm(f"{path}: there is no such file.") from fault
    except (OSError, ValueError) as fault:
        raise UnreadableFilm(f"{path}: cannot be opened ({getattr(fault, 'strerror', None) or fault}).") from fault
    if not content:
        raise UnreadableFilm(f"{path}: the file is empty. Copy it again.")
    return content


def _decoded(content: bytes, name: str) -> Film:
    if is_dicom(content):  # first: a DICOM file may begin as a TIFF (PS3.10 section 7.1)
        seen = read_dicom(content, name)
        return Film(seen.pixels, name, "DICOM", seen.truncated, seen.study_type, seen.view, seen.study)
    if raster_format(content) is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG, TIFF nor DICOM. Export the film as one of these.")
    raster = read_raster(content, name)
    return Film(raster.pixels, name, raster.format, raster.truncated)


class _Silence:
    """Keeps decoders' warnings from the terminal while any thread reads: pydicom's quote values, a patient's name among them.

    `warnings.catch_warnings` alone is for one thread: of two that overlap, the second would put the first one's filters back last.
    """

    def __init__(self) -> None:
        self._lock, self._readers, self._caught = threading.Lock(), 0, warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._caught = warnings.catch_warnings(action="ignore")
                self._caught.__enter__()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._caught.__exit__(None, None, None)


_SILENCE = _Silence()
