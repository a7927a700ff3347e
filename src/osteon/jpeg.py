"""JPEG markers (ISO 10918-1 annex B), and whether the entropy-coded data hold exactly what the frame header promises.

libjpeg-turbo fills what is missing with grey, skips what is left over, and says so in a warning that neither Pillow nor imagecodecs
hands on. So the same question is put to the picture: the frame header is made one row of blocks higher than it is, and the decoder runs
into the end of the data. Of a sound scan it makes one arbitrary block (out of the bits that fill its last byte) and then grey ones. If
codes are left over, further blocks are not grey; if codes are missing, the first one is grey, too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteon.bounds import MOST_SCANNED, MOST_SCANS

Decoder = Callable[[bytes], NDArray[np.integer]]
"""A codestream -> (H, W) or (H, W, C) samples."""

HIGHEST = 65500
"""Rows that libjpeg decodes."""

_HUFFMAN, _PROGRESSIVE, _LOSSLESS = (0xC0, 0xC1), (0xC2,), (0xC3,)
_BARE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_LINEAR = (1, 2, 3, 4)  # predictors that can be undone where samples wrap around
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # among 0xC0 to 0xCF: tables and reserved
_WITHIN_DATA = (0x00, 0xFF, *range(0xD0, 0xD8))  # behind 0xFF: a stuffed byte, fill, restart markers
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_TAIL = bytes((37 * k * k + 91 * k + 5) % 251 for k in range(96))  # arbitrary, without 0xFF: any codes


class BrokenJpeg(ValueError):
    """The codestream does not hold what it promises; the text says what."""


class EndlessJpeg(ValueError):
    """Decoding it would take more work than is sane."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """What the markers of a JPEG say.

    `frame` is where its SOF marker stands, `scans` where the entropy-coded data of each scan begin and end, `process` the SOF's second
    byte, `block` rows and columns of a minimum coded unit, `ended` whether EOI follows the last scan.
    """

    frame: int
    process: int
    precision: int
    rows: int
    columns: int
    components: int
    block: tuple[int, int]
    restart: int
    scans: tuple[tuple[int, int], ...]
    progression: tuple[tuple[int, int, int], ...]
    ended: bool

    @property
    def huffman(self) -> bool:
        """Tell whether its entropy coding is one that `check_scans` understands."""
        return self.process in (*_HUFFMAN, *_PROGRESSIVE, *_LOSSLESS)


def jpeg_markers(content: bytes) -> Jpeg | None:
    """Read the markers up to EOI or the end; None where there is no frame or no scan.

    Raises:
        EndlessJpeg: more scans than `MOST_SCANS`, or than `MOST_SCANNED` allows at its size.
    """
    at, frame, restart, ended = 2, 0, 0, False
    scans: list[tuple[int, int]] = []
    progression: list[tuple[int, int, int]] = []
    while content[:2] == b"\xff\xd8" and at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            break
        body = content[at + 4 : at + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME and not frame:
            frame = at
        elif marker == 0xDD and len(body) >= 2:
            restart = int.from_bytes(body[:2], "big")
        at += 2 + length
        if marker == 0xDA:
            end = _data_end(content, at)
            scans.append((at, end))
            progression.extend(_progress(body))
            at = end
            if len(scans) > MOST_SCANS:
                raise EndlessJpeg(f"it has more than {MOST_SCANS} scans")
    ended = content[at : at + 2] == b"\xff\xd9"
    if not frame or not scans or len(content) < frame + 10 + 3 * content[frame + 9]:
        return None
    found = _facts(content, frame, restart)
    if 0 in found[2:5]:
        return None
    if len(scans) * found[2] * found[3] > MOST_SCANNED:
        raise EndlessJpeg(f"it has {len(scans)} scans of {found[3]} x {found[2]} pixels")
    return Jpeg(frame, *found, tuple(scans), tuple(progression), ended)


def check_scans(content: bytes, jpeg: Jpeg, decode: Decoder, scaled: int = 1) -> NDArray[np.integer]:
    """Hold the entropy-coded data against the frame, and return the picture that was decoded for it.

    Args:
        content: the JPEG.
        jpeg: its markers.
        decode: makes samples of a JPEG, each block of 8 x 8 in `8 // scaled` rows and columns.
        scaled: 1, or 8 where the decoder gives one sample a block.

    Returns:
        (rows, columns[, C]) where `scaled` is 1: the very samples of the JPEG (of colour with less resolution than grey, the last
        rows may differ by the neighbours that are interpolated).

    Raises:
        BrokenJpeg: codes are missing or left over, or restart markers.
    """
    if jpeg.process in _LOSSLESS:
        return _check_lossless(content, jpeg, decode)
    down, across = jpeg.block[0] // scaled, jpeg.block[1] // scaled
    seen = decode(_higher(content, jpeg))  # first: it may find that the file has no end
    _check_restarts(content, jpeg)
    _check_progression(jpeg)
    extra = seen[-down:].astype(np.int64)
    grey = np.abs(extra - 2 ** (jpeg.precision - 1)) <= 1
    if not grey[:, across:].all():
        raise BrokenJpeg("it holds more codes than its pixels need")
    if len(jpeg.scans) > 1 or grey.all():
        tailed = decode(_higher(_tailed(content, jpeg), jpeg))
        below = down if jpeg.components == 1 else down + 2  # colour of less resolution is interpolated across the edge
        if not np.array_equal(tailed[:-below], seen[:-below]):
            raise BrokenJpeg("it ends early")
    return seen[: jpeg.rows]


def _facts(content: bytes, frame: int, restart: int) -> tuple[int, int, int, int, int, tuple[int, int], int]:
    precision, rows, columns, components = struct.unpack_from(">BHHB", content, frame + 4)
    factors = [content[frame + 11 + 3 * k] for k in range(components)]
    unit = 1 if content[frame + 1] in _LOSSLESS else 8
    # One component alone is coded block by block, whatever its factors are (A.2.2).
    down, across = (1, 1) if components == 1 else (max((f & 15 for f in factors), default=1), max((f >> 4 for f in factors), default=1))
    return content[frame + 1], precision, rows, columns, components, (unit * max(1, down), unit * max(1, across)), restart


def _data_end(content: bytes, start: int) -> int:
    """Return where the entropy-coded data end: at the next marker, or with the file."""
    at = content.find(b"\xff", start)
    while 0 <= at < len(content) - 1 and content[at + 1] in _WITHIN_DATA:
        at = content.find(b"\xff", at + 1 if content[at + 1] == 0xFF else at + 2)
    return at if at >= 0 else len(content)


def _progress(body: bytes) -> list[tuple[int, int, int]]:
    """Return component, last coefficient and bits still to come of each component of a scan (B.2.3)."""
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return []
    last, low = body[2 + 2 * count], body[3 + 2 * count] & 15
    return [(body[1 + 2 * k], last, low) for k in range(count)]


def _higher(content: bytes, jpeg: Jpeg) -> bytes:
    """Return the JPEG with a frame of one more row of minimum coded units."""
    unit = jpeg.block[0]
    rows = -(-jpeg.rows // unit) * unit + unit
    if rows > HIGHEST:
        raise BrokenJpeg(f"it is higher than {HIGHEST - unit} rows")
    return content[: jpeg.frame + 5] + rows.to_bytes(2, "big") + content[jpeg.frame + 7 :]


def _tailed(content: bytes, jpeg: Jpeg) -> bytes:
    """Return the JPEG with arbitrary codes behind those of each scan: pixels that they change were missing."""
    pieces, at = [], 0
    for _, end in jpeg.scans:
        pieces += [content[at:end], _TAIL]
        at = end
    return b"".join([*pieces, content[at:]])


def _check_restarts(content: bytes, jpeg: Jpeg) -> None:
    """Count restart markers (F.1.2.3, single scans): a missing interval shifts all that follows."""
    if not jpeg.restart or len(jpeg.scans) > 1:
        return
    units = -(-jpeg.rows // jpeg.block[0]) * -(-jpeg.columns // jpeg.block[1])
    found = [marker[0] & 7 for marker in _RESTART.findall(content, *jpeg.scans[0])]
    if found != [k % 8 for k in range(-(-units // jpeg.restart) - 1)]:
        raise BrokenJpeg("restart markers are missing")


def _check_progression(jpeg: Jpeg) -> None:
    """Ask whether every coefficient was sent to its last bit (G.1.1.1); without the last scans a picture is coarse, not cut."""
    if jpeg.process not in _PROGRESSIVE:
        return
    done = {(component, last > 0) for component, last, low in jpeg.progression if low == 0}
    full = {component for component, last, low in jpeg.progression if last == 63 and low == 0}
    if len(full) < jpeg.components or len(done) < 2 * jpeg.components:
        raise BrokenJpeg("it ends early, its last scans are missing")


def _check_lossless(content: bytes, jpeg: Jpeg, decode: Decoder) -> NDArray[np.integer]:
    """The same for lossless JPEG (annex H), in one row more.

    Of a sound scan its first difference comes out of the bits that fill the last byte, all others out of zeros: they are alike. If
    codes are missing, all are 0.
    """
    seen = decode(_higher(content, jpeg))
    _check_restarts(content, jpeg)
    start = jpeg.scans[0][0]
    predictor, shift = content[start - 3], content[start - 1] & 15
    ambiguous = predictor not in _LINEAR or jpeg.restart > 0
    if not ambiguous:
        last, above = seen[-1].astype(np.int64) >> shift, seen[-2].astype(np.int64) >> shift
        differences = _differences(last, above, predictor) % 2 ** (8 * seen.dtype.itemsize - shift)  # samples wrap around
        if (differences[1:] != differences[-1]).any():
            raise BrokenJpeg("it holds more codes than its pixels need")
        ambiguous = not differences.any()
    if ambiguous and not np.array_equal(decode(_higher(_tailed(content, jpeg), jpeg))[:-1], seen[:-1]):
        raise BrokenJpeg("it ends early")
    return seen[:-1]


def _differences(row: NDArray[np.int64], above: NDArray[np.int64], predictor: int) -> NDArray[np.int64]:
    """Return what a row of samples adds to its prediction (H.1.2.1); the one above predicts the first sample."""
    left, corner, up = row[:-1], above[:-1], above[1:]
    predicted = {1: left, 2: up, 3: corner, 4: left + up - corner}[predictor]
    return np.concatenate([row[:1] - above[:1], row[1:] - predicted])
