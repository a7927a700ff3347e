"""DICOM radiographs: every transfer syntax, what is refused and why, and files that nobody should trust."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from made_dicom import DX, NAME, bare, codestream, compressed, content, encapsulated, radiograph, steps
from osteon.dicom import is_dicom, read_dicom
from osteon.dicom.transfer import COMPRESSED
from osteon.errors import FilmError, OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.film import read_film

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}
EXPECTED = steps() / 4096
LOSSLESS = [
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
]
UNCOMPRESSED = [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]

# pydicom warns of what the made files do wrong; that a reader hears none of it, `test_warnings_stay_silent` holds.
pytestmark = pytest.mark.filterwarnings("ignore")


def read(file: bytes) -> Any:
    return read_dicom(file, "film.dcm")


def refusal(file: bytes, kind: type[FilmError] = UnsupportedFilm) -> str:
    with pytest.raises(kind) as caught:
        read(file)
    message = str(caught.value)
    assert message.startswith("film.dcm: ")
    assert "\n" not in message
    for word in NAME.split("^"):
        assert word not in message
    return message


# ---- transfer syntaxes


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_uncompressed(syntax: str) -> None:
    assert_allclose(read(content(radiograph(**WINDOW), syntax)).pixels, EXPECTED, atol=1e-6)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_lossless(syntax: str, bits: int) -> None:
    pixels = (steps() >> 4).astype(np.uint8) if bits == 8 else (steps().astype(np.uint32) << bits >> 12).astype(np.uint16)
    half = 2 ** (bits - 1)
    ds = radiograph(pixels, BitsStored=bits, WindowCenter=half, WindowWidth=2 * half, VOILUTFunction="LINEAR_EXACT")
    assert_allclose(read(compressed(ds, syntax)).pixels, pixels / (2 * half), atol=1e-6)


@pytest.mark.parametrize(
    ("syntax", "encode", "close"),
    [
        (uid.JPEGExtended12Bit, lambda pixels: imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=12), 0.01),
        (uid.JPEGLSNearLossless, lambda pixels: imagecodecs.jpegls_encode(pixels, level=2), 0.001),
        (uid.JPEG2000, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=60, bitspersample=12, codecformat="j2k"), 0.01),
        (uid.HTJ2K, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=False, level=0.001), 0.02),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_lossy(syntax: str, encode: Callable[[Any], bytes], close: float, capfd: pytest.CaptureFixture[str]) -> None:
    assert_allclose(read(content(encapsulated(encode(steps()), **WINDOW), syntax)).pixels, EXPECTED, atol=close)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit])
def test_jpeg_of_8_bits(syntax: str) -> None:
    grey = (steps() >> 4).astype(np.uint8)
    ds = encapsulated(imagecodecs.jpeg8_encode(grey, level=95), BitsAllocated=8, BitsStored=8)
    assert_allclose(read(content(ds, syntax)).pixels, grey / 255, atol=0.03)


@pytest.mark.parametrize("bits", [6, 7])
def test_jpeg_ls_of_few_bits(bits: int) -> None:
    pixels = (steps() >> (12 - bits)).astype(np.uint8)
    film = read(content(encapsulated(imagecodecs.jpegls_encode(pixels), BitsAllocated=8, BitsStored=bits), uid.JPEGLSLossless))
    assert_allclose(film.pixels * (2**bits - 1), pixels, atol=1e-3)


def test_packaged_near_lossless_jpeg_ls() -> None:
    for file in ("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"):
        ds = _packaged(file, SOPClassUID=uid.ComputedRadiographyImageStorage, Modality="CR", WindowCenter=None, WindowWidth=None)
        expected = get_decoder(uid.JPEGLSNearLossless).as_array(ds, raw=True)[0] / (2**ds.BitsStored - 1)
        assert_allclose(read(_saved(ds)).pixels, expected, atol=0.01)


def test_an_unknown_transfer_syntax_is_named() -> None:
    assert "MPEG2" in refusal(content(encapsulated(b"\0\0\1\xb3"), uid.MPEG2MPML))


def test_twelve_bit_jpeg_is_what_libjpeg_turbo_makes_of_it() -> None:
    """pydicom's own 12-bit film; the corner and the sum were read with libjpeg-turbo 3.1.3."""
    ds = _packaged("JPGExtended.dcm", SOPClassUID=uid.ComputedRadiographyImageStorage, Modality="CR", WindowCenter=1024, WindowWidth=2048)
    ds.VOILUTFunction = "LINEAR_EXACT"
    codes = np.rint(read(_saved(ds)).pixels * 2048)
    assert codes.shape == (1024, 256)
    assert codes[420, 140] == 244
    assert round(float(codes.mean()), 4) == 14.37


