"""What a step minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.lab.training.batches import Batch
from osteon.lab.training.recipe import Recipe


def film_loss(logit: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's weighted cross-entropy (n,), `-w y log p - w (1 - y) log(1 - p)`."""
    target = batch.label * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    return batch.weight * F.binary_cross_entropy_with_logits(logit, target, reduction="none")


def evidence_loss(cells: Tensor, target: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's mean cross-entropy of evidence cells against boxes (n,); 0 where nothing is known of the place.

    A cell inside a box weighs `box_cells`, since a fracture covers few of them.
    """
    weight = torch.where(target > 0, recipe.box_cells, 1.0)
    loss = F.binary_cross_entropy_with_logits(cells, target, weight=weight, reduction="none")
    return loss.mean((1, 2)) * batch.boxed
