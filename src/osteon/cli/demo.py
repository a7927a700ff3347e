"""Sub-command: demo."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app

if TYPE_CHECKING:
    from osteon.lab.demo import Watch


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the demo; a demo that was stopped goes on there.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.", min=0.1)] = 2.5,
    studies: Annotated[int, typer.Option(help="Made studies of each of the seven study types.", min=2)] = 48,
    seed: Annotated[int, typer.Option(help="Another seed makes other films.", min=0)] = 0,
) -> None:
    """Show the whole chain on made radiographs: films, index, training, evaluation, answers, and a page of it all."""
    from osteon.cli.phantom import usable_cores
    from osteon.lab.demo import run_demo
    from osteon.lab.demo_folder import DemoPlan
    from osteon.lab.training.loop import Stopped

    plan = DemoPlan(studies=studies, minutes=minutes, seed=seed)
    try:
        with _stages() as watch:
            record = run_demo(out, plan, usable_cores(), watch)
    except (Stopped, KeyboardInterrupt) as stop:
        typer.echo(f"osteon: stopped. Go on with: osteon {' '.join(sys.argv[1:])}", err=True)
        raise typer.Exit(130) from stop
    total = sum(record.seconds.values())
    typer.echo(f"{out / 'report.html'}: open it in a browser ({total // 60:.0f} min {total % 60:.0f} s in all)")


@contextlib.contextmanager
def _stages() -> Iterator[Watch]:
    """Show a line for each stage that has begun: its number and name, a bar, and a note."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    from osteon.lab.demo import STAGES

    columns = (
        SpinnerColumn(finished_text="+"),
        TextColumn("{task.description}"),
        BarColumn(20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, note: str) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1, note="")
                number = list(STAGES).index(stage) + 1
                tasks[stage] = bars.add_task(f"{number}/{len(STAGES)} {STAGES[stage]}", total=None, note="")
                if not console.is_terminal:
                    console.print(
                        f"{number}/{len(STAGES)} {STAGES[stage]}{f' ({note})' if done == total and note else ''}", highlight=False
                    )
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield show
