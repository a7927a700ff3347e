"""The grey-scale transformation: (stored values, LUT, photometric) -> expected, worked out by hand and held against pydicom."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from pydicom import DataElement, dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from made_dicom import bare, content, lut, radiograph
from osteon.dicom import read_dicom
from osteon.dicom.grayscale import FAR_TOO_WIDE, NOTHING_SHOWN, UNKNOWN_FUNCTION, count_codes, display_table
from osteon.errors import UnsupportedFilm

TWELVE = [0, 1, 1024, 2047, 2048, 2049, 3072, 4095]
SIGNED = [-2048, -1024, -1, 0, 1, 1024, 2047, 2047]
LINEAR_512 = {"WindowCenter": 1024, "WindowWidth": 1025}  # c - 0.5 = 1023.5, w - 1 = 1024: 511.5 is black, 1535.5 white
EXACT = {"VOILUTFunction": "LINEAR_EXACT"}
HALF = {"WindowCenter": 1024, "WindowWidth": 2048, **EXACT}  # 0 is black, 2048 white
ONE = {"PhotometricInterpretation": "MONOCHROME1"}


def shown(stored: list[int], **attributes: object) -> list[float]:
    """What a film shows for these values, of which it has as many of one as of another."""
    kind = np.int16 if min(stored) < 0 else np.uint16
    pixels = np.resize(np.array(stored, kind), (32, 40))
    return [round(float(value), 4) for value in read_dicom(content(radiograph(pixels, **attributes)), "film").pixels[0, : len(stored)]]


@pytest.mark.parametrize(
    ("stored", "attributes", "expected"),
    [
        # A window of PS3.3 C.11.2.1.2: y = (x - (c - 0.5)) / (w - 1) + 0.5
        ([0, 511, 512, 1024, 1535, 1536, 4095], LINEAR_512, [0, 0, 0.0005, 0.5005, 0.9995, 1, 1]),
        # exactly (C.11.2.1.3.2): y = (x - c) / w + 0.5
        ([0, 512, 1024, 1536, 4095], {"WindowCenter": 1024, "WindowWidth": 1024, **EXACT}, [0, 0, 0.5, 1, 1]),
        # sigmoid (C.11.2.1.3.1): y = 1 / (1 + exp(-4 (x - c) / w))
        ([768, 1024, 1280], {"WindowCenter": 1024, "WindowWidth": 1024, "VOILUTFunction": "SIGMOID"}, [0.2689, 0.5, 0.7311]),
        # the first of several
        ([0, 1024, 2048], {"WindowCenter": [1024, 9], "WindowWidth": [2048, 5], **EXACT}, [0, 0.5, 1]),
        # inversion comes last, for MONOCHROME1 and for INVERSE, once where both say so
        ([0, 512, 2048], {**HALF, **ONE}, [1, 0.75, 0]),
        ([0, 512, 2048], {**HALF, "PresentationLUTShape": "INVERSE"}, [1, 0.75, 0]),
        (
            [0, 512, 2048],
            {
                "WindowCenter": 1024,
                "WindowWidth": 2048,
                **EXACT,
                "PhotometricInterpretation": "MONOCHROME1",
                "PresentationLUTShape": "INVERSE",
            },
            [1, 0.75, 0],
        ),
        # rescale goes before the window: 2 x - 1000
        (
            [0, 500, 1000, 1500],
            {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 500, "WindowWidth": 3000, **EXACT},
            [0, 0.3333, 0.6667, 1],
        ),
        # a falling rescale turns the film before the window looks at it
        ([0, 1024, 2048], {"RescaleSlope": -1, "RescaleIntercept": 2048, **HALF}, [1, 0.5, 0]),
        # a Modality LUT replaces the rescale: 0 1 2 3 -> 0 100 300 600
        (
            [0, 1, 2, 3, 9],
            {"ModalityLUTSequence": [lut(0, [0, 100, 300, 600], 16)], "RescaleSlope": 9, "WindowCenter": 300, "WindowWidth": 600, **EXACT},
            [0, 0.1667, 0.5, 1, 1],
        ),
        # a VOI LUT that begins at 100: below its first entry, above its last one; before any window
        (
            [0, 100, 101, 102, 4095],
            {"VOILUTSequence": [lut(100, [10, 511, 1023], 10)], "WindowCenter": 5, "WindowWidth": 5},
            [0.0098, 0.0098, 0.4995, 1, 1],
        ),
        # a descriptor of 16 bits whose entries use 12
        ([0, 1, 2], {"VOILUTSequence": [lut(0, [0, 1000, 4095], 16)]}, [0, 0.2442, 1]),
        # 8-bit entries for more than 256 values
        ([0, 255, 256, 300, 511], {"VOILUTSequence": [lut(0, [i // 2 for i in range(512)], 8)]}, [0, 0.498, 0.502, 0.5882, 1]),
        # signed values, a LUT from below zero
        ([-2, -1, 0, 1], {"BitsStored": 12, "VOILUTSequence": [lut(-2, [0, 85, 170, 255], 8)]}, [0, 0.3333, 0.6667, 1]),
        (SIGNED[:6], {"BitsStored": 12, "WindowCenter": 0, "WindowWidth": 4096, **EXACT}, [0, 0.25, 0.4998, 0.5, 0.5002, 0.75]),
        # padding is black however it would be shown, and in either sense
        ([0, 1024, 4095], {**HALF, "PixelPaddingValue": 4095}, [0, 0.5, 0]),
        (
            [0, 1024, 3000, 4095],
            {"WindowCenter": 2048, "WindowWidth": 4096, **EXACT, "PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 4095},
            [0, 0.25, 0, 0],
        ),
        (
            [0, 512, 1024],
            {**HALF, "PixelPaddingValue": 0, **ONE},
            [0, 0.75, 0.5],
        ),
    ],
)
def test_by_hand(stored: list[int], attributes: dict[str, object], expected: list[float]) -> None:
    assert shown(stored, **attributes) == pytest.approx(expected, abs=1e-4)


def test_eight_bits_without_a_window_are_shown_as_any_8_bit_file() -> None:
    pixels = np.arange(32 * 40, dtype=np.uint32).astype(np.uint8).reshape(32, 40) // 2
    assert_allclose(read_dicom(content(radiograph(pixels)), "film").pixels, pixels / 255, atol=1e-6)


def ramp() -> NDArray[np.uint16]:
    """Return (100, 400) from 500 to 899."""
    return np.add.outer(np.zeros(100, np.uint16), np.arange(500, 900, dtype=np.uint16)).astype(np.uint16)


@pytest.mark.parametrize(("bits", "most"), [(9, 500), (10, 900), (12, 4000), (14, 9000), (16, 60000)])
@pytest.mark.parametrize("signed", [False, True])
def test_deep_films_without_a_window_are_shown_over_the_bits_that_they_use(bits: int, most: int, signed: bool) -> None:
    """As 16-bit PNG are; a dead pixel and a band of padding decide nothing."""
    pixels = np.linspace(0, most, 40_000).reshape(100, 400).astype(np.uint16)
    pixels[:, :40] = 65000
    pixels[50, 60] = 65535
    kind = pixels.view(np.int16) if signed and bits < 16 else pixels
    film = read_dicom(content(radiograph(kind, BitsStored=16, PixelPaddingValue=kind[0, 0].item())), "film").pixels
    assert not film[:, :40].any()
    assert film[50, 60] == (0 if kind.dtype.kind == "i" else 1)
    pixels[50, 60] = 0
    assert_allclose(film[:50, 41:], pixels[:50, 41:] / (2**bits - 1), atol=1e-6)


def test_signed_deep_films_without_a_window_keep_their_zero() -> None:
    values = np.linspace(-900, 1000, 40_000).reshape(100, 400).astype(np.int16)
    film = read_dicom(content(radiograph(values, BitsStored=16)), "film").pixels
    assert_allclose(film, (values + 1024) / 2047, atol=1e-6)


def test_a_rescale_does_not_change_a_film_without_a_window() -> None:
    plain = read_dicom(content(radiograph(ramp())), "film").pixels
    assert_allclose(read_dicom(content(radiograph(ramp(), RescaleSlope=3, RescaleIntercept=-77)), "film").pixels, plain, atol=1e-6)
    assert_allclose(read_dicom(content(radiograph(ramp(), RescaleSlope=-1, RescaleIntercept=0)), "film").pixels, 1 - plain, atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"WindowCenter": 0, "WindowWidth": 0}, False),
        ({"WindowCenter": 600}, False),
        ({"WindowCenter": 600, "WindowWidth": 1}, True),
        ({"WindowCenter": 600, "WindowWidth": 2}, True),
        ({"WindowCenter": -5000, "WindowWidth": 10}, True),
        ({"WindowCenter": 9000, "WindowWidth": 10, "VOILUTFunction": "LINEAR_EXACT"}, True),
        ({"WindowCenter": -9000, "WindowWidth": 10, "VOILUTFunction": "SIGMOID"}, True),
        ({"VOILUTSequence": [lut(0, [7] * 1024, 12)]}, True),
    ],
)
def test_a_window_that_shows_nothing_is_none(attributes: dict[str, object], said: bool) -> None:
    without = read_dicom(content(radiograph(ramp())), "film")
    film = read_dicom(content(radiograph(ramp(), **attributes)), "film")
    assert_allclose(film.pixels, without.pixels)
    assert film.remarks == ((NOTHING_SHOWN,) if said else ())
    inverted = read_dicom(content(radiograph(ramp(), **attributes, **ONE)), "film")
    assert_allclose(inverted.pixels, 1 - without.pixels, atol=1e-6)


@pytest.mark.parametrize("width", [65536, 1_000_000])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_far_wider_than_the_film_is_none(width: int, function: str) -> None:
    pixels = np.linspace(0, 4095, 40_000).reshape(100, 400).astype(np.uint16)
    window = {"WindowCenter": width / 2, "WindowWidth": width, "VOILUTFunction": function}
    film = read_dicom(content(radiograph(pixels, **window)), "film")
    assert_allclose(film.pixels, pixels / 4095, atol=1e-6)
    assert film.remarks == (FAR_TOO_WIDE,)


def test_a_few_bright_pixels_do_not_fill_a_window() -> None:
    pixels = np.linspace(0, 4000, 40_000).reshape(100, 400).astype(np.uint16)
    pixels[50, 60:70] = 65535
    film = read_dicom(content(radiograph(pixels, BitsStored=16, WindowCenter=32768, WindowWidth=65536)), "film")
    assert film.remarks == (FAR_TOO_WIDE,)
    assert_allclose(film.pixels[:50], pixels[:50] / 4095, atol=1e-6)


def test_a_window_that_the_film_fills_by_a_tenth_counts() -> None:
    pixels = np.linspace(0, 4095, 40_000).reshape(100, 400).astype(np.uint16)
    film = read_dicom(content(radiograph(pixels, WindowCenter=16384, WindowWidth=32768, **EXACT)), "film")
    assert film.remarks == ()
    assert_allclose(film.pixels, pixels / 32768, atol=1e-6)


@pytest.mark.parametrize("wide", [1, 8, 30])
def test_a_border_does_not_decide_the_range_of_a_film_without_a_window(wide: int) -> None:
    pixels = np.linspace(0, 4000, 12_000).reshape(100, 120).astype(np.uint16)
    bordered = np.pad(pixels, wide, constant_values=65535)
    film = read_dicom(content(radiograph(bordered, BitsStored=16)), "film").pixels
    assert_allclose(film[wide:-wide, wide:-wide], pixels / 4095, atol=1e-6)


@pytest.mark.parametrize("function", ["IDENTITY", "CUBIC", "DOE JANE"])
def test_an_unknown_function_is_linear_and_said(function: str) -> None:
    film = read_dicom(content(radiograph(ramp(), **LINEAR_512, VOILUTFunction=function)), "film")
    assert_allclose(film.pixels, read_dicom(content(radiograph(ramp(), **LINEAR_512)), "film").pixels)
    assert film.remarks == (UNKNOWN_FUNCTION,)


# ---- tables as files hold them


def curve(count: int = 4096, top: int = 4095) -> list[int]:
    """Return a table's entries, dark and then steep."""
    return [int((k / 4095) ** 2 * top) for k in range(count)]


