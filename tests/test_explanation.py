from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from made_maps import SIZE, WHOLE, one_cell
from made_model import made_card, make_model
from osteon.card import Calibration, Card, Decision, Frame, Pooling
from osteon.errors import UsageError
from osteon.explanation import STRONGEST, colours, heat, peak, scale, spread
from osteon.film import Film, Placement, place
from osteon.model import Model
from osteon.opening import load_model
from osteon.prediction import FilmPrediction, pool_evidence

LEVELS = Decision(doubt_from=0.2, doubt_to=0.6)


def film_of(pixels: NDArray[np.floating], truncated: bool = False) -> Film:
    return Film(pixels.astype(np.float32), "film.png", "PNG", truncated)


def bright_film(height: int, width: int, box: tuple[int, int, int, int]) -> Film:
    """A dark film with a bright box (x, y, width, height)."""
    x, y, w, h = box
    pixels = np.full((height, width), 0.2)
    pixels[y : y + h, x : x + w] = 1
    return film_of(pixels)


def told(film: Film, evidence: NDArray[np.floating], card: Card) -> FilmPrediction:
    logit = float(pool_evidence(evidence.astype(np.float32), card.pooling))
    unanswered = FilmPrediction("film.png", card=card, placement=place(film, card.frame))
    return unanswered.answered(logit, evidence.astype(np.float32))


def drawn_over(film: Film, prediction: FilmPrediction) -> NDArray[np.uint8]:
    return np.asarray(prediction.overlay(film))


@pytest.fixture(scope="module")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Model:
    card = made_card(320, pooling=Pooling(kind="logsumexp", sharpness=2.0), decision=LEVELS)
    return load_model(make_model(tmp_path_factory.mktemp("model") / "m.onnx", card, "brightness"))


@pytest.mark.parametrize("kind", ["mean", "logsumexp", "top-k"])
@given(seed=st.integers(0, 999), offset=st.floats(-12, 6), slope=st.floats(0.3, 3))
def test_no_place_is_hotter_than_its_film(kind: Literal["mean", "logsumexp", "top-k"], seed: int, offset: float, slope: float) -> None:
    card = made_card(pooling=Pooling(kind=kind, sharpness=2.0, bias=0.5), calibration=Calibration(slope=slope), decision=LEVELS)
    evidence = (np.random.default_rng(seed).normal(0, 4, (5, 6)) + offset).astype(np.float32)
    film = card.probability(float(pool_evidence(evidence, card.pooling)))
    hot = heat(evidence, film, card)
    assert hot.shape == (5, 6)
    assert 0 <= hot.min() <= hot.max() <= scale(np.array(film), card) + 1e-9


def test_a_cell_that_speaks_alone_is_as_hot_as_the_film() -> None:
    card = made_card(decision=LEVELS)
    evidence = np.full((20, 20), -40, np.float32)
    evidence[3, 4] = 6
    film = card.probability(float(pool_evidence(evidence, card.pooling)))
    hot = heat(evidence, film, card)
    assert hot[3, 4] == pytest.approx(float(scale(np.array(film), card)), abs=1e-6)
    assert np.delete(hot.ravel(), 64).max() < 1e-6


def test_the_scale_is_the_same_for_every_film() -> None:
    card, cells = made_card(decision=LEVELS), np.array([[-3.0, 0.0], [1.0, -40.0]], np.float32)
    with_peak = cells.copy()
    with_peak[1, 1] = 9
    weak, strong = heat(cells, 0.99, card), heat(with_peak, 0.999, card)
    np.testing.assert_array_equal(weak.ravel()[:3], strong.ravel()[:3])


def test_levels_take_a_third_of_the_colours_each() -> None:
    card = made_card(decision=LEVELS)
    np.testing.assert_allclose(scale(np.array([0, 0.2, 0.4, 0.6, 1]), card), [0, 1 / 3, 1 / 2, 2 / 3, 1])
    np.testing.assert_allclose(scale(np.array([0, 0.25, 0.5, 1]), made_card()), [0, 0.25, 0.5, 1])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.4), (0.4, 1.0)])
def test_thresholds_at_the_ends_keep_the_scale_rising(low: float, high: float) -> None:
    card = made_card(decision=Decision(doubt_from=low, doubt_to=high))
    steps = scale(np.linspace(0, 1, 50), card)
    assert (np.diff(steps) >= 0).all()
    film = film_of(np.zeros((64, 64)))
    told(film, np.zeros((4, 4)), card).overlay(film)


