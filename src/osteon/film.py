"""File, bytes or array -> Film, and Film -> the square that a network sees.

`place` and `prepare` are the only way from a film to network input: training, evaluation and prediction all use them.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import Image

from osteon.border import bare_part
from osteon.content import content_of, name_of
from osteon.dicom import is_dicom, read_dicom
from osteon.errors import BlankFilm, UnreadableFilm, UnsupportedFilm, UsageError
from osteon.exposure import exposed_part
from osteon.grey import unit_scale
from osteon.normalisation import normalised
from osteon.raster import raster_format, read_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from osteon.card import Frame

LEAST_SIDE = 32
"""Pixels; MURA's smallest side is 89."""

LEAST_CONTRAST = 2 / 255
"""Between a film's darkest and brightest pixel; below that it is blank."""

ROUNDED = 1e-3
"""How far beyond 0 and 1 rounding may take a pixel."""

NOT_OF_FILES = "bone= is said of arrays; a file says itself what is bright in it. Leave it out."
_SHOWN = 512  # pixels of the longer side in a notebook

Polarity = Literal["bright", "dark"]
"""What bone is in an array's numbers: high, as on most films, or low."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Film:
    """A radiograph: one X-ray image.

    `pixels` is (H, W) float32 in [0, 1], bone bright (the sense of MONOCHROME2). `path` is what the film is called. `truncated`: the file
    ends early and was read as far as it goes. `study_type`, `view` (ViewPosition) and `study` (StudyInstanceUID) are "" where the file
    does not say. `remarks` tell a person what the reader assumed, none for an ordinary film. `patient` tells the patients
    of one `study` apart and names none.
    """

    pixels: NDArray[np.float32]
    path: str
    format: Literal["PNG", "JPEG", "TIFF", "DICOM", "array"]
    truncated: bool = False
    study_type: str = ""
    view: str = ""
    study: str = ""
    remarks: tuple[str, ...] = ()
    patient: str = ""

    def __post_init__(self) -> None:
        """Refuse pixels of another shape or type, as a `UsageError`: the network's input would be made of them all the same."""
        if not isinstance(self.pixels, np.ndarray) or self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            raise UsageError("a Film has float32 pixels (height, width) from 0 to 1, bone bright. osteon.read_film makes one of an array.")

    def __repr__(self) -> str:
        height, width = self.pixels.shape
        known = [self.study_type, self.view, "truncated" if self.truncated else ""]
        return f"<Film {self.path}: {', '.join([self.format, f'{width} x {height} pixels', *filter(None, known)])}>"

    def _repr_png_(self) -> bytes:
        """Return the film for a notebook, scaled down."""
        image, content = Image.fromarray(np.rint(self.pixels * 255).astype(np.uint8)), io.BytesIO()
        image.thumbnail((_SHOWN, _SHOWN))
        image.save(content, "PNG")
        return content.getvalue()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a film stands in the frame.

    The crop `left, top, width, height` (film pixels) becomes the frame's rectangle that begins at `offset_x, offset_y`;
    `scale_x, scale_y` are frame pixels per film pixel. Coordinates are continuous, (0, 0) the upper left corner of the upper
    left pixel, in film and frame alike. `bare` is the film without its border (left, top, width, height), for `prepare`.
    """

    left: float
    top: float
    width: float
    height: float
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    bare: tuple[int, int, int, int] | None = field(default=None, compare=False, repr=False)

    def to_frame(self, x: float, y: float) -> tuple[float, float]:
        """Return where the film's point (x, y) stands in the frame; outside the crop it lies outside the rectangle."""
        return self.offset_x + (x - self.left) * self.scale_x, self.offset_y + (y - self.top) * self.scale_y

    def to_film(self, x: float, y: float) -> tuple[float, float]:
        """Return which point of the film stands at the frame's point (x, y)."""
        return self.left + (x - self.offset_x) / self.scale_x, self.top + (y - self.offset_y) / self.scale_y


