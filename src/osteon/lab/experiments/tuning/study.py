"""Search a recipe's settings: each trial is a training, judged by its AUROC on the selection split alone.

The reported split is never there to be looked at: trials read a copy of the index that holds the two splits and nothing else. The study
lies in a database that any number of processes and machines may share; a killed trial goes on from its checkpoint.

index.parquet    the films of the two splits
study.db         the study, unless it lies elsewhere
trials/0003/     recipe.json, history.json and curves of a trial; its weights are deleted when it has ended
tuning.json      the plan, a row a trial, how important each setting is; with trials.csv, tuning.png and best.recipe.json
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import msgspec
import optuna
import polars as pl
import sqlalchemy.exc

from osteon.atomic import alone
from osteon.errors import MeasurementError, UsageError
from osteon.lab.data.index import Report, fingerprint, read_index, write_index
from osteon.lab.data.leaks import refuse_leaks
from osteon.lab.experiments.tuning.figure import draw_tuning
from osteon.lab.experiments.tuning.results import TrialResult, Tuned, ended, result, results, write_results
from osteon.lab.experiments.tuning.trial import Tuning, TuningPlan, drop_weights, make, next_trial
from osteon.lab.progress import Watch

PRUNE_AFTER = 4
"""Finished trials before others are stopped against their median."""

_PLAN = "plan"

ShowTraining = Callable[[str], AbstractContextManager[Watch]]
"""Opens what shows the training of that name."""


def tune(tuning: Tuning, source: Path, show: ShowTraining, tell: Callable[[TrialResult], None]) -> Tuned:
    """Make the study's trials, those of earlier calls counted in, and write what they say; several processes may make the same call.

    Args:
        tuning: What to do; its plan gets the fingerprint of the films.
        source: The index, with the two splits and others.
        show: Opens what shows a trial's training.
        tell: Called with each trial that has ended.

    Raises:
        UsageError, DatasetError, MeasurementError: as `films_of` and `open_study`.
        TrainingError: what concerns every trial, such as missing first weights. The same call goes on.
        Stopped: Ctrl-C or a termination signal; the running trials left checkpoints.
    """
    films = films_of(tuning.plan, source)
    _make_folder(tuning.out)
    tuning = replace(tuning, plan=msgspec.structs.replace(tuning.plan, fingerprint=fingerprint(films)))
    study = open_study(tuning)
    if not tuning.index.exists():
        write_index(films, tuning.index, Report(dataset=str(source), layout="index", decoded=bool((films["sha256"] != "").any())))
    _work(tuning, study, show, tell)
    with alone(tuning.out, wait=True):
        for trial in ended(study):  # of those killed between their end and the deletion
            drop_weights(tuning.folder(trial.number))
        found = results(study, tuning, source)
        write_results(found, tuning.out)
        draw_tuning(found, tuning.out / "tuning.png")
    return found


def films_of(plan: TuningPlan, index: Path) -> pl.DataFrame:
    """Return the films of the two splits, and no other.

    Raises:
        UsageError: a split is not there, or the two are one.
        LeakySplit: a patient stands in both.
        MeasurementError: the selection split has no normal or no abnormal film, so that it ranks nothing.
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
    if films.filter((pl.col("split") == plan.select) & (pl.col("status") != "unreadable"))["label"].drop_nulls().n_unique() < 2:
        raise MeasurementError(f"split {plan.select!r} lacks normal or abnormal films, so it tells no settings apart. Split again.")
    return films


def open_study(tuning: Tuning) -> optuna.Study:
    """Open the study, or make it.

    Raises:
        UsageError: the database cannot be opened, or its study of this name searches something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner, plan = optuna.pruners.MedianPruner(PRUNE_AFTER), msgspec.json.encode(tuning.plan).decode()
    try:
        study = optuna.create_study(
            study_name=tuning.study, storage=tuning.storage, direction="maximize", load_if_exists=True, pruner=pruner
        )
        before = study.user_attrs.get(_PLAN, plan)
        study.set_user_attr(_PLAN, before)
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, ValueError) as fault:
        reason = str(fault).strip().splitlines()[0]
        raise UsageError(f"--storage {tuning.storage}: no study can be opened there ({reason}). Give a URL that Optuna takes.") from fault
    _refuse_other(tuning, msgspec.json.decode(before, type=TuningPlan))
    return study


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise UsageError(f"{out}: the folder cannot be made ({fault.strerror}). Name another with -o.") from fault


def _refuse_other(tuning: Tuning, before: TuningPlan) -> None:
    for field in TuningPlan.__struct_fields__:
        if (old := getattr(before, field)) != getattr(tuning.plan, field):
            raise UsageError(
                f"the study {tuning.study!r} in {tuning.storage} has another {field}: {old}. Go on with that, or begin another study in "
                "another folder (-o)."
            )


def _work(tuning: Tuning, study: optuna.Study, show: ShowTraining, tell: Callable[[TrialResult], None]) -> None:
    """Make trials until there are enough; the lock of each is held while it runs, so that nobody takes it for killed."""
    known = {trial.number for trial in ended(study)}
    while (claim := next_trial(study, tuning)) is not None:
        trial, lock = claim
        with lock, show(f"trial {trial.number}") as watch:
            make(study, trial, tuning, watch)
        for number in sorted({trial.number for trial in ended(study)} - known):  # also those that other processes have made
            known.add(number)
            tell(result(study, number))