def test_colours_are_plasma_and_rise_in_lightness() -> None:
    steps = np.linspace(0, 1, 200)
    reference = colormaps["plasma"](steps)[:, :3] * 255
    assert np.abs(colours(steps) - reference).max() < 6
    assert (np.diff(colours(steps) @ [0.2126, 0.7152, 0.0722]) > 0).all()


@pytest.mark.parametrize("shape", [(40, 70), (200, 90), (64, 64)])
@pytest.mark.parametrize("aspect", ["pad", "stretch"])
def test_spread_is_scipys_linear_interpolation(shape: tuple[int, int], aspect: Literal["pad", "stretch"]) -> None:
    frame = Frame(size=64, aspect=aspect)
    placement = place(film_of(np.zeros(shape)), frame)
    cells = np.random.default_rng(0).uniform(0, 1, (4, 5))
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    at_x, at_y = placement.to_frame(x, y)
    reference = map_coordinates(cells, [at_y * 4 / 64 - 0.5, at_x * 5 / 64 - 0.5], order=1, mode="nearest")
    np.testing.assert_allclose(spread(cells, placement, frame, shape), reference, atol=1e-5)


def test_what_the_network_did_not_see_has_no_colour() -> None:
    placement = Placement(left=10, top=20, width=40, height=50, scale_x=1.28, scale_y=1.28, offset_x=6.4, offset_y=0)
    full = spread(np.ones((4, 4)), placement, Frame(size=64), (100, 80))
    assert (full[20:70, 10:50] == 1).all()
    assert full.sum() == 40 * 50


@pytest.mark.parametrize("box", [(0, 0, 100, 100), (260, 300, 100, 100), (300, 0, 100, 100), (128, 256, 80, 80)])
@pytest.mark.parametrize("aspect", ["pad", "stretch"])
def test_heat_stands_where_the_evidence_is(brightness: Model, box: tuple[int, int, int, int], aspect: Literal["pad", "stretch"]) -> None:
    film = bright_film(500, 400, box)
    card = made_card(320, frame=Frame(size=320, aspect=aspect), decision=LEVELS)
    model = Model(card, brightness._compiled)
    prediction = model.predict_film(film)
    assert prediction.evidence is not None
    assert prediction.placement is not None
    full = spread(heat(prediction.evidence, 1.0, card), prediction.placement, card.frame, (500, 400))
    x, y, w, h = box
    inside = np.zeros((500, 400), bool)
    inside[y : y + h, x : x + w] = True
    assert full[inside].mean() > 0.5
    assert full[~inside].mean() < 0.05
    px, py, value = peak(prediction.evidence, prediction.placement, card.frame.size)
    assert x <= px <= x + w
    assert y <= py <= y + h
    assert value == prediction.evidence.max()


# A film of 128 x 64 in the middle of the square: cells of rows 0, 1, 6 and 7 of 8 are padding.
WIDE = Placement(left=0, top=0, width=128, height=64, scale_x=0.5, scale_y=0.5, offset_x=0, offset_y=16)


def alone(row: int, column: int) -> np.ndarray:
    """A map of which one cell has all the weight."""
    return one_cell(row, column, 30, -30)


def test_a_cell_that_stands_alone_peaks_in_its_middle_in_film_pixels() -> None:
    assert peak(alone(2, 5), WHOLE, SIZE) == pytest.approx((44, 20, 30))
    assert peak(alone(2, 5), WIDE, SIZE) == pytest.approx((88, 8, 30))


def test_the_cells_around_draw_the_peak_by_their_evidence() -> None:
    evidence = alone(2, 5)
    evidence[2, 6] = 30 + np.log(0.5)  # half the weight, a cell of 8 pixels to the right
    evidence[2, 7] = 29  # not beside it
    assert peak(evidence, WHOLE, SIZE) == pytest.approx((44 + 8 / 3, 20, 30))


@pytest.mark.parametrize(("cells", "place"), [(32, (11, 11)), (16, (3, 3))])
def test_cells_beside_each_other_outweigh_a_higher_one_where_they_are_fine(cells: int, place: tuple[int, int]) -> None:
    evidence = np.full((cells, cells), -30, np.float32)
    evidence[3, 3], evidence[10:13, 10:13] = 5, 4.8
    step = SIZE / cells
    there = [(at + 0.5) * step for at in reversed(place)]
    assert peak(evidence, WHOLE, SIZE) == pytest.approx((*there, evidence[place]))


