"""Files that claim more than they hold: bounded work, bounded memory, and a refusal instead of the end of the process."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from made_dicom import bare, codestream, compressed, content, encapsulated, radiograph, steps
from osteon.dicom import read_dicom
from osteon.dicom.codestream import TooMuchError, check_pieces
from osteon.dicom.fragments import TooManyFragmentsError, joined_frame
from osteon.dicom.rle import rle_words
from osteon.errors import FilmError, OversizedFilm, UnreadableFilm

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}
EXPECTED = steps() / 4096

pytestmark = pytest.mark.filterwarnings("ignore")


def refusal(file: bytes, kind: type[FilmError]) -> str:
    with pytest.raises(kind, match=r"^film: ") as caught:
        read_dicom(file, "film")
    return str(caught.value)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


END = b"\xfe\xff\xdd\xe0\0\0\0\0"


# ---- RLE (PS3.5 annex G)


def rle_header(*numbers: int) -> bytes:
    return struct.pack("<16I", *numbers, *[0] * (16 - len(numbers)))


SEGMENT = bytes(imagecodecs.packbits_encode(bytes(1280)))


@pytest.mark.parametrize(
    "frame",
    [
        rle_header(2, 64),
        rle_header(2, 64)[:30],
        rle_header(2, 64, 0xFFFFFFFF) + SEGMENT * 2,
        rle_header(2, 64, 64) + SEGMENT * 2,
        rle_header(2, 0xFFFFFFF0, 64) + SEGMENT * 2,
        rle_header(2, 64, 70000) + SEGMENT * 2,
        rle_header(0) + SEGMENT * 2,
        rle_header(1, 64) + SEGMENT * 2,
        rle_header(3, 64, 80, 90) + SEGMENT * 2,
        rle_header(0xFFFFFFFF, *[64] * 15) + SEGMENT * 2,
        rle_header(2, 64, 64 + len(SEGMENT)) + SEGMENT + SEGMENT[:3],
        rle_header(2, 64, 64 + len(SEGMENT)) + SEGMENT + b"\x7f" * 90,
        rle_header(2, 64, 66) + b"\x81\0" * 90_000,
    ],
)
def test_rle_that_is_broken_is_refused(frame: bytes) -> None:
    assert "RLE Lossless pixels are broken" in refusal(content(encapsulated(frame), uid.RLELossless), UnreadableFilm)


@pytest.mark.parametrize("width", [1, 2])
def test_rle_segments(width: int) -> None:
    words = np.random.default_rng(0).integers(0, 256**width, 999).astype(f"<u{width}")
    planes = words.view(np.uint8).reshape(-1, width)[:, ::-1].T
    for fill in (b"", b"\0"):  # with and without the byte that makes a segment even
        segments = [bytes(imagecodecs.packbits_encode(plane.tobytes())) + fill for plane in planes]
        offsets = np.cumsum([64, *map(len, segments)])[:width].tolist()
        np.testing.assert_array_equal(rle_words(rle_header(width, *offsets) + b"".join(segments), 999, width), words)


# ---- fragments, elements, deflated data


def test_fragments_are_joined() -> None:
    value = item(b"") + item(b"ab") + item(b"") + item(b"cd") + END
    assert joined_frame(memoryview(value)) == b"abcd"
    with pytest.raises(TooManyFragmentsError):
        joined_frame(memoryview(item(b"") * 60_000 + END))


def test_a_frame_in_fragments_is_read() -> None:
    ds = radiograph(**WINDOW)
    stream = codestream(uid.JPEG2000Lossless)
    ds.PixelData = encapsulate([stream + bytes(len(stream) % 2)], fragments_per_frame=5)
    ds["PixelData"].is_undefined_length = True
    np.testing.assert_allclose(read_dicom(content(ds, uid.JPEG2000Lossless), "film").pixels, EXPECTED, atol=1e-6)


def test_millions_of_fragments_are_refused() -> None:
    file = content(encapsulated(codestream(uid.JPEG2000Lossless)), uid.JPEG2000Lossless)
    start = file.index(b"\xfe\xff\x00\xe0")
    assert "fragments" in refusal(file[:start] + item(b"") * 200_000 + END, OversizedFilm)


@pytest.mark.parametrize("nested", [False, True])
def test_millions_of_elements_are_refused(nested: bool) -> None:
    file = content(radiograph())
    start = 132 + 12 + int.from_bytes(file[140:144], "little")
    one = struct.pack("<HH2sH", 0x0009, 0x1001, b"LO", 0)
    many = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item(b"") * 600_000 + END if nested else one * 600_000
    began = time.monotonic()
    assert "elements" in refusal(file[:start] + many + file[start:], OversizedFilm)
    assert time.monotonic() - began < 10


def test_an_attribute_of_a_million_numbers_is_none() -> None:
    for keyword in ("WindowCenter", "RescaleSlope"):
        file = bare(radiograph(**{keyword: 5}))
        at = file.index(struct.pack("<HH", 0x0028, {"WindowCenter": 0x1050, "RescaleSlope": 0x1053}[keyword]))
        value = b"1\\" * 2_000_000
        refusal(file[: at + 4] + struct.pack("<I", len(value)) + value + file[at + 10 :], FilmError)


def test_the_memory_of_a_deflated_bomb_is_bounded(tmp_path: Path) -> None:
    """In a process of its own, and by its own peak: getrusage's would begin with that of the process that started it."""
    code = (
        "import sys, zlib; from osteon.dicom import read_dicom; from osteon.errors import OversizedFilm\n"
        "pack = zlib.compressobj(9, wbits=-15); body = b''.join(pack.compress(bytes(2**24)) for _ in range(128)) + pack.flush()\n"
        "try: read_dicom(open(sys.argv[1], 'rb').read() + body, 'film')\n"
        "except OversizedFilm: print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    file = content(radiograph(), uid.DeflatedExplicitVRLittleEndian)
    path = tmp_path / "film.dcm"
    path.write_bytes(file[: 132 + 12 + int.from_bytes(file[140:144], "little")])
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000_000  # kB


# ---- compressed pixels that are cut, or under another syntax


@pytest.mark.parametrize(
    "syntax", [uid.RLELossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.JPEGBaseline8Bit]
)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
@pytest.mark.parametrize("whole", [False, True], ids=["the file is cut", "the codestream is cut"])
def test_a_cut_is_never_silent(syntax: str, share: float, whole: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    ds = radiograph(noise)
    if syntax == uid.JPEGBaseline8Bit:
        ds.PixelData = encapsulate([imagecodecs.jpeg8_encode(noise) + b"\0"])
        file = content(ds, syntax)
    else:
        file = compressed(ds, syntax)
    start = file.index(b"\xfe\xff\x00\xe0", 300)
    first = start + 8 + int.from_bytes(file[start + 4 : start + 8], "little")
    frame = file[first + 8 : first + 8 + int.from_bytes(file[first + 4 : first + 8], "little")]
    short = frame[: int(share * len(frame)) // 2 * 2]
    if whole:
        assert "pixels are broken" in refusal(file[:start] + item(b"") + item(short) + END, UnreadableFilm)
    else:
        assert "the file ends early" in refusal(file[: first + 8 + len(short)], UnreadableFilm)


@pytest.mark.parametrize("cut", [0.1, 0.4])
def test_a_file_that_ends_before_its_pixels_says_so(cut: float) -> None:
    file = content(radiograph(InstitutionName="x" * 900, **WINDOW))
    start = file.index(b"x" * 900)
    assert "the file ends early" in refusal(file[: start + int(cut * 900)], UnreadableFilm)


def test_compressed_pixels_under_an_uncompressed_syntax_and_the_reverse() -> None:
    ds = encapsulated(codestream(uid.JPEG2000Lossless), **WINDOW)
    file = content(ds, uid.JPEG2000Lossless).replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.1\0\0\0")
    assert "TransferSyntaxUID (0002,0010) is Explicit VR Little Endian, its pixels are compressed" in refusal(file, UnreadableFilm)
    plain = content(radiograph(**WINDOW), uid.ExplicitVRLittleEndian)
    for syntax in (uid.JPEG2000Lossless, uid.RLELossless, uid.JPEGBaseline8Bit):
        value = syntax.encode() + bytes(len(syntax) % 2)
        file = plain.replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI" + struct.pack("<H", len(value)) + value)
        assert "its pixels are uncompressed" in refusal(file, UnreadableFilm)


def test_a_codestream_of_another_kind_is_refused() -> None:
    for syntax, other in ((uid.JPEG2000Lossless, uid.JPEGLSLossless), (uid.JPEGLSLossless, uid.JPEGLosslessSV1)):
        assert "no codestream of this kind" in refusal(content(encapsulated(codestream(other)), syntax), UnreadableFilm)


# ---- JPEG 2000


def test_jp2_boxes_are_taken_off() -> None:
    for boxes in ("jp2",):
        stream = imagecodecs.jpeg2k_encode(steps(), level=0, codecformat=boxes, reversible=True, bitspersample=12)
        assert stream[4:6] == b"jP"
        film = read_dicom(content(encapsulated(stream, **WINDOW), uid.JPEG2000Lossless), "film")
        np.testing.assert_allclose(film.pixels, EXPECTED, atol=1e-6)


@pytest.mark.parametrize(("stored", "precision", "window"), [(10, 12, 12), (12, 16, 16), (12, 12, 12), (16, 12, 12)])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.HTJ2KLossless])
def test_a_codestream_of_another_depth_rules(stored: int, precision: int, window: int, syntax: str) -> None:
    """PS3.5 8.2.3 and 8.2.4; a codestream of more bits that fits into BitsStored is no contradiction."""
    pixels = (steps().astype(np.uint32) << precision >> 12).astype(np.uint16)
    pixels[0, 0] = 2**precision - 1
    encode = {
        uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", reversible=True, bitspersample=precision
        ),
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(pixels),
        uid.HTJ2KLossless: lambda: imagecodecs.htj2k_encode(pixels, reversible=True),
    }[syntax]
    ds = encapsulated(encode(), BitsStored=stored, WindowCenter=2 ** (window - 1), WindowWidth=2**window, VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_allclose(read_dicom(content(ds, syntax), "film").pixels, pixels / 2**precision, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True], ids=["header unsigned", "header signed"])
