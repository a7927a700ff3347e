"""Trainings whose kept weights are averaged with those of another at its end (arXiv 2203.05482).

Networks that come from the same whole model lie in one valley of the loss, so that the mean of their weights answers about as their
ensemble does, in one network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from osteon.errors import UsageError
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import FIRST, Recipe, averaged_with
from osteon.lab.training.start.first_model import find_whole, load_first

Weights = dict[str, Tensor]


def load_averaged(recipe: Recipe) -> tuple[list[Weights], str]:
    """Return the weights of the trainings that `recipe.average_with` names, but for `first`, and a line for the run's record.

    Raises:
        UsageError: a name is no training's folder, or its network, head or pooling is another.
        MissingWeights: it has no finished epoch, or its weights cannot be read.
    """
    found, lines = [], []
    for name in averaged_with(recipe):
        if name == FIRST:
            lines.append("the first weights")
            continue
        whole = find_whole(name)
        if whole is None or not Path(name).is_dir():
            raise UsageError(f"average_with: {name} is not the folder of a training. Name one that `osteon train -o` made, or {FIRST!r}.")
        other = msgspec.structs.replace(recipe, init=name, average_with="")
        with torch.random.fork_rng():  # the training draws as it would without them
            detector = Detector(other)
        lines.append(load_first(detector, other).source.partition(", itself begun")[0])
        found.append(detector.state_dict())
    return found, f"averaged with {', and with '.join(lines)}" if lines else ""


def mean(learned: Weights, others: Sequence[Weights]) -> Weights:
    """Return the mean of weights, each counting alike; counters, and what the others have not, as learned."""

    def averaged(key: str, value: Tensor) -> Tensor:
        along = [other[key].to(value) for other in others if key in other]
        return torch.stack([value, *along]).mean(0) if along and value.is_floating_point() else value

    return {key: averaged(key, value) for key, value in learned.items()}
