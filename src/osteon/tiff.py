"""The first directory of a TIFF (TIFF 6.0, section 2; BigTIFF), held against the bytes that are there before a decoder sees it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from osteon.bounds import MOST_ENTRIES, MOST_EXPANSION, MOST_SAMPLE_BYTES, promised
from osteon.errors import OversizedFilm, UnreadableFilm

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 256, 257, 258, 262, 274, 277
_MAX_SAMPLE, _PLANES, _EXTRA, _FORMAT = 281, 284, 338, 339
_COMPRESSION, _STRIPS, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 259, 273, 278, 322, 323, 324
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_UNSIGNED = {1: "B", 3: "H", 4: "I", 16: "Q"}
_BYTES = (2, 7)  # ASCII and undefined: one object however long
_MOST_TAGS = 4096


@dataclass(frozen=True, slots=True)
class Tiff:
    """What the first directory says; `said` is how many bits MaxSampleValue needs, 0 where the file does not say."""

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    orientation: int
    said: int
    planes: int
    alpha: bool
    whole_numbers: bool
    pages: bool

    @property
    def deep(self) -> bool:
        """Tell whether it has several samples of 16 bits a pixel, of which Pillow keeps 8 bits or nothing."""
        return self.bits == 16 and self.samples > 1 and self.whole_numbers


def tiff_directory(content: bytes, name: str) -> Tiff:
    """Read the first directory of a TIFF; `name` is what a refusal calls it.

    Raises:
        UnreadableFilm: it is broken, or has not the pixels that it promises.
        OversizedFilm: more pixels, bytes or entries than is sane.
    """
    try:
        tags, counts, pages = _directory(content)
    except struct.error as fault:
        raise UnreadableFilm(f"{name}: its TIFF header is broken. Export the film again.") from fault
    except OverflowError as fault:
        raise OversizedFilm(f"{name}: its TIFF header lists more than {MOST_ENTRIES:,} entries. Export the film again.") from fault
    width, height, samples = (tags.get(tag, (1,))[0] for tag in (_WIDTH, _HEIGHT, _SAMPLES))
    bits = max(tags.get(_BITS, (1,)))
    size, planes = width * height * samples * bits // 8, tags.get(_PLANES, (1,))[0]
    promised(width, height, name, size <= MOST_SAMPLE_BYTES)
    found, needed = _pieces(tags, counts, samples if planes == 2 else 1)
    # Deflate, LZW and JPEG of one grey make no more of a byte than that.
    if found < needed or size > len(content) * (1 if tags.get(_COMPRESSION, (1,)) == (1,) else 2 * MOST_EXPANSION):
        raise UnreadableFilm(f"{name}: the file has not the pixels that its TIFF header promises. Copy or export the film again.")
    return Tiff(
        width, height, bits, samples,
        photometric=tags.get(_PHOTOMETRIC, (1,))[0], orientation=tags.get(_ORIENTATION, (1,))[0],
        said=tags.get(_MAX_SAMPLE, (0,))[0].bit_length(), planes=planes,
        alpha=_EXTRA in tags, whole_numbers=set(tags.get(_FORMAT, (1,))) == {1}, pages=pages,
    )  # fmt: skip


def _pieces(tags: dict[int, tuple[int, ...]], counts: dict[int, int], planes: int) -> tuple[int, int]:
    """Return how many strips or tiles there are, and how many cover the picture: decoders leave black what has none."""
    width, height = tags.get(_WIDTH, (1,))[0], tags.get(_HEIGHT, (1,))[0]
    if _TILES in counts:
        wide, high = (max(1, tags.get(tag, (1,))[0]) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        return counts[_TILES], planes * math.ceil(width / wide) * math.ceil(height / high)
    rows = max(1, min(height, tags.get(_ROWS, (height,))[0]))
    return counts.get(_STRIPS, 0), planes * math.ceil(height / rows)


def _directory(content: bytes) -> tuple[dict[int, tuple[int, ...]], dict[int, int], bool]:
    """Return the whole numbers of each tag, 16 of them at most, how many it has, and whether another directory follows."""
    order = "<" if content[:1] == b"I" else ">"
    big = b"+" in content[2:4]
    (at,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", content, _inside(at, content))
    if count > _MOST_TAGS:
        raise OverflowError
    at += 8 if big else 2
    tags, counts = {}, {}
    for _ in range(count):
        tag, kind, length = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", content, at)
        if length > MOST_ENTRIES and kind not in _BYTES:
            raise OverflowError
        if kind in _UNSIGNED and length:
            counts[tag] = length
            tags[tag] = _numbers(content, at, f"{order}{min(length, 16)}{_UNSIGNED[kind]}", length * _SIZES[kind])
        at += 20 if big else 12
    (following,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, at)
    return tags, counts, following != 0


def _numbers(content: bytes, entry: int, form: str, size: int) -> tuple[int, ...]:
    """Return the values of an entry: in its last 4 bytes (8 in BigTIFF) if they fit, else where these point to."""
    big = b"+" in content[2:4]
    value, room = (entry + 12, 8) if big else (entry + 8, 4)
    if size > room:
        (value,) = struct.unpack_from(f"{form[0]}{'Q' if big else 'I'}", content, value)
    return struct.unpack_from(form, content, _inside(value, content))


def _inside(at: int, content: bytes) -> int:
    if at > len(content):
        raise struct.error("outside")
    return at
