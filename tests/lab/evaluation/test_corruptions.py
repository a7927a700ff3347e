"""Disturbed films: still films, as strongly corrupted as their names say, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from osteon.lab.evaluation.corruptions import CORRUPTIONS, Grey, corrupted


@pytest.fixture(scope="module")
def film() -> Grey:
    y, x = np.mgrid[:90, :60] / 90
    draw = np.random.default_rng(0)
    return np.clip(0.3 + 0.3 * np.sin(9 * x) * np.cos(7 * y) + draw.normal(0, 0.02, x.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_disturbed_film_is_a_film(film: Grey, name: str) -> None:
    before = film.copy()
    made = corrupted(film, name, 1)
    assert made.dtype == np.float32 and made.flags.c_contiguous and made.shape in (film.shape, film.shape[::-1], (98, 66))
    assert 0 <= made.min() < made.max() <= 1
    assert not np.array_equal(made, film)
    np.testing.assert_array_equal(film, before)
    np.testing.assert_array_equal(made, corrupted(film, name, 1))


@pytest.mark.parametrize("name", ["mirrored", "turned by 180 degrees"])
def test_turned_twice_is_as_before(film: Grey, name: str) -> None:
    np.testing.assert_array_equal(corrupted(corrupted(film, name, 0), name, 0), film)


@pytest.mark.parametrize(("name", "greys"), [("noise of 2 greys", 2), ("noise of 4 greys", 4), ("noise of 8 greys", 8)])
def test_grain_is_as_strong_as_its_name(name: str, greys: int) -> None:
    flat = np.full((200, 200), 0.5, np.float32)
    made = corrupted(flat, name, 3)
    assert made.std() * 255 == pytest.approx(greys, rel=0.02)
    assert not np.array_equal(made, corrupted(flat, name, 4))


def test_blur_takes_detail_and_sharpening_adds_it(film: Grey) -> None:
    def detail(name: str) -> float:
        return float(np.abs(np.diff(corrupted(film, name, 0), axis=0)).mean())

    plain = float(np.abs(np.diff(film, axis=0)).mean())
    assert detail("blur of 2 pixels") < detail("blur of 1 pixel") < plain < detail("sharpened")
    assert detail("half the resolution") < plain < detail("more local contrast")


def test_jpeg_changes_more_at_a_lower_quality(film: Grey) -> None:
    sixty, thirty = (float(np.abs(corrupted(film, f"JPEG at quality {q}", 0) - film).mean()) for q in (60, 30))
    assert 0 < sixty < thirty < 0.05
