"""Floating-point operations (FLOPs) of a training step, counted by torch as it runs one."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe


def step_flops(recipe: Recipe) -> int:
    """Return the operations of one film's share of a step, forward and backward; frozen blocks have no backward pass.

    The multiplications and the additions of convolutions and matrix products count, nothing else does.
    """
    detector = Detector(recipe).train()
    films = torch.zeros(2, recipe.frame.size, recipe.frame.size, dtype=torch.uint8)  # batch normalisation wants two
    with FlopCounterMode(display=False) as counted:
        outputs = detector.outputs(films)
        (outputs.logit.sum() + outputs.cells.sum()).backward()  # type: ignore[no-untyped-call]
    return int(counted.get_total_flops()) // len(films)
