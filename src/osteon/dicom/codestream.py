"""What the header of a codestream says, before a decoder makes room for it.

Sources: ISO 10918-1 B.2.2 (SOF), ISO 14495-1 C.2.2 (SOF55), ISO 15444-1 A.4 to A.6 and I.5 (JP2 boxes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from osteon.bounds import MOST_CELLS

_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_MOST_BOXES = 64
_MOST_MARKERS = 100_000
_MOST_LEVELS = 32
_SOC_SIZ, _SOT, _SOD, _COD, _COC, _EOC = b"\xff\x4f\xff\x51", 0xFF90, 0xFF93, 0xFF52, 0xFF53, 0xFFD9
_SOF55, _NO_FRAME = 0xF7, (0xC4, 0xC8, 0xCC)


class TooMuchError(ValueError):
    """Decoding it would take more room than is sane."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a codestream announces; `signed` only JPEG 2000 can say."""

    kind: Literal["jpeg8", "jpegls", "jpeg2k"]
    rows: int
    columns: int
    precision: int
    components: int
    signed: bool = False


def bare_codestream(frame: bytes) -> bytes:
    """Return the JPEG 2000 codestream out of JP2 boxes, where somebody left them round it (PS3.5 8.2.4 forbids them), else the frame."""
    at = 0
    if not frame.startswith(_JP2):
        return frame
    for _ in range(_MOST_BOXES):
        if at + 16 > len(frame):
            break
        length, kind, long = struct.unpack_from(">I4sQ", frame, at)
        head, length = (16, long) if length == 1 else (8, length or len(frame) - at)
        if kind == b"jp2c":
            return frame[at + head : at + length]
        at += max(length, 8)
    return frame


def codestream_header(frame: bytes) -> Header | None:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 codestream; None for any other bytes."""
    if frame[:4] == _SOC_SIZ and len(frame) > 42:
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        (components,) = struct.unpack_from(">H", frame, 40)
        return Header("jpeg2k", bottom - top, right - left, (frame[42] & 0x7F) + 1, components, signed=frame[42] >= 0x80)
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == _SOF55 or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME):
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
            return Header("jpegls" if marker == _SOF55 else "jpeg8", rows, columns, precision, components)
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def check_pieces(frame: bytes) -> None:
    """Hold tiles, resolutions, layers, precincts and code blocks of JPEG 2000 against a bound: a decoder makes room for each.

    Raises:
        TooMuchError: they are more than is sane.
    """
    right, bottom, left, top, wide, high, tile_left, tile_top = struct.unpack_from(">8I", frame, 8)
    tiles = _parts(right - tile_left, wide) * _parts(bottom - tile_top, high)
    if not 0 < tiles <= MOST_CELLS:
        raise TooMuchError("it has more tiles than is sane")
    width, height = min(right - left, wide), min(bottom - top, high)
    for layers, style, parameters in _coding_styles(frame):
        precincts = _precincts(style, parameters)
        packets = sum(_parts(width >> level, x) * _parts(height >> level, y) for level, (x, y) in enumerate(reversed(precincts)))
        blocks = width * height >> (parameters[1] & 15) + (parameters[2] & 15) + 4
        if parameters[0] > _MOST_LEVELS or tiles * max(1, layers * packets, blocks) > MOST_CELLS:
            raise TooMuchError("it has more layers, precincts and code blocks than is sane")


def _parts(length: int, part: int) -> int:
    return -(-length // part) if part > 0 else MOST_CELLS + 1


def _coding_styles(frame: bytes) -> list[tuple[int, int, bytes]]:
    """Return layers, style and parameters (A.6.1) of every COD and COC, of those in the headers of tile-parts, too."""
    found: list[tuple[int, int, bytes]] = []
    layers, at, following = 1, 2, len(frame)
    for _ in range(_MOST_MARKERS):
        if at + 4 > len(frame):
            return found
        marker, length = struct.unpack_from(">HH", frame, at)
        body = frame[at + 4 : at + 2 + length]
        if marker == _COD and len(body) >= 10:
            layers = int.from_bytes(body[2:4], "big")
            found.append((layers, body[0], body[5:]))
        elif marker == _COC and len(body) >= 7:
            found.append((layers, body[1], body[2:]))
        elif marker == _SOT and len(body) >= 6:
            following = at + (int.from_bytes(body[2:6], "big") or len(frame))
        if marker < 0xFF00 or marker == _EOC:
            return found
        at = max(following, at + 2) if marker == _SOD else at + 2 + max(2, length)
    raise TooMuchError("it has more markers than is sane")


def _precincts(style: int, parameters: bytes) -> list[tuple[int, int]]:
    """Return the sizes of precincts, lowest resolution first; without any they are as large as can be."""
    levels = parameters[0]
    if not style & 1:
        return [(2**15, 2**15)] * (levels + 1)
    return [(2 ** (size & 15), 2 ** (size >> 4)) for size in parameters[5 : 6 + levels]]
