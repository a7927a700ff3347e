"""From an index to a run folder: start a training, or go on with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
import torch

from osteon.errors import DatasetError, MissingWeights, UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.splits import learned
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.progress import Epoch, Progress, Watch, each_of
from osteon.lab.training.batches import TrainingFilms
from osteon.lab.training.compilation import refuse_uncompilable
from osteon.lab.training.cpu import prepared_cpu
from osteon.lab.training.distributed import Processes, process_group
from osteon.lab.training.earlier import refuse_gone
from osteon.lab.training.loop import Training
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.progress import curves
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord, code_commit
from osteon.lab.training.start.first_model import First, load_first
from osteon.lab.training.start.from_onnx import give_norms
from osteon.lab.training.start.weight_averaging import Weights, load_averaged
from osteon.lab.training.state import ended, saved_state


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What a user asks for; `learn` and `select` as in `Plan`, `budget` and `save_every` minutes (no budget: the recipe's epochs)."""

    recipe: Recipe
    index: Path
    learn: str = "train"
    select: str = "tune"
    budget: float = 0.0
    save_every: float = 5.0
    offline: bool = False


def start_training(request: TrainingRequest, folder: Path, device: str = "auto", callbacks: Sequence[Watch] = ()) -> list[Epoch]:
    """Train from the first weights; returns a row an epoch.

    Args:
        request: What is asked.
        folder: Of this training; made here.
        device: "auto", "cpu", "cuda" or "cuda:1".
        callbacks: Called in turn with each step's `Progress`; the TensorBoard curves in the folder are one more of them.

    Raises:
        UsageError: the folder already holds a training, or no selection split is named and the recipe needs one; or as
            `refuse_uncompilable`.
        DatasetError: a split is missing or holds no usable film.
        MissingWeights: the first weights are not there.
        TrainingError: as `Training.go_on`.
    """
    run = RunFolder(folder)
    if not request.select:
        refuse_selecting(request.recipe)
    with prepared_cpu(), process_group(device) as processes:
        watched = callbacks if processes.leads else ()
        if processes.leads:
            run.refuse_used()
        refuse_uncompilable(request.recipe, processes.device)
        films = read_index(request.index)
        detector = _first(request.recipe)
        first, others, sources = _begun(detector, request.recipe, request.offline)
        plan = Plan(
            index=str(request.index.resolve()),
            fingerprint=fingerprint(films),
            train=request.learn,
            select=request.select,
            budget=request.budget,
            save_every=request.save_every,
        )
        record = RunRecord(
            recipe=request.recipe,
            plan=plan,
            weights=sources,
            code_commit=code_commit(),
            processes=processes.world_size,
            device=_device_name(processes),
            threads=torch.get_num_threads(),
        )
        learn, held, refused = _films(films, record, each_of(watched))
        give_norms(detector, first.folded, learn)
        record = msgspec.structs.replace(record, refused=refused)
        if processes.leads:
            run.start(record)
        return _go_on(Training(record, run, processes, detector, others), learn, held, watched)


def has_ended(folder: Path) -> bool:
    """Return whether there is nothing to go on with.

    Raises:
        UsageError: the folder holds no training.
        CheckpointError: its checkpoint cannot be read.
    """
    run = RunFolder(folder)
    record = run.record()
    return ended(saved_state(run), record)


