"""Sub-command: reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteon.cli import app, offline, typed
from osteon.cli.progress import progress_bar, stopped

Until = Literal["index", "split", "settings", "cost", "train", "models", "evaluations", "page"]


@app.command()
def reproduce(
    recipe: Annotated[Literal["paper", "article", "osteon"], typer.Argument(help="what is reproduced")],
    data: Annotated[Path, typer.Argument(help="folder MURA-v1.1, or another with the splits train and valid")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the reproduction; the same command goes on with it")] = Path(
        "reproduction"
    ),
    models: Annotated[int, typer.Option(min=1, help="trainings, each from a seed of its own, whose best epochs make the ensemble")] = 5,
    change: Annotated[list[str] | None, typer.Option("--set", help="change a setting of the recipe: epochs=3, init=random")] = None,
    until: Annotated[Until, typer.Option(help="stop after this stage; `cost` says what it will take and trains nothing")] = "page",
    tune_share: Annotated[float, typer.Option(min=0.01, max=0.5, help="share of the training films to choose the best epoch on")] = 0.1,
    rehearse: Annotated[float, typer.Option(min=0, help="minutes of rehearsal, from which the cost is told; 0: none")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    no_decode: Annotated[bool, typer.Option("--no-decode", help="index names and headers alone: quick, finds no duplicates")] = False,
    no_count_check: Annotated[bool, typer.Option("--no-count-check", help="go on where MURA has other counts than published")] = False,
) -> None:
    """Reproduce a published model, or make osteon's own from the same data.

    Index, split, trainings, ensemble, evaluation, and the table beside the
    paper's; recipe `osteon` is fitted to the data and the device first.
    """
    from osteon.lab.reproduction.folder import Reproduction, ReproductionPlan
    from osteon.lab.reproduction.stages import STAGES, Work, reproduce

    plan = ReproductionPlan(
        recipe=recipe,
        data=str(data.resolve()),
        changes=tuple(map(_placed, change or ())),
        models=models,
        tune_share=tune_share,
        decode=not no_decode,
        count_check=not no_count_check,
    )
    work = Work(until=until, minutes=rehearse, device=device, offline=offline(), command=typed())
    with stopped(), progress_bar(STAGES) as watch:
        reproduce(out, plan, work, watch)
    if until == "page":
        typer.echo((out / "reproduction.md").read_text(encoding="utf-8"))
        typer.echo(f"{out}: reproduction.md, model.onnx, evaluations")
    else:
        if until in ("settings", "cost"):
            typer.echo("\n".join((f"the trainings, by hand in {out}:", *Reproduction(out, plan).training_commands())))
        typer.echo(f"stopped after {until!r}. The same command without --until goes on.")


def _placed(change: str) -> str:
    """Return a change with an absolute path, where it names first weights that are there: trainings run in another folder."""
    name, _, value = change.partition("=")
    return f"{name}={Path(value).resolve()}" if name == "init" and Path(value).exists() else change
