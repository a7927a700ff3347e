"""Sub-command: tune."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, offline
from osteon.cli.progress import progress_bar, stopped
from osteon.cli.recipes import RecipeName
from osteon.cli.side_by_side import of_process, side_by_side

if TYPE_CHECKING:
    from osteon.lab.experiments.tuning.results import TrialResult, Tuned
    from osteon.lab.progress import Watch

_SHOWN = 10


@app.command()
def tune(
    index: Annotated[Path, typer.Argument(help="index.parquet, from `osteon index` and `osteon split`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the search; the same command continues it")] = Path("tuning"),
    recipe: RecipeName = "osteon",
    change: Annotated[list[str] | None, typer.Option("--set", help="a setting of all trials: epochs=3")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="a setting to search: name=low..high, name=low..high:log, name=low..high:STEP or name=a,b,c; or a TOML file of these. "
            "By default the recipe's own search space"
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="number of trials, with those of earlier commands")] = 20,
    minutes: Annotated[float, typer.Option(min=0, help="start no new trial after so many minutes. 0: no limit")] = 0.0,
    storage: Annotated[
        str, typer.Option(help="database URL of the Optuna study, which has the folder's name; by default study.db in the folder")
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="trials at the same time, each in its own process, on its share of the cores")] = 1,
    learn: Annotated[str, typer.Option("--train", help="split to train on")] = "train",
    select: Annotated[str, typer.Option(help="split to choose settings on; never the one that you report")] = "tune",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda; several for several workers: cuda:0,cuda:1")] = "auto",
) -> None:
    """Search the best settings of a recipe with short trainings (Optuna): pruned early, resumable, without the split that you report."""
    from osteon.lab.experiments.tuning.space import search_space
    from osteon.lab.experiments.tuning.study import tune
    from osteon.lab.experiments.tuning.trial import Tuning, TuningPlan

    fixed = tuple(change or ())
    plan = TuningPlan(recipe=recipe, space=search_space(recipe, search or (), fixed), fixed=fixed, learn=learn, select=select)
    tuning = Tuning(
        plan=plan,
        out=out,
        storage=storage or f"sqlite:///{out / 'study.db'}",
        study=out.resolve().name,
        trials=trials,
        until=time.time() + minutes * 60 if minutes else float("inf"),
        device=of_process(device.split(",")),
        offline=offline(),
    )
    with stopped(), side_by_side(workers):
        found = tune(tuning, index, _bar, _tell)
    _show(found, out)


@contextmanager
def _bar(name: str) -> Iterator[Watch]:
    typer.echo(name, err=True)
    with progress_bar() as watch:
        yield watch


def _tell(trial: TrialResult) -> None:
    area = "" if trial.auroc is None else f", AUROC {trial.auroc:.4f}"
    line = f"trial {trial.number}: {trial.state} after {trial.epochs} epochs{area} ({' '.join(trial.settings)}) {trial.note}"
    typer.echo(line.rstrip(), err=True)


def _show(found: Tuned, out: Path) -> None:
    from osteon.cli.terminal import show, show_notes, show_table

    states = Counter(trial.state for trial in found.trials)
    show(f"{len(found.trials)} trials of recipe {found.plan.recipe}: {', '.join(f'{n} {state}' for state, n in states.items())}")
    order = sorted(found.trials, key=lambda t: (t.state != "finished", -(t.auroc or 0.0)))
    rows = []
    for trial in order[:_SHOWN]:
        area = "" if trial.auroc is None else f"{trial.auroc:.4f}"
        word = "unchanged" if trial.number == found.base else "" if trial.state == "finished" else trial.state
        rows.append((f"{trial.number}", area, word, f"{trial.epochs}", f"{trial.minutes:.1f}", " ".join(trial.settings)))
    best = [place for place, trial in enumerate(order[:_SHOWN]) if trial.number == found.best]
    show_table(("trial", "AUROC", "", "epochs", "min", "settings"), rows, bold=best)
    if len(order) > _SHOWN:
        show(f"and {len(order) - _SHOWN} more in {out}/trials.csv")
    for name, share in found.importance.items():
        show(f"{share:6.2f}  {name}")
    show_notes(found.notes)
    show(f"{out}: tuning.json, trials.csv, tuning.png, best.recipe.json")
    if found.command:
        show(f"train with the best settings:\n{found.command}")
