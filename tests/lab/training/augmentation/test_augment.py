"""What is done to a batch, against plain loops: mixed films and their boxes, borders, windows, warps and grey values."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from made_index import made_films
from osteon.card import Frame
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.training.augmentation.augment import TrainingBatch, augment, in_windows, training_batch, warps, window_side, windows
from osteon.lab.training.augmentation.mixing import BORDER, CUT_REACH, WHITE, collimate, cutmix
from osteon.lab.training.batches import Batch, Draw, TrainingFilms, evidence_targets
from osteon.lab.training.recipe import OSTEON, PAPER, Augmentation, Recipe

CPU = torch.device("cpu")
MANY = 2000
SIDE = 64
NOTHING = Augmentation()
EVERYTHING = Augmentation(
    rotation=30, scale=0.3, shift=0.1, flip=0.5, flip_vertical=0.5, contrast=0.3, brightness=0.2, gamma=0.3, erase=0.5,
    blur=0.5, local=0.5, grain=0.5, compress=0.5, quarter=0.5, collimate=0.5, cut=0.4,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FilmStore:
    folder = tmp_path_factory.mktemp("augmentation")
    return open_store(made_films(folder / "films", {"train": 12}), Frame(size=SIDE), folder=folder / "stores")


def draw(seed: int, whole: int, mine: slice | None = None) -> Draw:
    return Draw(torch.Generator().manual_seed(seed), whole, mine or slice(0, whole))


def again(numbers: Draw) -> Draw:
    """The same numbers once more."""
    generator = torch.Generator()
    generator.set_state(numbers.generator.get_state())
    return Draw(generator, numbers.whole, numbers.mine)


def made_batch(seed: int, n: int = 200, normal: float = 0.4, unplaced: float = 0.2) -> Batch:
    """Films of noise, up to two boxes in the abnormal ones, a few of which say nothing about the place."""
    random = np.random.default_rng(seed)
    label = (random.random(n) > normal).astype(np.float32)
    boxes = np.sort(random.integers(0, SIDE // 4 + 1, (n, 2, 2, 2)) * 4, axis=2).reshape(n, 2, 4) / SIDE * 2 - 1
    empty = (boxes[..., 2] <= boxes[..., 0]) | (boxes[..., 3] <= boxes[..., 1]) | (label[:, None] == 0)
    boxed = ~(empty.all(1) & (label > 0)) & (random.random(n) > unplaced)
    boxes[empty | ~boxed[:, None]] = 0
    image = random.integers(1, 256, (n, SIDE, SIDE)).astype(np.uint8)
    weight = random.random(n).astype(np.float32)
    return Batch(*(torch.from_numpy(part) for part in (image, label, weight, boxes.astype(np.float32), boxed)))


def boxes_of(batch: Batch, film: int) -> list[list[int]]:
    """A film's boxes in pixels: left, top, right, bottom."""
    return [[round(float(v + 1) / 2 * SIDE) for v in box] for box in batch.boxes[film] if box[2] > box[0]]


def cells_of(batch: Batch, film: int) -> set[tuple[int, int]]:
    """The pixels that lie in a film's boxes."""
    return {(y, x) for left, top, right, bottom in boxes_of(batch, film) for y in range(top, bottom) for x in range(left, right)}


# The whole of it


def shown_films(store: FilmStore, recipe: Recipe, seed: int, mine: slice | None = None, fraction: float = 1.0) -> TrainingBatch:
    films = np.array([3, 1, 4, 0, 5, 9, 2, 6])
    return training_batch(TrainingFilms(store, recipe, store.films), films, recipe, draw(seed, 8, mine), fraction, CPU)


def small(augmentation: Augmentation, **changes: object) -> Recipe:
    return msgspec.structs.replace(OSTEON, frame=Frame(size=SIDE), augmentation=augmentation, **changes)


def parts(shown: TrainingBatch) -> list[Tensor]:
    """All that a training batch holds, flat."""
    return [shown.image, shown.theta, *(getattr(shown.batch, field.name) for field in fields(shown.batch))]