def test_threads_do_not_disturb_each_other() -> None:
    files = [compressed(radiograph(**WINDOW), syntax) for syntax in LOSSLESS]
    with ThreadPoolExecutor(4) as pool:
        for film in pool.map(read, files * 8):
            assert_allclose(film.pixels, EXPECTED, atol=1e-6)


# ---- how the file is wrapped


def test_tags_are_kept() -> None:
    film = read(content(radiograph(BodyPartExamined="Lower Leg", ViewPosition="AP")))
    assert (film.study_type, film.view, film.study, film.truncated) == ("LEG", "AP", "1.2.3", False)


def patient(**attributes: object) -> str:
    return read_dicom(content(radiograph(**attributes)), "film").patient


NAMED = {"PatientID": None, "PatientName": "DOE^JANE"}


@pytest.mark.parametrize("study", ["1.2.3", None])
@pytest.mark.parametrize(
    "other",
    [
        {"PatientName": "DOE^JOHN"},
        {"PatientName": "D\u00d6E^JANE", "SpecificCharacterSet": "ISO_IR 100"},
        {"PatientName": None},
        {"PatientID": "1"},
        {"PatientBirthDate": "19700101"},
        {"IssuerOfPatientID": "CLINIC"},
    ],
)
def test_patients_are_told_apart_by_all_that_names_them(other: dict[str, object], study: str | None) -> None:
    one, two = patient(**NAMED, StudyInstanceUID=study), patient(**(NAMED | {"StudyInstanceUID": study} | other))
    assert one and one == patient(**(NAMED | {"PatientName": "DOE^JANE^^^"}), StudyInstanceUID=study)
    assert two != one and "DOE" not in one + two
    assert patient(PatientID=None, PatientName=None) == ""


