"""Files to films, films to frames: what is refused at the door, and that a point of the film is found again in the frame."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from made_dicom import content, radiograph
from osteon.card import Frame
from osteon.errors import BlankFilm, FilmError, OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.film import Film, Placement, place, prepare, read_film

SIDES = st.integers(32, 120)
FRAMES = st.builds(
    Frame,
    size=st.integers(32, 160),
    crop=st.sampled_from(["none", "exposed"]),
    aspect=st.sampled_from(["pad", "stretch"]),
)


def film(pixels: Any) -> Film:
    return Film(np.asarray(pixels, np.float32), "made", "PNG")


@st.composite
def films(draw: st.DrawFn) -> Film:
    """A noisy film with a bright bar somewhere, of any shape."""
    height, width = draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = rng.uniform(0, draw(st.floats(0, 1)), (height, width))
    left, right = sorted(rng.integers(0, width, 2))
    pixels[:, left:right] += draw(st.floats(0, 1))
    return film(np.clip(pixels, 0, 1))


# ---- frames


@settings(max_examples=40)
@given(films(), FRAMES, st.floats(-500, 500), st.floats(-500, 500))
def test_to_film_undoes_to_frame(made: Film, frame: Frame, x: float, y: float) -> None:
    at = place(made, frame)
    assert at.to_film(*at.to_frame(x, y)) == pytest.approx((x, y), abs=1e-6)
    assert at.to_frame(*at.to_film(x, y)) == pytest.approx((x, y), abs=1e-6)


@settings(max_examples=40)
@given(films(), FRAMES)
def test_any_film_becomes_a_square(made: Film, frame: Frame) -> None:
    square = prepare(made, frame)
    assert square.shape == (frame.size, frame.size)
    assert square.dtype == np.uint8
    assert_array_equal(square, prepare(made, frame, place(made, frame)))


@settings(max_examples=40)
@given(films(), FRAMES)
def test_the_crop_lies_in_the_film_and_fills_the_frame(made: Film, frame: Frame) -> None:
    at = place(made, frame)
    height, width = made.pixels.shape
    assert 0 <= at.left < at.left + at.width <= width
    assert 0 <= at.top < at.top + at.height <= height
    left, top = at.to_frame(at.left, at.top)
    right, bottom = at.to_frame(at.left + at.width, at.top + at.height)
    assert max(right - left, bottom - top) == pytest.approx(frame.size)
    assert (left, top) == (at.offset_x, at.offset_y)
    assert min(left, top) >= -1e-6
    assert max(right, bottom) <= frame.size + 1e-6
    if frame.aspect == "pad":
        assert abs((left + right) / 2 - frame.size / 2) <= 1  # centred
        assert abs((top + bottom) / 2 - frame.size / 2) <= 1


@settings(max_examples=40)
@given(st.data(), SIDES, SIDES, st.sampled_from(["pad", "stretch"]))
def test_a_bright_dot_stands_where_to_frame_says(data: st.DataObject, height: int, width: int, aspect: Any) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    pixels = np.zeros((height, width))
    pixels[y, x] = 1
    made, frame = film(pixels), Frame(size=200, aspect=aspect)
    square = prepare(made, frame).astype(float)
    at = place(made, frame)
    if square.sum() < 20:
        return  # a dot of a film scaled down by ten is fainter than one grey
    expected = at.to_frame(x + 0.5, y + 0.5)
    ys, xs = np.mgrid[:200, :200] + 0.5
    centre = (square * xs).sum() / square.sum(), (square * ys).sum() / square.sum()
    assert centre == pytest.approx(expected, abs=0.75 + 0.5 * max(at.scale_x, at.scale_y))  # the rim cuts a spread dot


@settings(max_examples=30)
@given(films(), st.integers(32, 128))
def test_frames_are_black_beside_the_film(made: Film, size: int) -> None:
    at, square = place(made, Frame(size=size)), prepare(made, Frame(size=size))
    x, y = int(at.offset_x), int(at.offset_y)
    outside = np.ones_like(square, np.bool_)
    outside[y : y + round(at.height * at.scale_y), x : x + round(at.width * at.scale_x)] = False
    assert not square[outside].any()


def test_a_film_of_the_frames_own_size_is_not_touched() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert_array_equal(prepare(film(grey / 255), Frame(size=64)), grey)


def test_scaling_is_pillows_on_8_bit_pixels_to_one_grey() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (300, 240), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(grey).resize((128, 160), Image.Resampling.BILINEAR)).astype(int)
    ours = prepare(film(grey / 255), Frame(size=160))[:, 16:144]
    assert abs(ours - theirs).max() <= 1


def test_pad_and_stretch() -> None:
    wide = film(np.ones((50, 100)))
    padded, stretched = (prepare(wide, Frame(size=64, aspect=aspect)) for aspect in ("pad", "stretch"))
    assert stretched.min() == 255
    assert_array_equal(padded[:, 5] == 255, (np.arange(64) >= 16) & (np.arange(64) < 48))


def test_the_exposed_part_is_cut_out() -> None:
    pixels = np.full((200, 200), 0.1)
    pixels[40:160, 50:90] = 0.7
    at = place(film(pixels), Frame(size=64, crop="exposed"))
    assert (at.left, at.width) != (0, 200)
    assert at.left <= 50
    assert at.left + at.width >= 90
    assert at.top <= 40
    assert at.top + at.height >= 160
    assert (prepare(film(pixels), Frame(size=64, crop="exposed")) > 128).mean() > 0.2


# ---- the door


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    grey = np.add.outer(np.arange(40), np.arange(40)).astype(np.uint8)
    for kind, name in (("PNG", "a.dcm"), ("JPEG", "b.png"), ("TIFF", "c"), ("JPEG", "d.txt")):
        path = tmp_path / name
        Image.fromarray(grey).save(path, kind)
        made = read_film(path)
        assert (made.format, made.path, made.study) == (kind, str(path), "")
    dicom = tmp_path / "e.jpg"
    dicom.write_bytes(content(radiograph()))
    assert read_film(str(dicom)).format == "DICOM"


def test_a_dicom_film_may_begin_as_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(b"II*\0" + content(radiograph())[4:])
    assert read_film(path).format == "DICOM"


def write(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "text":
        path.write_text("this is no film\n" * 20)
    elif kind != "missing":
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "there is no such file"),
        ("folder", "a folder, no film"),
        ("pipe", "no regular file"),
        ("empty", "the file is empty"),
        ("text", "neither PNG, JPEG, TIFF nor DICOM"),
    ],
)
def test_what_is_no_film(kind: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    write(path, kind)
    with pytest.raises(UnreadableFilm) as caught:
        read_film(path)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.png"
    Image.new("L", (40, 40)).save(path)
    path.chmod(0)
    assert stat.S_IMODE(path.stat().st_mode) == 0

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)  # root may read it all the same
    with pytest.raises(UnreadableFilm, match="cannot be opened \\(Permission denied\\)"):
        read_film(path)


def test_names_that_no_file_can_have() -> None:
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(UnreadableFilm, match="cannot be opened"):
            read_film(name)


def test_a_file_too_large_to_be_a_film(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole: it takes no room
    with pytest.raises(OversizedFilm, match="larger than"):
        read_film(path)


@pytest.mark.parametrize("shape", [(31, 200), (200, 31), (1, 1)])
def test_films_that_are_too_small(shape: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(np.arange(shape[0] * shape[1], dtype=np.uint32).astype(np.uint8).reshape(shape)).save(path)
    with pytest.raises(UnsupportedFilm, match=f"{shape[1]} x {shape[0]} pixels"):
        read_film(path)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_films(grey: int, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.new("L", (60, 50), grey).save(path)
    with pytest.raises(BlankFilm, match="blank"):
        read_film(path)


def test_refusals_are_one_line_and_have_a_status(tmp_path: Path) -> None:
    for kind in ("missing", "folder", "empty", "text"):
        path = tmp_path / kind
        write(path, kind)
        with pytest.raises(FilmError) as caught:
            read_film(path)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_status == 65


# ---- the process around it


def test_a_png_is_read_without_pydicom(tmp_path: Path) -> None:
    """Process start to first answer is a target of its own: what a PNG does not need is not imported."""
    path = tmp_path / "film.png"
    Image.fromarray(np.add.outer(np.arange(40), np.arange(40)).astype(np.uint8)).save(path)
    code = (
        "import sys, osteon; osteon.read_film(sys.argv[1]); print([m for m in ('pydicom', 'imagecodecs', 'openvino') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_warnings_of_decoders_stay_silent_and_others_do_not(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(content(radiograph()).replace(b"1.2.3\0", b"1.2.x\0"))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_film(path) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_placements_are_plain_values() -> None:
    at = Placement(1, 2, 3, 4, 5, 6, 7, 8)
    assert at == Placement(1, 2, 3, 4, 5, 6, 7, 8)
    assert at.to_frame(1, 2) == (7, 8)
    assert at.to_film(7, 8) == (1, 2)


def test_real_films_fill_their_frames(shared_data: Path) -> None:
    for path in sorted((shared_data / "fracatlas_fullsize").glob("*.jpg"))[::4]:
        made = read_film(path)
        assert made.format == "JPEG"
        assert not made.truncated
        assert min(made.pixels.shape) >= 1700
        whole = prepare(made, Frame(size=320))
        at = place(made, Frame(size=320))
        area = at.width * at.scale_x * at.height * at.scale_y
        assert_allclose(whole.sum() / 255, made.pixels.mean() * area, rtol=0.01)  # scaling keeps the mean
