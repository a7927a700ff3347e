"""Pixels that are not square, display shutters, missing tags, and what may be shown of a tag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydicom import uid

from made_dicom import DX, content, radiograph
from osteon.dicom import read_dicom
from osteon.dicom.radiograph import NOT_SQUARE, WRAPPED, Radiograph
from osteon.dicom.terms import UNKNOWN
from osteon.errors import FilmError
from osteon.film import read_film

pytestmark = pytest.mark.filterwarnings("ignore")

SMOOTH = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)


def read(**attributes: object) -> Radiograph:
    return read_dicom(content(radiograph(SMOOTH, **attributes)), "film")


# ---- square pixels


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PixelSpacing": [0.4, 0.2]}, (120, 80)),
        ({"PixelSpacing": [0.2, 0.4]}, (60, 160)),
        ({"ImagerPixelSpacing": [0.3, 0.2]}, (90, 80)),
        ({"NominalScannedPixelSpacing": [0.3, 0.2]}, (90, 80)),
        ({"PixelAspectRatio": [2, 1]}, (120, 80)),
        ({"PixelAspectRatio": [1, 2]}, (60, 160)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.4, 0.2]}, (120, 80)),
    ],
)
def test_pixels_that_are_not_square_become_so(attributes: dict[str, object], shape: tuple[int, int]) -> None:
    film = read(**attributes)
    assert film.pixels.shape == shape
    assert film.remarks == (NOT_SQUARE,)
    y = (np.arange(shape[0]) + 0.5) * 60 / shape[0] - 0.5
    x = (np.arange(shape[1]) + 0.5) * 80 / shape[1] - 0.5
    assert_allclose(film.pixels, np.add.outer(y.clip(0, 59), x.clip(0, 79)) / 255, atol=1e-6)  # linear, so exact


@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelSpacing": [0.2, 0.2]},
        {"PixelSpacing": [0.2, 0.201]},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": [-0.2, 0.1]},
        {"PixelAspectRatio": [1, 1]},
        {"PixelAspectRatio": [1000, 1]},
        {"PixelSpacing": "0.2"},
        {"PixelSpacing": ""},
        {"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]},
    ],
)
def test_square_pixels_stay_as_they_are(attributes: dict[str, object]) -> None:
    film = read(**attributes)
    assert film.remarks == ()
    assert_allclose(film.pixels, SMOOTH / 255, atol=1e-6)


# ---- shutters

RECTANGLE = {
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 70,
    "ShutterUpperHorizontalEdge": 6,
    "ShutterLowerHorizontalEdge": 50,
}
ROWS, COLUMNS = np.mgrid[1:61, 1:81]
IN_RECTANGLE = (COLUMNS >= 11) & (COLUMNS <= 70) & (ROWS >= 6) & (ROWS <= 50)
IN_CIRCLE = (ROWS - 30) ** 2 + (COLUMNS - 40) ** 2 <= 20**2


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"ShutterShape": "RECTANGULAR", **RECTANGLE}, IN_RECTANGLE),
        ({"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [30, 40], "RadiusOfCircularShutter": 20}, IN_CIRCLE),
        ({"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [6, 11, 6, 70, 50, 70, 50, 11]}, None),
        (
            {"ShutterShape": ["RECTANGULAR", "CIRCULAR"], **RECTANGLE, "CenterOfCircularShutter": [30, 40], "RadiusOfCircularShutter": 20},
            IN_RECTANGLE & IN_CIRCLE,
        ),
        ({"ShutterShape": "RECTANGULAR"}, np.ones((60, 80), bool)),
        ({"ShutterShape": "RECTANGULAR", **RECTANGLE, "ShutterLeftVerticalEdge": 79}, np.ones((60, 80), bool)),
        ({"ShutterShape": "STAR"}, np.ones((60, 80), bool)),
        ({**RECTANGLE}, np.ones((60, 80), bool)),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_a_shutter_hides_is_black(attributes: dict[str, object], shown: np.ndarray | None, photometric: str) -> None:
    film = read(**attributes, PhotometricInterpretation=photometric).pixels
    plain = read(PhotometricInterpretation=photometric).pixels
    if shown is None:  # a polygon's edges: within a pixel of the rectangle's
        assert_allclose(film[7:48, 12:68], plain[7:48, 12:68])
        assert not film[:4].any()
        assert not film[52:].any()
        assert not film[:, :9].any()
        assert not film[:, 72:].any()
    else:
        assert_allclose(film, np.where(shown, plain, 0))


def test_a_slanted_polygon() -> None:
    film = read(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 60, 1, 60, 60]).pixels
    inside = (COLUMNS < ROWS - 1) & (ROWS < 60)
    outside = COLUMNS > ROWS + 1
    assert_allclose(film[inside], SMOOTH[inside] / 255, atol=1e-6)
    assert not film[outside].any()


def test_a_value_representation_that_does_not_exist_costs_the_attribute_or_the_film_and_raises_nothing_else() -> None:
    made = radiograph(SMOOTH, ShutterShape="RECTANGULAR", **RECTANGLE, PixelAspectRatio=[1, 1], BodyPartExamined="HAND", ViewPosition="PA")
    whole = content(made)
    for element in made:
        known = element.tag.group.to_bytes(2, "little") + element.tag.elem.to_bytes(2, "little") + element.VR.encode()
        assert whole.count(known) == 1
        try:
            film = read_dicom(whole.replace(known, known[:4] + b"C="), "film")
        except FilmError:
            continue
        assert film.pixels.shape == SMOOTH.shape


# ---- tags that are missing


def test_missing_bits_are_assumed_and_said() -> None:
    film = read(PixelRepresentation=None)
    assert film.remarks == ("PixelRepresentation (0028,0103) is missing; 0 (unsigned) is assumed",)
    film = read(BitsStored=None, HighBit=None)
    assert film.remarks == ("BitsStored (0028,0101) is missing; 8 is assumed",)
    assert_allclose(film.pixels, SMOOTH / 255, atol=1e-6)
    deep = read_dicom(content(radiograph(BitsStored=None, WindowCenter=2048, WindowWidth=4096)), "film")
    assert deep.remarks == ("BitsStored (0028,0101) is missing; 12 is assumed",)


@pytest.mark.parametrize("conversion", ["WSD", "DI", "SI", "DRW", "DV", None])
@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_a_wrapped_radiograph_is_read_and_said(conversion: str | None, modality: str) -> None:
    kind = {"SOPClassUID": uid.SecondaryCaptureImageStorage, "Modality": modality}
    film = read(**kind, **({"ConversionType": conversion} if conversion else {}))
    assert film.remarks == (WRAPPED,)
    assert read(**kind, ConversionType="DF").remarks == ()


def test_remarks_reach_the_film(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(content(radiograph(SMOOTH, PixelAspectRatio=[2, 1])))
    assert read_film(path).remarks == (NOT_SQUARE,)
    path.write_bytes(content(radiograph(SMOOTH)))
    assert read_film(path).remarks == ()


# ---- free text

PLANTED = "DOE^JANE"


@pytest.mark.parametrize(
    "attributes",
    [
        {"Modality": PLANTED},
        {"Modality": "DOEJANE"},
        {"PhotometricInterpretation": "DOEJANE"},
        {"SOPClassUID": "1.2.3.77331"},
        {"PresentationIntentType": "DOEJANE", "Modality": "MG"},
        {"VOILUTFunction": "DOEJANE", "WindowCenter": 5, "WindowWidth": 9},
        {"BodyPartExamined": "DOEJANE", "ViewPosition": "DOEJANE"},
        {"SOPClassUID": DX, "ConversionType": "DOEJANE", "PresentationLUTShape": "DOEJANE", "ShutterShape": "DOEJANE"},
    ],
)
def test_nothing_of_a_tags_free_text_comes_out(attributes: dict[str, object]) -> None:
    try:
        film = read(**attributes)
    except FilmError as fault:
        said = str(fault)
        assert UNKNOWN in said or "MG" in said
    else:
        said = f"{film.study_type} {film.view} {film.remarks}"
    assert "DOE" not in said
    assert "JANE" not in said
    assert "77331" not in said


def test_an_unknown_transfer_syntax_is_not_shown() -> None:
    file = content(radiograph(SMOOTH)).replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x14\x001.2.3.77331.4.5.6.7\0")
    with pytest.raises(FilmError, match=UNKNOWN) as caught:
        read_dicom(file, "film")
    assert "77331" not in str(caught.value)


@pytest.mark.parametrize(("part", "found"), [("HAND", "HAND"), ("Lower Leg", "LEG"), ("TSPINE", "TSPINE"), ("ZZ TOP", ""), ("4711", "")])
def test_only_parts_of_the_body_are_study_types(part: str, found: str) -> None:
    assert read(BodyPartExamined=part).study_type == found
