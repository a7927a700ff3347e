"""What a tuning has found: a row a trial, how much each setting matters, the best recipe and the command that trains with it."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import numpy as np
import optuna
import polars as pl
from optuna.trial import FrozenTrial, TrialState

from osteon.atomic import write_json
from osteon.errors import UsageError
from osteon.lab.experiments.tuning.space import changes, own_values
from osteon.lab.experiments.tuning.trial import BEGAN, NOTE, SECONDS, Tuning, TuningPlan
from osteon.lab.training.recipe import Recipe, recipe

LEAST = 5
"""Finished trials before the importance of settings is worth a word."""

TREES = 64


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """One trial. `auroc` is that of the epoch that an export would take, on the selection split; of a pruned trial, its last epoch's.

    `state`: "finished", "pruned", "diverged", "failed", "running" or "stopped".
    """

    number: int
    state: str
    auroc: float | None
    epochs: int
    minutes: float
    settings: tuple[str, ...]
    note: str = ""


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """A study so far. `importance` is each setting's share of the variance of the AUROC (fANOVA; Hutter et al., ICML 2014).

    `base` is the trial of the recipe as it is, `best` the finished one of the highest AUROC; None where there is none.
    """

    plan: TuningPlan
    trials: tuple[TrialResult, ...]
    importance: dict[str, float]
    base: int | None
    best: int | None
    command: str
    notes: tuple[str, ...]

    def trial(self, number: int) -> TrialResult:
        """Return the trial of that number."""
        return next(trial for trial in self.trials if trial.number == number)


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that began and have ended."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and BEGAN in t.user_attrs]


def result(study: optuna.Study, number: int) -> TrialResult:
    """Return one trial's row."""
    return _row(next(t for t in study.get_trials(deepcopy=False) if t.number == number))


def results(study: optuna.Study, tuning: Tuning, source: Path) -> Tuned:
    """Return all that a study says so far; `source` is the index that the best recipe is to be trained on."""
    trials = tuple(_row(t) for t in study.get_trials(deepcopy=False) if BEGAN in t.user_attrs)
    finished = [t for t in trials if t.state == "finished" and t.auroc is not None]
    best = max(finished, key=lambda t: (t.auroc or 0.0, -t.number), default=None)
    as_it_is = changes(own_values(tuning.plan.space, recipe(tuning.plan.recipe, tuning.plan.fixed)))
    base = next((t.number for t in trials if t.settings == tuple(as_it_is)), None)
    importance = _importance(study, finished)
    return Tuned(
        plan=tuning.plan,
        trials=trials,
        importance=importance,
        base=base,
        best=best.number if best else None,
        command=_command(tuning.plan, best, source) if best else "",
        notes=tuple(_notes(tuning.plan, trials, bool(importance))),
    )


def best_recipe(tuned: Tuned) -> Recipe:
    """Return the best trial's recipe.

    Raises:
        UsageError: no trial has finished.
    """
    if tuned.best is None:
        raise UsageError("no trial has finished, so there is no best recipe. Go on with the same command and more --trials.")
    return recipe(tuned.plan.recipe, [*tuned.plan.fixed, *tuned.trial(tuned.best).settings])


def write_results(tuned: Tuned, out: Path) -> None:
    """Write `tuning.json`, `trials.csv` and, once a trial has finished, `best.recipe.json`.

    Raises:
        UsageError: the folder cannot be written.
    """
    write_json(tuned, out / "tuning.json")
    _table(tuned).write_csv(out / "trials.csv", float_precision=6)
    if tuned.best is not None:
        write_json(best_recipe(tuned), out / "best.recipe.json")


def _row(trial: FrozenTrial) -> TrialResult:
    note = trial.user_attrs.get(NOTE, "")
    words = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "diverged" if note else "pruned", TrialState.FAIL: "failed"}
    areas = trial.intermediate_values
    value = trial.value if trial.state == TrialState.COMPLETE else areas[max(areas)] if areas else None
    return TrialResult(
        number=trial.number,
        state=words.get(trial.state, "running"),
        auroc=value,
        epochs=len(areas),
        minutes=round(trial.user_attrs.get(SECONDS, 0.0) / 60, 3),
        settings=tuple(changes(trial.params)),
        note=note,
    )


def _importance(study: optuna.Study, finished: list[TrialResult]) -> dict[str, float]:
    if len(finished) < LEAST or np.ptp([trial.auroc for trial in finished]) == 0:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    return {name: float(share) for name, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()}


def _command(plan: TuningPlan, best: TrialResult, source: Path) -> str:
    settings = [part for change in (*plan.fixed, *best.settings) for part in ("--set", change)]
    splits = ["--train", plan.learn, "--select", plan.select]
    return shlex.join(["osteon", "train", str(source), "--recipe", plan.recipe, *settings, *splits, "-o", "run"])


def _notes(plan: TuningPlan, trials: tuple[TrialResult, ...], important: bool) -> list[str]:
    finished = sum(t.state == "finished" for t in trials)
    notes = [
        f"the best of {len(trials)} trials on split {plan.select!r}, which chose it: a value too good to report. Measure the trained "
        "model on a split that neither training nor tuning has seen."
    ]
    if not important:
        notes.append(f"no importance: it takes {LEAST} finished trials that differ, there are {finished}.")
    return notes


def _table(tuned: Tuned) -> pl.DataFrame:
    rows = []
    for trial in tuned.trials:
        values = dict(setting.split("=", 1) for setting in trial.settings)
        columns = {"trial": trial.number, "state": trial.state, "auroc": trial.auroc, "epochs": trial.epochs, "minutes": trial.minutes}
        rows.append(columns | {name: values.get(name) for name in tuned.plan.space} | {"note": trial.note})
    return pl.DataFrame(rows)
