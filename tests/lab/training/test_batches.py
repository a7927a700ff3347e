"""Which films a batch holds, the paper's weights by hand, and boxes that go where their pixels go."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from made_index import made_films
from osteon.card import Frame
from osteon.errors import EmptyDataset
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.training.augmentation.augment import augment, warps
from osteon.lab.training.batches import Batch, Draw, TrainingFilms, class_weights, evidence_targets
from osteon.lab.training.recipe import OSTEON, PAPER, Augmentation

EVERYTHING = Augmentation(
    rotation=30, scale=0.3, shift=0.1, flip=0.5, flip_vertical=0.5, contrast=0.3, brightness=0.2, gamma=0.3, erase=0.5
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FilmStore:
    folder = tmp_path_factory.mktemp("batches")
    return open_store(made_films(folder / "films", {"train": 12}), Frame(size=64), folder=folder / "stores")


def draw(seed: int, whole: int, mine: slice | None = None) -> Draw:
    return Draw(torch.Generator().manual_seed(seed), whole, mine or slice(0, whole))


def boxed_batch(image: Tensor, boxes: list[list[float]]) -> Batch:
    n, side = len(image), image.shape[-1]
    given = torch.tensor(boxes).reshape(n, -1, 4) / side * 2 - 1
    return Batch(image, torch.ones(n), torch.ones(n), given, torch.ones(n, dtype=torch.bool))


# Which films, in which order


def test_take_gives_the_store_s_films(store: FilmStore) -> None:
    films = TrainingFilms(store, PAPER, store.films)
    which = np.array([5, 0, 3])
    batch = films.take(which)
    assert batch.image.dtype == torch.uint8 and batch.label.dtype == batch.weight.dtype == batch.boxes.dtype == torch.float32
    np.testing.assert_array_equal(batch.image.numpy(), store.pixels[which])
    assert batch.label.tolist() == [store.films["label"][int(i)] for i in which]
    np.testing.assert_array_equal(batch.weight.numpy(), class_weights(store.films, store.films)[which])
    boxes = store.boxes()
    for row, i in zip(batch.boxes, which, strict=True):
        given = boxes[int(i)]
        assert given is not None
        np.testing.assert_allclose((row[: len(given)] + 1) * 32, torch.from_numpy(given), atol=1e-5)
        assert not row[len(given) :].any()


def test_a_batch_owns_its_pixels(store: FilmStore) -> None:
    batch = TrainingFilms(store, PAPER, store.films).take(np.array([0]))
    batch.image.add_(1)  # the store's map is read-only


def test_an_epoch_shows_each_film_and_the_abnormal_more_often(store: FilmStore) -> None:
    recipe = msgspec.structs.replace(OSTEON, abnormal_repeat=3, batch=1)
    films = TrainingFilms(store, recipe, store.films)
    counts = np.bincount(films.order(recipe, 0), minlength=len(films))
    np.testing.assert_array_equal(counts, np.where(films.label > 0, 3, 1))


def test_the_order_depends_on_seed_and_epoch_alone(store: FilmStore) -> None:
    films = TrainingFilms(store, OSTEON, store.films)
    recipe = msgspec.structs.replace(OSTEON, batch=4)
    other = msgspec.structs.replace(recipe, seed=1)
    orders = [films.order(r, epoch).tolist() for r, epoch in ((recipe, 0), (recipe, 1), (other, 0), (recipe, 0))]
    assert orders[0] == orders[3] and orders[0] not in orders[1:3]


@pytest.mark.parametrize(("batch", "length"), [(5, 10), (12, 12), (1, 12), (100, 12)])
def test_an_epoch_is_whole_batches(store: FilmStore, batch: int, length: int) -> None:
    recipe = msgspec.structs.replace(PAPER, batch=batch)
    order = TrainingFilms(store, recipe, store.films).order(recipe, 0)
    assert len(order) == length == len(set(order.tolist()))


def test_films_without_a_label_are_refused(store: FilmStore) -> None:
    films = store.films.with_columns(label=pl.lit(None, pl.Int8))
    unlabelled = FilmStore(films, store.frame, store.pixels, store.placements, {})
    with pytest.raises(EmptyDataset, match="without a label"):
        TrainingFilms(unlabelled, PAPER, store.films)


def test_which_films_know_where_the_finding_is(tmp_path: Path) -> None:
    # An abnormal film whose data gives no box says nothing about the place, a normal one says "nowhere".
    films = made_films(tmp_path / "films", {"train": 6})  # 0 and 3 are abnormal
    boxes = films["boxes"].to_list()
    boxes[3], boxes[4] = [], None
    films = films.with_columns(boxes=pl.Series(boxes, dtype=films["boxes"].dtype))
    told = TrainingFilms(open_store(films, Frame(size=64), folder=tmp_path), OSTEON, films)
    assert told.boxed.tolist() == [True, True, True, False, False, True]
    bare = films.drop("boxes")
    assert not TrainingFilms(open_store(bare, Frame(size=64), folder=tmp_path), OSTEON, bare).boxed.any()


# The paper's weights


def table(rows: dict[str, tuple[int, int]]) -> pl.DataFrame:
    listed = [(kind, label) for kind, counts in rows.items() for label, count in zip((1, 0), counts, strict=True) for _ in range(count)]
    return pl.DataFrame(listed, schema={"study_type": pl.String, "label": pl.Int8}, orient="row")


def test_class_weights_by_the_published_counts() -> None:
    # MURA's training images, abnormal and normal: hand 1484/4059, shoulder 4168/4211.
    training = table({"HAND": (1484, 4059), "SHOULDER": (4168, 4211)})
    weight = class_weights(table({"HAND": (1, 1), "SHOULDER": (1, 1)}), training)
    by_hand = [4059 / (1484 + 4059), 1484 / (1484 + 4059), 4211 / (4168 + 4211), 4168 / (4168 + 4211)]
    np.testing.assert_allclose(weight, by_hand, rtol=1e-6)
    assert weight.dtype == np.float32


def test_class_weights_come_from_the_training_split_alone(store: FilmStore) -> None:
    training, held = table({"HAND": (1, 3)}), table({"HAND": (5, 5), "HIP": (1, 1)})
    np.testing.assert_allclose(class_weights(held, training), [0.75] * 5 + [0.25] * 5 + [0.5] * 2)
    films = TrainingFilms(store, PAPER, table({"HAND": (1, 3), "WRIST": (1, 1)}))
    expected = [
        {"HAND": (0.25, 0.75), "WRIST": (0.5, 0.5)}[kind][label] for kind, label in store.films.select("study_type", "label").rows()
    ]
    np.testing.assert_allclose(films.weight, expected)


def test_the_loss_that_is_plain_weighs_nothing(store: FilmStore) -> None:
    assert (TrainingFilms(store, OSTEON, store.films).weight == 1).all()


# Boxes and their warp

SIDE = 48
PIXEL = st.integers(0, SIDE - 1)


@given(seed=st.integers(0, 10**6), x=PIXEL, y=PIXEL, wide=st.integers(4, SIDE), high=st.integers(4, SIDE))
def test_a_warped_box_covers_the_pixels_that_a_warped_bright_box_covers(seed: int, x: int, y: int, wide: int, high: int) -> None:
    a = Augmentation(rotation=180, scale=0.5, shift=0.2, flip=0.5, flip_vertical=0.5)
    right, bottom = min(x + wide, SIDE), min(y + high, SIDE)
    x, y = min(x, right - 4), min(y, bottom - 4)  # wider than a warped pixel, so that no box is widened
    image = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    image[:, y:bottom, x:right] = 255
    numbers = draw(seed, 1)
    theta = warps(a, numbers)
    bright = augment(image, theta, a, numbers, image.shape[-1]) / 255
    inside = evidence_targets(boxed_batch(image, [[x, y, right, bottom]]), theta, (SIDE, SIDE)) > 0
    # Linear interpolation is above 1/2 only within the box, and below 1/4 only outside of it (1/4 at its corners).
    assert inside[bright > 0.501].all()
    assert not inside[bright < 0.249].any()


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), cells=st.sampled_from([4, 7, 12]))
def test_evidence_targets_against_a_reference_loop(seed: int, cells: int) -> None:
    random = np.random.default_rng(seed)
    n, k = 3, 2
    corners = np.sort(random.uniform(0, SIDE, (n, k, 2, 2)), axis=2).reshape(n, k, 4).astype(np.float32)
    corners[0, 1] = SIDE / 2  # padding: no width, no box
    theta = warps(EVERYTHING, draw(seed, n))
    batch = boxed_batch(torch.zeros(n, SIDE, SIDE), corners.reshape(-1).tolist())
    told = evidence_targets(batch, theta, (cells, cells)).numpy()
    for film, row, column in np.ndindex(n, cells, cells):
        matrix = theta[film].double().numpy()
        x, y = matrix[:, :2] @ [(2 * column + 1) / cells - 1, (2 * row + 1) / cells - 1] + matrix[:, 2]
        reach = np.abs(matrix[:, :2]).sum(1) / cells
        distance = np.inf
        for left, top, right, bottom in batch.boxes[film].double().numpy():
            if right > left:
                beyond_x = abs(x - (left + right) / 2) - max((right - left) / 2, reach[0])
                beyond_y = abs(y - (top + bottom) / 2) - max((bottom - top) / 2, reach[1])
                distance = min(distance, max(beyond_x, beyond_y))
        if abs(distance) > 1e-5:  # float32 may fall to either side of an edge
            assert told[film, row, column] == (distance < 0)


@given(seed=st.integers(0, 10**6), x=st.floats(16, 32), y=st.floats(16, 32), side=st.floats(0.01, 3))
def test_no_box_is_lost_between_cells(seed: int, x: float, y: float, side: float) -> None:
    a = Augmentation(rotation=180, scale=0.5, flip=0.5)
    theta = warps(a, draw(seed, 1))
    batch = boxed_batch(torch.zeros(1, SIDE, SIDE), [[x, y, x + side, y + side]])
    target = evidence_targets(batch, theta, (6, 6))
    inverse = np.linalg.inv(np.vstack([theta[0].double().numpy(), [0, 0, 1]]))
    middle = np.append(((batch.boxes[0, 0, :2] + batch.boxes[0, 0, 2:]) / 2).double().numpy(), 1)
    seen = (np.abs((inverse @ middle)[:2]) < 1).all()
    assert target.any() or not seen
    assert target.sum() <= 9


def test_films_without_boxes_have_no_target(store: FilmStore) -> None:
    films = TrainingFilms(store, OSTEON, store.films)
    normal = films.take(np.flatnonzero(films.label == 0))
    assert not evidence_targets(normal, warps(EVERYTHING, draw(0, len(normal.label))), (8, 8)).any()
