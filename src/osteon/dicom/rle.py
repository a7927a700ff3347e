"""RLE Lossless -> stored words (PS3.5 annex G), every offset and length held against the bytes that are there."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER = 64
_MOST_SEGMENTS = 15
_SLACK = 2**12  # bytes that a segment may hold beyond its pixels: some writers fill up rows


def rle_words(frame: bytes, size: int, width: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decode one grey frame.

    Args:
        frame: the RLE header and its segments, the most significant byte's first.
        size: pixels.
        width: bytes a pixel, 1 or 2.

    Returns:
        (size,).

    Raises:
        ValueError: the header is broken, or a segment ends early.
    """
    if len(frame) < _HEADER:
        raise ValueError("it ends early")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != width:
        raise ValueError(f"{count} segments where {width} are due" if count <= _MOST_SEGMENTS else "its header is broken")
    ends = [*offsets[1:count], len(frame)]
    if offsets[0] != _HEADER or any(not start < end <= len(frame) for start, end in zip(offsets, ends, strict=False)):
        raise ValueError("its header is broken")
    words = np.zeros((size, width), np.uint8)
    for place, (start, end) in enumerate(zip(offsets, ends, strict=False)):
        words[:, width - 1 - place] = _segment(frame[start:end], size)
    return words.reshape(-1).view(f"<u{width}").astype(f"=u{width}", copy=False)


def _segment(packed: bytes, size: int) -> NDArray[np.uint8]:
    """Unpack a segment (G.3.2); it may end in one byte that makes it even (G.3.1)."""
    import imagecodecs

    for end in (len(packed), len(packed) - 1):
        try:
            # `out` bounds what is made, whatever the runs say.
            found = imagecodecs.packbits_decode(packed[:end], out=bytearray(size + _SLACK))
        except imagecodecs.ImcdError:
            continue
        if len(found) >= size:
            return np.frombuffer(found, np.uint8, size)
    raise ValueError("it ends early")
