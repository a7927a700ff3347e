"""The folder of a cross-validation: what was asked, and where each result stands.

plan.json                   what was asked
fold-0/index.parquet        all films; split `held` is the fold, split `learn` the other folds
fold-0/run/                 the training, as `osteon train` makes it
fold-0/model.onnx           its last epoch
fold-0/lock                 held by the process that makes this fold
fold-0/predictions.parquet  the held films, scored by it
predictions.parquet         the held films of all folds, split `fold-0`, `fold-1`, ...: an evaluation's folder
evaluation.json, *.png      all of them measured together
cross-validation.json       each fold measured on its own, and the mean over folds
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from osteon.atomic import LOCK, hold, write_json
from osteon.lab.evaluation.folder import EVALUATION, PREDICTIONS
from osteon.lab.stages import changed, read_record, refuse_changed
from osteon.lab.training.earlier import read_stored, refuse_gone
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import RunFolder, code_commit
from osteon.version import __version__

PLAN, RESULT = "plan.json", "cross-validation.json"
LEARN, HELD = "learn", "held"


class CrossValidationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the result depends on; `films` is the fingerprint of the index with its folds, `budget` minutes a fold (0: the epochs)."""

    recipe: Recipe
    films: str
    folds: tuple[int, ...]
    name: str
    budget: float = 0.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`plan.json`: the plan, and what first asked for it."""

    plan: CrossValidationPlan
    index: str
    command: str = ""
    code_commit: str = ""
    osteon: str = __version__


ANOTHER = {"films": "other films, labels or folds", "recipe.departures": ""}
"""How a plan is said to differ; how departures are worded does not matter."""


class CrossValidation:
    """Paths and plan of one cross-validation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked_file, self.result = folder / PLAN, folder / RESULT
        self.predictions, self.evaluation = folder / PREDICTIONS, folder / EVALUATION

    def fold(self, number: int) -> Path:
        """Return the folder of one fold."""
        return self.folder / f"fold-{number}"

    def index(self, number: int) -> Path:
        """Return the index of one fold's training."""
        return self.fold(number) / "index.parquet"

    def run(self, number: int) -> RunFolder:
        """Return one fold's training."""
        return RunFolder(self.fold(number) / "run")

    def model(self, number: int) -> Path:
        """Return one fold's model file."""
        return self.fold(number) / "model.onnx"

    def scored(self, number: int) -> Path:
        """Return the table of one fold's held films."""
        return self.fold(number) / PREDICTIONS

    def asked(self) -> Asked | None:
        """Return what was asked, None where the folder is new.

        Raises:
            UsageError: the folder holds something else.
        """
        return read_record(self.asked_file, Asked, "cross-validation", read_stored)

    def begin(self, plan: CrossValidationPlan, index: Path, command: str) -> None:
        """Take up the plan, or go on with it; a plan of which no training has begun gives way to another.

        Raises:
            UsageError: the folder holds something else, or trainings of another plan, begun or about to begin, or with a
                setting that is gone; or it cannot be written.
        """
        before = self.asked()
        refuse_gone(self.asked_file)
        if before is not None and (difference := changed(before.plan, plan, ANOTHER)):
            if any(self._taken(number) for number in before.plan.folds):
                refuse_changed(self.folder, "cross-validation", difference)
            for number in before.plan.folds:
                shutil.rmtree(self.fold(number), ignore_errors=True)
            before = None
        if before is None:
            write_json(Asked(plan=plan, index=str(index.resolve()), command=command, code_commit=code_commit()), self.asked_file)

    def _taken(self, number: int) -> bool:
        """Return whether a fold has a training, or another process is about to begin one."""
        if self.run(number).record_file.exists():
            return True
        if not self.fold(number).exists():
            return False
        lock = hold(self.fold(number) / LOCK, wait=False)
        if lock:
            lock.lock.release()
        return lock is None
