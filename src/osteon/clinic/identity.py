"""Whose film it is: the attributes of a source that its results carry, repaired only as far as the standard needs.

A result stands in the patient's own study, so patient and study are copied. Sources in the wild lack attributes that must be there, and
hold dates that are none, texts in character sets that nobody knows, names of 64,000 letters. What does not fit is left empty, cut or
replaced, and each repair is told by its tag, never by its value. Texts are written as UTF-8 (ISO_IR 192), whatever the source has.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from osteon.dicom import header
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataelem import DataElement, RawDataElement

UTF_8 = "ISO_IR 192"

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")  # without them nothing can be named
_NEEDED = {  # type 2 of the patient and study modules (PS3.3 C.7.1.1, C.7.2.1): there, and perhaps empty
    "PatientName": "PN", "PatientID": "LO", "PatientBirthDate": "DA", "PatientSex": "SEX", "StudyDate": "DA", "StudyTime": "TM",
    "StudyID": "SH", "AccessionNumber": "SH", "ReferringPhysicianName": "PN",
}  # fmt: skip
_WELCOME = {"IssuerOfPatientID": "LO", "StudyDescription": "LO", "BodyPartExamined": "CS", "Laterality": "SIDE", "Modality": "CS"}
_DATES = (("ContentDate", "ContentTime"), ("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"), ("StudyDate", "StudyTime"))
_LONGEST = {"LO": 64, "SH": 16, "PN": 64}
_MODALITIES = {"1.2.840.10008.5.1.4.1.1.1": "CR", "1.2.840.10008.5.1.4.1.1.12.2": "RF"}


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """What a result takes from a film.

    Attributes:
        ds: Patient, study, modality and UIDs, each as the standard has it, SpecificCharacterSet ISO_IR 192.
        source: All that the file says before its pixels.
        taken: When the film was taken, None where it does not say.
        repairs: What was repaired, a sentence each, by tag.
    """

    ds: Dataset
    source: Dataset
    taken: datetime | None
    repairs: tuple[str, ...]


def identity(content: bytes, name: str) -> Identity:
    """Read whose film a DICOM file is; `name` is what a refusal calls it.

    Raises:
        UnreadableFilm: its elements are broken.
        UnsupportedFilm: no result can be written to it, since a UID is missing or none; the tag is named.
    """
    source, made, repairs = header(content, name), Dataset(), list[str]()
    read = _Reader(source, repairs)
    for keyword in _UIDS:
        value = read.text(keyword)
        if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", value) or len(value) > 64:
            raise UnsupportedFilm(
                f"{name}: {_tag(keyword)} is missing or no UID, so no result can name the film. Have the sender correct it."
            )
        setattr(made, keyword, value)
    for keyword, kind in (_NEEDED | _WELCOME).items():
        if keyword in source or keyword in _NEEDED:
            setattr(made, keyword, read.fitting(keyword, kind))
    if not made.get("Modality"):
        made.Modality = _MODALITIES.get(str(made.SOPClassUID), "DX")
        repairs.append(f"{_tag('Modality')} is missing; taken from the SOP class")
    made.SpecificCharacterSet = UTF_8
    return Identity(made, source, read.taken(), tuple(dict.fromkeys(repairs)))


class _Reader:
    """Reads attributes of a source without trust, and tells what it repaired."""

    def __init__(self, source: Dataset, repairs: list[str]) -> None:
        self.source, self.repairs = source, repairs
        self.encodings = self._encodings()

    def text(self, keyword: str, delimiters: set[int] = TEXT_VR_DELIMS) -> str:
        """Return an attribute's text, "" where it is missing or empty."""
        item: DataElement | RawDataElement | None = self.source.get_item(keyword)
        value = None if item is None else item.value
        if not isinstance(value, bytes):
            return "" if value is None else str(value).strip()
        with warnings.catch_warnings(action="ignore"):
            try:
                told = decode_bytes(value, self.encodings, delimiters)
            except (LookupError, UnicodeError, ValueError):
                told = value.decode("latin-1")
        return told.strip(" \0")

    def fitting(self, keyword: str, kind: str) -> str:
        """Return an attribute as the standard has it, or "" where it is none."""
        told = self.text(keyword, PN_DELIMS if kind == "PN" else TEXT_VR_DELIMS)
        made = _FITS[kind](told)
        if keyword in _NEEDED and self.source.get_item(keyword) is None:
            self.repairs.append(f"{_tag(keyword)} is missing; left empty")
        elif made != told:
            self.repairs.append(f"{_tag(keyword)} is {_WRONG[kind]}; {'what fits of it was kept' if made else 'left empty'}")
        return made

    def taken(self) -> datetime | None:
        """Return the latest date that the film says of itself, with its time."""
        found = []
        for day, clock in _DATES:
            if told := _date(self.text(day)):
                found.append(f"{told}{_time(self.text(clock))[:6]:0<6}")
        return datetime.strptime(max(found), "%Y%m%d%H%M%S") if found else None

    def _encodings(self) -> list[str]:
        item = self.source.get_item("SpecificCharacterSet")
        told = getattr(item, "value", None)
        names = told.decode("ascii", "replace").strip(" \0").split("\\") if isinstance(told, bytes) else told
        try:
            with warnings.catch_warnings(action="error"):
                return convert_encodings([one.strip() for one in names] if isinstance(names, list) else names or "")
        except Exception:
            self.repairs.append(f"{_tag('SpecificCharacterSet')} is a character set that DICOM does not have; texts are read as ISO_IR 100")
            return ["latin-1"]


