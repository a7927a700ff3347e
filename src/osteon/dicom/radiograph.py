"""DICOM -> grey pixels and the tags that say what they show.

Reads what PS3.3 calls a radiograph: Computed Radiography, Digital X-Ray for presentation, Radiofluoroscopy of one frame, and
digitised film kept as Secondary Capture. Anything else is refused by name: mammograms and teeth, too, and a run of frames, of which
nobody has said which one to read. Overlays (group 60xx) are not drawn: they are marks on the film, not the film.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from osteon.dicom.grayscale import display_table
from osteon.dicom.tags import called, code, text, whole
from osteon.dicom.transfer import stored_codes
from osteon.errors import OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.raster import MOST_PIXELS
from osteon.regions import study_type

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

MODALITIES = ("CR", "DX", "RF", "RG")
"""Modality (0008,0060) of what is read (PS3.3 C.7.3.1.1.1)."""

_PRESENTED = (
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic
)
_RAW = "1.2.840.10008.5.1.4.1.1.1.1.1"  # Digital X-Ray, for processing
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture and its multi-frame kinds
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One DICOM film: `pixels` (H, W) float32 in [0, 1], bone bright; a tag that is missing is ""."""

    pixels: NDArray[np.float32]
    truncated: bool
    study_type: str
    view: str
    study: str


def is_dicom(content: bytes) -> bool:
    """Tell whether a file is DICOM, with its preamble (PS3.10 section 7.1) or without.

    Without one it begins with an element of group 0002 or 0008 whose length fits the file.
    """
    if content[128:132] == b"DICM" or content[:4] == b"DICM":
        return True
    if content[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or len(content) < 12:
        return False
    little = content[0] != 0
    if content[4:6].isalpha() and content[4:6].isupper():
        return True
    return little and int.from_bytes(content[4:8], "little") < len(content)


def read_dicom(content: bytes, name: str) -> Radiograph:
    """Read a radiograph from the bytes of a DICOM file; `name` is what a refusal calls it.

    A film whose uncompressed pixels end early is read as far as it goes; what is missing is black.

    Raises:
        UnreadableFilm: broken, or no decoder makes pixels of it.
        UnsupportedFilm: not a radiograph, several frames, raw detector data.
        OversizedFilm: more than `MOST_PIXELS` pixels are promised.
    """
    ds = _parse(content, name)
    _check_kind(ds, name)
    _check_layout(ds, name)
    codes, missing = stored_codes(ds, name)
    try:
        table = display_table(ds, codes)
    except UnsupportedFilm as refusal:
        raise UnsupportedFilm(f"{name}: {refusal}") from refusal
    pixels = np.take(table, codes)
    if missing:
        pixels.ravel()[-missing:] = 0
    return Radiograph(pixels, missing > 0, study_type(text(ds, "BodyPartExamined")), text(ds, "ViewPosition"), text(ds, "StudyInstanceUID"))


def _parse(content: bytes, name: str) -> Dataset:
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if content.startswith(b"DICM"):
        content = bytes(128) + content
    _check_deflated(content, name)
    try:
        ds = dcmread(io.BytesIO(content), force=True)
        if not ds.file_meta.get("TransferSyntaxUID"):
            implicit, little = ds.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    except Exception as fault:  # broken elements raise anything; pydicom's text may quote a patient's name
        raise UnreadableFilm(f"{name}: its DICOM elements are broken ({type(fault).__name__}). Send the film again.") from None
    return ds


def _check_deflated(content: bytes, name: str) -> None:
    """Refuse a deflated data set (PS3.5 A.5) that inflates without end: pydicom inflates it whole."""
    start, deflated = 132, False
    while content[start : start + 2] == b"\x02\x00":
        long = content[start + 4 : start + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        form, head = ("<I", 12) if long else ("<H", 8)
        if start + head > len(content):
            return
        (length,) = struct.unpack_from(form, content, start + head - struct.calcsize(form))
        deflated |= content[start + head : start + head + length].rstrip(b"\x00 ") == _DEFLATED.encode()
        start += head + length
    if not deflated:
        return
    inflate, left = zlib.decompressobj(-zlib.MAX_WBITS), 2 * MOST_PIXELS + 2**26
    pending = content[start:]
    try:
        while pending and left > 0:
            left -= len(inflate.decompress(pending, 2**20))
            pending = inflate.unconsumed_tail
    except zlib.error:
        return  # pydicom meets the same fault and is refused there
    if left <= 0:
        raise OversizedFilm(f"{name}: its deflated elements grow beyond {2 * MOST_PIXELS:,} bytes. Send it in another transfer syntax.")


def _check_kind(ds: Dataset, name: str) -> None:
    modality, kind = code(ds, "Modality"), text(ds, "SOPClassUID") or text(ds.file_meta, "MediaStorageSOPClassUID")
    if modality and modality not in MODALITIES:
        raise UnsupportedFilm(f"{name}: Modality (0008,0060) is {modality}, no radiograph. osteon reads {', '.join(MODALITIES)}.")
    if kind == _RAW or text(ds, "PresentationIntentType").upper() == "FOR PROCESSING":
        raise UnsupportedFilm(f"{name}: raw detector data (FOR PROCESSING). Send the image that is for presentation.")
    digitised = kind == _SECONDARY and modality and text(ds, "ConversionType").upper() == "DF"
    if kind.startswith(_SECONDARY) and not digitised:
        raise UnsupportedFilm(f"{name}: a secondary capture (a screenshot or the like), no radiograph. Send the radiograph itself.")
    if kind and not digitised and kind not in _PRESENTED:
        raise UnsupportedFilm(f"{name}: SOPClassUID (0008,0016) is {called(kind)}, no radiograph. Send the radiograph itself.")
    if not kind and not modality:
        raise UnsupportedFilm(f"{name}: neither Modality (0008,0060) nor SOPClassUID (0008,0016) says that it is a radiograph.")


def _check_layout(ds: Dataset, name: str) -> None:
    photometric, frames = code(ds, "PhotometricInterpretation"), whole(ds, "NumberOfFrames", 1)
    if "PixelData" not in ds:
        raise UnsupportedFilm(f"{name}: it holds no PixelData (7FE0,0010). Send the image itself.")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedFilm(f"{name}: PhotometricInterpretation (0028,0004) is {photometric or 'missing'}, not grey: no radiograph.")
    if frames > 1:
        raise UnsupportedFilm(f"{name}: {frames} frames (0028,0008), a film has one. Export the frame to be read.")
    rows, columns = whole(ds, "Rows", 0), whole(ds, "Columns", 0)
    if rows * columns > MOST_PIXELS:
        raise OversizedFilm(f"{name}: its header promises {columns} x {rows} pixels, more than {MOST_PIXELS:,}. Scale the film down.")
    if rows < 1 or columns < 1:
        raise UnreadableFilm(f"{name}: Rows (0028,0010) and Columns (0028,0011) are {rows} and {columns}. Send the film again.")
    allocated, stored = whole(ds, "BitsAllocated", 0), whole(ds, "BitsStored", 0)
    if allocated not in (8, 16) or not 2 <= stored <= allocated or whole(ds, "SamplesPerPixel", 1) != 1:
        raise UnsupportedFilm(f"{name}: {stored} bits (0028,0101) in {allocated} (0028,0100) a pixel, as no radiograph has.")
