"""What all peers share: one film or a folder of them, from the command line; or films on request, for times in turn.

    python PEER.py MODEL SIDE --folder DIR      prints the probability of each film, read by Pillow one after the other
    python PEER.py MODEL SIDE --serve           reads a number a line, answers one made film so often, prints the seconds of each as JSON

Only the standard library, numpy and Pillow are used here: osteon is not installed where Keras is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Network = Callable[[NDArray[np.uint8]], float]
"""A film (S, S) uint8 -> probability."""


def main(opened: Callable[[str, int], Network]) -> None:
    """Run a peer; `opened` takes the model that was named and the side of a film."""
    model, side, what, *rest = sys.argv[1:]
    network = opened(model, int(side))
    if what == "--folder":
        for path in sorted(Path(rest[0]).iterdir()):
            print(f"{path.name}: {network(read(path, int(side))):.3f}")
    else:
        serve(network, int(side))


def read(path: Path, side: int) -> NDArray[np.uint8]:
    """Read and scale a film, as a script does it."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((side, side), Image.Resampling.BILINEAR)).copy()


def serve(network: Network, side: int) -> None:
    """Answer a film as often as each line of the standard input says."""
    film = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            began = time.perf_counter()
            network(film)
            seconds.append(time.perf_counter() - began)
        print(json.dumps(seconds), flush=True)