def _cut(longest: int) -> Callable[[str], str]:
    def cut(told: str) -> str:
        return _printable(told.replace("\\", " "))[:longest].strip()

    return cut


def _name(told: str) -> str:
    """Return a person's name of at most three groups, each of at most 64 letters and five components (PS3.5 6.2, PN)."""
    first = told.partition("\\")[0]
    groups = ["^".join(_printable(group).split("^")[:5])[: _LONGEST["PN"]].strip() for group in first.split("=")[:3]]
    return "=".join(groups).rstrip("=")


def _printable(told: str) -> str:
    return "".join(letter for letter in told if not unicodedata.category(letter).startswith("C"))


def _date(told: str) -> str:
    """Return a date as YYYYMMDD; "" where it is none. YYYY.MM.DD is an old way to write one."""
    digits = told.replace(".", "") if re.fullmatch(r"\d{4}\.\d\d\.\d\d", told) else told
    try:
        return digits if re.fullmatch(r"\d{8}", digits) and date.fromisoformat(digits) else ""
    except ValueError:
        return ""


def _time(told: str) -> str:
    """Return a time as HHMMSS and a fraction, as precise as it is; "" where it is none."""
    match = re.fullmatch(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,6})?)?)?", told)
    if match is None:
        return ""
    try:
        hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
        time(hours, minutes, seconds)
    except ValueError:
        return ""
    return "".join(part or "" for part in match.groups())


def _code(told: str) -> str:
    return told if re.fullmatch(r"[A-Z0-9_ ]{0,16}", told) else ""


_FITS: dict[str, Callable[[str], str]] = {
    "LO": _cut(64), "SH": _cut(16), "PN": _name, "DA": _date, "TM": _time, "CS": _code,
    "SEX": lambda told: told if told in ("M", "F", "O") else "",
    "SIDE": lambda told: told if told in ("R", "L") else "",
}  # fmt: skip
_WRONG = {
    "LO": "too long or holds characters that no text may have", "SH": "too long or holds characters that no text may have",
    "PN": "too long or holds characters that no name may have", "DA": "no date", "TM": "no time", "CS": "no code", "SEX": "none of M, F, O",
    "SIDE": "neither R nor L",
}  # fmt: skip


def _tag(keyword: str) -> str:
    return f"{keyword} {str(Tag(tag_for_keyword(keyword) or 0)).replace(' ', '')}"
