"""Osteon's own training step on the network of `torch_training.py`. MODEL is how many blocks are frozen, and the precision: 3,float32.

The step is the training's: its detector, its optimizer, its settings of the process. Augmentation and boxes are left out, as in the peer.
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from numpy.typing import NDArray
from peer import Network, main
from torch.nn import functional
from torch_training import BATCH

from osteon.lab.training.cpu import prepared_cpu
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import recipe
from osteon.lab.training.schedule import optimizer

KEPT = contextlib.ExitStack()  # until the process ends


def opened(model: str, side: int) -> Network:
    """Return a step that ignores the film it is given: its batch was drawn once."""
    KEPT.enter_context(prepared_cpu())
    torch.manual_seed(0)
    freeze, precision = model.split(",")
    settings = recipe(
        "osteon", ["head=mean", "evidence_stride=32", "pooling.kind=mean", "dropout=0", f"frame.size={side}", f"freeze={freeze}"]
    )
    detector = Detector(settings).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = optimizer(detector, settings)
    films = torch.randint(0, 256, (BATCH, side, side), dtype=torch.uint8)
    labels = torch.randint(0, 2, (BATCH,)).float()

    def step(_: NDArray[np.uint8]) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logit = detector.outputs(films).logit
        loss = functional.binary_cross_entropy_with_logits(logit, labels)
        steps.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
        return loss.item()

    return step


if __name__ == "__main__":
    main(opened)
