"""Index -> run -> model file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl

from osteon.errors import UsageError
from osteon.lab.face.given import Films, PathLike, index_file, path_of
from osteon.lab.progress import Watch, counting
from osteon.lab.training.export import Export, Exported, export_run
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import TrainingRequest, has_ended, resume_training, start_training
from osteon.lab.training.start.first_model import recipe_from


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What a training is asked, apart from the recipe.

    Attributes:
        learn: Split to learn from; several with commas between; "all" for every film.
        select: Split to choose checkpoints on, never the one that is reported; "" for none: the last epoch is kept.
        budget: Time limit in minutes, to which the schedule is shortened; 0 for none.
        save_every: Minutes between two checkpoints within an epoch.
        device: "auto", "cpu", "cuda" or "cuda:1".
        offline: Open no network connection.
    """

    learn: str = "train"
    select: str = "tune"
    budget: float = 0.0
    save_every: float = 5.0
    device: str = "auto"
    offline: bool = False


def train(
    index: Films | None,
    out: PathLike = "run",
    *,
    recipe: str = "osteon",
    settings: Mapping[str, object] | None = None,
    plan: TrainingPlan | None = None,
    callbacks: Sequence[Watch] = (),
) -> RunFolder:
    """Train a network on an index, or go on with a training.

    Args:
        index: The index; None goes on with the training in the folder, with its own settings.
        out: Folder of the training.
        recipe: "paper", "article", "osteon", or "boxed" for films whose findings are boxed.
        settings: Changes of the recipe by name, a dot reaches inside: `{"epochs": 3, "frame.size": 224, "init": "packaged"}`.
        plan: Which splits to learn from and to choose on, the time limit, the device.
        callbacks: Called with each step's `Progress`; the TensorBoard curves in the folder are one more of them.

    Raises:
        UsageError, DatasetError, MissingWeights, TrainingError: as `lab.training.session`.
        Stopped: it was interrupted, and left a checkpoint (a KeyboardInterrupt).
    """
    run, plan = RunFolder(path_of(out, "a training's folder")), plan or TrainingPlan()
    if settings is not None and not isinstance(settings, Mapping):
        raise UsageError(f"settings are a dict such as {{'epochs': 3}}; this is a {type(settings).__name__}.")
    if index is None and settings:
        change = "=".join(map(str, next(iter(settings.items()))))
        raise UsageError(f"{os.fspath(out)} continues with its own settings: {change} cannot be changed. Start another training for that.")
    if index is None:
        if not has_ended(run.folder):
            resume_training(run.folder, plan.device, plan.offline, callbacks)
        return run
    made = recipe_from(recipe, [f"{name}={_text(value)}" for name, value in (settings or {}).items()])
    if isinstance(index, pl.DataFrame):
        run.refuse_used()  # before the rows are written into the folder
    file = index_file(index, run.folder)
    request = TrainingRequest(made, file, plan.learn, plan.select, plan.budget, plan.save_every, plan.offline)
    start_training(request, run.folder, plan.device, callbacks)
    return run


def export(
    runs: PathLike | Sequence[PathLike],
    out: PathLike = "model.onnx",
    *,
    name: str = "",
    version: str = "0.1.0",
    members: int = 1,
    progress: Watch | None = None,
) -> Exported:
    """Write the best weights of a training, or an ensemble of several, as one model file, checked against torch.

    Args:
        runs: Folder of a training, or of several.
        out: The model file.
        name: In the card; "" for the recipe's.
        version: In the card.
        members: How many of a training's best epochs go into the ensemble.
        progress: Called when it is done.

    Raises:
        UsageError, CheckpointError, ModelFileError: as `lab.training.export.export_run`.
    """
    listed = runs if isinstance(runs, list | tuple) else [runs]
    if not listed:
        raise UsageError("there is no training in an empty list. Give the folder of one.")
    first, *others = (path_of(run, "a training") for run in listed)
    made = export_run(Export(first, path_of(out, "a model file"), name, version, members, tuple(others)))
    counting("export", progress)(1, 1)
    return made


def _text(value: object) -> str:
    """Return a setting as the command line takes it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
