"""The most work and memory that one film may take. What exceeds them is an `OversizedFilm`, found before anything is allocated.

A length that stands in a file is a claim. Every reader holds it against these bounds and against the bytes that are there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from osteon.errors import OversizedFilm

MOST_BYTES = 2**30
"""Of a file; 100 million pixels of 16 bits are a fifth of it."""

MOST_PIXELS = 100_000_000
"""More than three times a stitched whole-leg film; one film of this size takes about 1 GB while it is read."""

MOST_SAMPLE_BYTES = 4 * MOST_PIXELS
"""Of all samples of a picture as they are stored: grey of 16 bits, or colour of 8, at `MOST_PIXELS`."""

MOST_INFLATED = 2 * MOST_PIXELS + 2**26
"""Bytes of a deflated DICOM data set: pixels of 16 bits and 64 MB of other attributes."""

LEAST_HELD = 0.1
"""Share of a film's pixels that are there at least: a file that ends earlier is no film, and might promise 100 million of them."""

MOST_EXPANSION = 1032
"""Deflate makes at most so many bytes of one (RFC 1951: 258 bytes by two codes of one bit)."""

MOST_READS = 200_000
"""Reads while the elements of a DICOM data set are found, one to three for each element and item; a large real one has 2,000."""

MOST_VALUE = 2**20
"""Bytes of a DICOM attribute that is looked at; a LUT of 65,536 entries is an eighth of it."""

MOST_FRAGMENTS = 50_000
"""Of a compressed frame (PS3.5 A.4), which mostly has one, and chunks of a PNG."""

MOST_SCANS = 100
"""Of a progressive JPEG; encoders write 10, the most careful ones 20. Each one may cost a pass over all pixels."""

MOST_SCANNED = 20 * MOST_PIXELS
"""Scans of a JPEG times its pixels: 26 ms for each empty scan of 100 million pixels."""

MOST_CELLS = 2**22
"""Of a JPEG 2000 codestream: tiles x resolutions x layers x precincts, for each of which decoders make room; common ones have 10,000."""

MOST_ENTRIES = 2**20
"""Of one TIFF tag of numbers: a strip for each row of the highest film needs fewer."""

USUAL_PIXELS = 8_000_000
"""Of a large ordinary film. So many times the threads, or one film of `MOST_PIXELS`, is what a batch has in memory at one time."""

_room = threading.Condition()
_held: dict[int, int] = {}
"""Pixels of the film that a thread of a batch has in memory, 0 before its header is read."""


def promised(width: int, height: int, name: str, within: bool = True) -> None:
    """Hold the size that a header promises against `MOST_PIXELS`; in a `turn`, wait until there is room for so many.

    Raises:
        OversizedFilm: it is more, or not `within` another bound that the caller knows.
    """
    if width * height > MOST_PIXELS or not within:
        raise OversizedFilm(f"{name}: its header promises {width} x {height} pixels, more than {MOST_PIXELS:,}. Scale the film down.")
    thread = threading.get_ident()
    if _held.get(thread, 1) == 0:
        with _room:
            _room.wait_for(lambda: _fits(width * height))
            _held[thread] = width * height


def _fits(pixels: int) -> bool:
    return sum(_held.values()) + pixels <= max(MOST_PIXELS, USUAL_PIXELS * len(_held))


@contextmanager
def turn() -> Iterator[None]:
    """Let what this thread has of a film in the block count among the films that are in memory at one time."""
    thread = threading.get_ident()
    with _room:
        _held[thread] = 0
    try:
        yield
    finally:
        with _room:
            del _held[thread]
            _room.notify_all()