def through(item: Dataset, stored: int = 0) -> NDArray[np.float32]:
    """Return what a film of 0 to 4095 shows through a VOI LUT."""
    pixels = (np.linspace(0, 4095, 32 * 40) + stored).astype(np.int16).reshape(32, 40)
    return read_dicom(content(radiograph(pixels, BitsStored=16, VOILUTSequence=[item])), "film").pixels


WHOLE = (np.linspace(0, 4095, 32 * 40).astype(np.int16).reshape(32, 40) / 4095) ** 2


@pytest.mark.parametrize("vr", ["OW", "US"])
@pytest.mark.parametrize("count", [4095, 4000, 2048])
def test_a_table_shorter_than_its_descriptor_goes_on_with_its_last_entry(vr: str, count: int) -> None:
    item = lut(0, curve()[:count], 12)
    item.LUTDescriptor = [4096, 0, 12]
    if vr == "US":
        item["LUTData"] = DataElement(0x00283006, "US", curve()[:count])
    assert_allclose(through(item), np.minimum(WHOLE, ((count - 1) / 4095) ** 2), atol=1e-3)


def test_a_table_longer_than_its_descriptor_is_used_whole() -> None:
    item = lut(0, curve(), 12)
    item.LUTDescriptor = [256, 0, 12]
    assert_allclose(through(item), WHOLE, atol=1e-3)