def test_what_is_off_draws_nothing_and_changes_nothing(store: FilmStore) -> None:
    # A run that was begun before these settings were there goes on with the same numbers.
    recipe = small(OSTEON.augmentation)
    films, numbers = TrainingFilms(store, recipe, store.films).take(np.array([3, 1, 4, 0, 5, 9, 2, 6])), draw(7, 8)
    theta = warps(recipe.augmentation, numbers)
    image = augment(films.image, theta, recipe.augmentation, numbers, SIDE)
    shown = shown_films(store, recipe, 7, fraction=0.1)
    assert torch.equal(shown.image, image) and torch.equal(shown.theta, theta)
    assert all(torch.equal(getattr(shown.batch, f.name), getattr(films, f.name)) for f in fields(films))


@pytest.mark.parametrize("a", [EVERYTHING, *(Augmentation(**{one: 1}) for one in ("cut", "collimate", "blur", "grain"))])
@pytest.mark.parametrize("window", [0.0, 0.5])
def test_a_training_batch_depends_on_its_draw_and_not_on_how_many_processes_share_it(
    store: FilmStore, a: Augmentation, window: float
) -> None:
    recipe = small(a, window=window)
    whole = parts(shown_films(store, recipe, 3, fraction=0.2))
    assert all(torch.equal(one, same) for one, same in zip(whole, parts(shown_films(store, recipe, 3, fraction=0.2)), strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(whole, parts(shown_films(store, recipe, 4, fraction=0.2)), strict=True))
    shared = [parts(shown_films(store, recipe, 3, slice(i, i + 2), fraction=0.2)) for i in (0, 2, 4, 6)]
    for part, mine in zip(whole, zip(*shared, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(mine), part, atol=1e-3, rtol=0)  # of 255


# Windows


SHARE = 0.4
TURNED = Augmentation(rotation=180, scale=0.3, shift=0.1, flip=0.5, flip_vertical=0.5)


def through(theta: Tensor, point: tuple[float, float]) -> tuple[float, float]:
    """Where a warp (2, 3) takes a point of its output."""
    x, y = (theta.double() @ torch.tensor([*point, 1.0], dtype=torch.float64)).tolist()
    return x, y


def undone(theta: Tensor, point: tuple[float, float]) -> tuple[float, float]:
    """Which point of its output a warp takes there."""
    return tuple(torch.linalg.solve(theta[:, :2].double(), torch.tensor(point).double() - theta[:, 2].double()).tolist())


def test_a_window_lies_in_the_frame_at_the_frame_s_resolution() -> None:
    batch, numbers = made_batch(0), draw(1, 200)
    theta = warps(TURNED, numbers)
    narrow = windows(batch, theta, SHARE, numbers)
    torch.testing.assert_close(narrow[:, :, :2], theta[:, :, :2] * SHARE)
    for whole, part in zip(theta, narrow, strict=True):
        for corner in ((-1.0, -1.0), (1.0, 1.0)):
            assert max(map(abs, undone(whole, through(part, corner)))) <= 1 + 1e-5


def test_windows_lie_mostly_over_a_finding_and_each_finding_has_its_turn() -> None:
    batch, numbers = made_batch(0, n=MANY, normal=0), draw(1, MANY)
    theta = warps(NOTHING, numbers)
    shown = in_windows(batch, windows(batch, theta, SHARE, numbers))
    there = (batch.boxes[..., 2] > batch.boxes[..., 0]).sum(1)
    one, two = (shown.label[batch.boxed & (there == n)] for n in (1, 2))
    assert 0.75 < one.mean() < 0.9 and 0.75 < two.mean() < 0.95
    alone = shown.boxes[batch.boxed & (there == 2)].abs().sum(2) > 0
    assert abs(float((alone[:, 0] & ~alone[:, 1]).float().mean() - (alone[:, 1] & ~alone[:, 0]).float().mean())) < 0.05


def test_other_windows_lie_over_what_is_not_black() -> None:
    image = torch.zeros(200, SIDE, SIDE, dtype=torch.uint8)
    image[:, :, 40:48] = 200
    batch = Batch(image, torch.zeros(200), torch.ones(200), torch.zeros(200, 1, 4), torch.ones(200, dtype=torch.bool))
    numbers = draw(2, 200)
    theta = windows(batch, warps(NOTHING, numbers), SHARE, numbers)
    assert (augment(image, theta, NOTHING, numbers, 26).amax((1, 2)) > 150).all()
    assert theta[:, 1, 2].std() > 0.2


def test_what_a_window_shows_against_a_reference_loop() -> None:
    batch, numbers = made_batch(3), draw(4, 200)
    theta = windows(batch, warps(TURNED, numbers), SHARE, numbers)
    shown = in_windows(batch, theta)
    for i in range(200):
        kept = []
        for left, top, right, bottom in batch.boxes[i].tolist():
            x, y = undone(theta[i], ((left + right) / 2, (top + bottom) / 2))
            kept.append(right > left and abs(x) <= 1 and abs(y) <= 1)
        placed = bool(batch.boxed[i]) or not batch.label[i]
        assert shown.boxes[i].tolist() == [box if k else [0] * 4 for box, k in zip(batch.boxes[i].tolist(), kept, strict=True)]
        assert shown.label[i] == (float(batch.label[i] * any(kept)) if placed else batch.label[i])
        assert shown.weight[i] == (batch.weight[i] if placed else 0)
    assert shown.image is batch.image and shown.boxed is batch.boxed


def test_boxes_follow_a_window() -> None:
    image = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    image[:, 20:40, 12:36] = 255
    box = torch.tensor([[[12, 20, 36, 40]]]) / SIDE * 2 - 1
    batch = Batch(image, torch.ones(1), torch.ones(1), box, torch.ones(1, dtype=torch.bool))
    for seed in range(20):
        numbers = draw(seed, 1)
        theta = windows(batch, warps(TURNED, numbers), 0.5, numbers)
        bright = augment(image, theta, TURNED, numbers, 32) / 255
        inside = evidence_targets(batch, theta, (32, 32)) > 0
        assert bright.shape == (1, 32, 32) and inside[bright > 0.9].all() and not inside[bright < 0.05].any()


def test_the_last_third_sees_whole_films(store: FilmStore) -> None:
    recipe = small(TURNED, window=0.5)
    assert [shown_films(store, recipe, 0, fraction=f).image.shape[-1] for f in (0.0, 0.6, 0.7, 1.0)] == [32, 32, SIDE, SIDE]
    assert window_side(msgspec.structs.replace(OSTEON, window=0.5), 0, 384) == 192 and window_side(OSTEON, 0, 384) == 384
    late, plain = shown_films(store, recipe, 0), shown_films(store, small(TURNED), 0)
    assert torch.equal(late.image, plain.image)


# Films mixed


def test_cut_against_a_reference_loop() -> None:
    batch, other, chosen = made_batch(0), made_batch(1), torch.arange(200) % 4 > 0
    numbers = draw(2, 200)
    upright, at, first = again(numbers).uniform(3).double().numpy()
    mixed = cutmix(batch, other, chosen, numbers)
    centre, done = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1, 0
    for i in range(200):
        line, axis = (at[i] * 2 - 1) * CUT_REACH, 0 if upright[i] < 0.5 else 1
        placed = all(bool(b.boxed[i]) or b.label[i] == 0 for b in (batch, other))
        real = [[box for box in b.boxes[i].tolist() if box[2] > box[0]] for b in (batch, other)]
        crossed = any(box[axis] < line < box[axis + 2] for boxes in real for box in boxes)
        if not (chosen[i] and placed and not crossed):
            assert torch.equal(mixed.image[i], batch.image[i]) and mixed.label[i] == batch.label[i]
            assert mixed.weight[i] == batch.weight[i] and mixed.boxed[i] == batch.boxed[i]
            assert boxes_of(mixed, i) == boxes_of(batch, i)
            continue
        done += 1
        own = (centre < line) == (first[i] < 0.5)
        image = np.where(own[None, :] if axis == 0 else own[:, None], batch.image[i].numpy(), other.image[i].numpy())
        np.testing.assert_array_equal(mixed.image[i].numpy(), image)
        kept = [
            [box for box in boxes if (box[axis + 2] <= line) == ((first[i] < 0.5) == mine)]
            for boxes, mine in zip(real, (True, False), strict=True)
        ]
        assert [box for box in mixed.boxes[i].tolist() if box[2] > box[0]] == kept[0] + kept[1]
        abnormal = any(bool(b.label[i]) and k for b, k in zip((batch, other), kept, strict=True))
        assert mixed.label[i] == float(abnormal)
        assert mixed.weight[i] == (batch.weight[i] + other.weight[i]) / 2
        assert mixed.boxed[i] == (batch.boxed[i] and other.boxed[i])
    assert done > 30


def test_what_is_left_of_two_films_is_bright_where_its_boxes_are() -> None:
    # Findings are bright here and nothing else is, so that pixels alone say which label and boxes a mixed film must have.
    batch, other = made_batch(3, unplaced=0), made_batch(4, unplaced=0)
    for films in (batch, other):
        films.image.fill_(10)
        for i in range(200):
            for left, top, right, bottom in boxes_of(films, i):
                films.image[i, top:bottom, left:right] = 250
    mixed = cutmix(batch, other, torch.ones(200, dtype=torch.bool), draw(5, 200))
    labels = set()
    for i in range(200):
        if batch.boxed[i] and other.boxed[i]:
            bright = {tuple(at) for at in (mixed.image[i] == 250).nonzero().tolist()}
            assert bright == cells_of(mixed, i)
            assert mixed.label[i] == float(bool(bright))
            labels.add((float(batch.label[i]), float(mixed.label[i])))
    assert labels == {(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)}


def test_an_abnormal_film_without_boxes_is_neither_cut_nor_given() -> None:
    batch = made_batch(6, normal=0, unplaced=0)
    bare = replace(batch, boxes=torch.zeros_like(batch.boxes), boxed=torch.zeros_like(batch.boxed))
    always = torch.ones(200, dtype=torch.bool)
    assert torch.equal(cutmix(bare, made_batch(7), always, draw(0, 200)).image, bare.image)
    assert torch.equal(cutmix(batch, bare, always, draw(0, 200)).image, batch.image)


def test_a_box_on_a_normal_film_makes_none_abnormal() -> None:
    batch = made_batch(8, unplaced=0)
    normal = replace(batch, label=torch.zeros_like(batch.label))
    assert not cutmix(normal, normal, torch.ones(200, dtype=torch.bool), draw(0, 200)).label.any()


# Borders


def test_collimate_against_a_reference_loop() -> None:
    batch = made_batch(9)
    batch.image[:, :, :6] = 0  # the frame's own margin, in which there is no film
    batch.image[:, 60:] = 0
    numbers = draw(10, 200)
    chance, kind, grey, *widths = again(numbers).uniform(7).double().numpy()
    covered = collimate(batch, 0.6, numbers)
    for i in range(200):
        expected = batch.image[i].numpy().copy()
        if chance[i] < 0.6 and (bool(batch.boxed[i]) or batch.label[i] == 0):
            colour = 0 if kind[i] < 0.5 else int(WHITE + (255 - WHITE) * grey[i])
            left, right = 6 + max(widths[0][i] * 2 - 1, 0) * BORDER * 58, 64 - max(widths[1][i] * 2 - 1, 0) * BORDER * 58
            top, bottom = max(widths[2][i] * 2 - 1, 0) * BORDER * 60, 60 - max(widths[3][i] * 2 - 1, 0) * BORDER * 60
            for box in boxes_of(batch, i):
                left, top, right, bottom = min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3])
            for y, x in np.ndindex(60, SIDE):
                if x >= 6 and not (left <= x + 0.5 <= right and top <= y + 0.5 <= bottom):
                    expected[y, x] = colour
        np.testing.assert_array_equal(covered.image[i].numpy(), expected)
    for field in ("label", "weight", "boxes", "boxed"):
        assert torch.equal(getattr(covered, field), getattr(batch, field))


