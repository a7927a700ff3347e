"""Near duplicates: what is the same exposure is found, what is another is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from made_trees import film
from osteon.lab.data.duplicates import SIDE, Pair, near_duplicates, processed_twice, thumbnail

Pixels = NDArray[np.float32]


def exposure(seed: int, width: int = 300, height: int = 360) -> Pixels:
    """A larger made film in [0, 1]."""
    small = film(seed, width // 5, height // 5)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255


def found(*films: Pixels) -> list[tuple[int, int]]:
    return [(p.first, p.second) for p in near_duplicates(np.stack([thumbnail(f) for f in films]))]


@pytest.mark.parametrize("shape", [(64, 64), (360, 300), (101, 977), (2880, 2304)])
def test_thumbnail_averages_areas(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    rows, columns = (np.linspace(0, n, SIDE + 1).astype(int) for n in shape)
    got = thumbnail(pixels)
    assert got.shape == (SIDE, SIDE) and got.dtype == np.uint8
    for r, c in ((0, 0), (10, 63), (63, 31)):
        area = pixels[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
        assert abs(float(got[r, c]) - 255 * area.mean()) <= 0.51


def test_thumbnail_of_a_film_smaller_than_it() -> None:
    pixels = np.linspace(0, 1, 32 * 40, dtype=np.float32).reshape(32, 40)
    assert np.all(np.diff(thumbnail(pixels).astype(int), axis=0) >= 0)
    assert np.all(thumbnail(np.zeros((33, 500), np.float32)) == 0)


def test_changed_copies_are_found() -> None:
    one = exposure(1)
    scaled = np.asarray(Image.fromarray(one).resize((210, 250), Image.Resampling.BILINEAR), np.float32)
    noisy = np.clip(one + np.random.default_rng(0).normal(0, 0.02, one.shape), 0, 1).astype(np.float32)
    brighter = one**0.8
    shifted = np.roll(one, (12, -9), axis=(0, 1))
    cut_off = one.copy()
    cut_off[200:] = 0.5
    copies = [scaled, noisy, brighter, shifted, cut_off]
    pairs = found(one, *copies, *(exposure(seed) for seed in range(2, 40)))
    assert {(0, k) for k in range(1, len(copies) + 1)} <= set(pairs)
    assert all(second <= len(copies) for _, second in pairs)


def test_other_films_are_not_found() -> None:
    assert found(*(exposure(seed) for seed in range(60))) == []


def test_one_exposure_with_other_greys_is_found_by_its_edges() -> None:
    films = [exposure(seed) for seed in range(30)]
    again = films[4] ** 4
    again[10:40, 10:60] = 1  # a mark
    films.append(again)
    small = np.stack([thumbnail(film) for film in films])
    near = near_duplicates(small)
    assert near == []
    nobody = [""] * 31
    [pair] = processed_twice(small, near, films.__getitem__, nobody)
    assert (pair.first, pair.second) == (4, 30) and pair.correlation > 0.75
    assert processed_twice(small, [pair], films.__getitem__, nobody) == [], "what is known is not read again"
    assert processed_twice(small[:1], [], films.__getitem__, nobody) == []
    assert processed_twice(small, [], films.__getitem__, [str(k) for k in range(31)]) == [], "two named patients are two people"


def test_blank_films_are_no_duplicates() -> None:
    blank = np.zeros((100, 100), np.float32)
    assert found(blank, blank, np.ones((90, 90), np.float32)) == []


def test_pairs_come_in_order_and_once_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    films = [exposure(seed) for seed in range(10)]
    monkeypatch.setattr("osteon.lab.data.duplicates._BLOCK", 4)
    assert found(*films, *films[::-1]) == [(k, 19 - k) for k in range(10)]


def test_no_film_and_one_film() -> None:
    assert near_duplicates(np.zeros((0, SIDE, SIDE), np.uint8)) == []
    assert near_duplicates(thumbnail(exposure(0))[None]) == []


def test_correlation_of_a_copy_is_one() -> None:
    [pair] = near_duplicates(np.stack([thumbnail(exposure(3))] * 2))
    assert pair == Pair(0, 1, pytest.approx(1, abs=1e-5))
