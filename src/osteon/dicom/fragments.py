"""Encapsulated PixelData -> the one frame that a film has (PS3.5 A.4)."""

from __future__ import annotations

import struct

from osteon.bounds import MOST_FRAGMENTS

_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


class EndsEarlyError(ValueError):
    """The file ends before the frame does."""


class TooManyFragmentsError(ValueError):
    """A frame in more fragments than is sane."""


def joined_frame(value: memoryview) -> bytes:
    """Return the codestream of a single frame: all fragments behind the Basic Offset Table, joined.

    Args:
        value: from the first byte of the value of PixelData to the end of the file.

    Raises:
        EndsEarlyError: a fragment or the Sequence Delimitation Item is missing.
        TooManyFragmentsError: more than `MOST_FRAGMENTS`.
        ValueError: these are no fragments, or none.
    """
    pieces: list[memoryview] = []
    at = 0
    while True:
        if at + 8 > len(value):
            raise EndsEarlyError
        group, element, length = struct.unpack_from("<HHI", value, at)
        at += 8
        if (group, element) == _END:
            break
        if (group, element) != _ITEM:
            raise ValueError("no fragments")
        if at + length > len(value):
            raise EndsEarlyError
        pieces.append(value[at : at + length])
        at += length
        if len(pieces) > MOST_FRAGMENTS:
            raise TooManyFragmentsError(f"more than {MOST_FRAGMENTS:,} fragments")
    if len(pieces) < 2:
        raise ValueError("no frame")
    return b"".join(pieces[1:])
