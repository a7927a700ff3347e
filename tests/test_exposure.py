"""Where the limb is: on made films whose limb is known, and on FracAtlas's fracture boxes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osteon.exposure import LEAST, exposed_part
from osteon.film import read_film

Box = tuple[int, int, int, int]


def limb(box: Box, shape: tuple[int, int] = (400, 300), air: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    """A bright bone in dimmer tissue that fill `box` (left, top, width, height), in noisy, uneven air."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = air + 0.03 * x / shape[1] + 0.04 * y / shape[0] + rng.normal(0, 0.008, shape)
    left, top, width, height = box
    pixels[top : top + height, left : left + width] += 0.2
    pixels[top : top + height, left + width // 3 : left + width - width // 3] += 0.3
    return np.clip(pixels, 0, 1).astype(np.float32)


def holds(part: Box, box: Box) -> bool:
    left, top, width, height = part
    return left <= box[0] and top <= box[1] and left + width >= box[0] + box[2] and top + height >= box[1] + box[3]


@settings(max_examples=50)
@given(st.integers(0, 180), st.integers(0, 220), st.integers(40, 120), st.integers(120, 180), st.integers(0, 5), st.floats(0, 0.3))
def test_a_limb_is_never_cut(left: int, top: int, width: int, height: int, seed: int, air: float) -> None:
    box = (left, top, width, height)
    assert holds(exposed_part(limb(box, air=air, seed=seed)), box)


@settings(max_examples=30)
@given(st.integers(20, 150), st.integers(20, 200), st.integers(0, 5))
def test_air_is_cut_off(left: int, top: int, seed: int) -> None:
    part = exposed_part(limb((left, top, 100, 150), seed=seed))
    assert part[2] <= 100 + 2 * 0.04 * 300 + 4 * 7
    assert part[3] <= 150 + 2 * 0.04 * 400 + 4 * 7


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("thickness", [10, 40])
def test_white_strips_along_an_edge_are_cut_off(edge: str, thickness: int) -> None:
    box = (120, 120, 70, 160)
    pixels = limb(box)
    strip = {
        "left": np.s_[:, :thickness],
        "right": np.s_[:, -thickness:],
        "top": np.s_[:thickness],
        "bottom": np.s_[-thickness:],
    }[edge]
    pixels[strip] = 0.95
    part = exposed_part(pixels)
    assert holds(part, box)
    assert part[2] * part[3] < 0.5 * pixels.size


def test_what_a_truncated_jpeg_leaves_is_cut_off() -> None:
    box = (120, 60, 70, 160)
    pixels = limb(box)
    pixels[330:] = 0.5
    part = exposed_part(pixels)
    assert holds(part, box)
    assert part[1] + part[3] < 330


def test_two_limbs_are_both_kept() -> None:
    one, two = (20, 30, 60, 200), (220, 150, 60, 200)
    pixels = np.maximum(limb(one), limb(two))
    assert holds(exposed_part(pixels), one)
    assert holds(exposed_part(pixels), two)


def test_a_small_letter_is_not_enough_to_keep_air() -> None:
    pixels = limb((40, 40, 80, 200))
    pixels[370:380, 270:280] = 1
    assert exposed_part(pixels)[0] + exposed_part(pixels)[2] < 200


@pytest.mark.parametrize("grey", [0.0, 0.4, 1.0])
def test_a_film_that_shows_nothing_is_kept_whole(grey: float) -> None:
    assert exposed_part(np.full((200, 150), grey, np.float32)) == (0, 0, 150, 200)


def test_white_air_is_kept_whole() -> None:
    """A film shown bone dark is not understood, so nothing of it may go."""
    assert exposed_part(1 - limb((100, 100, 60, 150), air=0.02)) == (0, 0, 300, 400)


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_any_film_keeps_a_part_of_itself(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (rng.integers(1, 9), rng.integers(1, 9))) ** rng.uniform(0.2, 5)
    pixels = np.kron(coarse, np.ones((-(-height // len(coarse)), -(-width // coarse.shape[1]))))[:height, :width].astype(np.float32)
    left, top, wide, high = exposed_part(pixels)
    assert 0 <= left < left + wide <= width
    assert 0 <= top < top + high <= height
    assert wide >= LEAST * width - max(1, max(height, width) / 64 + 1)
    assert high >= LEAST * height - max(1, max(height, width) / 64 + 1)


def test_no_fracture_of_fracatlas_is_cut(shared_data: Path) -> None:
    """A sixth of its fractured films here; all 673 boxes of all 533 lie inside, and their median film keeps 0.59 of its area."""
    folder = shared_data / "fracatlas"
    coco = json.loads((folder / "Annotations" / "COCO JSON" / "COCO_fracture_masks.json").read_text())
    boxes: dict[int, list[list[float]]] = {}
    for mark in coco["annotations"]:
        boxes.setdefault(mark["image_id"], []).append(mark["bbox"])
    kept, spent = [], 0.0
    for image in coco["images"][::6]:
        pixels = read_film(folder / "images" / "Fractured" / image["file_name"]).pixels
        start = time.process_time()
        left, top, width, height = exposed_part(pixels)
        spent += time.process_time() - start
        kept.append(width * height / pixels.size)
        for x, y, w, h in boxes.get(image["id"], []):
            assert left - 1 <= x <= x + w <= left + width + 1, image["file_name"]
            assert top - 1 <= y <= y + h <= top + height + 1, image["file_name"]
    assert len(kept) == 89
    assert np.median(kept) < 0.7
    assert spent / len(kept) < 0.02  # 1.7 ms on an idle machine
