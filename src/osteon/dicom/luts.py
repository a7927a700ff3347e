"""Lookup tables of a Modality or VOI LUT Sequence (PS3.3 C.11.1.1 and C.11.2.1.1), as files hold them.

Descriptors are often wrong, so the entries have the last word wherever both can be read: as DCMTK does, and pydicom where it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from osteon.bounds import MOST_VALUE
from osteon.errors import UnsupportedFilm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_DEPTHS = (8, 10, 12, 14, 16)
_PLAINLY = 4
"""Bits that the largest entry must lack before the descriptor is not believed; a dim table lacks one or two."""


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A table: `first` is the value that its first entry is for, `top` the largest value that its entries may have."""

    first: int
    entries: NDArray[np.int64]
    top: int

    def of(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Look values up; below the table its first entry holds, above it the last (PS3.3 C.11.1.1.1)."""
        return self.entries[np.clip(np.rint(values).astype(np.int64) - self.first, 0, self.entries.size - 1)]


def has_lut(ds: Dataset, keyword: str) -> bool:
    """Tell whether a sequence is there and not empty; a broken one counts as there."""
    try:
        raw = ds.get_item(keyword)
        return raw is not None and bool(raw.value)
    except Exception:
        return True


def first_lut(ds: Dataset, keyword: str, values: NDArray[np.float64]) -> Lut:
    """Read the first table of a sequence.

    A table shorter than its descriptor says goes on with its last entry; a longer one is used whole. Entries of up to 8 bits may
    stand as bytes. The range is the descriptor's, unless the entries need more bits or plainly use fewer (some consoles write 16 bits
    and use 12). The first value mapped may have been written with the wrong sign: of both readings the one holds that meets `values`.

    Args:
        ds: the data set.
        keyword: ModalityLUTSequence or VOILUTSequence.
        values: that are to be looked up.

    Raises:
        UnsupportedFilm: the sequence is broken; the message names it.
    """
    try:
        raw = ds.get_item(keyword)
        if isinstance(raw.value, bytes) and len(raw.value) > MOST_VALUE:
            raise ValueError("too long")
        item = ds[keyword].value[0]
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        count = count % 2**16 or 2**16
        entries = _entries(item.LUTData, count, bits, little=ds.original_encoding[1] is not False)
        if not entries.size:
            raise ValueError("no entries")
    except Exception as fault:  # pydicom raises anything for a broken item
        raise UnsupportedFilm(f"{keyword} is broken. Have the sender correct it.") from fault
    return Lut(_first(first, entries.size, values), entries, _top(bits, int(entries.max())))


def _entries(data: object, count: int, bits: int, *, little: bool) -> NDArray[np.int64]:
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.int64)) % 2**16
    if bits <= 8 and len(data) in (count, count + 1):
        octets = np.frombuffer(data, np.uint8)
        if not little and len(data) % 2 == 0:  # bytes in words of the other order
            octets = octets.reshape(-1, 2)[:, ::-1].ravel()
        return octets[:count].astype(np.int64)
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little else ">u2").astype(np.int64)


def _first(written: int, count: int, values: NDArray[np.float64]) -> int:
    """Return the first value mapped: of the unsigned and the signed reading, the one whose table covers more of the values."""
    low, high = float(values.min()), float(values.max())

    def covered(first: int) -> float:
        return min(high, first + count - 1) - max(low, first)

    unsigned = written % 2**16
    return max((written, unsigned, unsigned - 2**16), key=covered)


def _top(bits: int, highest: int) -> int:
    used = max(1, highest.bit_length())
    if used > bits or bits - used >= _PLAINLY:
        bits = next((depth for depth in _DEPTHS if depth >= used), 16) if used < bits else used
    return int(2**bits - 1)
