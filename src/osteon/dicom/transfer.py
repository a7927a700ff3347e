"""PixelData in any transfer syntax -> the stored code of each pixel (PS3.5 section 8 and annex A).

imagecodecs decodes what is compressed: libjpeg-turbo, CharLS, OpenJPEG and an RLE of its own behind one door. Other decoders end the
whole process over one damaged film (GDCM by an exception that nobody can catch, pylibjpeg-rle by a panic). Before a decoder runs, the
size that the codestream itself announces is held against Rows and Columns: it makes room for the former.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from osteon.dicom.tags import called, text, whole
from osteon.errors import UnreadableFilm, UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    Codes = NDArray[np.uint8] | NDArray[np.uint16]

UNCOMPRESSED = (
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated: the data set, not the pixels
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
)
RLE = "1.2.840.10008.1.2.5"
COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "jpeg8",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": "jpeg8",  # JPEG Extended, 8 or 12 bits
    "1.2.840.10008.1.2.4.57": "jpeg8",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "jpeg8",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "jpegls",  # JPEG-LS
    "1.2.840.10008.1.2.4.81": "jpegls",  # JPEG-LS, near-lossless
    "1.2.840.10008.1.2.4.90": "jpeg2k",  # JPEG 2000, lossless only
    "1.2.840.10008.1.2.4.91": "jpeg2k",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "jpeg2k",  # HTJ2K, lossless only
    "1.2.840.10008.1.2.4.202": "jpeg2k",  # HTJ2K, RPCL, lossless only
    "1.2.840.10008.1.2.4.203": "jpeg2k",  # HTJ2K
    RLE: "dicomrle",
}
"""Transfer syntax -> imagecodecs' codec."""

_AS_STORED: dict[str, Any] = {"raw": True, "correct_unused_bits": False}  # pydicom does not look at HighBit


def stored_codes(ds: Dataset, name: str) -> tuple[Codes, int]:
    """Return the stored bits of each pixel, and how many pixels the file ends too early for.

    Bits above and below the stored ones, where overlays may sit, are cut off. Two's complement is left as it is.

    Args:
        ds: one grey frame of 8 or 16 bits allocated.
        name: what a refusal calls the file.

    Returns:
        (Rows, Columns), 0 to 2 ** BitsStored - 1, zero where the file ends too early.

    Raises:
        UnreadableFilm: broken, or no decoder makes pixels of it.
        UnsupportedFilm: a transfer syntax that osteon does not decode.
    """
    syntax, bits = text(ds.file_meta, "TransferSyntaxUID"), whole(ds, "BitsStored", 0)
    if syntax in UNCOMPRESSED:
        values, missing = _uncompressed(ds, name)
    elif syntax in COMPRESSED:
        values, missing = _decompressed(ds, name, syntax), 0
    else:
        raise UnsupportedFilm(f"{name}: osteon does not decode transfer syntax (0002,0010) {called(syntax)}. Send the film uncompressed.")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    codes = cast("Codes", native.view(f"u{native.dtype.itemsize}"))
    # Only what is stored as words keeps unused bits (PS3.5 8.1.1); a codec gives the sample alone.
    shift = whole(ds, "HighBit", bits - 1) + 1 - bits if syntax in (*UNCOMPRESSED, RLE) else 0
    return cast("Codes", (codes >> max(0, shift)) & (2 ** min(bits, 8 * codes.itemsize) - 1)), missing


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a JPEG, JPEG-LS or JPEG 2000 codestream announces; None for any other bytes.

    Sources: ISO 15444-1 A.5.1 (SIZ), ISO 10918-1 B.2.2 (SOF), ISO 14495-1 C.2.2 (SOF55).
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return bottom - top, right - left
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack_from(">HH", frame, at + 5)
            return rows, columns
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _uncompressed(ds: Dataset, name: str) -> tuple[NDArray[np.integer], int]:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        promised, data = getattr(ds.get_item("PixelData"), "length", 0), ds.PixelData or b""
        size, width = int(ds.Rows) * int(ds.Columns), int(ds.BitsAllocated) // 8
        held = len(data) // width
        if held < size:
            if held == 0 or 0 < promised < size * width:
                raise ValueError(f"Rows and Columns promise {size:,} pixels, the file holds {held:,}")
            ds.PixelData = data[: held * width] + bytes((size - held) * width)
        values, _ = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds, **_AS_STORED)
    except Exception as fault:  # broken elements raise anything
        raise UnreadableFilm(f"{name}: no pixels come out of it ({_line(fault)}). Send the film again.") from fault
    return values, max(0, size - held)


def _decompressed(ds: Dataset, name: str, syntax: str) -> NDArray[np.integer]:
    from pydicom.encaps import get_frame

    rows, columns = int(ds.Rows), int(ds.Columns)
    try:
        frame = get_frame(ds.PixelData, 0, number_of_frames=1)
        if syntax != RLE:
            _check_codestream(frame, rows, columns)
        values = _decoded(frame, COMPRESSED[syntax], int(ds.BitsAllocated))
        return values.reshape(rows, columns)
    except Exception as fault:  # so do decoders
        raise UnreadableFilm(f"{name}: its {called(syntax)} pixels are broken ({_line(fault)}). Send the film again.") from fault


def _check_codestream(frame: bytes, rows: int, columns: int) -> None:
    size = codestream_size(frame)
    if size is None:
        raise ValueError("no codestream of this kind")
    if size != (rows, columns):
        raise ValueError(f"{size[1]} x {size[0]}, where the header says {columns} x {rows}")
    if b"\xff\xf7" in frame[:256] and b"\xff\xd9" not in frame[-16:]:
        raise ValueError("it ends early")  # CharLS would look for JPEG-LS's end for seconds


def _decoded(frame: bytes, codec: str, bits: int) -> NDArray[np.integer]:
    import imagecodecs

    if codec == "dicomrle":
        return np.frombuffer(imagecodecs.dicomrle_decode(frame, np.dtype(f"<u{bits // 8}")), f"<u{bits // 8}")
    return np.asarray(getattr(imagecodecs, f"{codec}_decode")(frame))


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200]
