"""PNG, JPEG, TIFF -> grey pixels.

Pillow decodes; imagecodecs only what has several samples of 16 bits a pixel, of which Pillow keeps 8. A file that ends early is read as
far as it goes and flagged; one whose codes are damaged is refused. What cannot be a radiograph by its pixels alone (colour, black and
white, several pages) is refused with the reason.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from osteon.bounds import promised
from osteon.errors import OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.grey import Decoded, grey
from osteon.jpeg import BrokenJpeg, EndlessJpeg, Jpeg, check_scans, jpeg_markers
from osteon.png import completed_png, png_chunks
from osteon.tiff import Tiff, tiff_directory

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

RasterFormat = Literal["PNG", "JPEG", "TIFF"]

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
    """A decoded picture: `pixels` (H, W) float32 in [0, 1] as stored, `truncated` where the file ends early, `remarks` as a film has."""

    pixels: NDArray[np.float32]
    format: RasterFormat
    truncated: bool
    remarks: tuple[str, ...] = ()


def raster_format(content: bytes) -> RasterFormat | None:
    """Return the format that the first bytes of a file announce, None where it is none of the three."""
    return next((name for signature, name in _SIGNATURES.items() if content.startswith(signature)), None)


def raster_size(content: bytes, name: str) -> tuple[int, int]:
    """Return width and height in pixels as displayed, from the header alone.

    Raises:
        UnreadableFilm: the header is broken.
        OversizedFilm: it promises more than `MOST_PIXELS`.
    """
    if content.startswith((b"II", b"MM")):
        directory = tiff_directory(content, name)
        size, turn = (directory.width, directory.height), directory.orientation
    else:
        if raster_format(content) == "PNG":
            content = png_chunks(content, name).content
        image = _open(content, name)
        size, turn = image.size, _orientation(image)
    return size[::-1] if turn in (5, 6, 7, 8) else size


def read_raster(content: bytes, name: str) -> Raster:
    """Decode a PNG, JPEG or TIFF; `name` is what a refusal calls it.

    8-bit samples are divided by 255, 16-bit ones by the range that the file uses (`osteon.depth`). Floating point and 32-bit samples
    are taken as they are where they lie in [0, 1], else stretched from their own range. Transparent pixels become black. The
    orientation that the file asks for (EXIF) is applied.

    Raises:
        UnreadableFilm: no pixels come out of it, or damaged ones.
        UnsupportedFilm: colour, black and white, or several pages.
        OversizedFilm: more pixels or work than is sane (`osteon.bounds`).
    """
    kind = raster_format(content)
    if kind is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG nor TIFF. Export the film in one of these, or as DICOM.")
    decoded = {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff}[kind](content, name)
    pixels, remarks = grey(decoded, name)
    if (turn := _TURNS.get(decoded.turn)) is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn))
    return Raster(pixels, kind, decoded.truncated, remarks)


def _open(content: bytes, name: str) -> ImageFile:
    kind = raster_format(content)
    if kind is None:
        raise UnreadableFilm(f"{name}: neither PNG, JPEG nor TIFF. Export the film in one of these, or as DICOM.")
    try:
        # The format's own class: Image.open would load every other decoder, and warn of what is refused below.
        image = _READERS[kind](io.BytesIO(content))
    except Exception as fault:  # a broken header raises anything
        raise UnreadableFilm(f"{name}: its {kind} header is broken ({_line(fault)}). Export the film again.") from fault
    width, height = image.size
    promised(width, height, name)
    if getattr(image, "is_animated", False):
        raise UnsupportedFilm(f"{name}: it holds more than one page. Export each film as a file of its own.")
    return image


def _loaded(image: ImageFile, name: str, fault: Exception | None = None) -> ImageFile:
    try:
        image.load()
    except Exception as again:
        early = "it ends before its pixels begin" if fault else "no decoder makes pixels of it"
        raise UnreadableFilm(f"{name}: {early} ({_line(again)}). Export the film again.") from again
    return image


def _png(content: bytes, name: str) -> Decoded:
    png = png_chunks(content, name)
    image, truncated, kept = _open(png.content, name), False, png.content
    try:
        image.load()
    except Exception as fault:
        kept, truncated = completed_png(png, name), True
        image = _loaded(_open(kept, name), name, fault)
    if png.bits == 16 and png.channels > 1:
        return Decoded(_deep(kept, "png", name), truncated, png.said, scaled=True, turn=_orientation(image))
    return Decoded(image, truncated, png.said, scaled=True, turn=_orientation(image))


def _tiff(content: bytes, name: str) -> Decoded:
    directory = tiff_directory(content, name)
    if directory.deep:
        return _deep_tiff(content, directory, name)
    image = _loaded(_open(content, name), name)
    # Pillow turns a TIFF as it asks, and inverts WhiteIsZero in 8 bits only.
    return Decoded(image, said=directory.said, inverted=directory.photometric == 0 and image.mode.startswith(("I", "F")))


def _deep_tiff(content: bytes, directory: Tiff, name: str) -> Decoded:
    if directory.pages:
        raise UnsupportedFilm(f"{name}: it holds more than one page. Export each film as a file of its own.")
    if directory.samples - directory.alpha != {0: 1, 1: 1, 2: 3}.get(directory.photometric):
        raise UnsupportedFilm(f"{name}: {directory.samples} samples a pixel of a kind that no film has. Export it in grey.")
    samples = _deep(content, "tiff", name)
    samples = np.moveaxis(samples, 0, 2) if directory.planes == 2 and directory.samples == samples.shape[0] else samples
    if samples.shape != (directory.height, directory.width, directory.samples):
        raise UnreadableFilm(f"{name}: its pixels have another size than its header says. Export the film again.")
    return Decoded(samples, said=directory.said, turn=directory.orientation, inverted=directory.photometric == 0)


def _deep(content: bytes, codec: Literal["png", "tiff"], name: str) -> NDArray[np.uint16]:
    """Decode several samples of 16 bits a pixel, of which Pillow keeps 8 bits."""
    import imagecodecs

    try:
        return np.asarray(imagecodecs.png_decode(content) if codec == "png" else imagecodecs.tiff_decode(content), np.uint16)
    except Exception as fault:
        raise UnreadableFilm(f"{name}: no decoder makes pixels of it ({_line(fault)}). Export the film again.") from fault


def _jpeg(content: bytes, name: str) -> Decoded:
    image = _open(content, name)
    try:
        markers = jpeg_markers(content)
    except EndlessJpeg as fault:
        raise OversizedFilm(f"{name}: {fault}, more than is sane. Export the film again.") from fault
    if markers is None or not markers.huffman:
        raise UnreadableFilm(f"{name}: its JPEG markers are broken, or of a kind that no film has. Export the film again.")
    try:
        return Decoded(_checked(content, image, markers), turn=_orientation(image))
    except BrokenJpeg as fault:
        raise UnreadableFilm(f"{name}: its pixels are damaged ({fault}). Copy or export the film again.") from fault
    except OSError as fault:  # the data end, and no marker says so
        completed = content + b"\xff\xd9"
        return Decoded(_loaded(_open(completed, name), name, fault), truncated=True, turn=_orientation(image))


def _checked(content: bytes, image: ImageFile, markers: Jpeg) -> ImageFile | NDArray[np.uint8]:
    """Decode a JPEG, and hold its codes against its size: grey ones by the very decoding, others by one that makes a pixel a block.

    Raises:
        BrokenJpeg: codes are missing or left over.
        OSError: the file ends early.
    """
    if markers.components == 1:
        return check_scans(content, markers, _samples).astype(np.uint8, copy=False)
    image.load()
    if len(markers.scans) == 1:
        check_scans(content, markers, _samples_of_blocks, 8)
    else:
        check_scans(content, markers, _samples)
    return image


def _samples(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(JpegImageFile(io.BytesIO(content)))


def _samples_of_blocks(content: bytes) -> NDArray[np.uint8]:
    image = JpegImageFile(io.BytesIO(content))
    image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
    return np.asarray(image)


def _orientation(image: ImageFile) -> int:
    """Return EXIF's orientation, 1 to 8; Pillow has already applied a TIFF's."""
    if "exif" not in image.info or isinstance(image, TiffImageFile):
        return 1
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:
        return 1  # a broken EXIF block says nothing


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200]
