"""Training on a GPU: films a second beside a plain script and libraries, how far from the machine's limit, and whether the GPU waits.

    python benchmarks/gpu.py [--device cuda] [--minutes 8] [-o bench-out/gpu.json]

Each way of a step learns from the same random films on the device. The dearest to begin with, compiled ones, come last; what there is no
time for is said, and all that is found is in the file at once. Libraries (timm, torchvision) are measured where they are installed.

Written where no GPU was at hand: `--device cpu --sides 64 --batch 2 --quick` shows that it runs.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import torch

from gpu_steps import WAYS, Peaks, Row, Way, measured, measured_peaks
from gpu_training import Loop, Numerics, numerics, whole_loop

NETWORKS = {"densenet169": 64, "lite0": 128}
"""What is trained, and in batches of how many."""

SIDES = (224, 320)
LEARNED, FEW = {"train": 1500, "valid": 500}, {"train": 8, "valid": 6}
"""Films of the trainings that compare precisions; the few say nothing."""


class Found(msgspec.Struct, kw_only=True):
    """All that was measured."""

    device: str
    torch: str
    peaks: Peaks
    rows: list[Row] = []
    loops: list[Loop] = []
    numerics: Numerics | None = None
    left_out: list[str] = []


def main() -> None:
    """Measure and write."""
    given = _arguments()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no NVIDIA GPU here, or torch was built without CUDA. --device cpu shows that it runs.")
    torch.backends.cudnn.benchmark = True  # for all ways alike: osteon's training sets it, and so do most scripts
    ends, peaks = time.monotonic() + 60 * given.minutes, measured_peaks(device)
    found = Found(device=device_name(device), torch=str(torch.__version__), peaks=peaks)
    print(f"{found.device}: {peaks.float32:.3g} TFLOP/s in float32, {peaks.bfloat16:.3g} in bfloat16, {peaks.memory:,.0f} GB/s", flush=True)
    for what, part in _parts(given, device, found).items():
        if time.monotonic() < ends:
            try:
                print(part(), flush=True)
            except Exception as fault:  # one part that fails costs no other
                found.left_out.append(f"{what}: {type(fault).__name__}: {fault}")
        else:
            found.left_out.append(f"{what}: the time was up")
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print("\n".join([*(f"not measured: {what}" for what in found.left_out), f"written: {given.out}"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which nothing more is begun")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--sides", default=",".join(map(str, SIDES)))
    parser.add_argument("--batch", type=int, default=0, help="films of a step; by default as many as are quick on a large GPU")
    parser.add_argument("--ways", default="", help="only those whose name has this in it, and no training")
    parser.add_argument("--quick", action="store_true", help="a few steps of each, to see that it runs")
    parser.add_argument("-o", "--out", type=Path, default=Path("bench-out/gpu.json"))
    return parser.parse_args()


def _parts(given: argparse.Namespace, device: torch.device, found: Found) -> Mapping[str, Callable[[], str]]:
    """Return what is measured, in order, by name; each adds to what was found and says it."""
    networks, sides = given.networks.split(","), [int(side) for side in given.sides.split(",")]
    effort = (device, 1, 1e-3) if given.quick else (device, given.rounds, given.seconds)

    def step(way: Way, network: str, side: int) -> str:
        row = measured(way, network, (given.batch or NETWORKS[network], side), found.peaks, effort)
        found.rows.append(row)
        return row.in_words()

    def training(network: str) -> str:
        told = whole_loop(device, network, (given.batch or NETWORKS[network], max(sides)), 2 if given.quick else 60)
        found.loops.append(told)
        return told.in_words()

    def precisions() -> str:
        asked = (FEW, 1, ("epochs=1", "batch=4")) if given.quick else (LEARNED, 3, ("epochs=8", "batch=64"))
        found.numerics = numerics(device, min(sides), *asked)
        return found.numerics.in_words()

    def steps(compiled: bool) -> dict[str, Callable[[], str]]:
        ways = [way for way in WAYS if given.ways in way.name and bool(way.compiled) == compiled]
        each = itertools.product(networks, sides, ways)
        return {f"{network} {side} {way.name}": partial(step, way, network, side) for network, side, way in each}

    trainings = {} if given.ways else {f"the whole training of {network}": partial(training, network) for network in networks}
    both = {} if given.ways else {"bfloat16 beside float32": precisions}
    return {**steps(compiled=False), **trainings, **both, **steps(compiled=True)}


def device_name(device: torch.device) -> str:
    """Return what the device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
