"""Search a recipe's settings: each trial is a short training, judged by the AUROC on the selection split alone.

The reported split is never there to be looked at: the trials read a copy of the index that holds the two splits and nothing else. The
study lies in a database that any number of processes may share, and a killed trial goes on from its checkpoint.

index.parquet        the films of the two splits
study.db             the study, unless it lies elsewhere
trials/0003/         recipe.json, history.json and curves of a trial; its weights are deleted when it has ended
tuning.json          the plan, a row a trial, how important each setting is
trials.csv           the same rows for people
best.recipe.json     the best trial's recipe
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import optuna
import polars as pl
import sqlalchemy.exc
from msgspec import Struct, json
from optuna.trial import FrozenTrial, TrialState

from osteon.errors import DivergedTraining, MeasurementError, UsageError
from osteon.lab.index import Report, fingerprint, read_index, write_index
from osteon.lab.lock import hold
from osteon.lab.search_space import Space, changes, distributions, own_values
from osteon.lab.splits import refuse_leaks
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.run import Pass, RunFolder, ranked
from osteon.lab.training.session import TrainingRequest, resume_training, start_training
from osteon.lab.training.watching import Progress, Watch

STARTUP = 8
"""Trials that are drawn at random before the search learns from them, and finish before others are pruned against them."""

ABANDONED = 60.0
"""Seconds after which a trial that was asked for, and never began, counts as killed."""

_BEGAN, _SECONDS, _NOTE, _PLAN = "began", "seconds", "note", "plan"

ShowTraining = Callable[[str], AbstractContextManager[Watch]]
"""Opens what shows a training of that name."""


class TuningPlan(Struct, frozen=True, kw_only=True):
    """What is searched; everything that makes two trials comparable. `fingerprint` is of the two splits' films."""

    recipe: str
    space: Space
    fixed: tuple[str, ...] = ()
    learn: str = "train"
    select: str = "tune"
    fingerprint: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker is told: how many trials there are to be in all, and when no new one begins (seconds since the epoch, 0: never)."""

    plan: TuningPlan
    out: Path
    storage: str
    study: str
    trials: int
    until: float = 0.0
    device: str = "auto"
    offline: bool = False

    @property
    def index(self) -> Path:
        """The films of the two splits."""
        return self.out / "index.parquet"

    def folder(self, number: int) -> Path:
        """Return where a trial's training stands."""
        return self.out / "trials" / f"{number:04d}"


def prepare(plan: TuningPlan, index: Path, out: Path) -> TuningPlan:
    """Write the index of the two splits, and return the plan with their fingerprint.

    Raises:
        DatasetError: a split is not there, or a patient stands in both.
        MeasurementError: the selection split has no normal or no abnormal film, so that it ranks nothing.
        UsageError: the two splits are one.
    """
    if plan.learn == plan.select:
        raise UsageError(f"--train and --select are both {plan.learn!r}. Settings are chosen on films that are not learned from.")
    films = read_index(index)
    for split in (plan.learn, plan.select):
        if split not in films["split"]:
            there = ", ".join(sorted(s for s in films["split"].unique() if s)) or "none"
            raise UsageError(f"{index} has no split {split!r} (it has: {there}). Make one with `osteon split`.")
    films = films.filter(pl.col("split").is_in([plan.learn, plan.select]))
    refuse_leaks(films)
    labels = films.filter((pl.col("split") == plan.select) & (pl.col("status") != "unreadable"))["label"].drop_nulls()
    if labels.n_unique() < 2:
        raise MeasurementError(f"split {plan.select!r} needs normal and abnormal films to choose settings by their AUROC. Split again.")
    plan = _with(plan, fingerprint(films))
    if not (out / "index.parquet").exists() or fingerprint(read_index(out / "index.parquet")) != plan.fingerprint:
        write_index(films, out / "index.parquet", Report(dataset=str(index), layout="index", decoded=bool((films["sha256"] != "").any())))
    return plan


def open_study(work: Work) -> optuna.Study:
    """Open the study, or make it.

    Raises:
        UsageError: the database cannot be opened, or holds a study of this name that searches something else.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP // 2)
    try:
        study = optuna.create_study(
            study_name=work.study, storage=work.storage, direction="maximize", load_if_exists=True, pruner=pruner
        )
        plan = json.encode(work.plan).decode()
        if study.user_attrs.setdefault(_PLAN, plan) == plan:
            study.set_user_attr(_PLAN, plan)
            return study
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, ValueError) as fault:
        reason = str(fault).strip().splitlines()[0]
        raise UsageError(f"--storage {work.storage}: no study can be opened there ({reason}). Give a URL that Optuna takes.") from fault
    before = json.decode(study.user_attrs[_PLAN], type=TuningPlan)
    differs = next(field for field in work.plan.__struct_fields__ if getattr(before, field) != getattr(work.plan, field))
    raise UsageError(
        f"the study {work.study!r} in {work.storage} has another {differs}: {getattr(before, differs)!r}. "
        "Go on with that, or begin another study in another folder (-o) or with another name (--study)."
    )
