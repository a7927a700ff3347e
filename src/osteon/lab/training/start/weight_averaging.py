"""Trainings whose kept weights join those of another at its end, as one mean (arXiv 2203.05482).

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
from osteon.lab.training.recipe import FIRST, Recipe, companions
from osteon.lab.training.start.first_model import find_whole, load_first

State = dict[str, Tensor]


def load_companions(recipe: Recipe) -> tuple[list[State], str]:
    """Return the weights of the trainings that `recipe.mean_with` names, but for `first`, and a line for the run's record.

    Raises:
        UsageError: a name is no training's folder, it has learned without labels, or its network, head or pooling is another.
        MissingWeights: it has no finished pass, or its weights cannot be read.
    """
    found, told = [], []
    for name in companions(recipe):
        if name == FIRST:
            told.append("the first weights")
            continue
        whole = find_whole(name)
        if whole is None or not whole.answers or not Path(name).is_dir():
            raise UsageError(
                f"mean_with: {name} is not the folder of a training with labels. Name one that `osteon train -o` made, or {FIRST!r}."
            )
        detector, line = load_other(msgspec.structs.replace(recipe, init=name, mean_with=""))
        told.append(line)
        found.append({key: value for key, value in detector.state_dict().items() if not key.startswith("auxiliary.")})
    return found, f"kept as the mean with {', and with '.join(told)}" if told else ""


def load_other(recipe: Recipe) -> tuple[Detector, str]:
    """Return the detector that `recipe.init` is, a whole model, and a line for the record of the training that it accompanies.

    Raises:
        UsageError, MissingWeights, ModelFileError: as `load_first`.
    """
    with torch.random.fork_rng():  # the training draws as it would without company
        detector = Detector(recipe)
    return detector, load_first(detector, recipe).told.partition(", itself begun")[0]


def mean(learned: State, others: Sequence[State]) -> State:
    """Return the mean of weights, each counting alike; counters, and what the others have not, as learned."""

    def joined(key: str, value: Tensor) -> Tensor:
        along = [other[key].to(value) for other in others if key in other]
        return torch.stack([value, *along]).mean(0) if along and value.is_floating_point() else value

    return {key: joined(key, value) for key, value in learned.items()}