def read_film(
    source: str | os.PathLike[str] | bytes | BinaryIO | NDArray[np.generic], name: str = "", bone: Polarity | None = None
) -> Film:
    """Read a film from PNG, JPEG, TIFF or DICOM, or take an array as one; the content decides which, not the name.

    Files show bone bright as they stand; DICOM says what is bright (PS3.4 N.2) and is turned so. It may be called from several
    threads at once, and takes no more work and memory than `osteon.bounds` says.

    Args:
        source: A path, a file's content as bytes, a file opened with "rb", or an array: (H, W), uint8, uint16, or float from 0 to 1.
        name: What the film is called; default: its path, or "film".
        bone: Only for an array, and needed there: whether bone is "bright" in it or "dark".

    Raises:
        UsageError: the source is none of these.
        UnreadableFilm: the file is not there, or no decoder makes pixels of it.
        UnsupportedFilm: no radiograph, or a side shorter than 32 pixels.
        BlankFilm: all pixels have one grey.
        OversizedFilm: the file, the picture that its header promises, or the work that it asks for is larger than is sane.
    """
    name = name or name_of(source) or "film"
    if isinstance(source, np.ndarray):
        return checked(film_of(source, name, bone))
    if bone is not None:
        raise UsageError(NOT_OF_FILES)
    content = content_of(source, name)
    with _SILENCE:
        return checked(_decoded(content, name))


def film_of(pixels: NDArray[np.generic], name: str, bone: Polarity | None) -> Film:
    """Take an array (H, W) as a film, as `read_film` does.

    Raises:
        UsageError: it says not whether bone is bright, or has another shape or type, or numbers outside [0, 1].
    """
    if bone not in ("bright", "dark"):
        raise UsageError(
            f"{name}: an array does not say what is bright. Add bone='bright' where bone is brighter than air, else bone='dark'."
        )
    if pixels.ndim != 2:
        raise UsageError(f"{name}: an array of shape {pixels.shape} is no film. Give grey pixels (height, width); several films as a list.")
    if np.ma.is_masked(pixels):
        raise UsageError(f"{name}: some of its pixels are masked, and a film has them all. Give them a grey.")
    if pixels.dtype.kind == "f" and not (pixels.size and pixels.min() >= 0 and pixels.max() <= 1):  # nor is NaN
        raise UsageError(f"{name}: pixels of {pixels.dtype} must be numbers from 0 to 1. Scale them, or give uint8 or uint16.")
    if pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise UsageError(f"{name}: pixels of {pixels.dtype} have no known white. Give uint8, uint16, or float from 0 to 1.")
    unit = unit_scale(pixels)
    return Film(unit if bone == "bright" else 1 - unit, name, "array")


def checked(film: Film) -> Film:
    """Return a film that shows something.

    Raises:
        UnsupportedFilm: a side is shorter than 32 pixels, or they are no numbers from 0 to 1.
        BlankFilm: all pixels have one grey.
    """
    height, width = film.pixels.shape
    if min(height, width) < LEAST_SIDE:
        raise UnsupportedFilm(f"{film.path}: {width} x {height} pixels; a film has at least {LEAST_SIDE} on each side.")
    if check_range(film) < LEAST_CONTRAST:
        raise BlankFilm(f"{film.path}: it is blank, all its pixels have one grey. Export the film again.")
    return film


def check_range(film: Film) -> float:
    """Return how far apart a film's darkest and brightest pixels are.

    Raises:
        UnsupportedFilm: they are no numbers from 0 to 1.
    """
    low, high = float(film.pixels.min()), float(film.pixels.max())
    if not (low >= -ROUNDED and high <= 1 + ROUNDED):  # nor is NaN
        raise UnsupportedFilm(f"{film.path}: its pixels are no numbers from 0 to 1. Give what osteon.read_film returns.")
    return high - low


