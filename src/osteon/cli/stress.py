"""Sub-command: stress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, typed
from osteon.cli.models import ModelOption

if TYPE_CHECKING:
    from osteon.lab.evaluation.robustness import Stress


@app.command()
def stress(
    index: Annotated[Path, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")],
    model: ModelOption = None,
    split: Annotated[str, typer.Option("--split", help="split to measure on; all: every film")] = "valid",
    only: Annotated[list[str] | None, typer.Option("--only", help="a corruption; may be given more than once. Default: all.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the result; a run that was stopped goes on there")] = Path("stress"),
) -> None:
    """Measure robustness to noise, blur, compression, contrast and rotation."""
    from osteon.cli.progress import counting_bar, stopped
    from osteon.lab.evaluation.robustness import Request
    from osteon.lab.evaluation.robustness import stress as measure

    request = Request(model, index, out, split, tuple(only or ()), command=typed())
    with stopped(), counting_bar("read films") as progress:
        result = measure(request, progress)
    _show(result)
    typer.echo(f"{out}: stress.md and stress.json")
    if result.refused:
        raise typer.Exit(1)


def _show(result: Stress) -> None:
    from osteon.cli.terminal import show, show_table
    from osteon.lab.evaluation.robustness import HEAD, cells

    show_table(HEAD, map(cells, result.rows), f"{result.model} on {result.split!r}, {result.rows[0].films:,} films")
    for film in result.refused:
        show(f"refused, takes no part: {film.reason}", "yellow")
    if result.unlabelled:
        show(f"{result.unlabelled:,} films have no label and take no part", "yellow")