@pytest.mark.parametrize("born", [b"JANE MAY 70 ", b"1970\\JANE   ", b"JANE\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_a_broken_value_of_a_patient_still_tells_apart_and_comes_out_nowhere(
    born: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "film.dcm").write_bytes(content(radiograph(PatientBirthDate="19700101-x  ")).replace(b"19700101-x  ", born))
    with warnings.catch_warnings(record=True) as told:
        film = read_film(tmp_path / "film.dcm")
    assert film.patient not in ("", patient()) and len(film.patient) == 16
    assert "JANE" not in repr(told) + caplog.text + "".join(capfd.readouterr()) + film.patient + "".join(film.remarks)


@pytest.mark.parametrize("implicit", [True, False])
def test_without_preamble_and_file_meta(implicit: bool) -> None:
    file = bare(radiograph(**WINDOW), implicit=implicit)
    assert is_dicom(file)
    assert_allclose(read(file).pixels, EXPECTED, atol=1e-6)


def test_without_preamble_in_big_endian() -> None:
    file = bare(radiograph(**WINDOW), implicit=False, little=False)
    assert is_dicom(file)
    assert_allclose(read(file).pixels, EXPECTED, atol=1e-6)


def test_file_meta_without_preamble_and_prefix_alone() -> None:
    whole = content(radiograph(**WINDOW))
    for file in (whole[132:], whole[128:]):
        assert is_dicom(file)
        assert_allclose(read(file).pixels, EXPECTED, atol=1e-6)


@pytest.mark.parametrize(
    "other", [b"", b"\x08\x00", b"text that goes on and on", b"\x89PNG\r\n\x1a\n" + bytes(200), b"\x08\x00\x05\x00" + b"\xff" * 40]
)
def test_other_files_are_not_dicom(other: bytes) -> None:
    assert not is_dicom(other)


def test_missing_type_2_tags_and_empty_ones() -> None:
    ds = radiograph(
        PatientName=None, PatientID=None, StudyInstanceUID=None, BodyPartExamined="", ViewPosition="", WindowCenter="", WindowWidth=""
    )
    film = read(content(ds))
    assert (film.study_type, film.view, film.study) == ("", "", "")


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100", "", "ISO 2022 IR 87", "no such set"])
def test_non_ascii_names(charset: str) -> None:
    file = content(radiograph(PatientName="DOE^JANE______", SpecificCharacterSet=charset, **WINDOW))
    assert_allclose(read(file.replace(b"DOE^JANE______", "Ярослав".encode())).pixels, EXPECTED, atol=1e-6)


def test_warnings_stay_silent(tmp_path: Path) -> None:
    """pydicom warns of an invalid UID and quotes it; warnings are errors in these tests."""
    path = tmp_path / "film.dcm"
    path.write_bytes(content(radiograph(**WINDOW)).replace(b"1.2.3\0", b"1.2.x\0"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_film(path).study == "1.2.x"


# ---- what is stored in the words


def test_overlays_in_unused_bits_are_cut_off() -> None:
    above = steps() | (np.arange(32, dtype=np.uint16)[:, None] % 16 << 12)
    assert_allclose(read(content(radiograph(above, **WINDOW))).pixels, EXPECTED, atol=1e-6)


def test_high_bit_above_bits_stored() -> None:
    shifted = (steps() << 4) | 0xF
    assert_allclose(read(content(radiograph(shifted, HighBit=15, **WINDOW))).pixels, EXPECTED, atol=1e-6)
    assert_allclose(read(compressed(radiograph(shifted, HighBit=15, **WINDOW), uid.RLELossless)).pixels, EXPECTED, atol=1e-6)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless])
def test_signed_pixels(syntax: str) -> None:
    signed = steps().astype(np.int16) - 2048
    window = {**WINDOW, "WindowCenter": 0}
    ds = radiograph(signed, **window)
    file = content(ds) if syntax == uid.ExplicitVRLittleEndian else compressed(ds, syntax)
    assert_allclose(read(file).pixels, EXPECTED, atol=1e-6)


def test_signed_pixels_whose_unused_bits_are_not_filled() -> None:
    codes = (steps().astype(np.int16) - 2048).view(np.uint16) & 0xFFF
    ds = radiograph(codes, **{**WINDOW, "WindowCenter": 0, "PixelRepresentation": 1})
    assert_allclose(read(content(ds)).pixels, EXPECTED, atol=1e-6)


def test_odd_bytes_and_excess_padding() -> None:
    odd = np.arange(33 * 33, dtype=np.uint32).astype(np.uint8).reshape(33, 33)
    assert_allclose(read(content(radiograph(odd))).pixels, odd / 255, atol=1e-6)
    ds = radiograph(**WINDOW)
    ds.PixelData += bytes(128)
    assert_allclose(read(content(ds)).pixels, EXPECTED, atol=1e-6)


# ---- what is no radiograph


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("CT_small.dcm", "Modality (0008,0060) is CT"),
        ("MR_small.dcm", "is MR"),
        ("examples_palette.dcm", "is US"),
        ("SC_rgb.dcm", "secondary capture"),
        ("image_dfl.dcm", "is OT"),
        ("reportsi.dcm", "is SR"),
        ("rtplan.dcm", "is RTPLAN"),
        ("waveform_ecg.dcm", "is ECG"),
        ("liver_1frame.dcm", "is SEG"),
        ("JPEGLSNearLossless_08.dcm", "secondary capture"),
        ("dicomdirtests/DICOMDIR", "Media Storage Directory"),
        ("no_meta.dcm", ""),
        ("nested_priv_SQ.dcm", ""),
        ("UN_sequence.dcm", ""),
    ],
)
def test_packaged_files_are_refused_by_name(file: str, reason: str) -> None:
    path = get_testdata_file(file, download=False)
    if path is None:
        file, path = "SC_rgb_small_odd.dcm", get_testdata_file("SC_rgb_small_odd.dcm", download=False)
        reason = "is OT"
    assert reason in refusal(Path(path).read_bytes())


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Modality": "MG"}, "Modality (0008,0060) is MG"),
        ({"SOPClassUID": uid.DigitalXRayImageStorageForProcessing, "Modality": "DX"}, "FOR PROCESSING"),
        ({"SOPClassUID": DX, "PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage, "Modality": None}, "secondary capture"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage, "BurnedInAnnotation": "YES"}, "secondary capture"),
        ({"SOPClassUID": uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "ConversionType": "DF"}, "secondary capture"),
        ({"SOPClassUID": uid.CTImageStorage}, "CT Image Storage"),
        ({"NumberOfFrames": 7}, "7 frames (0028,0008)"),
        ({"PhotometricInterpretation": "RGB"}, "RGB, not grey"),
        ({"PhotometricInterpretation": None}, "missing"),
        ({"PixelData": None}, "no PixelData"),
        ({"BitsStored": 1}, "1 bits stored (0028,0101)"),
        ({"BitsStored": None, "HighBit": None}, "BitsStored (0028,0101) is missing"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "32 bits allocated (0028,0100)"),
        ({"BitsAllocated": None}, "(0028,0100), which is missing"),
        ({"SamplesPerPixel": 3}, "as no radiograph has"),
        ({"PixelRepresentation": 7}, "PixelRepresentation (0028,0103) is 7"),
        ({"HighBit": 300}, "up to bit 300 (0028,0102) of 16"),
        ({"HighBit": 10}, "up to bit 10 (0028,0102)"),
    ],
)
def test_what_is_no_radiograph(attributes: dict[str, object], reason: str) -> None:
    ds = radiograph(**attributes)
    if "PixelData" not in ds:
        ds.file_meta = Dataset()
        file = io.BytesIO()
        ds.save_as(file, implicit_vr=True, little_endian=True)
        assert reason in refusal(file.getvalue())
    else:
        assert reason in refusal(content(ds))