def test_no_border_lies_over_a_box() -> None:
    batch = made_batch(11, unplaced=0)
    covered = collimate(batch, 1.0, draw(12, 200))
    changed = covered.image != batch.image
    assert changed.flatten(1).any(1).float().mean() > 0.5
    for i in range(200):
        assert not any(changed[i, y, x] for y, x in cells_of(batch, i))


def test_collimators_are_black_or_near_white_as_often() -> None:
    films = torch.full((MANY, 16, 16), 100, dtype=torch.uint8)
    nothing = torch.zeros(MANY)
    batch = Batch(films, nothing, nothing, torch.zeros(MANY, 1, 4), nothing > 0)
    covered = collimate(batch, 1.0, draw(13, MANY)).image.flatten(1)
    black, white = ((covered == 0).any(1), (covered >= WHITE).any(1))
    assert not (black & white).any() and ((covered == 100) | (covered == 0) | (covered >= WHITE)).all()
    assert abs(float(black.sum() / (black | white).sum()) - 0.5) < 0.05


# Warps


def test_no_augmentation_changes_nothing() -> None:
    image = torch.randint(0, 256, (3, 320, 320), dtype=torch.uint8)
    numbers = draw(0, 3)
    theta = warps(NOTHING, numbers)
    assert torch.equal(theta, torch.eye(2, 3).expand(3, 2, 3))
    out = augment(image, theta, NOTHING, numbers, image.shape[-1])
    assert out.dtype == torch.float32 and torch.equal(out, image.float())


