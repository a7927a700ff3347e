"""Sub-command: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app
from osteon.cli.progress import stages_bar, stopped


@app.command()
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the demo; a demo that was stopped goes on there.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.", min=0.1)] = 2.5,
    studies: Annotated[int, typer.Option(help="Made studies of each of the seven study types.", min=2)] = 48,
    seed: Annotated[int, typer.Option(help="Another seed makes other films.", min=0)] = 0,
) -> None:
    """Show the whole chain on made radiographs: films, index, training, evaluation, answers, and a page of it all."""
    from osteon.cli.phantom import usable_cores
    from osteon.lab.demo.folder import DemoPlan
    from osteon.lab.demo.run import STAGES, run_demo

    plan = DemoPlan(studies=studies, minutes=minutes, seed=seed)
    with stopped(), stages_bar(STAGES) as watch:
        record = run_demo(out, plan, usable_cores(), watch)
    total = sum(record.seconds.values())
    typer.echo(f"{out / 'report.html'}: open it in a browser ({total // 60:.0f} min {total % 60:.0f} s in all)")
