"""The paper's loss, film by film, against its formula; the evidence's loss against the same cross-entropy by hand."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch

from osteon.lab.training.augmentation.augment import TrainingBatch
from osteon.lab.training.batches import Batch, evidence_targets
from osteon.lab.training.losses import evidence_loss, film_loss, step_loss
from osteon.lab.training.networks.detector import Outputs
from osteon.lab.training.recipe import OSTEON, Recipe

LOGITS = [-30.0, -2.0, 0.0, 0.7, 3.0, 40.0]


def made_batch(label: list[float], weight: list[float], boxed: list[bool] | None = None) -> Batch:
    n = len(label)
    known = torch.tensor(boxed or [False] * n)
    return Batch(torch.zeros(n, 4, 4, dtype=torch.uint8), torch.tensor(label), torch.tensor(weight), torch.zeros(n, 1, 4), known)


def entropy(logit: float, target: float) -> float:
    """-t log p - (1 - t) log(1 - p) with p = sigmoid(logit), in numbers of any size."""
    return target * math.log1p(math.exp(-logit)) + (1 - target) * (logit + math.log1p(math.exp(-logit)))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_film_loss_is_the_paper_s_formula(label: float) -> None:
    # arXiv 1712.06957v4, section 3.1: -w(T,1) y log p - w(T,0) (1 - y) log(1 - p)
    weights = [0.25, 0.5, 0.75, 0.6, 0.1, 0.9]
    batch = made_batch([label] * 6, weights)
    told = film_loss(torch.tensor(LOGITS), batch)
    by_hand = [w * entropy(x, label) for x, w in zip(LOGITS, weights, strict=True)]
    np.testing.assert_allclose(told.numpy(), by_hand, rtol=1e-6, atol=1e-12)


def test_the_plain_loss_is_the_cross_entropy() -> None:
    batch = made_batch([1.0, 0.0], [1.0, 1.0])
    told = film_loss(torch.tensor([0.3, 0.3]), batch)
    p = 1 / (1 + math.exp(-0.3))
    np.testing.assert_allclose(told.numpy(), [-math.log(p), -math.log(1 - p)], rtol=1e-6)


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
    return Batch(
        image, torch.tensor(label, dtype=torch.float32), torch.tensor(weight), torch.tensor(boxes).reshape(n, 1, 4), torch.tensor(boxed)
    )


OWN = placed_batch([1, 0, 1], [0.3, 0.7, 1.0], [[-0.5, -0.5, 0.2, 0.1], [0, 0, 0, 0], [0, 0, 0, 0]], [True, True, False])
LOGIT = torch.tensor([0.4, -1.3, 2.0])
THETA = torch.tensor([[[0.8, 0.2, 0.1], [-0.2, 0.8, 0.0]]] * 3)


def alone(cells: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """The loss of the film and of its cells."""
    loss = film_loss(LOGIT, batch)
    return loss + recipe.box_loss * evidence_loss(cells, evidence_targets(batch, THETA, (6, 6)), batch, recipe)


@pytest.mark.parametrize("box_loss", [0.0, 3.0])
def test_a_step_s_loss_is_the_film_s_and_its_cells(box_loss: float) -> None:
    recipe = msgspec.structs.replace(OSTEON, box_loss=box_loss)
    cells = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0))
    told = step_loss(Outputs(LOGIT, cells), TrainingBatch(OWN.image.float(), THETA, OWN), recipe)
    assert torch.equal(told, alone(cells, OWN, recipe))
    assert (told != film_loss(LOGIT, OWN)).tolist() == [bool(box_loss), bool(box_loss), False]
