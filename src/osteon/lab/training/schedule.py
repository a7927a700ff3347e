"""The learning rate, and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from osteon.lab.training.recipe import Recipe

PLATEAU_FACTOR = 0.1  # the paper's


def rate(recipe: Recipe, fraction: float, falls: int) -> float:
    """Return what the recipe's learning rates are multiplied by.

    Args:
        recipe: Its `schedule` says how: "cosine" by the fraction done, after a linear `warmup`; "plateau" by the falls so far.
        fraction: Of the training that is done, 0 to 1.
        falls: How often the selection loss has stopped falling after an epoch.
    """
    if recipe.schedule == "plateau":
        return float(PLATEAU_FACTOR**falls)
    if fraction < recipe.warmup:
        return fraction / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * min((fraction - recipe.warmup) / (1 - recipe.warmup), 1)))


def optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters that learn: backbone and head with their own rates, biases and norms without decay."""
    groups = []
    for head in (False, True):
        for decays in (False, True):
            chosen = [
                p
                for name, p in network.named_parameters()
                if p.requires_grad and name.startswith("backbone.") != head and (p.ndim > 1) == decays
            ]
            base = recipe.head_learning_rate if head else recipe.learning_rate
            if chosen:
                groups.append({"params": chosen, "lr": base, "base": base, "weight_decay": recipe.weight_decay if decays else 0.0})
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=(0.9, 0.999), fused=True)


def average(mean: dict[str, Tensor], now: dict[str, Tensor], decay: float, step: int) -> None:
    """Move averaged weights towards a network's, in place; early steps move them more, and counters are copied.

    Args:
        mean: A state dict.
        now: That of the network, just changed; it has the same names.
        decay: Of the average, after many steps.
        step: Steps done so far.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step))
    real = [key for key in mean if mean[key].is_floating_point()]
    counters = [key for key in mean if not mean[key].is_floating_point()]
    torch._foreach_lerp_([mean[key] for key in real], [now[key] for key in real], weight)
    if counters:
        torch._foreach_copy_([mean[key] for key in counters], [now[key] for key in counters])
