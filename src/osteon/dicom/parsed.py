"""The bytes of a DICOM file -> its attributes and where its pixels lie (PS3.5 section 7, PS3.10 section 7).

Headers are parsed once, by pydicom, up to PixelData; the pixels stay where they are. pydicom reads through a file that counts.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osteon.bounds import MOST_INFLATED, MOST_READS
from osteon.errors import OversizedFilm, UnreadableFilm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A file's attributes before PixelData, and PixelData as it stands.

    `value` begins where the value of PixelData begins and ends with the file; `length` is what the element promises, None where it
    is encapsulated. `found` is false where there is no PixelData. `syntax` is "" only where nothing is known.
    """

    ds: Dataset
    syntax: str
    little: bool
    found: bool
    word: bool
    length: int | None
    value: memoryview
    early: bool


class _TooMany(Exception):
    pass


class _Counted(io.BytesIO):
    """Counts reads, so that nobody parses a million elements, and notes whether one went beyond the end."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.left, self.early = MOST_READS, False

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise _TooMany
        found = super().read(size)
        # Nothing where an element would begin is the end of the file; anything else too short ends early.
        if size is not None and len(found) < size and (found or size > 8):
            self.early = True
        return found


def header(content: bytes, name: str) -> Dataset:
    """Return the attributes of a DICOM file that stand before its pixels, as `parse` reads them."""
    return parse(content, name).ds


def parse(content: bytes, name: str) -> Parsed:
    """Parse a DICOM file, with or without preamble and file meta information; `name` is what a refusal calls it.

    Raises:
        UnreadableFilm: its elements are broken.
        OversizedFilm: more elements, or deflated bytes, than is sane.
    """
    try:
        return _parsed(content)
    except _TooMany:
        raise OversizedFilm(f"{name}: it has more elements than {MOST_READS:,} reads find. Send the image alone.") from None
    except OverflowError:
        raise OversizedFilm(
            f"{name}: its deflated elements grow beyond {MOST_INFLATED:,} bytes. Send it in another transfer syntax."
        ) from None
    except Exception as fault:  # broken elements raise anything; pydicom's text may quote a patient's name
        raise UnreadableFilm(f"{name}: its DICOM elements are broken ({type(fault).__name__}). Send the film again.") from None


def _parsed(content: bytes) -> Parsed:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble

    file = _Counted(content)
    if content.startswith(b"DICM"):
        file.seek(4)
    else:
        read_preamble(file, force=True)
    meta = _read_file_meta_info(file)
    syntax = str(meta.get("TransferSyntaxUID") or "")
    if syntax == DEFLATED:
        content = _inflated(content[file.tell() :])
        left, file = file.left, _Counted(content)
        file.left = left
    implicit, little = _encoding(syntax, content[file.tell() : file.tell() + 6])
    seen: dict[str, Any] = {}

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag == _PIXEL_DATA:
            seen.update(at=file.tell(), vr=vr, length=length)
        return tag == _PIXEL_DATA

    ds = read_dataset(file, implicit, little, stop_when=at_pixels)
    ds.file_meta = FileMetaDataset(meta)
    implicit, little = bool(ds.original_encoding[0]), ds.original_encoding[1] is not False
    length, at = seen.get("length", 0), seen.get("at", len(content))
    return Parsed(
        ds,
        syntax or (_IMPLICIT if implicit else _EXPLICIT if little else _BIG),
        little,
        found=bool(seen),
        word=seen.get("vr") != "OB",
        length=None if length == _UNDEFINED else length,
        value=memoryview(content)[at:],
        early=file.early,
    )


def _encoding(syntax: str, start: bytes) -> tuple[bool, bool]:
    """Return whether a data set has implicit VRs, and whether it is little endian (PS3.5 annex A); guess without a transfer syntax."""
    if not syntax:
        implicit = not (start[4:6].isalpha() and start[4:6].isupper())
        return implicit, implicit or start[:1] != b"\x00"
    return syntax == _IMPLICIT, syntax != _BIG


def _inflated(packed: bytes) -> bytes:
    """Inflate a data set (PS3.5 A.5).

    Raises:
        OverflowError: it grows beyond `MOST_INFLATED`.
    """
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflate.decompress(packed, MOST_INFLATED)
    if inflate.unconsumed_tail:
        raise OverflowError
    return content