@pytest.mark.parametrize(
    ("bits", "top", "range_"),
    [(12, 1638, 4095), (12, 2047, 4095), (12, 4095, 4095), (16, 4095, 4095), (16, 1023, 1023), (16, 26000, 65535), (10, 4095, 4095)],
)
def test_the_range_is_the_descriptors_unless_entries_plainly_use_fewer_bits(bits: int, top: int, range_: int) -> None:
    assert_allclose(through(lut(0, curve(top=top), bits)), WHOLE * top / range_, atol=2e-3)


@pytest.mark.parametrize(
    ("first", "vr", "written"), [(-2000, "SS", -2000), (-2000, "US", 63536), (40000, "US", 40000), (40000, "SS", -25536)]
)
def test_a_first_value_of_the_wrong_sign(first: int, vr: str, written: int) -> None:
    item = lut(0, curve(), 12)
    item["LUTDescriptor"] = DataElement(0x00283002, vr, [4096, written, 12])
    values = np.linspace(0, 4095, 32 * 40).astype(np.int64).reshape(32, 40) + first
    pixels = values.astype(np.int16 if first < 0 else np.uint16)
    film = read_dicom(content(radiograph(pixels, BitsStored=16, VOILUTSequence=[item])), "film")
    assert_allclose(film.pixels, WHOLE, atol=1e-3)


