"""The peer of `startup.py`: one film through the same network in plain PyTorch, as a script would do it.

python benchmarks/torch_predict.py FILM WEIGHTS
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image

from osteon.lab.training.network import Detector
from osteon.lab.training.recipe import recipe


def main(film: str, weights: str) -> None:
    """Read, scale, run, print the probability."""
    settings = recipe("osteon")
    detector = Detector(settings)
    detector.load_state_dict(torch.load(weights, weights_only=True))
    detector.eval()
    side = settings.frame.size
    image = np.asarray(Image.open(film).convert("L").resize((side, side), Image.Resampling.BILINEAR))
    with torch.inference_mode():
        logit, _ = detector(torch.from_numpy(image.copy())[None])
    print(f"{film}: {torch.sigmoid(logit).item():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