def test_warps_keep_to_their_ranges_and_use_them() -> None:
    a = Augmentation(rotation=30, scale=0.2, shift=0.1)
    theta = warps(a, draw(1, MANY)).double().numpy()
    angle, size = np.degrees(np.arctan2(theta[:, 1, 0], theta[:, 0, 0])), 1 / np.linalg.norm(theta[:, 0, :2], axis=1)
    for values, low, high in ((angle, -30, 30), (size, 0.8, 1.2), (theta[:, 0, 2], -0.2, 0.2), (theta[:, 1, 2], -0.2, 0.2)):
        slack = (high - low) * 0.01
        assert low - 1e-4 <= values.min() < low + slack and high - slack < values.max() <= high + 1e-4
        assert abs(values.mean() - (low + high) / 2) < slack * 4
    # Turned and scaled, never sheared, and with neither flip never mirrored.
    linear = theta[:, :, :2] * size[:, None, None]
    np.testing.assert_allclose(linear @ linear.transpose(0, 2, 1), np.broadcast_to(np.eye(2), (MANY, 2, 2)), atol=1e-5)
    assert (np.linalg.det(linear) > 0).all()


@pytest.mark.parametrize(("a", "column"), [(Augmentation(flip=0.3), 0), (Augmentation(flip_vertical=0.3), 1)])
def test_films_are_mirrored_as_often_as_asked(a: Augmentation, column: int) -> None:
    theta = warps(a, draw(2, MANY))
    mirrored = theta[:, column, column] < 0
    assert (theta[:, 1 - column, 1 - column] == 1).all()
    assert abs(mirrored.float().mean() - 0.3) < 3 * math.sqrt(0.3 * 0.7 / MANY)


