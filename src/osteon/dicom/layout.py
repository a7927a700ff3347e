"""How the pixels of a film are laid out: Rows, Columns and the three bit attributes (PS3.3 C.7.6.3), held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from osteon.bounds import promised
from osteon.dicom.tags import code, there, whole
from osteon.dicom.terms import shown_photometric
from osteon.errors import UnreadableFilm, UnsupportedFilm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Layout:
    """One grey frame: `high` is HighBit, `signed` PixelRepresentation; `assumed` names the tags that are missing."""

    rows: int
    columns: int
    allocated: int
    stored: int
    high: int
    signed: bool
    assumed: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return how many pixels it has."""
        return self.rows * self.columns


def pixel_layout(ds: Dataset, name: str) -> Layout:
    """Return how the pixels are laid out; `name` is what a refusal calls the file.

    A missing PixelRepresentation is 0, a missing HighBit follows from BitsStored and the reverse, and both from 8 bits allocated.

    Raises:
        UnsupportedFilm: not one grey frame, or bits that contradict each other.
        UnreadableFilm: no rows or columns.
        OversizedFilm: more than `MOST_PIXELS`.
    """
    _check_grey(ds, name)
    rows, columns = _size(ds, name)
    allocated = whole(ds, "BitsAllocated", 0)
    if allocated not in (8, 16) or whole(ds, "SamplesPerPixel", 1) != 1:
        missing = "" if there(ds, "BitsAllocated") else ", which is missing"
        raise UnsupportedFilm(f"{name}: {allocated} bits allocated (0028,0100){missing}, as no radiograph has. Have the sender correct it.")
    stored, assumed = _stored(ds, allocated, name)
    high = whole(ds, "HighBit", stored - 1)
    if not 2 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise UnsupportedFilm(
            f"{name}: {stored} bits stored (0028,0101) up to bit {high} (0028,0102) of {allocated} (0028,0100): that cannot be. "
            "Have the sender correct it."
        )
    sign = whole(ds, "PixelRepresentation", 0)
    if sign not in (0, 1):
        raise UnsupportedFilm(f"{name}: PixelRepresentation (0028,0103) is {sign}, neither 0 nor 1. Have the sender correct it.")
    assumed += () if there(ds, "PixelRepresentation") else ("PixelRepresentation (0028,0103) is missing; 0 (unsigned) is assumed",)
    return Layout(rows, columns, allocated, stored, high, sign == 1, assumed)


def _check_grey(ds: Dataset, name: str) -> None:
    photometric, frames = code(ds, "PhotometricInterpretation"), whole(ds, "NumberOfFrames", 1)
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        shown = shown_photometric(photometric) if photometric else "missing"
        raise UnsupportedFilm(f"{name}: PhotometricInterpretation (0028,0004) is {shown}, not grey: no radiograph.")
    if frames > 1:
        raise UnsupportedFilm(f"{name}: {frames} frames (0028,0008), a film has one. Export the frame to be read.")


def _size(ds: Dataset, name: str) -> tuple[int, int]:
    rows, columns = whole(ds, "Rows", 0), whole(ds, "Columns", 0)
    promised(columns, rows, name)
    if rows < 1 or columns < 1:
        raise UnreadableFilm(f"{name}: Rows (0028,0010) and Columns (0028,0011) are {rows} and {columns}. Send the film again.")
    return rows, columns


def _stored(ds: Dataset, allocated: int, name: str) -> tuple[int, tuple[str, ...]]:
    if there(ds, "BitsStored"):
        return whole(ds, "BitsStored", 0), ()
    if there(ds, "HighBit"):
        stored = whole(ds, "HighBit", 0) + 1
    elif allocated == 8:
        stored = 8
    else:
        raise UnsupportedFilm(f"{name}: BitsStored (0028,0101) is missing. Have the sender correct it.")
    return stored, (f"BitsStored (0028,0101) is missing; {stored} is assumed",)
