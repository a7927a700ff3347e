"""One trial of a tuning: asked for, trained, reported.

A trial's folder holds a lock while the trial runs, so that one that was killed is known by its lock being free.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import optuna
from optuna.trial import TrialState

from osteon.atomic import LOCK, Held, alone, hold
from osteon.errors import DivergedTraining, UsageError
from osteon.lab.experiments.tuning.space import Space, changes, distributions, own_values
from osteon.lab.progress import Epoch, Progress, Watch
from osteon.lab.training.recipe import recipe
from osteon.lab.training.run import RunFolder, ranked
from osteon.lab.training.session import TrainingRequest, resume_training, start_training
from osteon.lab.training.state import TrainingState, ended

STARTUP = 8
"""Trials drawn at random before the search learns from them."""

BEGAN, SECONDS, NOTE = "began", "seconds", "note"
"""What a trial's user attributes say: in which folder its training was begun, how long it took, why it diverged or failed."""

_ABANDONED = timedelta(minutes=1)


class TuningPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched: all that makes two trials comparable. `fingerprint` is that of the two splits' films."""

    recipe: str
    space: Space
    fixed: tuple[str, ...] = ()
    learn: str = "train"
    select: str = "tune"
    fingerprint: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a worker is asked for; `trials` is how many there are to be in all, `until` when no new one begins (seconds since the epoch)."""

    plan: TuningPlan
    out: Path
    storage: str
    study: str
    trials: int
    until: float = float("inf")
    device: str = "auto"
    offline: bool = False

    @property
    def index(self) -> Path:
        """Return where the films of the two splits are listed."""
        return self.out / "index.parquet"

    def folder(self, number: int) -> Path:
        """Return where a trial's training stands."""
        return self.out / "trials" / f"{number:04d}"


def next_trial(study: optuna.Study, tuning: Tuning) -> tuple[optuna.Trial, Held] | None:
    """Return a killed trial to go on with, or a new one, and its lock; None where there are enough or the time is over.

    Then those that other processes are making have been waited for, and one that is killed meanwhile is returned.
    """
    with alone(tuning.out, wait=True):
        for killed in _unfinished(study, tuning):
            if lock := hold(tuning.folder(killed.number) / LOCK, wait=False):
                # Optuna has no public way to go on with a running trial; this is how it makes one of its number.
                return optuna.Trial(study, killed._trial_id), lock
        trials = study.get_trials(deepcopy=False)
        began = sum(BEGAN in t.user_attrs for t in trials)
        if began < tuning.trials and time.time() < tuning.until:
            return _new_trial(study, tuning, began, trials)
    for running in _unfinished(study, tuning):
        lock = hold(tuning.folder(running.number) / LOCK)  # waits
        if lock and any(running.number == trial.number for trial in _unfinished(study, tuning)):
            return optuna.Trial(study, running._trial_id), lock
    return None


def _new_trial(study: optuna.Study, tuning: Tuning, began: int, trials: list[optuna.trial.FrozenTrial]) -> tuple[optuna.Trial, Held]:
    # A sampler for each trial, seeded by its place: a search that was stopped draws what the unbroken one would have drawn.
    seed = int(np.random.SeedSequence([tuning.plan.seed, began]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, multivariate=True, seed=seed)
    if not began and not any(t.state == TrialState.WAITING for t in trials):
        study.enqueue_trial(own_values(tuning.plan.space, recipe(tuning.plan.recipe, tuning.plan.fixed)))
    trial = study.ask(distributions(tuning.plan.space))
    lock = hold(tuning.folder(trial.number) / LOCK)
    assert lock is not None
    trial.set_user_attr(BEGAN, str(tuning.out.resolve()))
    return trial, lock


def make(study: optuna.Study, trial: optuna.Trial, tuning: Tuning, watch: Watch) -> None:
    """Train with a trial's settings and tell the study its AUROC, or that it was pruned or failed."""
    folder, state, value, refusal = tuning.folder(trial.number), TrialState.COMPLETE, None, None
    try:
        history = _train(study, trial, tuning, watch)
        value = ranked(history, RunFolder(folder).record().recipe)[0].select_auroc
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except DivergedTraining as fault:  # these settings are bad, which the search should learn; a failed trial would teach it nothing
        state = TrialState.PRUNED
        trial.set_user_attr(NOTE, f"diverged: {fault}")
    except (UsageError, RuntimeError) as fault:  # settings that are fine one by one and not together, or too large for the device
        if isinstance(fault, RuntimeError) and "out of memory" not in str(fault):
            raise
        state, refusal = TrialState.FAIL, UsageError(str(fault).splitlines()[0])
        trial.set_user_attr(NOTE, str(refusal))
    trial.set_user_attr(SECONDS, sum(row.seconds for row in RunFolder(folder).history()))
    study.tell(trial, value, state)
    drop_weights(folder)
    if refusal and all(t.state != TrialState.COMPLETE for t in study.get_trials(deepcopy=False)):
        raise refusal  # nothing has ever worked: it is not the settings


def drop_weights(folder: Path) -> None:
    """Delete the weights of a trial that has ended; its record and history stay."""
    run = RunFolder(folder)
    for file in (run.checkpoint, run.selected):
        file.unlink(missing_ok=True)
    shutil.rmtree(run.best, ignore_errors=True)


def _unfinished(study: optuna.Study, tuning: Tuning) -> Iterator[optuna.trial.FrozenTrial]:
    """Yield the running trials of this folder, and end those that were killed before they began."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(BEGAN) == str(tuning.out.resolve()):
            yield trial
        elif BEGAN not in trial.user_attrs and trial.datetime_start and datetime.now() - trial.datetime_start > _ABANDONED:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _train(study: optuna.Study, trial: optuna.Trial, tuning: Tuning, show: Watch) -> list[Epoch]:
    plan, run, parent = tuning.plan, RunFolder(tuning.folder(trial.number)), multiprocessing.parent_process()
    reported = set(next(t for t in study.get_trials(deepcopy=False) if t.number == trial.number).intermediate_values)
    if reported and _goes_on(run, run.history()) and trial.should_prune():  # killed between a report and its consequence
        raise optuna.TrialPruned

    def report(history: Sequence[Epoch]) -> None:
        for row in history:
            if row.epoch not in reported and row.select_auroc is not None:
                reported.add(row.epoch)
                trial.report(row.select_auroc, row.epoch)
                if _goes_on(run, history) and trial.should_prune():
                    raise optuna.TrialPruned

    def watch(progress: Progress) -> None:
        show(progress)
        report(progress.history)
        if parent is not None and not parent.is_alive():
            signal.raise_signal(signal.SIGTERM)  # the loop leaves a checkpoint and stops

    if run.record_file.exists():
        history = resume_training(run.folder, tuning.device, tuning.offline, [watch])
    else:
        settings = recipe(plan.recipe, [*plan.fixed, *changes(trial.params)])
        request = TrainingRequest(settings, tuning.index, plan.learn, plan.select, offline=tuning.offline)
        history = start_training(request, run.folder, tuning.device, [watch])
    report(history)  # of a killed trial, whose last epoch nobody has watched
    return history


def _goes_on(run: RunFolder, history: Sequence[Epoch]) -> bool:
    """Return whether there are epochs to come; a trial that has made its last one is finished, however it compares."""
    return not run.record_file.exists() or not ended(TrainingState(history=list(history)), run.record())
