"""DICOM's grey-scale transformation: stored value -> [0, 1], bone bright (PS3.4 N.2).

Modality LUT or rescale, then VOI LUT or window, then inversion: inverting first breaks 16-bit computed radiography. Stored values
are integers of at most 16 bits, so the whole chain is worked out once for each possible value, as one table.

pydicom's processing functions are not used for the last two steps: its VOI LUT wraps around where entries of 8 bits serve more than
256 values (3.0.2), and its outputs have no fixed range. `tests/dicom/test_grayscale.py` holds this module to them where they are right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from osteon.depth import FEW, bits_used, counted, without_border
from osteon.dicom.luts import first_lut, has_lut
from osteon.dicom.tags import code, number, whole
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from osteon.dicom.transfer import Codes

LEAST_SHOWN = 0.005
"""Share of the pixels that a window must leave between black and white; one that leaves fewer shows nothing, and counts as none."""

LEAST_FILLED = 0.1
"""Share of the way from black to white that a window must show the film's own range over; one that is far wider counts as none."""

NOTHING_SHOWN = "its window or VOI LUT (0028,1050) (0028,3010) shows nothing of it; it is shown over its own range"
FAR_TOO_WIDE = "its window or VOI LUT (0028,1050) (0028,3010) is far too wide for it; it is shown over its own range"
UNKNOWN_FUNCTION = "VOILUTFunction (0028,1056) is an unknown value; LINEAR is assumed"

