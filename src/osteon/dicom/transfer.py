"""PixelData in any transfer syntax -> the stored code of each pixel (PS3.5 section 8 and annex A).

imagecodecs decodes what is compressed: libjpeg-turbo, CharLS, OpenJPEG and PackBits behind one door. Other decoders end the whole
process over one damaged film (GDCM by an exception that nobody can catch, pylibjpeg-rle by a panic). Before a decoder runs, what the
codestream itself announces is held against Rows, Columns and `osteon.bounds`: it makes room for the former.

Where a codestream says another depth or sign than BitsStored and PixelRepresentation, the codestream's depth holds (PS3.5 8.2.3 and
8.2.4), and the bits are read with the sign of PixelRepresentation: what pydicom's decoders do, and DCMTK for JPEG-LS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from osteon.bounds import LEAST_HELD
from osteon.dicom.codestream import Header, TooMuchError, bare_codestream, check_pieces, codestream_header
from osteon.dicom.fragments import EndsEarlyError, TooManyFragmentsError, joined_frame
from osteon.dicom.rle import rle_words
from osteon.dicom.tags import called
from osteon.errors import OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.jpeg import EndlessJpeg, check_scans, jpeg_markers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from osteon.dicom.layout import Layout
    from osteon.dicom.parsed import Parsed

    Codes = NDArray[np.uint8] | NDArray[np.uint16]

UNCOMPRESSED = (
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated: the data set, not the pixels
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
)
RLE = "1.2.840.10008.1.2.5"
COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "jpeg8",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": "jpeg8",  # JPEG Extended, 8 or 12 bits
    "1.2.840.10008.1.2.4.57": "jpeg8",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "jpeg8",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "jpegls",  # JPEG-LS
    "1.2.840.10008.1.2.4.81": "jpegls",  # JPEG-LS, near-lossless
    "1.2.840.10008.1.2.4.90": "jpeg2k",  # JPEG 2000, lossless only
    "1.2.840.10008.1.2.4.91": "jpeg2k",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "jpeg2k",  # HTJ2K, lossless only
    "1.2.840.10008.1.2.4.202": "jpeg2k",  # HTJ2K, RPCL, lossless only
    "1.2.840.10008.1.2.4.203": "jpeg2k",  # HTJ2K
    RLE: "",
}
"""Transfer syntax -> imagecodecs' codec; "" where our own reader checks every length first."""

