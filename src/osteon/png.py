"""PNG chunks (third edition, 5): what decides over the pixels, held against the bytes that are there.

Text, colour profiles and time never decide: they are left out before a decoder sees the file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from osteon.bounds import LEAST_HELD, MOST_EXPANSION, MOST_FRAGMENTS, MOST_SAMPLE_BYTES, promised
from osteon.errors import OversizedFilm, UnreadableFilm

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_KEPT = (b"tRNS", b"eXIf", b"acTL", b"fcTL")  # of those that are not critical
_EMPTY_TAIL = 64  # times that a file may be too short for its pixels and is still called one that ends early


@dataclass(frozen=True, slots=True)
class Png:
    """What the chunks of a PNG say.

    `bits` a sample, `channels` a pixel, `said` the significant bits of the first channel (sBIT; 0 where it does not say), `raw` the
    bytes that its pixels inflate to if it is not interlaced, `content` the file without what does not decide.
    """

    width: int
    height: int
    bits: int
    channels: int
    said: int
    raw: int
    content: bytes


def png_chunks(content: bytes, name: str) -> Png:
    """Read the chunks of a PNG; `name` is what a refusal calls it.

    Raises:
        UnreadableFilm: the header is broken, or the check sum of some pixels is wrong.
        OversizedFilm: more pixels, bytes or chunks than is sane, or than the file can hold.
    """
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise UnreadableFilm(f"{name}: its PNG header is broken. Export the film again.")
    width, height, bits, colour = struct.unpack_from(">IIBB", content, 16)
    channels = _CHANNELS.get(colour, 4)
    raw = height * (1 + -(-width * bits * channels // 8))
    promised(width, height, name, raw <= MOST_SAMPLE_BYTES + height)
    kept, said, held = _kept(content, name)
    if raw > _EMPTY_TAIL * MOST_EXPANSION * held + 2**20:
        raise OversizedFilm(f"{name}: its header promises {width} x {height} pixels, the file holds hardly any. Export the film again.")
    return Png(width, height, bits, channels, said, raw, kept)


def completed_png(png: Png, name: str) -> bytes:
    """Return a PNG that ends early anew, its pixels inflated as far as they go and then zero (10.1 and 11.2).

    Raises:
        UnreadableFilm: hardly any are there.
    """
    content = png.content
    most = png.raw + 10 * png.height + 64  # Adam7's seven rows of filters: never too few
    inflate, pixels, kept, at = zlib.decompressobj(), bytearray(), [], 8
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"):
            kept.append(_chunk(kind, body))
        elif kind == b"IDAT" and len(pixels) < most:
            try:
                pixels += inflate.decompress(body, most - len(pixels))
            except zlib.error:
                break
        at += 12 + length
    if len(pixels) < LEAST_HELD * png.raw:
        raise UnreadableFilm(f"{name}: it ends before its pixels begin, or soon after. Export the film again.")
    pixels += bytes(most - len(pixels))
    return b"".join([SIGNATURE, *kept, _chunk(b"IDAT", zlib.compress(pixels, 1)), _chunk(b"IEND", b"")])


def _kept(content: bytes, name: str) -> tuple[bytes, int, int]:
    """Return the file without what does not decide, the significant bits that it says, and how many bytes of pixels it holds."""
    view, at, said, held = memoryview(content), 8, 0, 0
    pieces: list[bytes | memoryview] = [content[:8]]
    while at + 12 <= len(content) and content[at + 4 : at + 8].isalpha():
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if kind == b"IDAT" and end <= len(content):
            _check_sum(view[at:end], name)
            held += length
        elif kind == b"sBIT" and length:
            said = content[at + 8]
        if end > len(content):
            break
        if kind[:1].isupper() or kind in _KEPT:
            pieces.append(view[at:end])
        if len(pieces) > MOST_FRAGMENTS or end - at < 12:
            raise OversizedFilm(f"{name}: it has more than {MOST_FRAGMENTS:,} chunks. Export the film again.")
        at = end
        if kind == b"IEND":
            return b"".join(pieces), said, held
    return b"".join([*pieces, view[at:]]), said, held + len(content) - at


def _check_sum(chunk: memoryview, name: str) -> None:
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise UnreadableFilm(f"{name}: its pixels are damaged (a check sum is wrong). Copy or export the film again.")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
