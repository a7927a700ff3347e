"""Networks that say what they make of a step's films, beside the labels: the training's own average, and finished ones.

A limb's mirror image is the other limb, as abnormal as the first, and a network still answers otherwise (`docs/experiments.md`). The mean
of both looks ranks better than either and costs twice the time; a network that is taught to agree with its own average about the mirror
image (mean teacher, arXiv 1703.01780) should have part of that in one look.

An ensemble of trainings ranks better than any of them and costs as many times as much; a network that is taught by all of them should keep
part of that (distillation, arXiv 1503.02531). They are asked about what a step shows, window and warp included, each at the size of films
that it knows; so they need not have the frame's side, the head or the network of what they teach, and of the place they speak in every
film, where boxes speak in the abnormal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.errors import UsageError
from osteon.lab.training.augmentation.augment import SIDE_STEP, shrunk
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import OSTEON, Recipe, teachers
from osteon.lab.training.start.first_model import find_whole, recipe_from
from osteon.lab.training.start.weight_averaging import State, load_other


class Advice(NamedTuple):
    """Logits (n,) for a step's films, evidence (n, h, w) where the place is spoken of too, and what the advice weighs beside the labels."""

    logit: Tensor
    evidence: Tensor | None
    weight: float


class Adviser(Protocol):
    """What a step asks beside the labels."""

    def advise(self, image: Tensor, fraction: float) -> Advice:
        """Return what is said of films (n, S, S), 0 to 255, when `fraction` of the training is done."""


class Elder:
    """A detector that has the averaged weights, and follows them: it holds the same tensors."""

    def __init__(self, recipe: Recipe, mean: State, device: torch.device) -> None:
        """Build it.

        Args:
            recipe: Of the training.
            mean: The averaged weights, changed in place from step to step.
            device: Where they are.

        Raises:
            UsageError: the recipe keeps no average.
        """
        if not mean:
            raise UsageError("mirror: there are no averaged weights to learn from. Set ema as well, or train with --set mirror=0.")
        self._weight = recipe.mirror
        self._detector = Detector(recipe).to(device).eval()
        self._detector.load_state_dict(mean, assign=True)

    def advise(self, image: Tensor, fraction: float) -> Advice:
        """Return what the average says of the mirror images; a young one counts for little."""
        with torch.no_grad():
            logit: Tensor = self._detector(image.flip(-1))[0]
        return Advice(logit, None, self._weight * fraction)


class Teacher(NamedTuple):
    """A network that learns no more, and the side in pixels of the films that it has learned from."""

    detector: Detector
    side: int


class Council:
    """The mean of finished networks."""

    def __init__(self, recipe: Recipe, members: Sequence[Teacher], device: torch.device) -> None:
        self._weight, self._side, self._members = recipe.teaching, recipe.frame.size, members
        for member in members:
            member.detector.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def advise(self, image: Tensor, fraction: float) -> Advice:
        """Return the mean of their logits and of their maps, at the cells of the finest; it counts as much at any time."""
        with torch.no_grad():
            logits, maps = zip(*(self._said(member, image) for member in self._members), strict=True)
            finest = max(maps, key=lambda evidence: evidence.shape[-1]).shape[-2:]
            evidence = torch.stack([at_cells(evidence, finest) for evidence in maps]).mean(0)
        return Advice(torch.stack(logits).mean(0), evidence, self._weight)

    def _said(self, member: Teacher, image: Tensor) -> tuple[Tensor, Tensor]:
        side = max(round(image.shape[-1] * member.side / self._side / SIDE_STEP), 1) * SIDE_STEP  # comes out even when it is halved
        answer: tuple[Tensor, Tensor] = member.detector(shrunk(image, side))
        return answer


def advisers(recipe: Recipe, mean: State, members: Sequence[Teacher], device: torch.device) -> list[Adviser]:
    """Return whom a training asks.

    Args:
        recipe: Says so.
        mean: The training's averaged weights.
        members: Of the council, as `load_teachers` returns them.
        device: Where the training is computed.

    Raises:
        UsageError: as `Elder`.
    """
    found: list[Adviser] = [Council(recipe, members, device)] if members else []
    return [*found, Elder(recipe, mean, device)] if recipe.mirror else found


def load_teachers(recipe: Recipe) -> tuple[list[Teacher], str]:
    """Return those that `recipe.teachers` names, and a line for the run's record; nothing and "" where it names none.

    Raises:
        UsageError: a name is no model, nor the folder of a training with labels; or the model is an ensemble.
        MissingWeights: a training has no finished pass, or its weights cannot be read.
        ModelFileError: the model file is not there, or none.
    """
    found, told = [], []
    for name in teachers(recipe):
        whole = find_whole(name)
        if whole is None or not whole.answers:
            raise UsageError(
                f"teachers: {name} is no model, nor the folder of a training with labels. Name one that `osteon train -o` made, or a model."
            )
        own = recipe_from(OSTEON.name, [f"init={name}", "freeze=0"])
        detector, line = load_other(own)
        told.append(line)
        found.append(Teacher(detector.eval(), own.frame.size))
    return found, f"taught by {', and by '.join(told)}" if told else ""


def at_cells(evidence: Tensor, cells: torch.Size) -> Tensor:
    """Return maps (n, h, w) as they are at the cells of another map, (n, *cells)."""
    return F.interpolate(evidence[:, None], size=list(cells), mode="bilinear", align_corners=False)[:, 0]
