"""The averaged weights as a teacher: what they say of a film's mirror image.

A limb's mirror image is the other limb, as abnormal as the first, and a network still answers otherwise (`docs/experiments.md`). The mean
of both looks ranks better than either and costs twice the time; a network that is taught to agree with its own average about the mirror
image (mean teacher, arXiv 1703.01780) should have part of that in one look.
"""

from __future__ import annotations

import torch
from torch import Tensor

from osteon.errors import UsageError
from osteon.lab.training.network import Detector
from osteon.lab.training.recipe import Recipe


class Elder:
    """A detector that has the averaged weights, and follows them: it holds the same tensors."""

    def __init__(self, recipe: Recipe, mean: dict[str, Tensor], device: torch.device) -> None:
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
        self.detector = Detector(recipe).to(device).eval()
        self.detector.load_state_dict(mean, assign=True)

    def of(self, image: Tensor) -> Tensor:
        """Return the logits (n,) of the mirror images of films (n, S, S)."""
        with torch.no_grad():
            logit: Tensor = self.detector(image.flip(-1))[0]
        return logit
