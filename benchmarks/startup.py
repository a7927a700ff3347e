"""Process start to first answer for one film: `osteon predict` against the same network in plain PyTorch, in one run.

    python benchmarks/startup.py [--runs 7] [--json FILE]

Each command is a process of its own, the three in turn: osteon with its compiled model kept from an earlier start, osteon with an empty
cache, PyTorch. Weights are random, since time does not depend on them; the film is made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from osteon.card import Card, Pooling
from osteon.lab.phantom.film import make_film
from osteon.lab.training.export import write_model
from osteon.lab.training.network import Detector
from osteon.lab.training.recipe import recipe

HERE = Path(__file__).parent
TARGET = 1 / 3


def main() -> None:
    """Time the three, print the table, and fail where osteon needs more than a third of PyTorch's time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder), options.runs)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{platform.machine()}, {os.cpu_count()} processors, median (least to most) of {options.runs} runs")
    for name, times in seconds.items():
        share = medians[name] / medians["PyTorch"]
        print(f"{name:24} {medians[name]:6.2f} s ({min(times):.2f} to {max(times):.2f})  {share:.2f} of PyTorch's")
    if options.json:
        options.json.write_text(json.dumps(seconds, indent=1))
    if medians["osteon, model kept"] > TARGET * medians["PyTorch"]:
        sys.exit("osteon needs more than a third of PyTorch's time")


def measure(folder: Path, runs: int) -> dict[str, list[float]]:
    """Return the seconds of each run of each command."""
    film, model, weights = _prepared(folder)
    kept, emptied = folder / "kept", folder / "emptied"
    osteon = [sys.executable, "-m", "osteon", "predict", str(film), "--model", str(model)]
    peer = [sys.executable, str(HERE / "torch_predict.py"), str(film), str(weights)]
    _seconds(osteon, kept)
    _seconds(peer, kept)
    seconds: dict[str, list[float]] = {"osteon, model kept": [], "osteon, empty cache": [], "PyTorch": []}
    for _ in range(runs):
        shutil.rmtree(emptied, ignore_errors=True)
        for times, command, cache in zip(seconds.values(), (osteon, osteon, peer), (kept, emptied, kept), strict=True):
            times.append(_seconds(command, cache))
    return seconds


def _prepared(folder: Path) -> tuple[Path, Path, Path]:
    from PIL import Image

    settings = recipe("osteon")
    torch.manual_seed(0)
    detector = Detector(settings).eval()
    pooling = Pooling(kind=settings.pooling.kind, sharpness=settings.pooling.sharpness)
    film, model, weights = folder / "film.png", folder / "model.onnx", folder / "weights.pt"
    Image.fromarray(make_film(np.random.default_rng(0), "WRIST", abnormal=True).pixels).save(film)
    write_model(detector, Card(name="random", version="0.0.0", frame=settings.frame, pooling=pooling), model)
    torch.save(detector.state_dict(), weights)
    return film, model, weights


def _seconds(command: list[str], cache: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OSTEON_CACHE": str(cache)})
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
