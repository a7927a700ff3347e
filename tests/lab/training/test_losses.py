"""The paper's loss, film by film, against its formula; the evidence's loss against the same cross-entropy by hand."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch

from osteon.lab.training.advisers import Advice
from osteon.lab.training.augmentation.augment import Lesson
from osteon.lab.training.batches import Batch, evidence_targets
from osteon.lab.training.losses import advice_loss, auxiliary_loss, evidence_loss, film_loss, lesson_loss
from osteon.lab.training.networks.detector import Told
from osteon.lab.training.recipe import OSTEON, PAPER, Recipe

LOGITS = [-30.0, -2.0, 0.0, 0.7, 3.0, 40.0]


def made_batch(label: list[float], weight: list[float], boxed: list[bool] | None = None) -> Batch:
    n = len(label)
    known = torch.tensor(boxed or [False] * n)
    return Batch(
        torch.zeros(n, 4, 4, dtype=torch.uint8), torch.tensor(label), torch.tensor(weight), torch.zeros(n, 1, 4), known, torch.zeros(n, 0)
    )


def entropy(logit: float, target: float) -> float:
    """-t log p - (1 - t) log(1 - p) with p = sigmoid(logit), in numbers of any size."""
    return target * math.log1p(math.exp(-logit)) + (1 - target) * (logit + math.log1p(math.exp(-logit)))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_film_loss_is_the_paper_s_formula(label: float) -> None:
    # arXiv 1712.06957v4, section 3.1: -w(T,1) y log p - w(T,0) (1 - y) log(1 - p)
    weights = [0.25, 0.5, 0.75, 0.6, 0.1, 0.9]
    batch = made_batch([label] * 6, weights)
    told = film_loss(torch.tensor(LOGITS), batch, PAPER)
    by_hand = [w * entropy(x, label) for x, w in zip(LOGITS, weights, strict=True)]
    np.testing.assert_allclose(told.numpy(), by_hand, rtol=1e-6, atol=1e-12)


def test_the_plain_loss_is_the_cross_entropy() -> None:
    batch = made_batch([1.0, 0.0], [1.0, 1.0])
    told = film_loss(torch.tensor([0.3, 0.3]), batch, OSTEON)
    p = 1 / (1 + math.exp(-0.3))
    np.testing.assert_allclose(told.numpy(), [-math.log(p), -math.log(1 - p)], rtol=1e-6)


def test_focus_weighs_a_film_by_how_wrong_the_answer_is() -> None:
    recipe = msgspec.structs.replace(OSTEON, focus=2.0)
    told = film_loss(torch.tensor([3.0, 3.0]), made_batch([1.0, 0.0], [1.0, 1.0]), recipe)
    sure = 1 / (1 + math.exp(-3))
    np.testing.assert_allclose(told.numpy(), [(1 - sure) ** 2 * entropy(3, 1), sure**2 * entropy(3, 0)], rtol=1e-5)


def test_label_smoothing_moves_both_targets_towards_a_half() -> None:
    recipe = msgspec.structs.replace(OSTEON, label_smoothing=0.2)
    told = film_loss(torch.tensor([0.3, 0.3]), made_batch([1.0, 0.0], [1.0, 1.0]), recipe)
    np.testing.assert_allclose(told.numpy(), [entropy(0.3, 0.9), entropy(0.3, 0.1)], rtol=1e-6)


def test_evidence_loss_by_hand() -> None:
    recipe = msgspec.structs.replace(OSTEON, box_cells=8.0)
    cells = torch.tensor([[[-4.0, 1.0], [0.5, -1.0]]] * 2)
    target = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]] * 2)
    told = evidence_loss(cells, target, made_batch([1.0, 1.0], [1.0, 1.0], [True, False]), recipe)
    by_hand = (entropy(-4.0, 0) + 8 * entropy(1.0, 1) + entropy(0.5, 0) + entropy(-1.0, 0)) / 4
    np.testing.assert_allclose(told.numpy(), [by_hand, 0.0], rtol=1e-6)


def placed_batch(label: list[float], weight: list[float], boxes: list[list[float]], boxed: list[bool]) -> Batch:
    n = len(label)
    image = torch.zeros(n, 4, 4, dtype=torch.uint8)
    also = torch.tensor([[1.0, 0.0], [0.0, math.nan], [math.nan, math.nan]])
    return Batch(image, torch.tensor(label), torch.tensor(weight), torch.tensor(boxes).reshape(n, 1, 4), torch.tensor(boxed), also)


OWN = placed_batch([1, 0, 1], [0.3, 0.7, 1.0], [[-0.5, -0.5, 0.2, 0.1], [0, 0, 0, 0], [0, 0, 0, 0]], [True, True, False])
OTHER = placed_batch([0, 1, 1], [0.6, 0.4, 1.0], [[0, 0, 0, 0], [0.1, 0.3, 0.9, 0.8], [-1, -1, 0, 0]], [True, True, True])
LOGIT = torch.tensor([0.4, -1.3, 2.0])
THETA = torch.tensor([[[0.8, 0.2, 0.1], [-0.2, 0.8, 0.0]]] * 3)


def answers(cells: torch.Tensor, also: torch.Tensor | None = None) -> Told:
    return Told(LOGIT, cells, cells, torch.zeros(3, 0) if also is None else also)


def alone(cells: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """The loss of films that nothing shines through."""
    loss = film_loss(LOGIT, batch, recipe)
    return loss + recipe.box_loss * evidence_loss(cells, evidence_targets(batch, THETA, (6, 6)), batch, recipe)


@pytest.mark.parametrize("box_loss", [0.0, 3.0])
def test_a_lesson_s_loss_is_the_film_s_and_its_cells(box_loss: float) -> None:
    recipe = msgspec.structs.replace(OSTEON, box_loss=box_loss)
    cells = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0))
    told = lesson_loss(answers(cells), Lesson(OWN.image.float(), THETA, OWN), recipe)
    assert torch.equal(told, alone(cells, OWN, recipe))
    assert (told != film_loss(LOGIT, OWN, recipe)).tolist() == [bool(box_loss), bool(box_loss), False]


def test_a_mixed_film_is_asked_for_both_films_by_their_shares() -> None:
    cells, share = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0.25, 1.0, 0.6])
    told = lesson_loss(answers(cells), Lesson(OWN.image.float(), THETA, OWN, OTHER, share), OSTEON)
    by_hand = share * alone(cells, OWN, OSTEON) + (1 - share) * alone(cells, OTHER, OSTEON)
    torch.testing.assert_close(told, by_hand)
    assert told[1] == alone(cells, OWN, OSTEON)[1]  # all its own


def test_what_else_is_asked_is_a_mean_over_what_the_table_says() -> None:
    also = torch.tensor([[0.3, -1.0], [0.5, 9.0], [4.0, 4.0]])
    by_hand = [(entropy(0.3, 1) + entropy(-1.0, 0)) / 2, entropy(0.5, 0), 0.0]
    np.testing.assert_allclose(auxiliary_loss(also, OWN).numpy(), by_hand, rtol=1e-6)
    recipe, cells = msgspec.structs.replace(OSTEON, auxiliary_loss=0.5), torch.zeros(3, 6, 6)
    told = lesson_loss(answers(cells, also), Lesson(OWN.image.float(), THETA, OWN), recipe)
    np.testing.assert_allclose((told - alone(cells, OWN, recipe)).numpy(), [0.5 * loss for loss in by_hand], rtol=1e-4, atol=1e-6)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_advice_asks_for_its_probability() -> None:
    said = [1.0, -0.5, 30.0]
    told = advice_loss(answers(torch.zeros(3, 6, 6)), Advice(torch.tensor(said), None, 0.4), OWN, OSTEON)
    by_hand = [0.4 * w * entropy(x, sigmoid(s)) for x, s, w in zip(LOGIT.tolist(), said, OWN.weight.tolist(), strict=True)]
    np.testing.assert_allclose(told.numpy(), by_hand, rtol=1e-5)


def test_advice_on_the_place_is_read_at_the_cells_of_the_network() -> None:
    here, there = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    advice, recipe = Advice(LOGIT, there, 1.0), msgspec.structs.replace(OSTEON, box_loss=2.0)
    film = advice_loss(answers(here), advice._replace(evidence=None), OWN, recipe)
    cells = [
        np.mean([entropy(float(x), sigmoid(float(s))) for x, s in zip(of.flatten(), by.flatten(), strict=True)])
        for of, by in zip(here, there, strict=True)
    ]
    told = advice_loss(answers(here), advice, OWN, recipe)
    np.testing.assert_allclose((told - film).numpy(), 2 * OWN.weight.numpy() * cells, rtol=1e-4)
    coarse = torch.full((3, 2, 2), 0.3)
    same = advice_loss(answers(here), advice._replace(evidence=coarse), OWN, recipe)
    torch.testing.assert_close(same, advice_loss(answers(here), advice._replace(evidence=torch.full((3, 6, 6), 0.3)), OWN, recipe))