def test_neither_modality_nor_class() -> None:
    assert "neither Modality" in refusal(bare(radiograph(Modality=None, SOPClassUID=None)))


@pytest.mark.parametrize(
    "attributes",
    [
        {"SOPClassUID": DX, "Modality": "DX", "PresentationIntentType": "FOR PRESENTATION"},
        {"SOPClassUID": uid.XRayRadiofluoroscopicImageStorage, "Modality": "RF", "NumberOfFrames": 1},
        {"SOPClassUID": uid.SecondaryCaptureImageStorage, "Modality": "RG", "ConversionType": "DF"},
        {"Modality": None},
    ],
)
def test_radiographs_of_other_kinds(attributes: dict[str, object]) -> None:
    assert read(content(radiograph(**attributes, **WINDOW))).pixels.shape == (32, 40)


# ---- broken, truncated, hostile


def test_truncated_pixels_are_read_as_far_as_they_go() -> None:
    whole = content(radiograph(PhotometricInterpretation="MONOCHROME1", **WINDOW))
    film = read(whole[: -40 * 2 * 10])
    assert film.truncated
    assert_allclose(film.pixels[:22], 1 - EXPECTED[:22], atol=1e-6)
    assert not film.pixels[22:].any()


def test_a_film_of_which_hardly_any_pixel_is_there_is_refused() -> None:
    whole = content(radiograph(**WINDOW))
    assert "the file ends early" in refusal(whole[: -40 * 2 * 30], UnreadableFilm)


@pytest.mark.parametrize("cut", [2560, 2564, 2570, 2600, 2700, 3000])
def test_files_that_end_before_their_pixels(cut: int) -> None:
    file = content(radiograph(**WINDOW))
    with pytest.raises(FilmError, match=r"^film.dcm: "):
        read(file[: max(132, len(file) - cut)])


def test_rows_and_columns_that_the_file_does_not_hold() -> None:
    assert "promise 2,560 pixels, the file holds 1,280" in refusal(content(radiograph(Rows=64)), UnreadableFilm)
    assert "Rows (0028,0010)" in refusal(content(radiograph(Rows=0)), UnreadableFilm)


def test_more_pixels_than_is_sane() -> None:
    assert "60000 x 60000" in refusal(content(radiograph(Rows=60000, Columns=60000)), OversizedFilm)


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded() -> None:
    """JPEG 2000 that claims 60,000 x 60,000 in 700 bytes would take 14 GB."""
    huge = bytearray(codestream(uid.HTJ2KLossless))
    huge[8:16] = np.array([60000, 60000], ">u4").tobytes()
    message = refusal(content(encapsulated(bytes(huge)), uid.HTJ2KLossless), UnreadableFilm)
    assert "60000 x 60000, where the header says 40 x 32" in message


@pytest.mark.parametrize("syntax", [s for s in COMPRESSED if s != uid.RLELossless])
def test_a_codestream_of_no_kind(syntax: str) -> None:
    assert "pixels are broken" in refusal(content(encapsulated(b"nothing of the kind "), syntax), UnreadableFilm)


