"""16-bit samples -> [0, 1]: how many of their bits a file uses.

Detectors have 10 to 14 bits, which PNG and TIFF keep in 16. Divided by 65535, such a film is up to 128 times too dark. A border that was
drawn around it, in white as a rule, says nothing about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.uint8] | NDArray[np.uint16]

FEW = 0.0005
"""Share of the samples that never decides: hot pixels."""

MARK = 0.05
"""Share of the samples that does not decide where `MARK_ALIKE` of them have one value: a letter or a frame drawn in white."""

MARK_ALIKE = 0.8

LEAST_BITS = 8

LEAST_LEFT = 32
"""Pixels of a side that a border leaves at least."""

ENOUGH = 250_000
"""Samples that are counted of a large film, evenly spread over it: more say nothing else, and cost time and memory."""


def unit(samples: NDArray[np.uint16], said: int, *, scaled: bool = False) -> NDArray[np.float32]:
    """Return samples as shares of the range that their file uses.

    Args:
        samples: (H, W) or (H, W, C); all of them share one range.
        said: the bits that the file says it uses (PNG's sBIT, TIFF's MaxSampleValue), 0 where it does not.
        scaled: a file whose samples do not keep to what it says has scaled them to 16 bits, as PNG demands (third edition, 11.3.2.4).

    Returns:
        Of the same shape, 0 to 1; what lies above the range is 1.
    """
    bits = sample_bits(samples, said, scaled=scaled)
    shares = samples.astype(np.float32) / np.float32(2**bits - 1)
    return shares if bits == 16 else np.minimum(shares, np.float32(1))


def sample_bits(samples: NDArray[np.uint16], said: int, *, scaled: bool = False) -> int:
    """Return how many bits the samples use, 8 to 16: what the file says if they keep to it, else the fewest that hold all but a mark."""
    if said == 16:
        return 16
    counts = counted(without_border(samples), 16)
    if 0 < said < 16:
        if _holds(counts, max(said, 2)):
            return said
        if scaled:
            return 16
    return bits_used(counts)


def without_border(samples: Samples) -> Samples:
    """Return what lies within lines along the edges that are of one value, each by itself; all of it where hardly anything does.

    Args:
        samples: (H, W) or (H, W, C), as stored: what one value is does not depend on their range (as it does in `osteon.border`).
    """
    inner, size = samples, -1
    while inner.size != size and min(inner.shape[:2]) >= LEAST_LEFT:
        size = inner.size
        for _ in range(4):  # that of one side may hide that of another
            inner = np.rot90(inner[_alike(inner) :])
    return inner if min(inner.shape[:2]) >= LEAST_LEFT else samples


def _alike(lines: Samples) -> int:
    """Return how many lines, from the first on, are of one value; they are looked at in blocks, since a film may have millions."""
    first, many = 0, 1
    while first < len(lines):
        block = lines[first : first + many]
        odd = (block != block[:, :1]).any(tuple(range(1, block.ndim)))
        if odd.any():
            return first + int(odd.argmax())
        first, many = first + many, 2 * many
    return len(lines)


def counted(samples: Samples, bits: int) -> NDArray[np.int64]:
    """Count how often each value of 0 to 2 ** bits - 1 occurs, in every k-th sample where there are more than `ENOUGH`."""
    return np.bincount(samples.reshape(-1)[:: -(-samples.size // ENOUGH) or 1], minlength=2**bits)


def bits_used(counts: NDArray[np.integer]) -> int:
    """Return the fewest bits, 8 at least, that hold all samples but for a few or a mark.

    Args:
        counts: (2 ** n,), how often each value occurs.
    """
    most = int(counts.size).bit_length() - 1
    return next((bits for bits in range(LEAST_BITS, most) if _holds(counts, bits)), most)


def _holds(counts: NDArray[np.integer], bits: int) -> bool:
    """Tell whether all samples lie below 2 ** bits, but for a few, or for a mark."""
    above, size = counts[2**bits :], counts.sum()
    outside = above.sum()
    return bool(outside <= FEW * size or (outside <= MARK * size and above.max() >= MARK_ALIKE * outside))
