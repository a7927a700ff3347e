"""Evidence against finding boxes, on maps whose figures can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_maps import SIZE, WHOLE, one_cell
from osteon.film import Placement
from osteon.lab.evaluation import localisation
from osteon.lab.evaluation.localisation import COLUMNS, in_boxes, locate, union_area


def test_a_map_on_its_box_is_perfect() -> None:
    found = locate(one_cell(2, 5), WHOLE, SIZE, [(40, 16, 8, 8)])
    assert found["pointing"] == found["inside"] == found["iou"] == pytest.approx(1)
    assert found["pointing_centre"] == found["inside_centre"] == 0
    assert found["pointing_random"] == found["inside_random"] == pytest.approx(1 / 64)
    assert found["iou_random"] == pytest.approx(1 / 64)


def test_a_map_beside_its_box_has_nothing() -> None:
    found = locate(one_cell(2, 5), WHOLE, SIZE, [(0, 40, 8, 8)])
    assert found["pointing"] == 0
    assert found["inside"] == found["iou"] == pytest.approx(0, abs=1e-12)


def test_half_a_cell_counts_half() -> None:
    found = locate(one_cell(2, 5), WHOLE, SIZE, [(40, 16, 4, 8)])
    assert found["inside"] == pytest.approx(0.5)
    assert found["iou"] == pytest.approx(0.5)
    assert found["pointing"] == 1  # the cell's middle is the box's edge


def test_the_map_moved_to_the_centre_finds_what_is_there() -> None:
    found = locate(one_cell(0, 0), WHOLE, SIZE, [(32, 32, 8, 8)])
    assert found["pointing"] == 0
    assert found["pointing_centre"] == 1
    assert found["inside_centre"] == found["iou_centre"] == pytest.approx(1)


def test_two_boxes_that_overlap_are_one_area() -> None:
    found = locate(np.full((8, 8), 1, np.float32), WHOLE, SIZE, [(0, 0, 32, 64), (16, 0, 32, 64)])
    assert found["inside"] == pytest.approx(0.75)
    assert found["iou"] == pytest.approx(0.75)


def test_what_the_crop_cut_away_is_missed() -> None:
    cropped = Placement(left=0, top=32, width=64, height=32, scale_x=1, scale_y=1, offset_x=0, offset_y=16)
    whole = locate(one_cell(2, 5), cropped, SIZE, [(40, 32, 8, 8)])
    cut = locate(one_cell(2, 5), cropped, SIZE, [(40, 32, 8, 8), (0, 0, 8, 8)])
    assert whole["iou"] == pytest.approx(1)
    assert cut["iou"] == pytest.approx(0.5)


def test_no_positive_evidence_points_but_claims_nothing() -> None:
    evidence = one_cell(2, 5, value=-0.5)
    found = locate(evidence, WHOLE, SIZE, [(40, 16, 8, 8)])
    assert found["pointing"] == 1
    assert found["inside"] == found["iou"] == 0


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_figures_are_shares_and_the_random_one_is_the_mean_of_all_shifts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(6, 5)).astype(np.float32)
    box = (*rng.uniform(0, 50, 2), *rng.uniform(3, 14, 2))
    found = locate(evidence, WHOLE, SIZE, [box])
    assert set(found) == set(COLUMNS)
    assert all(0 <= value <= 1 for value in found.values())
    shifted = [np.roll(evidence, (dy, dx), (0, 1)) for dy in range(6) for dx in range(5)]
    for figure in ("inside", "iou"):
        moved = [locate(e, WHOLE, SIZE, [box])[figure] for e in shifted]
        assert found[f"{figure}_random"] == pytest.approx(np.mean(moved))


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 9)] * 2), min_size=1, max_size=4))
def test_the_union_is_what_counting_pixels_gives(boxes: list[tuple[int, int, int, int]]) -> None:
    canvas = np.zeros((20, 20), dtype=bool)
    for x, y, width, height in boxes:
        canvas[y : y + height, x : x + width] = True
    assert union_area(boxes) == canvas.sum()


def test_edges_are_inside() -> None:
    assert in_boxes(2, 3, [(2, 3, 1, 1)])
    assert in_boxes(3, 4, [(2, 3, 1, 1)])
    assert not in_boxes(3.1, 4, [(2, 3, 1, 1)])
    assert localisation.metric_key("inside_centre") == "inside, centre"
