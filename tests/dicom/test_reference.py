"""Every combination of transfer syntax, bits and sign that is read, pixel by pixel beside decoders that share no code with ours.

DCMTK's viewers (Debian: dcmtk) decode, window and write 16 bits for what they know. JPEG 2000 is held to GDCM (Debian: libgdcm-tools)
and, where nothing is lost, to what was encoded; HTJ2K to OpenJPH.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from itertools import product
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from made_dicom import content, encode, radiograph
from osteon.dicom import read_dicom

BITS = (6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
SHAPE = (33, 35)  # odd on purpose: padding, and blocks of 8 that are cut
DEBIAN = "not installed (apt-get install dcmtk libgdcm-tools)"

pytestmark = pytest.mark.filterwarnings("ignore")


def codes(bits: int) -> NDArray[np.uint16]:
    """Return every corner of the range, and noise between: (33, 35) of this many bits."""
    made = np.random.default_rng(bits).integers(0, 2**bits, SHAPE, dtype=np.uint16)
    made[0, :4] = [0, 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 1) - 1]
    return made


def smooth(bits: int) -> NDArray[np.uint16]:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((np.sin(x / 5) * np.cos(y / 7) + 1) / 2.01 * 2**bits).astype(np.uint16)


def made(bits: int, stored: NDArray[np.uint16], *, signed: bool) -> Dataset:
    """Return a film whose codes are these, in the smallest words, shown over its whole range."""
    words = stored.astype(np.uint8 if bits <= 8 else np.uint16)
    low = -(2 ** (bits - 1)) if signed else 0
    ds = radiograph(words, BitsStored=bits, PixelRepresentation=int(signed))
    ds.WindowCenter, ds.WindowWidth = low + 2 ** (bits - 1), 2**bits
    return ds


def file_of(syntax: str, bits: int, *, signed: bool) -> tuple[bytes, float]:
    """Return a file, and by how many codes decoders of its syntax may differ."""
    lossy = syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    stored = smooth(bits) if lossy or syntax in (uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K) else codes(bits)
    ds = made(bits, stored, signed=signed)
    words = stored.astype(np.uint8 if bits <= 8 else np.uint16)
    if syntax == uid.RLELossless:
        content(ds)
        ds.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
        return saved(ds), 0
    if uid.UID(syntax).is_encapsulated:
        encode(ds, codestream(syntax, words, bits, signed=signed))
    return content(ds, syntax), 2 if lossy else 0


def saved(ds: Dataset) -> bytes:
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def codestream(syntax: str, words: NDArray[np.uint8] | NDArray[np.uint16], bits: int, *, signed: bool) -> bytes:
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        return imagecodecs.jpeg8_encode(words, lossless=True, bitspersample=bits, predictor=1 if syntax == uid.JPEGLosslessSV1 else 4)
    if syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit):
        return imagecodecs.jpeg8_encode(words, level=98, bitspersample=bits)
    if syntax in (uid.JPEGLSLossless, uid.JPEGLSNearLossless):
        return imagecodecs.jpegls_encode(words, level=2 if syntax == uid.JPEGLSNearLossless else None)
    if syntax in (uid.JPEG2000Lossless, uid.JPEG2000):
        samples = signed_of(words, bits) if signed else words
        lossless = syntax == uid.JPEG2000Lossless
        return imagecodecs.jpeg2k_encode(
            samples, level=0 if lossless else 70, codecformat="j2k", reversible=lossless, bitspersample=max(8, bits)
        )
    return imagecodecs.htj2k_encode(words, reversible=syntax != uid.HTJ2K)


def signed_of(words: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> NDArray[np.integer]:
    wide = words.astype(np.int32)
    return np.where(wide >= 2 ** (bits - 1), wide - 2**bits, wide).astype(f"i{words.dtype.itemsize}")


UNCOMPRESSED = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian)
DCMTK = [
    *product((*UNCOMPRESSED, uid.RLELossless), BITS, (False, True)),
    *product((uid.JPEGLossless, uid.JPEGLosslessSV1), BITS[2:], (False, True)),
    *product((uid.JPEGLSLossless, uid.JPEGLSNearLossless), (8, 16), (False, True)),
    *((uid.JPEGBaseline8Bit, 8, signed) for signed in (False, True)),
    *((uid.JPEGExtended12Bit, bits, signed) for bits in (8, 12) for signed in (False, True)),
]
OTHERS = [
    *product((uid.JPEG2000Lossless, uid.JPEG2000), (8, 9, 10, 11, 12, 13, 14, 15, 16), (False, True)),
    *product((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), (8, 16), (False, True)),
]


def test_the_table_is_long() -> None:
    assert len(DCMTK) + len(OTHERS) >= 200


def viewer(syntax: str) -> str:
    jpeg = (uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    return "dcmj2pnm" if syntax in jpeg else "dcml2pnm" if syntax in (uid.JPEGLSLossless, uid.JPEGLSNearLossless) else "dcm2pnm"


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason=DEBIAN)
@pytest.mark.parametrize(("syntax", "bits", "signed"), DCMTK, ids=lambda value: str(getattr(value, "name", value)))
def test_as_dcmtk_shows_it(syntax: str, bits: int, signed: bool, tmp_path: Path) -> None:
    file, close = file_of(syntax, bits, signed=signed)
    path, shown = tmp_path / "film.dcm", tmp_path / "film.pgm"
    path.write_bytes(file)
    subprocess.run([viewer(syntax), "+Wi", "1", "+opw", str(path), str(shown)], check=True, capture_output=True)
    _, width, height, most, *values = " ".join(line for line in shown.read_text().splitlines() if line[:1] != "#").split()
    theirs = np.array(values, np.float64).reshape(int(height), int(width)) / int(most)
    assert abs(read_dicom(file, "film").pixels - theirs).max() <= (close + 0.51) / 2**bits + 1.01 / 65535


@pytest.mark.skipif(shutil.which("gdcmconv") is None, reason=DEBIAN)
@pytest.mark.parametrize(("syntax", "bits", "signed"), OTHERS, ids=lambda value: str(getattr(value, "name", value)))
def test_as_gdcm_or_openjph_decode_it(syntax: str, bits: int, signed: bool, tmp_path: Path) -> None:
    file, _ = file_of(syntax, bits, signed=signed)
    if syntax in (uid.JPEG2000Lossless, uid.JPEG2000):
        path, raw = tmp_path / "film.dcm", tmp_path / "raw.dcm"
        path.write_bytes(file)
        subprocess.run(["gdcmconv", "--raw", str(path), str(raw)], check=True, capture_output=True)
        stored = np.frombuffer(dcmread(raw).PixelData, f"<u{1 if bits == 8 else 2}")[: SHAPE[0] * SHAPE[1]].reshape(SHAPE)
    else:
        stored = imagecodecs.htj2k_decode(get_frame(dcmread(io.BytesIO(file)).PixelData, 0, number_of_frames=1))
    if syntax in (uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL):
        np.testing.assert_array_equal(stored & (2**bits - 1), codes(bits))
    shown = (stored.astype(np.int64) + (2 ** (bits - 1) if signed else 0)) % 2**bits
    lossy = syntax in (uid.JPEG2000, uid.HTJ2K)
    assert abs(read_dicom(file, "film").pixels - shown / (2**bits - 1)).max() <= (2.1 if lossy else 0.01) / 2**bits
