"""Networks that say what they make of a step's films, beside the labels: the training's own average, and finished trainings.

A limb's mirror image is the other limb, as abnormal as the first, and a network still answers otherwise (`docs/experiments.md`). The mean
of both looks ranks better than either and costs twice the time; a network that is taught to agree with its own average about the mirror
image (mean teacher, arXiv 1703.01780) should have part of that in one look.

An ensemble of trainings ranks better than any of them and costs as many times as much; a network that is taught by all of them should keep
part of that (distillation, arXiv 1503.02531). They are asked about the very pixels that a step shows, so they need not have the size, the
head or the network of what they teach, and of the place they speak in every film, where boxes speak in the abnormal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import torch
from torch import Tensor

from osteon.errors import UsageError
from osteon.lab.training.companions import State
from osteon.lab.training.first_model import find_whole, load_first
from osteon.lab.training.network import Detector, Ensemble
from osteon.lab.training.recipe import Recipe, teachers
from osteon.lab.training.run import RunFolder


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


class Council:
    """The mean of finished trainings, which learn no more."""

    def __init__(self, recipe: Recipe, detectors: Sequence[Detector], device: torch.device) -> None:
        self._weight = recipe.teaching
        self._ensemble = Ensemble(detectors).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def advise(self, image: Tensor, fraction: float) -> Advice:
        """Return what they say of the films; it counts as much at any time."""
        with torch.no_grad():
            logit, evidence = self._ensemble(image)
        return Advice(logit, evidence, self._weight)


def advisers(recipe: Recipe, mean: State, taught: Sequence[Detector], device: torch.device) -> list[Adviser]:
    """Return whom a training asks.

    Args:
        recipe: Says so.
        mean: The training's averaged weights.
        taught: As `load_teachers` returns them.
        device: Where the training is computed.

    Raises:
        UsageError: as `Elder`.
    """
    found: list[Adviser] = [Council(recipe, taught, device)] if taught else []
    return [*found, Elder(recipe, mean, device)] if recipe.mirror else found


def load_teachers(recipe: Recipe) -> tuple[list[Detector], str]:
    """Return the trainings that `recipe.teachers` names, and a line for the run's record; nothing and "" where it names none.

    Raises:
        UsageError: a name is no training's folder, or it has learned without labels.
        MissingWeights: it has no finished pass, or its weights cannot be read.
    """
    found, told = [], []
    for name in teachers(recipe):
        whole = find_whole(name) if Path(name).is_dir() else None
        if whole is None or not whole.answers:
            raise UsageError(f"teachers: {name} is not the folder of a training with labels. Name one that `osteon train -o` made.")
        own = msgspec.structs.replace(RunFolder(whole.place).record().recipe, init=name, mean_with="")
        with torch.random.fork_rng():  # the training draws as it would without teachers
            detector = Detector(own)
        told.append(load_first(detector, own).told.partition(", itself begun")[0])
        found.append(detector.requires_grad_(False))
    return found, f"taught by {', and by '.join(told)}" if told else ""