def place(film: Film, frame: Frame) -> Placement:
    """Return where a film stands in a frame.

    The part that `frame.crop` keeps is scaled to fill the frame ("stretch"), or until its longer side does ("pad": centred, the
    shorter side rounded to whole frame pixels, `scale_x` and `scale_y` then differ by that rounding).
    """
    height, width = film.pixels.shape
    whole = (0, 0, width, height)
    bare = bare_part(film.pixels) if frame.crop == "exposed" else whole
    left, top, wide, high = exposed_part(film.pixels, bare) if frame.crop == "exposed" else whole
    size = frame.size
    if frame.aspect == "stretch":
        return Placement(left, top, wide, high, size / wide, size / high, 0, 0, bare)
    longer = max(wide, high)
    across, down = max(1, round(wide * size / longer)), max(1, round(high * size / longer))
    return Placement(left, top, wide, high, across / wide, down / high, (size - across) // 2, (size - down) // 2, bare)


def prepare(film: Film, frame: Frame, placement: Placement | None = None) -> NDArray[np.uint8]:
    """Turn a film into one network input.

    The crop is scaled with Pillow's antialiased triangle filter and set into a black square. Scaling works on the film's own
    floating-point pixels, sees nothing of a border that the crop cuts off, and rounds once, to the nearest of 256 greys, which
    `osteon.normalisation` chooses where `frame.greys` asks for it.

    Args:
        film: Pixels in [0, 1], bone bright.
        frame: The card's.
        placement: What `place(film, frame)` returned, where the caller has it already.

    Returns:
        (S, S) with S = `frame.size`, 0 to 255, bone bright.
    """
    at = placement or place(film, frame)
    across, down = round(at.width * at.scale_x), round(at.height * at.scale_y)
    x, y, wide, high = at.bare or place(film, frame).bare or (0, 0, *film.pixels.shape[::-1])
    box = (at.left - x, at.top - y, at.left + at.width - x, at.top + at.height - y)
    bare = Image.fromarray(film.pixels[y : y + high, x : x + wide])
    scaled = np.asarray(bare.resize((across, down), Image.Resampling.BILINEAR, box=box))
    square = np.zeros((frame.size, frame.size), np.uint8)
    x, y = int(at.offset_x), int(at.offset_y)
    grey = np.clip(scaled, 0, 1)
    square[y : y + down, x : x + across] = normalised(grey) if frame.greys == "normalised" else np.rint(grey * 255)
    return square


def unprepare(square: NDArray[np.uint8], placement: Placement) -> tuple[NDArray[np.float32], Placement]:
    """Return what a network saw of a film in the film's own shape, and where that stands in the frame.

    Args:
        square: (S, S), as `prepare` made it.
        placement: Where the film stands in it.

    Returns:
        (h, w) in [0, 1], the cut part of the film at the network's resolution; and its placement.
    """
    at = placement
    x, y, across, down = int(at.offset_x), int(at.offset_y), round(at.width * at.scale_x), round(at.height * at.scale_y)
    width, height = (max(1, round(side * max(at.scale_x, at.scale_y))) for side in (at.width, at.height))
    shaped = Image.fromarray(square[y : y + down, x : x + across]).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(shaped, np.float32) / np.float32(255), Placement(0, 0, width, height, across / width, down / height, x, y)


def _decoded(content: bytes, name: str) -> Film:
    if is_dicom(content):  # first: a DICOM file may begin as a TIFF (PS3.10 section 7.1)
        seen = read_dicom(content, name)
        return Film(seen.pixels, name, "DICOM", seen.truncated, seen.study_type, seen.view, seen.study, seen.remarks, seen.patient)
    if raster_format(content) is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG, TIFF nor DICOM. Export the film as one of these.")
    raster = read_raster(content, name)
    return Film(raster.pixels, name, raster.format, raster.truncated, remarks=raster.remarks)


class _Silence:
    """Keeps decoders' warnings from terminal and logs while any thread reads: pydicom's quote values, a patient's name among them.

    `warnings.catch_warnings` alone is for one thread: of two that overlap, the second would put the first one's filters back last.
    """

    def __init__(self) -> None:
        self._lock, self._readers, self._caught = threading.Lock(), 0, warnings.catch_warnings()
        self._log, self._disabled = logging.getLogger("pydicom"), False

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._caught = warnings.catch_warnings(action="ignore")
                self._caught.__enter__()
                self._disabled, self._log.disabled = self._log.disabled, True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._caught.__exit__(None, None, None)
                self._log.disabled = self._disabled


_SILENCE = _Silence()
