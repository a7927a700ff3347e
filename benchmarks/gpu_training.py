"""The whole training on a GPU: whether its step waits for films or for this process, and whether bfloat16 learns as float32 does."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import msgspec
import torch

from films import indexed, link_tree, make_films
from gpu_steps import MURA, WARM_UP, Way, made_step, rate
from osteon.lab.progress import Progress
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.session import TrainingRequest, start_training

DISTINCT = 28
"""Different films behind the names in a training."""

ASKED = ("init=random", "abnormal_repeat=1", "freeze=0")
FEW = 8
"""Steps of a training whose waits are counted, after those that are not timed."""

WAITS = "synchronizing CUDA operation"
"""What torch calls that at which a process waits for the GPU."""


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """`osteon train` itself, store, augmentation and records included, and its step alone with the films on the device, films a second.

    `waits` counts, by line, where a training of a few steps had this process wait for the GPU.
    """

    network: str
    side: int
    batch: int
    whole: float
    steps: float
    waits: dict[str, int] = {}

    def in_words(self) -> str:
        """Return it as lines."""
        told = (
            f"{self.network} {self.side}, the whole training: {self.whole:,.0f} films/s, its steps alone {self.steps:,.0f} "
            f"({self.whole / self.steps:.2f}), a pass over MURA {MURA / self.whole:.1f} s"
        )
        return "\n".join(
            [told, *(f"    {count} waits in {FEW} steps, begin and end included: {line}" for line, count in self.waits.items())]
        )


class Numerics(msgspec.Struct, frozen=True, kw_only=True):
    """AUROC on held-out synthetic films of trainings that differ in precision and seed alone, by precision; seeds in the same order."""

    films: int
    auroc: dict[str, list[float]]

    def in_words(self) -> str:
        """Return it as a line."""
        float32, bfloat16 = self.auroc.values()
        means, differences = (statistics.mean(float32), statistics.mean(bfloat16)), [b - a for a, b in zip(float32, bfloat16, strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
        return (
            f"AUROC on {self.films} synthetic films: float32 {means[0]:.4f}, bfloat16 {means[1]:.4f}, "
            f"difference {means[1] - means[0]:+.4f} (standard error {error:.4f}, {len(differences)} seeds)"
        )


def whole_loop(device: torch.device, network: str, shape: tuple[int, int], steps: int) -> Loop:
    """Return how fast the whole training is; `shape` is films and their side, `steps` those that are timed.

    If it is slower than its steps alone by more than a little, the GPU waits.
    """
    batch, side = shape
    plan = recipe("osteon", [*ASKED, "precision=bfloat16", "epochs=1", f"network={network}", f"frame.size={side}", f"batch={batch}"])
    told = _timed(plan, steps, device)
    waits: dict[str, int] = {}
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                _timed(plan, FEW, device)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        lines = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in heard if WAITS in str(w.message))
        waits = dict(lines.most_common(12))
    step = made_step(Way(name="the recipe"), plan, batch, device)
    for _ in range(WARM_UP):
        step()
    return Loop(network=network, side=side, batch=batch, whole=told, steps=batch * rate(step, device, 2.0), waits=waits)


def numerics(device: torch.device, side: int, counts: dict[str, int], seeds: int, changes: tuple[str, ...] = ()) -> Numerics:
    """Train Lite0 in both precisions on as many synthetic films of "train" as `counts` says, and rank those of "valid"."""
    auroc: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = make_films(folder / "films", sum(counts.values()))
        index = indexed(link_tree(films, folder / "tree", counts), folder)
        for seed in range(seeds):
            for precision, found in auroc.items():
                asked = [*ASKED, f"frame.size={side}", f"precision={precision}", f"seed={seed}", *changes]
                request = TrainingRequest(recipe("osteon", asked), index, "train", "valid")
                history = start_training(request, folder / f"{precision} {seed}", device.type)
                found.append(history[-1].select_auroc or float("nan"))
    return Numerics(films=counts["valid"], auroc=auroc)


def _timed(plan: Recipe, steps: int, device: torch.device) -> float:
    """Return the films a second of `osteon train` itself, by the median of its steps."""
    ends: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "train":
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = {"train": plan.batch * (steps + WARM_UP), "valid": plan.batch}
        index = indexed(link_tree(make_films(folder / "films", DISTINCT), folder / "tree", counts), folder)
        start_training(TrainingRequest(plan, index, "train", "valid"), folder / "run", device.type, [watch])
    taken = [later - earlier for earlier, later in zip(ends[WARM_UP - 1 :], ends[WARM_UP:], strict=False)]
    return plan.batch / statistics.median(taken)
