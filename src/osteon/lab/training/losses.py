"""What a step minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.lab.training.advisers import Advice, at_cells
from osteon.lab.training.augmentation.augment import Lesson
from osteon.lab.training.batches import Batch, evidence_targets
from osteon.lab.training.networks.detector import Told
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.views import views_loss


def lesson_loss(told: Told, lesson: Lesson, recipe: Recipe) -> Tensor:
    """Return each film's loss (n,); of a mixed film by the shares of the two: `share loss(own) + (1 - share) loss(other)`.

    Of two views of each film it is `views_loss`, which the whole batch has together.

    Args:
        told: The network's answers.
        lesson: What was shown.
        recipe: Weighs the parts.
    """
    if recipe.task == "views":
        return views_loss(told.also)
    loss = _known_loss(told, lesson.batch, lesson.theta, recipe)
    if lesson.other is None or lesson.share is None:
        return loss
    return torch.lerp(_known_loss(told, lesson.other, lesson.theta, recipe), loss, lesson.share)


def advice_loss(told: Told, advice: Advice, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's weighted cross-entropy (n,) against the probability that another network gives it, and map against map.

    Args:
        told: The network's answers.
        advice: What the other says of the same films; a map with other cells is read at these.
        batch: Has the films' weights.
        recipe: Weighs the mean over a map's cells by `box_loss`, as it does against boxes.
    """
    loss = F.binary_cross_entropy_with_logits(told.logit, torch.sigmoid(advice.logit), reduction="none")
    if advice.evidence is not None:
        there = torch.sigmoid(at_cells(advice.evidence, told.evidence.shape[-2:]))
        cells = F.binary_cross_entropy_with_logits(told.evidence, there, reduction="none")
        loss = loss + recipe.box_loss * cells.mean((1, 2))
    return advice.weight * batch.weight * loss


def auxiliary_loss(also: Tensor, batch: Batch) -> Tensor:
    """Return each film's mean cross-entropy (n,) over what the table says of it besides its label; 0 where it says nothing."""
    known = ~batch.also.isnan()
    loss = F.binary_cross_entropy_with_logits(also, batch.also.nan_to_num(), reduction="none") * known
    return loss.sum(1) / known.sum(1).clamp(min=1)


def film_loss(logit: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's weighted cross-entropy (n,), `-w y log p - w (1 - y) log(1 - p)`.

    With `focus` it is weighed by how wrong the answer is, `|y - p| ** focus` (the focal loss of Lin et al., arXiv 1708.02002).
    """
    target = batch.label * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
    loss = batch.weight * F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    if recipe.focus:
        loss = loss * (batch.label - torch.sigmoid(logit)).abs() ** recipe.focus
    return loss


def evidence_loss(cells: Tensor, target: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Return each film's mean cross-entropy of evidence cells against boxes (n,); 0 where nothing is known of the place.

    A cell inside a box weighs `box_cells`, since a fracture covers few of them.
    """
    weight = torch.where(target > 0, recipe.box_cells, 1.0)
    loss = F.binary_cross_entropy_with_logits(cells, target, weight=weight, reduction="none")
    return loss.mean((1, 2)) * batch.boxed


def _known_loss(told: Told, batch: Batch, theta: Tensor, recipe: Recipe) -> Tensor:
    loss = film_loss(told.logit, batch, recipe)
    if recipe.box_loss:
        target = evidence_targets(batch, theta, (told.cells.shape[-2], told.cells.shape[-1]))
        loss = loss + recipe.box_loss * evidence_loss(told.cells, target, batch, recipe)
    if told.also.shape[1]:
        loss = loss + recipe.auxiliary_loss * auxiliary_loss(told.also, batch)
    return loss