_NO_VALUE = 2**31  # that no pixel of 16 bits has
_EDGE = 1 / 512  # from black and from white


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """How often each stored code occurs on a film, without what a shutter hides: all that is asked of its pixels."""

    counts: NDArray[np.int64]
    signed: bool

    @property
    def values(self) -> NDArray[np.int64]:
        """Return the stored value of each code: two's complement where the film is signed."""
        every = np.arange(self.counts.size)
        return np.where(every >= every.size // 2, every - every.size, every) if self.signed else every


def count_codes(codes: Codes, bits: int, *, signed: bool, hidden: NDArray[np.bool_] | None = None) -> Counted:
    """Count a film's codes, (H, W) of 0 to 2 ** bits - 1, without those that are hidden, or else without a border around it."""
    return Counted(counted(without_border(codes) if hidden is None else codes[~hidden], bits), signed)


def display_table(ds: Dataset, film: Counted) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return what each stored code is shown as, and remarks.

    Where the film names neither VOI LUT nor window, it is shown over its own range: one of up to 8 bits over all that it can store, a
    deeper one over the bits that it uses, by the rule that 16-bit PNG and TIFF have (`osteon.depth`). No film is stretched: neither
    DCMTK nor pydicom do, and the standard asks for nothing. The first of several windows counts. A window of no width, and one that
    leaves hardly a pixel between black and white, or shows the film over less than a tenth of the way from one to the other, count as
    none. A VOI LUT goes before a window. A VOILUTFunction that DICOM does not know is LINEAR (as in DCMTK).

    Args:
        ds: the data set; its Modality LUT, VOI LUT and padding attributes are read.
        film: its codes.

    Returns:
        (2 ** bits,) in [0, 1], bone bright; padding (PS3.3 C.7.5.1.1.2) is 0.

    Raises:
        UnsupportedFilm: an attribute is there and makes no sense; the message names its tag.
    """
    padding = _padding(ds, film.values)
    counts = np.where(padding, 0, film.counts)
    values = _modality(ds, film.values)
    shown, remarks = _voi(ds, values)
    if shown is not None and (fault := _fault(shown, counts)):
        shown, remarks = None, (fault,)
    if shown is None:
        low, high = _own_range(ds, film, counts)
        shown = np.clip((values - low) / ((high - low) or 1), 0, 1)
    if code(ds, "PhotometricInterpretation") == "MONOCHROME1" or code(ds, "PresentationLUTShape") == "INVERSE":
        shown = 1 - shown
    return np.where(padding, 0, shown).astype(np.float32), remarks


def _padding(ds: Dataset, stored: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which stored values are padding: PixelPaddingValue, or all from there to PixelPaddingRangeLimit."""
    first = whole(ds, "PixelPaddingValue", _NO_VALUE)
    ends = sorted((first, whole(ds, "PixelPaddingRangeLimit", first)))
    wrapped = stored % 2**16  # written as US where it should be SS, and the other way round
    return ((stored >= ends[0]) & (stored <= ends[1])) | ((wrapped >= ends[0]) & (wrapped <= ends[1]))


def _modality(ds: Dataset, stored: NDArray[np.int64]) -> NDArray[np.float64]:
    """Modality LUT, else rescale (PS3.3 C.11.1)."""
    if has_lut(ds, "ModalityLUTSequence"):
        values = stored.astype(np.float64)
        return first_lut(ds, "ModalityLUTSequence", values).of(values).astype(np.float64)
    slope, intercept = number(ds, "RescaleSlope", 1.0), number(ds, "RescaleIntercept", 0.0)
    if slope == 0 or not abs(slope) + abs(intercept) < 1e9:
        raise UnsupportedFilm(f"RescaleSlope (0028,1053) {slope:g}, RescaleIntercept {intercept:g}: no scale. Have the sender correct it.")
    return np.asarray(stored * slope + intercept, np.float64)


def _voi(ds: Dataset, values: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """VOI LUT, else window, into [0, 1] (PS3.3 C.11.2), and remarks; None where the film names neither."""
    if has_lut(ds, "VOILUTSequence"):
        lut = first_lut(ds, "VOILUTSequence", values)
        return np.asarray(lut.of(values) / lut.top, np.float64), ()
    centre, width = number(ds, "WindowCenter", np.nan), number(ds, "WindowWidth", np.nan)
    if np.isnan(centre) or np.isnan(width) or width <= 0:
        return None, ()
    function = code(ds, "VOILUTFunction") or "LINEAR"
    known = function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
    return _windowed(values, centre, width, function), () if known else (UNKNOWN_FUNCTION,)


def _windowed(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """The three functions of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))), np.float64)
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width <= 0:  # LINEAR of width 1 is a threshold
        return (values > centre).astype(np.float64)
    return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1), np.float64)


def _fault(shown: NDArray[np.float64], counts: NDArray[np.int64]) -> str:
    """Return why a window or VOI LUT counts as none, "" for one that counts."""
    if not _shows(shown, counts):
        return NOTHING_SHOWN
    order = np.argsort(shown)
    below = np.cumsum(counts[order]) / counts.sum()
    low, high = shown[order[np.searchsorted(below, (FEW, 1 - FEW))]]
    return FAR_TOO_WIDE if high - low < LEAST_FILLED else ""


def _shows(shown: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    """Tell whether enough pixels lie between black and white."""
    between = (shown > _EDGE) & (shown < 1 - _EDGE)
    return bool(counts[between].sum() >= LEAST_SHOWN * counts.sum() and np.unique(shown[counts > 0]).size > 1)


def _own_range(ds: Dataset, film: Counted, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the values between which a film without a window is shown, as the Modality LUT gives them."""
    if has_lut(ds, "ModalityLUTSequence"):
        values = _modality(ds, film.values).astype(np.int64)
        return 0, 2 ** bits_used(np.bincount(values, counts, minlength=2**16).astype(np.int64)) - 1
    stored = film.values
    below = stored < 0
    if counts.size <= 2**8:
        ends = np.array([stored.min(), stored.max()])
    elif counts[below].sum() > FEW * counts.sum():
        top = 2 ** bits_used(np.bincount(np.where(below, -1 - stored, stored), counts, minlength=2**15).astype(np.int64))
        ends = np.array([-top, top - 1])
    else:
        ends = np.array([0, 2 ** bits_used(np.bincount(stored[~below], counts[~below], minlength=counts.size).astype(np.int64)) - 1])
    low, high = sorted(_modality(ds, ends))
    return float(low), float(high)
