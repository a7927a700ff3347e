"""Sub-command: reproduce."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from osteon.cli import app

if TYPE_CHECKING:
    from osteon.lab.reproduction.stages import Watch

Until = Literal["index", "split", "settings", "cost", "train", "models", "evaluations", "page"]


@app.command()
def reproduce(
    recipe: Annotated[Literal["paper", "article", "osteon"], typer.Argument(help="what is reproduced")],
    data: Annotated[Path, typer.Option(help="folder MURA-v1.1, or another with the splits train and valid")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the reproduction; the same command goes on with it")] = Path(
        "reproduction"
    ),
    models: Annotated[int, typer.Option(min=1, help="trainings, each from a seed of its own, whose best passes make the ensemble")] = 5,
    change: Annotated[list[str] | None, typer.Option("--set", help="change a setting of the recipe: epochs=3, frame.size=224")] = None,
    init: Annotated[str, typer.Option(help="first weights, as for `osteon train`; by default what the recipe says")] = "",
    until: Annotated[Until, typer.Option(help="stop after this stage; `cost` says what it will take and trains nothing")] = "page",
    tune_share: Annotated[float, typer.Option(min=0.01, max=0.5, help="share of the training films that the best pass is chosen on")] = 0.1,
    rehearse: Annotated[float, typer.Option(min=0, help="minutes of rehearsal, from which the cost is told; 0: none")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="open no network connection")] = False,
    no_decode: Annotated[bool, typer.Option("--no-decode", help="index names and headers alone: quick, finds no duplicates")] = False,
    no_count_check: Annotated[bool, typer.Option("--no-count-check", help="go on where MURA has other counts than published")] = False,
) -> None:
    """Reproduce a published model, or make osteon's own from the same data.

    Index, split, trainings, ensemble, evaluation, and the table beside the
    paper's; recipe `osteon` is fitted to the data and the device first.
    """
    from osteon.lab.reproduction.commands import training_commands
    from osteon.lab.reproduction.folder import Reproduction, ReproductionPlan
    from osteon.lab.reproduction.stages import Work, reproduce

    plan = ReproductionPlan(
        recipe=recipe,
        data=str(data.resolve()),
        changes=(*(change or []), *([f"init={Path(init).resolve() if Path(init).exists() else init}"] if init else [])),
        models=models,
        tune_share=tune_share,
        decode=not no_decode,
        count_check=not no_count_check,
    )
    try:
        with _stages() as watch:
            reproduce(out, plan, Work(until=until, minutes=rehearse, device=device, offline=offline), watch)
    except KeyboardInterrupt as stop:
        typer.echo("osteon: stopped. The same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from stop
    if until == "page":
        typer.echo((out / "reproduction.md").read_text(encoding="utf-8"))
        typer.echo(f"{out}: reproduction.md, model.onnx, evaluations")
    else:
        if until in ("settings", "cost"):
            typer.echo("\n".join((f"the trainings, by hand in {out}:", *training_commands(Reproduction(out, plan)))))
        typer.echo(f"stopped after {until!r}. The same command without --until goes on.")


@contextlib.contextmanager
def _stages() -> Iterator[Watch]:
    """Show a line for each stage: its number, a bar, a note; what a finished one has to say stays above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from osteon.lab.reproduction.stages import STAGES

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("", total=None, note="")
        shown = ""

        def show(stage: str, done: int, total: int, note: str) -> None:
            nonlocal shown
            title = f"{list(STAGES).index(stage) + 1}/{len(STAGES)} {STAGES[stage]}"
            if stage != shown:
                shown = stage
                bars.reset(task, description=title, total=None, note="")
                console.print(f"{title}{f' ({note})' if note else ''}")
            elif done == total == 1 and note:  # the stage's last word
                console.print(f"    {note}")
            bars.update(task, completed=done, total=total, note=note)

        yield show