@pytest.mark.parametrize("coded", [False, True], ids=["codestream unsigned", "codestream signed"])
def test_the_sign_is_the_headers(signed: bool, coded: bool) -> None:
    """As pydicom's decoders have it: bits of the codestream, read with the sign of PixelRepresentation."""
    bits = steps()
    values = np.where(bits >= 2048, bits.astype(int) - 4096, bits).astype(np.int16) if coded else bits
    stream = imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    window = {**WINDOW, "WindowCenter": 0 if signed else 2048}
    film = read_dicom(content(encapsulated(stream, PixelRepresentation=int(signed), **window), uid.JPEG2000Lossless), "film")
    np.testing.assert_allclose(film.pixels, ((bits.astype(int) + 2048) % 4096 if signed else bits) / 4096, atol=1e-6)


def test_thousands_of_components_are_refused_before_they_are_decoded() -> None:
    stream = bytearray(codestream(uid.JPEG2000Lossless))
    stream[40:42] = struct.pack(">H", 16384)
    assert "16384 components" in refusal(content(encapsulated(bytes(stream)), uid.JPEG2000Lossless), UnreadableFilm)


def styled(*, layers: int = 1, levels: int = 5, block: int = 4, precincts: bytes = b"", tile: int = 10_000) -> bytes:
    """Return the headers of a codestream of 10,000 x 10,000."""
    size = struct.pack(">HH8IHBBB", 41, 0, 10_000, 10_000, 0, 0, tile, tile, 0, 0, 1, 11, 1, 1)
    style = bytes([1 if precincts else 0, 0]) + struct.pack(">H", layers) + bytes([0, levels, block, block, 0, 1]) + precincts
    return b"\xff\x4f\xff\x51" + size + b"\xff\x52" + struct.pack(">H", len(style) + 2) + style


@pytest.mark.parametrize(
    "headers",
    [
        styled(tile=1),
        styled(tile=0),
        styled(layers=65535, precincts=b"\x88" * 6),
        styled(levels=200),
        styled(precincts=b"\x00" * 6),
        styled(block=0),
    ],
)
def test_jpeg_2000_in_millions_of_pieces_is_refused(headers: bytes) -> None:
    with pytest.raises(TooMuchError):
        check_pieces(headers)


def test_common_jpeg_2000_is_not_refused() -> None:
    check_pieces(styled())
    check_pieces(styled(layers=20, tile=512, precincts=b"\x77" + b"\x88" * 5))


def test_jpeg_processes_that_dicom_no_longer_has() -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((steps() >> 4).astype(np.uint8)).save(file, "JPEG", progressive=True)
    ds = encapsulated(file.getvalue(), BitsAllocated=8, BitsStored=8)
    assert "a process of JPEG" in refusal(content(ds, uid.JPEGBaseline8Bit), UnreadableFilm)
