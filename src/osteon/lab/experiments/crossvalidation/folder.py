"""The folder of a cross-validation: what was asked, and where each result stands.

plan.json                   what was asked
fold-0/index.parquet        all films; split `held` is the fold, split `learn` the other folds
fold-0/run/                 the training, as `osteon train` makes it
fold-0/model.onnx           its last pass
fold-0/lock                 held by the process that makes this fold
fold-0/predictions.parquet  the held films, scored by it
predictions.parquet         the held films of all folds, split `fold-0`, `fold-1`, ...: an evaluation's folder
evaluation.json, *.png      all of them measured together
cross-validation.json       each fold measured on its own, and the mean over folds
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from osteon.atomic import write_json
from osteon.errors import UsageError
from osteon.lab.evaluation.folder import EVALUATION, PREDICTIONS
from osteon.lab.stages import LOCK, hold, read_record
from osteon.lab.training.earlier import read_stored, refuse_gone
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import RunFolder, code_commit
from osteon.version import __version__

PLAN, RESULT = "plan.json", "cross-validation.json"
LEARN, HELD = "learn", "held"


class CrossValidationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the result depends on; `films` is the fingerprint of the index with its folds, `budget` minutes a fold (0: the passes)."""

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
        if before is not None and (changed := _difference(before.plan, plan)):
            if any(self._taken(number) for number in before.plan.folds):
                raise UsageError(
                    f"{self.folder} holds a cross-validation with {changed}. Give the same command, or name another folder with -o."
                )
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


def _difference(before: CrossValidationPlan, now: CrossValidationPlan) -> str:
    """Return in words the first setting in which two plans differ, "" where they are one; how departures are worded does not matter."""
    old, new = (_flat(msgspec.to_builtins(plan)) for plan in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if name != "recipe.departures" and old.get(name) != new.get(name):
            if name == "films":
                return "other films, labels or folds"
            return f"another {name.removeprefix('recipe.')}: {old.get(name)!r}, and not {new.get(name)!r}"
    return ""


def _flat(settings: dict[str, Any], outer: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{outer}{name}.") if isinstance(value, dict) else {f"{outer}{name}": value}
    return found
