"""DICOM's grey-scale transformation: stored value -> [0, 1], bone bright (PS3.4 N.2).

Modality LUT or rescale, then VOI LUT or window, then inversion: inverting first breaks 16-bit computed radiography. Stored values
are integers of at most 16 bits, so the whole chain is worked out once for each possible value, as one table.

pydicom's processing functions are not used for the last two steps: its VOI LUT wraps around where entries of 8 bits serve more than
256 values (3.0.2), and its outputs have no fixed range. `tests/dicom/test_grayscale.py` holds this module to them where they are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from osteon.dicom.tags import code, has_items, number, whole
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from osteon.dicom.transfer import Codes

UNWINDOWED_SHARE = 0.001
"""Share of the pixels cut off at either end where a deep film names no window: dead pixels and markers must not set the range."""

_NO_VALUE = 2**31  # that no pixel of 16 bits has


def display_table(ds: Dataset, codes: Codes) -> NDArray[np.float32]:
    """Return what each stored code is shown as.

    Where the film names neither VOI LUT nor window, one of up to 8 bits is shown over its whole stored range, like any 8-bit file, and
    a deeper one between the 0.1 and 99.9 percentiles of its values: detectors fill a part of their range that nothing else names.
    The first of several windows counts; a window of no width counts as none. A VOI LUT goes before a window.

    Args:
        ds: the data set; its Modality LUT, VOI LUT and padding attributes are read.
        codes: the film's stored codes, as `transfer.stored_codes` returns them; read only where no window is named.

    Returns:
        (2 ** BitsStored,) in [0, 1], bone bright; padding (PS3.3 C.7.5.1.1.2) is 0.

    Raises:
        UnsupportedFilm: an attribute is there and makes no sense; the message names its tag.
    """
    bits = whole(ds, "BitsStored", 0)
    every = np.arange(2**bits)
    stored = np.where(every >= every.size // 2, every - every.size, every) if whole(ds, "PixelRepresentation", 0) == 1 else every
    padding = _padding(ds, stored)
    values = _modality(ds, stored)
    shown = _voi(ds, values)
    if shown is None:
        low, high = (values.min(), values.max()) if bits <= 8 else _spread(values, codes, padding)
        shown = np.clip((values - low) / ((high - low) or 1), 0, 1)
    if code(ds, "PhotometricInterpretation") == "MONOCHROME1" or code(ds, "PresentationLUTShape") == "INVERSE":
        shown = 1 - shown
    return np.where(padding, 0, shown).astype(np.float32)


def _padding(ds: Dataset, stored: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which stored values are padding: PixelPaddingValue, or all from there to PixelPaddingRangeLimit."""
    first = whole(ds, "PixelPaddingValue", _NO_VALUE)
    ends = sorted((first, whole(ds, "PixelPaddingRangeLimit", first)))
    wrapped = stored % 2**16  # written as US where it should be SS, and the other way round
    return ((stored >= ends[0]) & (stored <= ends[1])) | ((wrapped >= ends[0]) & (wrapped <= ends[1]))


def _modality(ds: Dataset, stored: NDArray[np.int64]) -> NDArray[np.float64]:
    """Modality LUT, else rescale (PS3.3 C.11.1)."""
    if has_items(ds, "ModalityLUTSequence"):
        first, entries = _lut(ds, "ModalityLUTSequence")
        return entries[np.clip(stored - first, 0, entries.size - 1)].astype(np.float64)
    slope, intercept = number(ds, "RescaleSlope", 1.0), number(ds, "RescaleIntercept", 0.0)
    if slope == 0 or not abs(slope) + abs(intercept) < 1e9:
        raise UnsupportedFilm(f"RescaleSlope (0028,1053) {slope:g}, RescaleIntercept {intercept:g}: no scale. Have the sender correct it.")
    return np.asarray(stored * slope + intercept, np.float64)


def _voi(ds: Dataset, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """VOI LUT, else window, into [0, 1] (PS3.3 C.11.2); None where the film names neither."""
    if has_items(ds, "VOILUTSequence"):
        first, entries = _lut(ds, "VOILUTSequence")
        # Descriptors often promise more bits than the entries use; the largest entry says how many they are.
        top = 2 ** max(1, int(entries.max()).bit_length()) - 1
        at = np.clip(np.rint(values).astype(np.int64) - first, 0, entries.size - 1)
        return np.asarray(entries[at] / top, np.float64)
    centre, width = number(ds, "WindowCenter", np.nan), number(ds, "WindowWidth", np.nan)
    if np.isnan(centre) or np.isnan(width) or width <= 0:
        return None
    return _windowed(values, centre, width, code(ds, "VOILUTFunction") or "LINEAR")


def _windowed(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """The three functions of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))), np.float64)
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        raise UnsupportedFilm(f"VOILUTFunction (0028,1056) is {function}, none that DICOM knows. Have the sender correct it.")
    if width <= 0:  # LINEAR of width 1 is a threshold
        return (values > centre).astype(np.float64)
    return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1), np.float64)


def _lut(ds: Dataset, keyword: str) -> tuple[int, NDArray[np.int64]]:
    """Return the first value mapped and the entries of a sequence's first LUT (PS3.3 C.11.1.1 and C.11.2.1.1)."""
    try:
        item = ds[keyword].value[0]
        count, first = int(item.LUTDescriptor[0]) or 2**16, int(item.LUTDescriptor[1])
        data = item.LUTData
        if isinstance(data, bytes):
            order = ">" if ds.original_encoding[1] is False else "<"
            data = np.frombuffer(data, np.uint8 if len(data) < 2 * count else f"{order}u2")
        entries = np.atleast_1d(np.asarray(data, np.int64))[:count]
        if not entries.size:
            raise ValueError("no entries")
    except Exception as fault:  # pydicom raises anything for a broken item
        raise UnsupportedFilm(f"{keyword} is broken. Have the sender correct it.") from fault
    return first, entries


def _spread(values: NDArray[np.float64], codes: Codes, padding: NDArray[np.bool_]) -> tuple[float, float]:
    counts = np.where(padding, 0, np.bincount(codes.ravel(), minlength=values.size))
    order = np.argsort(values, kind="stable")
    share = np.cumsum(counts[order]) / max(1, counts.sum())
    low, high = np.minimum(np.searchsorted(share, [UNWINDOWED_SHARE, 1 - UNWINDOWED_SHARE]), values.size - 1)
    return float(values[order[low]]), float(values[order[high]])