_SEQUENTIAL = (0xC0, 0xC1, 0xC3)  # processes of JPEG that DICOM still has (PS3.5 A.4.1)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The stored code of each pixel.

    `codes` is (Rows, Columns), 0 to 2 ** `bits` - 1, two's complement left as it is; `missing` is how many pixels the file ends too
    early for: the last ones, which are zero.
    """

    codes: Codes
    bits: int
    missing: int = 0


def stored_codes(parsed: Parsed, layout: Layout, name: str) -> Stored:
    """Return the stored bits of each pixel; bits above and below them, where overlays may sit, are cut off.

    Args:
        parsed: the file.
        layout: one grey frame of 8 or 16 bits allocated.
        name: what a refusal calls the file.

    Raises:
        UnreadableFilm: broken, cut, or no decoder makes pixels of it.
        UnsupportedFilm: a transfer syntax that osteon does not decode.
        OversizedFilm: more fragments, or pieces of a codestream, than is sane.
    """
    syntax = parsed.syntax
    if syntax not in (*UNCOMPRESSED, *COMPRESSED):
        raise UnsupportedFilm(f"{name}: osteon does not decode transfer syntax (0002,0010) {called(syntax)}. Send the film uncompressed.")
    if (parsed.length is None) != (syntax in COMPRESSED):
        held = "compressed" if parsed.length is None else "uncompressed"
        raise UnreadableFilm(f"{name}: TransferSyntaxUID (0002,0010) is {called(syntax)}, its pixels are {held}. Send the film again.")
    if syntax in UNCOMPRESSED:
        return _uncompressed(parsed, layout, name)
    try:
        frame = joined_frame(parsed.value)
        return _words_of_rle(frame, layout) if syntax == RLE else _decompressed(bare_codestream(frame), COMPRESSED[syntax], layout)
    except EndsEarlyError as fault:
        raise UnreadableFilm(f"{name}: the file ends early. Send it again.") from fault
    except (TooManyFragmentsError, TooMuchError, EndlessJpeg, MemoryError) as fault:
        raise OversizedFilm(f"{name}: its {called(syntax)} pixels ask for too much ({_line(fault)}). Send the film again.") from fault
    except Exception as fault:  # decoders raise anything
        raise UnreadableFilm(f"{name}: its {called(syntax)} pixels are broken ({_line(fault)}). Send the film again.") from fault


def _uncompressed(parsed: Parsed, layout: Layout, name: str) -> Stored:
    width = layout.allocated // 8
    size, promised = layout.size, parsed.length or 0
    held = min(promised, len(parsed.value)) // width
    if held < LEAST_HELD * size or promised < size * width:
        if promised > len(parsed.value):
            raise UnreadableFilm(f"{name}: the file ends early. Send it again.")
        raise UnreadableFilm(f"{name}: Rows and Columns promise {size:,} pixels, the file holds {held:,}. Send the film again.")
    words = np.frombuffer(parsed.value, f"{'<' if parsed.little else '>'}u{width}", min(held, size))
    if width == 1 and parsed.word and not parsed.little:  # bytes in words of the other order (PS3.5 8.1.2)
        words = _swapped(parsed.value, min(promised, len(parsed.value)), size)
    missing = max(0, size - words.size)
    if missing:
        words = np.concatenate([words, np.zeros(missing, words.dtype)])
    native = words.astype(words.dtype.newbyteorder("="), copy=False)
    return Stored(_stored_bits(native, layout), layout.stored, missing)


def _swapped(value: memoryview, length: int, size: int) -> NDArray[np.uint8]:
    pairs = np.frombuffer(value, np.uint8, length // 2 * 2).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, ::-1]).reshape(-1)[:size]


def _words_of_rle(frame: bytes, layout: Layout) -> Stored:
    return Stored(_stored_bits(rle_words(frame, layout.size, layout.allocated // 8), layout), layout.stored)


def _stored_bits(words: NDArray[np.uint8] | NDArray[np.uint16], layout: Layout) -> Codes:
    """Cut out the stored bits: only what is kept as words has others (PS3.5 8.1.1); a codec gives the sample alone."""
    shift = layout.high + 1 - layout.stored
    grid = words.reshape(layout.rows, layout.columns)
    return cast("Codes", (grid >> shift if shift else grid) & words.dtype.type(2**layout.stored - 1))


def _decompressed(frame: bytes, codec: str, layout: Layout) -> Stored:
    header = codestream_header(frame)
    if header is None or header.kind != codec:
        raise ValueError("no codestream of this kind")
    if (header.rows, header.columns) != (layout.rows, layout.columns):
        raise ValueError(f"{header.columns} x {header.rows}, where the header says {layout.columns} x {layout.rows}")
    if header.components != 1 or header.precision > 16:
        raise ValueError(f"{header.components} components of {header.precision} bits, as no grey film has")
    samples = {"jpeg8": _jpeg, "jpegls": _jpeg_ls, "jpeg2k": _jpeg_2000}[codec](frame)
    if samples.shape != (layout.rows, layout.columns):
        raise ValueError("its decoder gives another size")
    return _sample_bits(samples, header, layout)


def _sample_bits(samples: NDArray[np.integer], header: Header, layout: Layout) -> Stored:
    """Return samples as codes of BitsStored bits, or of the codestream's precision where they need more, or their sign stands there."""
    precision, stored = header.precision, layout.stored
    words = samples.view(f"u{samples.dtype.itemsize}")
    codes = cast("Codes", words & words.dtype.type(2 ** min(precision, 8 * words.dtype.itemsize) - 1))
    more = precision > stored and int(codes.max()) >= 2**stored
    return Stored(codes, precision if more or (layout.signed and precision < stored) else stored)


def _jpeg(frame: bytes) -> NDArray[np.integer]:
    import imagecodecs

    markers = jpeg_markers(frame)
    if markers is None or markers.process not in _SEQUENTIAL or len(markers.scans) != 1:
        raise ValueError("a process of JPEG that DICOM no longer has")
    if not markers.ended:
        raise ValueError("it ends early")
    return np.asarray(check_scans(frame, markers, imagecodecs.jpeg8_decode))


def _jpeg_ls(frame: bytes) -> NDArray[np.integer]:
    import imagecodecs

    if b"\xff\xd9" not in frame[-16:]:
        raise ValueError("it ends early")  # CharLS would look for JPEG-LS's end for seconds
    return np.asarray(imagecodecs.jpegls_decode(frame))


def _jpeg_2000(frame: bytes) -> NDArray[np.integer]:
    import imagecodecs

    check_pieces(frame)
    return np.asarray(imagecodecs.jpeg2k_decode(frame))


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).split())[:200]