def test_jpeg_ls_without_its_end() -> None:
    """CharLS would look for it for seconds."""
    assert "it ends early" in refusal(content(encapsulated(codestream(uid.JPEGLSLossless)[:-2]), uid.JPEGLSLossless), UnreadableFilm)


def test_a_deflate_bomb_is_not_inflated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.dicom.parsed.MOST_INFLATED", 2**25)
    file = content(radiograph(), uid.DeflatedExplicitVRLittleEndian)
    start = 132 + 12 + int.from_bytes(file[140:144], "little")
    pack = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    chunk = bytes(2**22)
    bomb = b"".join(pack.compress(chunk) for _ in range(18)) + pack.flush()
    assert len(bomb) < 2**19
    assert "grow beyond" in refusal(file[:start] + bomb, OversizedFilm)


def test_deeply_nested_sequences() -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x08\x00\x15\x11" + b"SQ\0\0\xff\xff\xff\xff"
    file = content(radiograph())
    start = 132 + 12 + int.from_bytes(file[140:144], "little")
    with pytest.raises(FilmError):
        read(file[:start] + b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + item * 3000)


HOSTILE = [*UNCOMPRESSED, *LOSSLESS, "bare"]


@cache
def hostile(kind: str) -> bytes:
    ds = radiograph(**WINDOW)
    return bare(ds) if kind == "bare" else compressed(ds, kind) if kind in LOSSLESS else content(ds, kind)


@settings(max_examples=150)
@given(
    kind=st.sampled_from(HOSTILE),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    end=st.floats(0.3, 1),
)
def test_a_damaged_file_is_a_film_or_a_refusal(kind: str, changes: list[tuple[float, int]], end: float) -> None:
    file = bytearray(hostile(kind))
    for place, value in changes:
        file[int(place * (len(file) - 1))] = value
    try:
        film = read(bytes(file[: int(end * len(file))]))
    except FilmError as fault:
        assert str(fault).startswith("film.dcm: ")
    else:
        assert np.isfinite(film.pixels).all()


# ---- real films


def test_real_films(shared_data: Path) -> None:
    chest, leg, lossless = (read_film(shared_data / "dicom" / f"{name}.dcm") for name in ("RG1_J2KI", "RG3_J2KI", "RG3_J2KR"))
    assert chest.pixels.shape == (1955, 1841)
    assert (chest.study_type, chest.view, chest.format) == ("CHEST", "PA", "DICOM")
    assert_allclose(leg.pixels, lossless.pixels, atol=0.02)  # the same film, lossy and lossless
    # Bone bright in MONOCHROME1: the tibia's shaft is brighter than the soft tissue beside it, that brighter than air.
    bone, tissue, air = lossless.pixels[600, 830], lossless.pixels[600, 730], lossless.pixels[1200, 500]
    assert bone > tissue + 0.1 > air + 0.2
    assert_allclose(lossless.pixels, _by_pydicom(shared_data / "dicom" / "RG3_J2KR.dcm"), atol=1e-6)


def test_a_real_film_of_8_bits(shared_data: Path) -> None:
    path = shared_data / "dicom" / "DX_MONOCHROME1_thorax.dcm"
    film = read_film(path)
    assert film.study_type == "THORAX"
    assert_allclose(film.pixels, _by_pydicom(path), atol=1e-6)


def _by_pydicom(path: Path) -> Any:
    ds = dcmread(path)
    return 1 - apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds) / (2**ds.BitsStored - 1)


def _packaged(file: str, **attributes: object) -> Dataset:
    ds = dcmread(get_testdata_file(file, download=False))
    for keyword, value in attributes.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    return ds


def _saved(ds: Dataset) -> bytes:
    file = io.BytesIO()
    ds.save_as(file)
    return file.getvalue()


def test_encapsulated_without_a_frame() -> None:
    ds = radiograph()
    ds.PixelData = encapsulate([b"\0\0"])
    assert "pixels are broken" in refusal(content(ds, uid.JPEG2000Lossless), UnreadableFilm)


def test_pixels_are_made_once_for_a_film() -> None:
    film = read(content(radiograph(**WINDOW)))
    assert film.pixels.dtype == np.float32
    assert_array_equal(film.pixels, read(content(radiograph(**WINDOW))).pixels)