def test_films_lie_on_either_side_as_often_as_asked() -> None:
    theta = warps(Augmentation(quarter=0.3), draw(5, MANY)).double().numpy()
    angle = np.rint(np.degrees(np.arctan2(theta[:, 1, 0], theta[:, 0, 0])))
    counts = [(angle == way).mean() for way in (0, 90, -90)]
    assert counts == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


def one(theta: list[list[float]], image: Tensor) -> Tensor:
    """The film warped, with grey values as they are; rotation says only that there is a warp."""
    return augment(image, torch.tensor([theta], dtype=torch.float32), Augmentation(rotation=1), draw(0, 1), image.shape[-1])


def test_a_mirrored_film_is_mirrored_exactly() -> None:
    image = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(one([[-1, 0, 0], [0, 1, 0]], image), image.float().flip(2), atol=0.01, rtol=0)
    torch.testing.assert_close(one([[1, 0, 0], [0, -1, 0]], image), image.float().flip(1), atol=0.01, rtol=0)


def test_a_quarter_turn_and_a_shift_by_whole_pixels() -> None:
    image = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(one([[0, -1, 0], [1, 0, 0]], image), image.float().rot90(1, (1, 2)), atol=0.01, rtol=0)
    shifted = torch.nn.functional.pad(image.float(), (0, 4))[:, :, 4:]  # 4 of 32 pixels are 1/8 of the side, 1/4 in [-1, 1]
    torch.testing.assert_close(one([[1, 0, 0.25], [0, 1, 0]], image), shifted, atol=0.01, rtol=0)


