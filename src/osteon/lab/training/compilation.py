"""A training's network, compiled by torch for its device where the recipe asks for it.

Not the default: on a CPU the layers' own kernels are quicker (`docs/performance.md`), and what a GPU says has to be measured there
(`benchmarks/gpu.py`). Measuring, keeping and exporting see the network as it is written.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from osteon.errors import UsageError
from osteon.lab.training.recipe import Recipe

MODES = {"yes": "default", "graphs": "reduce-overhead"}
"""`Recipe.compiled` -> mode of torch.compile; the second replays the GPU's work as CUDA graphs."""


def refuse_uncompilable(recipe: Recipe, device: torch.device) -> None:
    """Refuse a recipe that is to be compiled where that cannot be done, before a run begins.

    Raises:
        UsageError: CUDA graphs without a GPU, or torch finds no compiler.
    """
    if recipe.compiled == "no":
        return
    if recipe.compiled == "graphs" and device.type != "cuda":
        raise UsageError("compiled=graphs: CUDA graphs need an NVIDIA GPU. Take --set compiled=yes, or no.")
    try:
        torch.compile(_trial)(torch.ones(8, device=device))
    except Exception as fault:  # each compiler has errors of its own
        reason = next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
        needed = "a C++ compiler" if device.type == "cpu" else "Triton"
        raise UsageError(
            f"compiled={recipe.compiled}: torch cannot compile here, {reason}. Install {needed}, or --set compiled=no."
        ) from fault


def compiled(network: nn.Module, recipe: Recipe) -> nn.Module:
    """Return the network as the recipe wants it; it has the same weights, and films of another size are compiled for anew."""
    if recipe.compiled == "no":
        return network
    return cast(nn.Module, torch.compile(network, mode=MODES[recipe.compiled], dynamic=False))


def _trial(values: Tensor) -> Tensor:
    return values * 2 + 1
