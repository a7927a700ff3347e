"""Films as another machine would have made them, against scipy, Pillow and plain sums."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve1d, gaussian_filter
from torch import Tensor

from osteon.lab.training.augmentation.texture import (
    AT_ONCE,
    LEAST_GRAIN,
    MOST_GRAIN,
    _as_jpeg,
    compressed,
    grainy,
    raised,
    sharpened,
)
from osteon.lab.training.batches import Draw

Change = Callable[[Tensor, float, Draw], Tensor]
CHANGES: tuple[Change, ...] = (sharpened, raised, grainy, compressed)


def draw(seed: int, films: int) -> Draw:
    return Draw(torch.Generator().manual_seed(seed), films, slice(0, films))


def soft(films: int, side: int = 64) -> Tensor:
    """Smooth films in the middle of the greys, a quarter of each black."""
    noise = np.random.default_rng(0).normal(size=(films, side, side))
    grey = 0.5 + 2 * gaussian_filter(noise, (0, 3, 3))
    grey[:, :, : side // 4] = 0
    return torch.from_numpy(np.clip(grey, 0, 1)).float()


@pytest.mark.parametrize("change", CHANGES)
def test_as_many_films_change_as_asked_and_stay_films(change: Change) -> None:
    films = soft(200, 32)
    made = change(films, 0.4, draw(1, 200))
    assert made.shape == films.shape and made.dtype == films.dtype and float(made.min()) >= 0 and float(made.max()) <= 1
    changed = (made != films).flatten(1).any(1).float().mean()
    assert abs(float(changed) - 0.4) < 0.1
    assert torch.equal(made, change(films, 0.4, draw(1, 200)))
    assert change(films, 0.0, draw(1, 200)) is films


@pytest.mark.parametrize("change", CHANGES)
def test_all_at_once_are_what_each_is_alone(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    films = soft(24, 72)
    one_by_one = change(films, 0.6, draw(7, 24))
    monkeypatch.delitem(AT_ONCE, "cpu")  # as a GPU does
    torch.testing.assert_close(change(films, 0.6, draw(7, 24)), one_by_one, atol=1e-6, rtol=0)


def test_sharpened_against_scipy() -> None:
    grey = torch.rand(60, 24, 20, generator=torch.Generator().manual_seed(0))
    chance, strength = draw(14, 60).uniform(2).double().numpy()
    made = sharpened(grey, 0.5, draw(14, 60))
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    for film, out, drawn, s in zip(grey.double().numpy(), made.numpy(), chance, strength, strict=True):
        blurred = convolve1d(convolve1d(film, kernel, axis=0, mode="nearest"), kernel, axis=1, mode="nearest")
        expected = np.clip(film + (2 * s - 1) * (film - blurred), 0, 1) if drawn < 0.5 else film
        np.testing.assert_allclose(out, expected, atol=1e-5)


def test_raised_contrast_moves_pixels_away_from_their_surroundings() -> None:
    films = soft(40)
    made = raised(films, 1.0, draw(2, 40))
    assert (made[films == 0] == 0).all()
    inner = np.s_[:, 16:48, 32:48]  # away from the black part and the edges
    for before, after in zip(films[inner].numpy(), made[inner].numpy(), strict=True):
        assert after.std() >= before.std() - 1e-4
    flat = torch.full((10, 32, 32), 0.4)
    torch.testing.assert_close(raised(flat, 1.0, draw(3, 10)), flat)


def test_grain_is_as_strong_as_it_says_and_never_where_there_is_no_film() -> None:
    films = soft(300)
    added = (grainy(films, 1.0, draw(4, 300)) - films).numpy()
    assert (added[films.numpy() == 0] == 0).all()
    deviation = added[:, :, 16:].std((1, 2))
    assert LEAST_GRAIN * 0.8 < deviation.min() < LEAST_GRAIN * 1.3 and MOST_GRAIN * 0.7 < deviation.max() < MOST_GRAIN * 1.2
    assert np.median(deviation) == pytest.approx((LEAST_GRAIN * MOST_GRAIN) ** 0.5, rel=0.2)
    # White noise has nothing to do with its neighbour, smoothed noise much.
    alike = np.array([np.corrcoef(a[:, 17:].ravel(), a[:, 16:-1].ravel())[0, 1] for a in added])
    assert ((alike < 0.2) | (alike > 0.6)).all() and 0.4 < (alike > 0.6).mean() < 0.6


def jpeg(film: Tensor, quality: int, start: tuple[int, int]) -> Tensor:
    """One film compressed."""
    return _as_jpeg(film[None], torch.tensor([quality]), torch.tensor(start)[:, None])[0]


@pytest.mark.parametrize("quality", [10, 30, 50, 75])
def test_compressed_as_pillow_does(quality: int) -> None:
    film = np.uint8(soft(1, 96)[0].numpy() * 255)
    file = io.BytesIO()
    Image.fromarray(film).save(file, "JPEG", quality=quality)
    made = jpeg(torch.from_numpy(film) / 255, quality, (0, 0)).numpy() * 255
    theirs = np.asarray(Image.open(file), float)
    assert np.abs(made - theirs).mean() < 0.6  # it rounds to whole greys
    assert np.abs(made - theirs).mean() < 0.4 * np.abs(film - theirs).mean()


def test_blocks_may_begin_anywhere() -> None:
    film = soft(1, 64)[0]
    shifted = jpeg(film, 20, (3, 5))
    torch.testing.assert_close(shifted[3:59, 5:61], jpeg(film[3:, 5:], 20, (0, 0))[:56, :56], atol=1e-5, rtol=0)
    assert shifted.shape == film.shape and not torch.equal(shifted, jpeg(film, 20, (0, 0)))
