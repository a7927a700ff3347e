"""Sub-command: stress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, typed
from osteon.cli.evaluate import ModelOption, ResamplesOption, SeedOption

if TYPE_CHECKING:
    from osteon.lab.evaluation.robustness import Stress


@app.command()
def stress(
    index: Annotated[Path, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")],
    model: ModelOption = None,
    split: Annotated[str, typer.Option("--split", help="split to measure on; all: every film")] = "valid",
    only: Annotated[list[str] | None, typer.Option("--only", help="a disturbance; may be given more than once. Default: all.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the result; a run that was stopped goes on there")] = Path("stress"),
    resamples: ResamplesOption = 2000,
    seed: SeedOption = 0,
) -> None:
    """Say how much of a model's figures is left when films are grainy, blurred, compressed, flatter, or lie on their side."""
    from osteon.cli.progress import counting_bar, stopped
    from osteon.lab.evaluation.robustness import Request
    from osteon.lab.evaluation.robustness import stress as measure

    request = Request(model, index, out, split, tuple(only or ()), resamples, seed, typed())
    with stopped(), counting_bar("read films") as progress:
        result = measure(request, progress)
    _show(result)
    typer.echo(f"{out}: stress.md and stress.json")
    if result.refused:
        raise typer.Exit(1)


def _show(result: Stress) -> None:
    from rich.console import Console
    from rich.table import Table

    from osteon.lab.evaluation.robustness import cells

    title = f"{result.model} on {result.split!r}, {result.rows[0].films:,} films"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("films", no_wrap=True)
    for head in ("AUROC", "difference", "sens.", "spec.", "changed", "out"):  # `HEAD`, for eighty columns
        table.add_column(head, justify="right", no_wrap=True)
    for row in result.rows:
        table.add_row(*cells(row))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for film in result.refused:
        console.print(f"refused, takes no part: {film.reason}", style="yellow")
    if result.unlabelled:
        console.print(f"{result.unlabelled:,} films have no label and take no part", style="yellow")
