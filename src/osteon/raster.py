"""PNG, JPEG, TIFF -> grey pixels.

Pillow decodes. A file that ends early is read as far as it goes and flagged. What cannot be a radiograph by its pixels alone
(colour, black and white, several pages) is refused with the reason.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

from osteon.errors import OversizedFilm, UnreadableFilm, UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

RasterFormat = Literal["PNG", "JPEG", "TIFF"]

MOST_PIXELS = 100_000_000
"""More than three times a stitched whole-leg film; one film of this size takes about 1 GB while it is read."""

COLOURED_CELLS = 0.01
"""A film of which more than this share of a coarse grid is coloured is a colour picture. Grey JPEGs in RGB have none."""

COLOUR_SPREAD = 24
"""Grey levels (of 255) between a cell's highest and lowest channel from which it counts as coloured."""

_SIGNATURES: dict[bytes, RasterFormat] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what shows a picture upright whose EXIF orientation (TIFF 6.0, tag 274) is this
_READERS: dict[RasterFormat, type[ImageFile]] = {"PNG": PngImageFile, "JPEG": JpegImageFile, "TIFF": TiffImageFile}


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """A decoded picture: `pixels` (H, W) float32 in [0, 1] as stored, `truncated` where the file ends early."""

    pixels: NDArray[np.float32]
    format: RasterFormat
    truncated: bool


def raster_format(content: bytes) -> RasterFormat | None:
    """Return the format that the first bytes of a file announce, None where it is none of the three."""
    return next((name for signature, name in _SIGNATURES.items() if content.startswith(signature)), None)


def raster_size(content: bytes, name: str) -> tuple[int, int]:
    """Return width and height in pixels as displayed, from the header alone.

    Raises:
        UnreadableFilm: the header is broken.
        OversizedFilm: it promises more than `MOST_PIXELS`.
    """
    image = _open(content, name)
    return image.size[::-1] if _orientation(image) in (5, 6, 7, 8) else image.size


def read_raster(content: bytes, name: str) -> Raster:
    """Decode a PNG, JPEG or TIFF; `name` is what a refusal calls it.

    8-bit samples are divided by 255, 16-bit ones by 65535, or by 4095 where no sample is larger: a detector's 12 bits. Floating
    point and 32-bit samples are taken as they are where they lie in [0, 1], else stretched from their own range. Transparent
    pixels become black. The orientation that the file asks for (EXIF) is applied.

    Raises:
        UnreadableFilm: no pixels come out of it.
        UnsupportedFilm: colour, black and white, or several pages.
        OversizedFilm: more than `MOST_PIXELS` pixels.
    """
    image, truncated = _decode(content, name)
    turn = _TURNS.get(_orientation(image))
    grey = _grey(image if turn is None else image.transpose(turn), name)
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0 and image.mode.startswith(("I", "F")):
        grey = 1 - grey  # Pillow inverts WhiteIsZero in 8 bits only
    return Raster(grey, raster_format(content) or "PNG", truncated)


def _open(content: bytes, name: str) -> ImageFile:
    kind = raster_format(content)
    if kind is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG nor TIFF. Export the film in one of these, or as DICOM.")
    try:
        # The format's own class: Image.open would load every other decoder, and warn of what is refused below.
        image = _READERS[kind](io.BytesIO(content))
    except Exception as fault:  # a broken header raises anything
        raise UnreadableFilm(f"{name}: its {kind} header is broken ({fault}). Export the film again.") from fault
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise OversizedFilm(f"{name}: its header promises {width} x {height} pixels, more than {MOST_PIXELS:,}. Scale the film down.")
    return image


def _decode(content: bytes, name: str) -> tuple[ImageFile, bool]:
    image = _open(content, name)
    _check_pages(image, name)
    try:
        image.load()
    except Exception as fault:
        completed = _completed(content, image)
        if completed is None:
            raise UnreadableFilm(f"{name}: no decoder makes pixels of it ({fault}). Export the film again.") from fault
        image = _open(completed, name)
    else:
        return image, False
    try:
        image.load()
    except Exception as fault:
        raise UnreadableFilm(f"{name}: it ends before its pixels begin ({fault}). Export the film again.") from fault
    return image, True


