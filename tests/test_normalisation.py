"""The greys of a crop in one range with one middle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteon.card import Frame
from osteon.film import Film, prepare
from osteon.normalisation import MIDDLE, SHOWN, normalised


def limb(seed: int = 0, side: int = 96) -> np.ndarray:
    """Return a bright ridge of bone in a grey limb in dark air, with noise."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    ridge = 0.05 + 0.35 * (np.abs(x) < 0.7) + 0.45 * np.exp(-((x - 0.2 * y) ** 2) / 0.05)
    return np.clip(ridge + np.random.default_rng(seed).normal(0, 0.02, ridge.shape), 0, 1).astype(np.float32)


def test_range_and_middle_are_the_same_for_every_film() -> None:
    made = normalised(limb() * np.float32(0.3) + np.float32(0.2)) / 255
    assert 0.01 <= (made == 0).mean() <= 0.02  # gamma rounds some more to 0
    assert (made == 1).mean() == pytest.approx(0.005, abs=0.004)
    assert np.median(made[made > SHOWN]) == pytest.approx(MIDDLE, abs=0.03)


@given(low=st.floats(0, 0.4), wide=st.floats(0.3, 0.6), gamma=st.floats(0.6, 1.6))
def test_a_consoles_range_and_curve_make_no_difference(low: float, wide: float, gamma: float) -> None:
    plain = limb()
    processed = (low + wide * plain**gamma).astype(np.float32)
    apart = np.abs(normalised(plain).astype(int) - normalised(processed).astype(int))
    assert np.quantile(apart, 0.99) <= 8  # of 255: where dark was bent, the range begins elsewhere


@given(seed=st.integers(0, 99), gamma=st.floats(0.3, 3))
def test_the_order_of_greys_stays(seed: int, gamma: float) -> None:
    grey = limb(seed, 32) ** np.float32(gamma)
    order = np.argsort(grey, axis=None, kind="stable")
    assert (np.diff(normalised(grey).ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_one_grey_stays_one_grey(grey: float) -> None:
    assert np.unique(normalised(np.full((40, 50), grey, np.float32))).size == 1


def test_faint_noise_is_not_stretched_to_a_picture() -> None:
    noise = (0.5 + np.random.default_rng(0).uniform(-0.002, 0.002, (64, 64))).astype(np.float32)
    assert np.ptp(normalised(noise).astype(int)) < 60


def test_prepare_normalises_the_crop_and_nothing_else() -> None:
    film = Film(np.pad(limb(), ((0, 0), (48, 48))), "film", "array")
    kept, even = (prepare(film, Frame(size=96, aspect="pad", greys=greys)) for greys in ("kept", "normalised"))
    assert kept.max() < 255 <= even.max()
    assert (even[:24] == 0).all()  # the frame's own black
