"""PixelData in any transfer syntax -> the stored code of each pixel (PS3.5 section 8 and annex A).

Each compressed transfer syntax has one decoder, the fastest that is right. Before one runs, the size that the codestream itself
announces is held against Rows and Columns: a decoder makes room for the former.
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
EXTENDED = "1.2.840.10008.1.2.4.51"
RLE = "1.2.840.10008.1.2.5"

DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",  # JPEG Baseline
    EXTENDED: "pillow",  # JPEG Extended of 8 bits; of 12 bits see `_extended`
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "gdcm",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS, near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000, lossless only
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # HTJ2K, lossless only
    "1.2.840.10008.1.2.4.202": "pylibjpeg",  # HTJ2K, RPCL, lossless only
    "1.2.840.10008.1.2.4.203": "pylibjpeg",  # HTJ2K
    RLE: "pylibjpeg",
}
"""Compressed transfer syntax -> pydicom's plugin."""


_UNUSED_BITS: dict[str, Any] = {"correct_unused_bits": False}  # pydicom does not look at HighBit


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
    syntax, bits = text(ds.file_meta, "TransferSyntaxUID"), int(ds.BitsStored)
    if syntax in UNCOMPRESSED:
        values, missing = _uncompressed(ds, name)
    elif syntax in DECODERS:
        values, missing = _decompressed(ds, name, syntax), 0
    else:
        raise UnsupportedFilm(f"{name}: osteon does not decode transfer syntax (0002,0010) {called(syntax)}. Send the film uncompressed.")
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    codes = cast("Codes", native.view(f"u{native.dtype.itemsize}"))
    # Only what is stored as words keeps unused bits (PS3.5 8.1.1); a codec gives the sample alone.
    shift = whole(ds, "HighBit", bits - 1) + 1 - bits if syntax in (*UNCOMPRESSED, RLE) else 0
    return cast("Codes", (codes >> max(0, shift)) & (2**bits - 1)), missing


def codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """Return rows, columns and bits that a JPEG, JPEG-LS or JPEG 2000 codestream announces; None for any other bytes.

    Sources: ISO 15444-1 A.5.1 (SIZ), ISO 10918-1 B.2.2 (SOF), ISO 14495-1 C.2.2 (SOF55).
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 43:
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return bottom - top, right - left, (frame[42] & 0x7F) + 1
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, rows, columns = struct.unpack_from(">BHH", frame, at + 4)
            return rows, columns, bits
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _uncompressed(ds: Dataset, name: str) -> tuple[NDArray[np.integer], int]:
    from pydicom.pixels.decoders.base import get_decoder

    raw = ds.get_item("PixelData")
    promised = getattr(raw, "length", len(ds.PixelData))
    size, width = int(ds.Rows) * int(ds.Columns), int(ds.BitsAllocated) // 8
    held = len(ds.PixelData) // width
    if held < size:
        if held == 0 or promised < size * width:
            raise UnreadableFilm(f"{name}: Rows and Columns promise {size:,} pixels, the file holds {held:,}. Send the film again.")
        ds.PixelData = ds.PixelData[: held * width] + bytes((size - held) * width)
    try:
        values, _ = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds, raw=True, **_UNUSED_BITS)
    except Exception as fault:
        raise UnreadableFilm(f"{name}: no pixels come out of it ({_line(fault)}). Send the film again.") from fault
    return values, max(0, size - held)


def _decompressed(ds: Dataset, name: str, syntax: str) -> NDArray[np.integer]:
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder

    try:
        frame = get_frame(ds.PixelData, 0, number_of_frames=1)
        size = codestream_size(frame)
        if syntax != RLE:
            _check_codestream(ds, size)
        if syntax == EXTENDED and size is not None and size[2] > 8:
            return _extended(frame, size)
        values, _ = get_decoder(syntax).as_array(ds, raw=True, decoding_plugin=DECODERS[syntax], **_UNUSED_BITS)
    except Exception as fault:  # decoders raise anything
        raise UnreadableFilm(f"{name}: its {called(syntax)} pixels are broken ({_line(fault)}). Send the film again.") from fault
    return values


def _check_codestream(ds: Dataset, size: tuple[int, int, int] | None) -> None:
    if size is None:
        raise ValueError("no codestream of this kind")
    if size[:2] != (ds.Rows, ds.Columns):
        raise ValueError(f"{size[1]} x {size[0]}, where the header says {ds.Columns} x {ds.Rows}")


def _extended(frame: bytes, size: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Decode JPEG Extended of 12 bits (PS3.5 A.4.1, process 4) by GDCM; pydicom's plugin for it does not try."""
    import gdcm  # type: ignore[import-untyped]

    rows, columns, bits = size
    fragment, fragments, element = gdcm.Fragment(), gdcm.SequenceOfFragments.New(), gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    # Allocated 12, not 16: else GDCM tries its 8-bit decoder first, which writes a complaint to standard error.
    image.SetPixelFormat(gdcm.PixelFormat(1, bits, bits, bits - 1, 0))
    return np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), "<u2").reshape(rows, columns)


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200]