def _check_pages(image: ImageFile, name: str) -> None:
    if getattr(image, "is_animated", False):
        raise UnsupportedFilm(f"{name}: it holds more than one page. Export each film as a file of its own.")


def _orientation(image: ImageFile) -> int:
    """Return EXIF's orientation, 1 to 8; Pillow has already applied a TIFF's."""
    if "exif" not in image.info or isinstance(image, TiffImageFile):
        return 1
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:
        return 1  # a broken EXIF block says nothing


def _completed(content: bytes, image: ImageFile) -> bytes | None:
    """Return a file that ends early with an end of its own, the missing pixels neutral; None where that cannot be done.

    Pillow's own switch for this, `ImageFile.LOAD_TRUNCATED_IMAGES`, is one for all threads.
    """
    if isinstance(image, JpegImageFile):
        return content + b"\xff\xd9"
    return _completed_png(content) if isinstance(image, PngImageFile) else None


def _completed_png(content: bytes) -> bytes:
    """Return the PNG anew, its pixels inflated as far as they go and then zero (PNG, third edition, 10.1 and 11.2)."""
    width, height, bits = struct.unpack_from(">IIB", content, 16)
    most = height * (width * bits * 4 // 8 + 10) + 64  # four samples a pixel and Adam7's seven rows of filters: never too few
    inflate, pixels, kept, at = zlib.decompressobj(), bytearray(), [], 8
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"):
            kept.append(_chunk(kind, body))
        elif kind == b"IDAT" and len(pixels) < most:
            try:
                pixels += inflate.decompress(body, most - len(pixels))
            except zlib.error:
                break
        at += 12 + length
    pixels += bytes(most - len(pixels))
    return b"".join([content[:8], *kept, _chunk(b"IDAT", zlib.compress(pixels, 1)), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _grey(image: Image.Image, name: str) -> NDArray[np.float32]:
    if image.mode.startswith(("I", "F")):
        return _deep(np.asarray(image), name)
    if image.mode == "1":
        raise UnsupportedFilm(f"{name}: it is black and white without greys, no radiograph.")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        return np.asarray(_grey(full.convert("RGB"), name) * unit_scale(np.asarray(full.getchannel("A"))), np.float32)
    if image.mode != "L":
        image = image.convert("RGB")
        _check_colour(image, name)
        image = image.convert("L")
    return unit_scale(np.asarray(image))


def unit_scale(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Bring samples to [0, 1]: uint8 by 255, uint16 by 65535, or by 4095 where none is larger, a detector's 12 bits; others stay."""
    if values.dtype.kind != "u":
        return values.astype(np.float32)
    white = 255 if values.dtype.itemsize == 1 else 4095 if values.max(initial=0) <= 4095 else 65535
    return np.asarray(values.astype(np.float32) / np.float32(white), np.float32)


def _deep(values: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return unit_scale(values)
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not np.isfinite([low, high]).all():
        raise UnsupportedFilm(f"{name}: some pixels are not numbers. Export the film with 8 or 16 bits.")
    if not 0 <= low <= high <= 1:
        wide = (wide - low) / ((high - low) or 1)
    return wide.astype(np.float32)


def _check_colour(image: Image.Image, name: str) -> None:
    """Refuse a colour picture; the noise of JPEG's colour channels, and a small coloured mark, are none."""
    # Channel by channel: numpy takes ten times as long over an axis of three.
    red, green, blue = np.moveaxis(np.asarray(image.reduce(max(1, min(image.size) // 128)), np.int16), 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    coloured = (spread >= COLOUR_SPREAD).mean()
    if coloured > COLOURED_CELLS:
        raise UnsupportedFilm(f"{name}: a colour picture ({coloured:.0%} of it), no radiograph. If it is one, export it in grey.")