def test_a_modality_table_shorter_than_its_descriptor() -> None:
    item = lut(0, [16 * k for k in range(4000)], 16)
    item.LUTDescriptor = [4096, 0, 16]
    pixels = np.linspace(0, 4095, 32 * 40).astype(np.uint16).reshape(32, 40)
    window = {"WindowCenter": 32768, "WindowWidth": 65536, **EXACT}
    film = read_dicom(content(radiograph(pixels, ModalityLUTSequence=[item], **window)), "film").pixels
    assert_allclose(film, np.minimum(pixels, 3999) * 16 / 65536, atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "tag"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope"),
        ({"VOILUTSequence": [Dataset()]}, "VOILUTSequence"),
        ({"ModalityLUTSequence": [Dataset()]}, "ModalityLUTSequence"),
    ],
)
def test_attributes_that_make_no_sense(attributes: dict[str, object], tag: str) -> None:
    with pytest.raises(UnsupportedFilm, match="film: ") as caught:
        shown(TWELVE, **attributes)
    assert tag in str(caught.value)


def test_a_window_that_is_no_number() -> None:
    file = content(radiograph(WindowCenter=123456, WindowWidth=4096)).replace(b"123456", b"abcdef")
    with pytest.raises(UnsupportedFilm, match="WindowCenter is no number"):
        read_dicom(file, "film")


def test_lut_entries_as_words_in_either_byte_order() -> None:
    for little in (True, False):
        item = lut(0, [0, 100, 1023], 10)
        if not little:
            item.LUTData = np.frombuffer(item.LUTData, "<u2").astype(">u2").tobytes()
        pixels = np.zeros((32, 40), np.uint16)
        pixels[:, :3] = [0, 1, 2]
        film = read_dicom(bare(radiograph(pixels, VOILUTSequence=[item]), implicit=False, little=little), "film")
        assert_allclose(film.pixels[0, :3], [0, 100 / 1023, 1], atol=1e-6)


def test_lut_entries_as_bytes() -> None:
    item = lut(0, [0, 128, 255, 0], 8)
    item.LUTData = bytes([0, 128, 255, 0])
    assert shown([0, 1, 2], VOILUTSequence=[item]) == pytest.approx([0, 0.502, 1], abs=1e-4)


@settings(max_examples=40)
@given(
    centre=st.integers(-500, 5000),
    width=st.integers(2, 5000),
    slope=st.sampled_from([0.5, 1.0, 2.0]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    signed=st.booleans(),
)
def test_windows_are_those_of_pydicom(centre: int, width: int, slope: float, function: str, signed: bool) -> None:
    """pydicom's output runs over the rescaled stored range; ours over [0, 1]."""
    ds = radiograph(PixelRepresentation=int(signed), RescaleSlope=slope, RescaleIntercept=-100)
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = centre, width, function
    codes = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    stored = codes.astype(np.int32)
    if signed:
        stored = np.where(stored >= 2048, stored - 4096, stored)
    low, high = slope * (-2048 if signed else 0) - 100, slope * (2047 if signed else 4095) - 100
    with np.errstate(over="ignore"):
        theirs = (apply_voi_lut(apply_modality_lut(stored, ds), ds) - low) / (high - low)
    table, remarks = display_table(ds, count_codes(codes, 12, signed=signed))
    if not remarks:
        assert_allclose(table[codes], theirs, atol=1e-5)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 65535), min_size=2, max_size=50).filter(lambda entries: max(entries) >= 32768), st.integers(0, 100))
def test_luts_are_those_of_pydicom(entries: list[int], first: int) -> None:
    file = io.BytesIO(content(radiograph(VOILUTSequence=[lut(first, entries, 16)])))
    ds = dcmread(file)
    codes = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    table, remarks = display_table(ds, count_codes(codes, 12, signed=False))
    if not remarks:
        assert_allclose(table[codes], apply_voi_lut(codes.astype(np.int32), ds) / 65535, atol=1e-6)
