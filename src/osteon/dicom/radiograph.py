"""DICOM -> grey pixels and the tags that say what they show.

Reads what PS3.3 calls a radiograph: Computed Radiography, Digital X-Ray for presentation, Radiofluoroscopy of one frame, and Secondary
Capture that names a radiograph's Modality: digitised film, and the many films that research sets wrap so. Anything else is refused by
name: mammograms and teeth, too, and a run of frames, of which nobody has said which one to read. Overlays (group 60xx) are not drawn:
they are marks on the film, not the film.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from osteon.dicom.geometry import SQUARE, pixel_aspect, shutter, squared
from osteon.dicom.grayscale import count_codes, display_table
from osteon.dicom.layout import pixel_layout
from osteon.dicom.parsed import parse
from osteon.dicom.tags import called, code, identity, text
from osteon.dicom.terms import RADIOGRAPHY, known_part, known_view, shown_modality
from osteon.dicom.transfer import stored_codes
from osteon.errors import UnreadableFilm, UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from osteon.dicom.parsed import Parsed

WRAPPED = "a secondary capture of a radiograph"
NOT_SQUARE = "its pixels are not square (0028,0030) (0018,1164) (0028,0034); it is resampled to square ones"

_PRESENTED = (
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic
)
_RAW = "1.2.840.10008.5.1.4.1.1.1.1.1"  # Digital X-Ray, for processing
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture and its multi-frame kinds


_IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
"""What tells one patient from another."""

_ROUNDS = 20_000
"""Of the hash where no StudyInstanceUID is mixed in: some milliseconds, so that trying all PatientIDs takes long."""


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One DICOM film.

    `pixels` is (H, W) float32 in [0, 1], bone bright, its pixels square. `study_type` and `view` are values that the standard knows,
    `study` is StudyInstanceUID, `patient` a hash of it and all that tells a patient from others; each is "" where the file does not
    say. `remarks` tell what was assumed.
    """

    pixels: NDArray[np.float32]
    truncated: bool
    study_type: str
    view: str
    study: str
    remarks: tuple[str, ...] = ()
    patient: str = ""


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

    A film whose uncompressed pixels end early is read as far as it goes; what is missing is black. What a display shutter hides is
    black (PS3.3 C.7.6.11). No message shows a value of a tag that the standard does not know.

    Raises:
        UnreadableFilm: broken, cut, or no decoder makes pixels of it.
        UnsupportedFilm: not a radiograph, several frames, raw detector data.
        OversizedFilm: more pixels or work than is sane (`osteon.bounds`).
    """
    parsed = parse(content, name)
    ds = parsed.ds
    remarks = _check_kind(ds, name)
    _check_pixels(parsed, name)
    layout = pixel_layout(ds, name)
    stored = stored_codes(parsed, layout, name)
    hidden = shutter(ds, (layout.rows, layout.columns))
    try:
        film = count_codes(stored.codes, stored.bits, signed=layout.signed, hidden=hidden)
        table, assumed = display_table(ds, film)
        pixels = np.take(table, stored.codes)
        if stored.missing:
            pixels.ravel()[-stored.missing :] = 0
        if hidden is not None:
            pixels[hidden] = 0
        aspect = pixel_aspect(ds)
        remarks += (*layout.assumed, *assumed, *((NOT_SQUARE,) if abs(aspect - 1) > SQUARE else ()))
        pixels = squared(pixels, aspect)
    except UnsupportedFilm as refusal:
        raise UnsupportedFilm(f"{name}: {refusal}") from refusal
    part, view = known_part(text(ds, "BodyPartExamined")), known_view(text(ds, "ViewPosition"))
    return Radiograph(pixels, stored.missing > 0, part, view, text(ds, "StudyInstanceUID"), remarks, _patient(ds))


def _patient(ds: Dataset) -> str:
    named = [identity(ds, keyword).rstrip("^ ") for keyword in _IDENTITY]
    if not any(named):
        return ""
    study = text(ds, "StudyInstanceUID")
    mixed = repr((study, named)).encode(errors="backslashreplace")  # so that nobody finds a PatientID by trying all
    return hashlib.pbkdf2_hmac("sha256", mixed, b"osteon", 1 if study else _ROUNDS, 8).hex()


def _check_kind(ds: Dataset, name: str) -> tuple[str, ...]:
    """Refuse what is no radiograph; return remarks."""
    modality, kind = code(ds, "Modality"), text(ds, "SOPClassUID") or text(ds.file_meta, "MediaStorageSOPClassUID")
    if modality and modality not in RADIOGRAPHY:
        shown = shown_modality(modality)
        raise UnsupportedFilm(f"{name}: Modality (0008,0060) is {shown}, no radiograph. osteon reads {', '.join(RADIOGRAPHY)}.")
    if kind == _RAW or text(ds, "PresentationIntentType").upper() == "FOR PROCESSING":
        raise UnsupportedFilm(f"{name}: raw detector data (FOR PROCESSING). Send the image that is for presentation.")
    wrapped = kind == _SECONDARY and modality != "" and code(ds, "BurnedInAnnotation") != "YES"
    if kind.startswith(_SECONDARY) and not wrapped:
        raise UnsupportedFilm(f"{name}: a secondary capture (a screenshot or the like), no radiograph. Send the radiograph itself.")
    if kind and not wrapped and kind not in _PRESENTED:
        raise UnsupportedFilm(f"{name}: SOPClassUID (0008,0016) is {called(kind)}, no radiograph. Send the radiograph itself.")
    if not kind and not modality:
        raise UnsupportedFilm(f"{name}: neither Modality (0008,0060) nor SOPClassUID (0008,0016) says that it is a radiograph.")
    digitised = code(ds, "ConversionType") == "DF"
    return (WRAPPED,) if wrapped and not digitised else ()


def _check_pixels(parsed: Parsed, name: str) -> None:
    if parsed.found:
        return
    if parsed.early:
        raise UnreadableFilm(f"{name}: the file ends early. Send it again.")
    raise UnsupportedFilm(f"{name}: it holds no PixelData (7FE0,0010). Send the image itself.")
