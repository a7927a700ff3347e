"""Steps of the real training, on this machine's device."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from osteon.lab.bench.films import link_tree, make_films
from osteon.lab.bench.record import Figure, figure
from osteon.lab.bench.setting import Setting
from osteon.lab.bench.timing import spread
from osteon.lab.data.build import build_index
from osteon.lab.data.index import write_index
from osteon.lab.training.networks.flops import step_flops
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.session import TrainingRequest, start_training

if TYPE_CHECKING:
    from osteon.lab.training.progress import Progress

WARM_UP = 2  # steps
PEAK = "its forward and backward arithmetic at the measured float32 peak"


def measure_training(setting: Setting, chosen: Recipe | None = None, device: str = "auto") -> list[Figure]:
    """Time steps of a recipe, the default one unless told otherwise, on made films; `device` is auto, cpu or cuda."""
    plan = chosen or recipe("osteon", ["init=random", "epochs=1", "abnormal_repeat=1"])
    count = plan.batch * (setting.effort.steps + WARM_UP)
    films = make_films(setting.folder / "films", setting.effort.distinct)
    index = indexed(link_tree(films, setting.folder / "tree", {"train": count, "valid": plan.batch}), setting.folder)
    ends: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "train":
            ends.append(time.perf_counter())

    start_training(TrainingRequest(plan, index, "train", "valid"), setting.folder / "run", device, [watch])
    steps = [later - earlier for earlier, later in zip(ends[WARM_UP - 1 :], ends[WARM_UP:], strict=False)]
    name = f"recipe {plan.name}: {plan.network} at {plan.frame.size}, batch {plan.batch}, {plan.freeze} blocks frozen"
    values = spread(steps).map(lambda s: plan.batch / s)
    return [figure(("training", name), "films/s", values, 1 / setting.limits.seconds(step_flops(plan)), PEAK)]


def indexed(tree: Path, folder: Path) -> Path:
    """Write the index of a data set into a folder; returns its file."""
    films, report = build_index(tree, decode=False)
    path = folder / "index.parquet"
    write_index(films, path, report)
    return path