def resume_training(folder: Path, device: str = "auto", offline: bool = False, callbacks: Sequence[Watch] = ()) -> list[Epoch]:
    """Go on with a training from its last checkpoint.

    Raises:
        UsageError: the folder holds no training, one of another number of processes, or one with a setting that is gone.
        DatasetError: the index is no longer the one it was started with.
        TrainingError: as `Training.go_on`.
    """
    run = RunFolder(folder)
    record = run.record()
    refuse_gone(run.record_file)
    with prepared_cpu(), process_group(device) as processes:
        watched = callbacks if processes.leads else ()
        films = read_index(Path(record.plan.index))
        if fingerprint(films) != record.plan.fingerprint:
            raise DatasetError(f"{record.plan.index} has changed since {folder} was started. Restore it, or start a new training.")
        if processes.world_size != record.processes:
            raise UsageError(f"{folder} was started with {record.processes} processes, not {processes.world_size}. Go on with as many.")
        refuse_uncompilable(record.recipe, processes.device)
        detector = _first(record.recipe)
        fresh = not run.checkpoint.exists()  # killed before the first one
        first, others, sources = _begun(detector, record.recipe, offline) if fresh else (First(""), [], record.weights)
        if sources != record.weights:
            raise MissingWeights(f"{folder} was started from {record.weights}, and now there is {sources}. Put the old file back.")
        learn, held, _ = _films(films, record, each_of(watched))
        give_norms(detector, first.folded, learn)
        return _go_on(Training(record, run, processes, detector, others), learn, held, watched)


def train_on(
    request: TrainingRequest | None, folder: Path, device: str = "auto", offline: bool = False, callbacks: Sequence[Watch] = ()
) -> list[Epoch]:
    """Start the training of a folder that has none, as `start_training`; else go on with it, unless it has ended."""
    run = RunFolder(folder)
    if run.record_file.exists():
        return run.history() if has_ended(folder) else resume_training(folder, device, offline, callbacks)
    assert request is not None
    return start_training(request, folder, device, callbacks)


def _first(recipe: Recipe) -> Detector:
    torch.manual_seed(recipe.seed)
    return Detector(recipe)


def _begun(detector: Detector, recipe: Recipe, offline: bool) -> tuple[First, list[Weights], str]:
    """Load all weights that a training begins with, and those that it is averaged with; with a line on them for the record."""
    first = load_first(detector, recipe, offline)
    others, averaged = load_averaged(recipe)
    return first, others, "; ".join(line for line in (first.source, averaged) if line)


def refuse_selecting(recipe: Recipe) -> None:
    """Refuse a recipe that asks a selection split when to lower its rate or to end."""
    changes = [*(["schedule=cosine"] if recipe.schedule == "plateau" else []), *(["patience=0"] if recipe.patience else [])]
    if changes:
        raise UsageError(
            f"recipe {recipe.name} watches the loss on a selection split, and there is none. Train without it: "
            f"{' '.join(f'--set {change}' for change in changes)}"
        )


def _films(films: pl.DataFrame, record: RunRecord, watch: Watch) -> tuple[TrainingFilms, TrainingFilms | None, dict[str, str]]:
    plan, recipe = record.plan, record.recipe
    learning = learned(films, plan.train)
    if plan.select and plan.select in learning["split"]:
        raise UsageError(f"split {plan.select!r} is both learned from and selected on. Select on another (select, --select), or on none.")
    store = _store(learning, recipe, watch)
    learn = TrainingFilms(store, recipe, store.films)
    if recipe.window and not (learn.boxed & (learn.label > 0)).any():
        raise UsageError("window: no abnormal film has a box, so a part of a film has no label. Train with --set window=0, or index boxes.")
    if not plan.select:
        return learn, None, store.refused
    held = _store(learned(films, plan.select), recipe, watch)
    return learn, TrainingFilms(held, recipe, store.films), store.refused | held.refused


def _store(films: pl.DataFrame, recipe: Recipe, watch: Watch) -> FilmStore:
    return open_store(films, recipe.frame, lambda done, total: watch(Progress("prepare", done, total)))


def _go_on(training: Training, learn: TrainingFilms, held: TrainingFilms | None, callbacks: Sequence[Watch]) -> list[Epoch]:
    if not training.processes.leads:
        return training.go_on(learn, held, each_of(()))
    with curves(training.run.tensorboard) as draw:
        return training.go_on(learn, held, each_of((draw, *callbacks)))


def _device_name(processes: Processes) -> str:
    return torch.cuda.get_device_name(processes.device) if processes.device.type == "cuda" else "cpu"
