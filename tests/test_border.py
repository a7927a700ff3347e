"""What a viewer puts around a film does not count: the same part of the film is read with it and without it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tests.test_exposure import limb

from osteon.border import bare_part
from osteon.card import Frame
from osteon.film import Film, place, prepare, read_film

Grey = NDArray[np.float32]
FRAME = Frame(size=96, crop="exposed", aspect="stretch")
FILM = limb((90, 60, 110, 300))


def within(film: Grey, grey: float, top: int, left: int, bottom: int, right: int) -> Grey:
    return np.pad(film, ((top, bottom), (left, right)), constant_values=np.float32(grey))


def as_jpeg(pixels: Grey, quality: int) -> Film:
    file = io.BytesIO()
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return read_film(file.getvalue())


def a_film(pixels: Grey) -> Film:
    return Film(np.ascontiguousarray(pixels, np.float32), "film", "PNG")


def assert_same_film(bordered: Grey, bare: Grey, top: int, left: int) -> None:
    inside, alone = (a_film(pixels) for pixels in (bordered, bare))
    at, there = place(inside, FRAME), place(alone, FRAME)
    assert at == replace(there, left=there.left + left, top=there.top + top)
    np.testing.assert_array_equal(prepare(inside, FRAME), prepare(alone, FRAME))


sides = st.one_of(st.just(0), st.integers(1, 60))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), sides, sides, sides, sides), min_size=1, max_size=3),
    st.tuples(st.integers(0, 180), st.integers(0, 220), st.integers(40, 120), st.integers(120, 180)),
    st.floats(0, 0.3),
)
def test_the_same_part_of_a_film_is_read_within_borders_of_any_grey_width_and_sides(
    borders: list[tuple[float, int, int, int, int]], box: tuple[int, int, int, int], air: float
) -> None:
    film = limb(box, air=air)
    bordered = film
    for grey, *widths in borders:
        bordered = within(bordered, grey, *widths)
    assert_same_film(bordered, film, sum(b[1] for b in borders), sum(b[2] for b in borders))


def test_a_line_within_a_border_goes_with_it() -> None:
    nested = within(within(within(FILM, 0, 20, 20, 20, 20), 1, 3, 3, 3, 3), 0, 15, 15, 15, 15)
    assert_same_film(nested, FILM, 38, 38)


def test_letters_and_round_corners_on_a_border_go_with_it() -> None:
    picture = Image.fromarray(np.rint(within(FILM, 0, 60, 60, 60, 60) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for line, words in enumerate(("RIGHT HAND", "70 kV")):
        draw.text((4, 6 + 11 * line), words, fill=255)
    draw.polygon([(0, 0), (8, 0), (0, 8)], fill=255)
    bordered = np.asarray(picture, np.float32) / np.float32(255)
    assert_same_film(bordered, np.rint(FILM * 255).astype(np.float32) / np.float32(255), 60, 60)


@pytest.mark.parametrize("quality", [50, 90])
@pytest.mark.parametrize("grey", [0, 0.6, 1])
def test_the_blurred_end_of_a_border_in_a_jpeg_goes_with_it(grey: float, quality: int) -> None:
    """A block of 8 pixels lies across the border's end, and rings on both sides of it."""
    left, top, width, height = bare_part(as_jpeg(within(FILM, grey, 21, 13, 30, 19), quality).pixels)
    assert abs(left - 13) <= 1
    assert abs(top - 21) <= 1
    assert abs(width - 300) <= 2
    assert abs(height - 400) <= 2


def test_a_film_that_has_been_scaled_with_its_border_loses_it() -> None:
    bordered = Image.fromarray(within(FILM, 0, 40, 40, 40, 40)).resize((285, 360), Image.Resampling.LANCZOS)
    left, top, width, height = bare_part(np.clip(np.asarray(bordered), 0, 1))
    assert np.allclose((left, top, left + width, top + height), (30, 30, 255, 330), atol=2)


def test_a_limb_that_reaches_an_edge_is_not_cut() -> None:
    """Half of the line is saturated black, and the limb crosses the rest."""
    film = np.zeros((300, 200), np.float32)
    film[100:, 60:140] = 0.5 + 0.2 * np.random.default_rng(0).random((200, 80), np.float32)
    left, top, width, height = bare_part(film)
    assert (left, top, left + width, top + height) == (60, 100, 140, 300)


@pytest.mark.parametrize("grey", [0.0, 0.4, 1.0])
def test_a_picture_of_one_grey_is_kept_whole(grey: float) -> None:
    assert bare_part(np.full((200, 150), grey, np.float32)) == (0, 0, 150, 200)


def test_a_film_without_a_border_is_kept_whole() -> None:
    assert bare_part(FILM) == (0, 0, 300, 400)


def test_coordinates_stay_those_of_the_picture() -> None:
    """A frame that takes the whole film takes its border, too, as the paper did."""
    bordered = a_film(within(FILM, 0, 20, 10, 20, 10))
    assert place(bordered, Frame(size=96)).height == 440
    at = place(bordered, FRAME)
    assert at.to_film(*at.to_frame(100, 150)) == pytest.approx((100, 150))


def test_a_second_small_view_on_even_air_is_no_letters() -> None:
    pixels = np.full((450, 370), 0.1, np.float32)
    pixels[8:58, 40:130] = 0.5 + 0.3 * np.random.default_rng(0).random((50, 90), np.float32)
    pixels[80:440, 90:280] = 0.4 + 0.3 * np.random.default_rng(1).random((360, 190), np.float32)
    left, top, width, height = bare_part(pixels)
    assert top <= 8 and left <= 40 and left + width >= 280 and top + height >= 440