# Grey values


@pytest.mark.parametrize(
    "a",
    [
        Augmentation(gamma=0.3),
        Augmentation(contrast=0.3),
        Augmentation(brightness=0.2),
        Augmentation(gamma=0.3, contrast=0.3, brightness=0.2),
    ],
)
def test_grey_values_change_by_the_documented_formula(a: Augmentation) -> None:
    ramp = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).repeat(300, 1, 1)
    numbers = draw(4, 300)
    theta = warps(a, numbers)
    at = numbers.generator.get_state()
    out = augment(ramp, theta, a, numbers, ramp.shape[-1]).reshape(300, 256) / 255
    numbers.generator.set_state(at)
    gamma, contrast, brightness = (
        torch.exp(numbers.signed() * a.gamma),
        1 + numbers.signed() * a.contrast,
        numbers.signed() * a.brightness,
    )
    grey = (torch.arange(256) / 255)[None]
    expected = ((grey ** gamma[:, None] - 0.5) * contrast[:, None] + 0.5 + brightness[:, None]).clamp(0, 1)
    torch.testing.assert_close(out, expected, atol=2e-4, rtol=0)
    for drawn, low, high in ((gamma, math.exp(-a.gamma), math.exp(a.gamma)), (contrast, 1 - a.contrast, 1 + a.contrast)):
        assert low - 1e-6 <= drawn.min() and drawn.max() <= high + 1e-6


def test_some_films_lose_a_rectangle_of_at_most_a_quarter_of_the_side() -> None:
    image = torch.full((MANY, 32, 32), 200, dtype=torch.uint8)
    numbers = draw(5, MANY)
    a = Augmentation(erase=0.4)
    gone = augment(image, warps(a, numbers), a, numbers, image.shape[-1]) == 0
    assert 0.3 < gone.any(2).any(1).float().mean() < 0.4  # some drawn rectangles cover no pixel's centre
    assert 6 <= gone.any(1).sum(1).max() <= 8 and 6 <= gone.any(2).sum(1).max() <= 8
    rows, columns = gone.any(2), gone.any(1)
    assert torch.equal(gone, rows[:, :, None] & columns[:, None, :])  # a rectangle, and nothing else


def test_recipes_draw_what_they_say() -> None:
    def drawn(recipe: Recipe) -> Tensor:
        return warps(recipe.augmentation, draw(0, MANY))

    paper = drawn(PAPER).double().numpy()
    turned = np.linalg.norm(paper[:, :, 0], axis=1)
    np.testing.assert_allclose(turned, 1, atol=1e-5)  # the paper does not scale
    assert not paper[:, :, 2].any()  # nor shift
    assert abs((np.linalg.det(paper[:, :, :2]) < 0).mean() - 0.5) < 0.04  # half are mirrored
