"""What a step minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.lab.training.augmentation.augment import TrainingBatch
from osteon.lab.training.batches import Batch, evidence_targets
from osteon.lab.training.networks.detector import Outputs
from osteon.lab.training.recipe import Recipe


def step_loss(outputs: Outputs, shown: TrainingBatch, recipe: Recipe) -> Tensor:
    """Return each film's loss (n,): of its label, and of its cells by `box_loss`.

    Args:
        outputs: The network's.
        shown: What it was shown.
        recipe: Weighs the parts.
    """
    loss = film_loss(outputs.logit, shown.batch)
    if not recipe.box_loss:
        return loss
    target = evidence_targets(shown.batch, shown.theta, (outputs.cells.shape[-2], outputs.cells.shape[-1]))
    return loss + recipe.box_loss * evidence_loss(outputs.cells, target, shown.batch, recipe)


def film_loss(logit: Tensor, batch: Batch) -> Tensor:
    """Return each film's weighted cross-entropy (n,), `-w y log p - w (1 - y) log(1 - p)`."""
    return batch.weight * F.binary_cross_entropy_with_logits(logit, batch.label, reduction="none")


def evidence_loss(cells: Tensor, target: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's mean cross-entropy of evidence cells against boxes (n,); 0 where nothing is known of the place.

    A cell inside a box weighs `box_cells`, since a fracture covers few of them.
    """
    weight = torch.where(target > 0, recipe.box_cells, 1.0)
    loss = F.binary_cross_entropy_with_logits(cells, target, weight=weight, reduction="none")
    return loss.mean((1, 2)) * batch.boxed