def test_padding_holds_no_peak_and_draws_none() -> None:
    evidence = alone(2, 1)
    evidence[:2] = 99
    assert peak(evidence, WIDE, SIZE) == peak(alone(2, 1), WIDE, SIZE)


def test_a_cell_that_the_films_edge_cuts_peaks_on_the_film() -> None:
    narrow = Placement(left=0, top=0, width=20, height=64, scale_x=1, scale_y=1, offset_x=22, offset_y=0)
    assert peak(alone(4, 2), narrow, SIZE)[:2] == pytest.approx((1, 36))  # the cell spans 16 to 24 of the frame, the film begins at 22


def test_a_normal_film_stays_grey(brightness: Model) -> None:
    film = film_of(np.random.default_rng(0).uniform(0, 0.4, (300, 250)))
    prediction = brightness.predict_film(film)
    assert prediction.level == "no"
    drawn = drawn_over(film, prediction)[:300, :250].astype(int)
    np.testing.assert_array_equal(drawn, np.rint(film.pixels * 255).astype(int)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (89, 120), (600, 40), (512, 384), (1400, 1100)])
def test_an_overlay_keeps_the_films_resolution_and_bears_a_legend(brightness: Model, height: int, width: int) -> None:
    film = bright_film(height, width, (0, 0, width // 4, height // 4))
    prediction = brightness.predict_film(film)
    before = film.pixels.copy()
    drawn = drawn_over(film, prediction)
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] > height + 90
    assert drawn.shape[1] == max(width, 30 * max(13, min(height, width) // 40))
    np.testing.assert_array_equal(drawn[height - 1, width - 1], np.rint(film.pixels[-1, -1] * 255))
    assert np.ptp(drawn[height:].astype(int), axis=2).max() > 60
    assert (drawn[:height, width:] == 0).all()
    np.testing.assert_array_equal(film.pixels, before)


def test_the_legend_differs_by_level_probability_and_truncation() -> None:
    card = made_card(decision=LEVELS)
    film = film_of(np.zeros((64, 64)))
    legends = {drawn_over(film, told(film, np.full((4, 4), e), card))[64:].tobytes() for e in (-3.0, -1.0, 2.0)}
    whole = told(film, np.zeros((4, 4)), card)
    assert len(legends) == 3
    assert not np.array_equal(drawn_over(film, whole), drawn_over(film, replace(whole, truncated=True)))


def test_the_strongest_colour_leaves_the_bone_visible() -> None:
    card, film = made_card(decision=LEVELS), film_of(np.linspace(0, 1, 64 * 64).reshape(64, 64))
    drawn = drawn_over(film, told(film, np.full((4, 4), 30.0), card))[:64, :64].astype(float)
    expected = (1 - STRONGEST) * film.pixels[..., None] * 255 + STRONGEST * colours(np.array([1.0]))
    assert np.abs(drawn - expected).max() < 1.5


def test_without_the_film_the_overlay_is_what_the_network_saw(brightness: Model) -> None:
    film = bright_film(1000, 600, (300, 400, 200, 200))
    prediction = brightness.predict_film(film)
    small, full = prediction.overlay(), prediction.overlay(film)
    assert (full.width, small.width) == (600, 390)  # the legend's
    seen = np.asarray(small.crop((0, 0, 192, 320)))
    scaled = np.asarray(full.crop((0, 0, 600, 1000)).resize((192, 320), Image.Resampling.BILINEAR))
    assert np.abs(seen.astype(int) - scaled).mean() < 3


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (FilmPrediction("film.png", error="empty"), "there is no heat map, refused: empty"),
        (FilmPrediction("film.png", level="out of scope", reason="blank"), "there is no heat map, blank"),
        (told(film_of(np.zeros((64, 64))), np.zeros((4, 4)), made_card()).without_maps(), "was not kept"),
        (told(film_of(np.zeros((99, 64))), np.zeros((4, 4)), made_card()), "64 x 64 pixels, the predicted one had more"),
    ],
)
def test_what_cannot_be_drawn_is_said(prediction: FilmPrediction, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        prediction.overlay(film_of(np.zeros((64, 64))))
