"""The same network in plain PyTorch: eager, float32, contiguous memory. MODEL names a recipe."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from peer import Network, main

from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import recipe


def opened(model: str, _: int) -> Network:
    """Return the network of a recipe with random weights."""
    torch.manual_seed(0)
    detector = Detector(recipe(model)).eval()

    def network(film: NDArray[np.uint8]) -> float:
        with torch.inference_mode():
            logit, _ = detector(torch.from_numpy(film)[None])
        return float(torch.sigmoid(logit).item())

    return network


if __name__ == "__main__":
    main(opened)
