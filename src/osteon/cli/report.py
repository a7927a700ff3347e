"""Sub-command: report."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app

if TYPE_CHECKING:
    from osteon.lab.report.supply import Watch


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="folder of a training")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder of the report; by default RUN/report")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME@VERSION", help="model file of this run, or one of the package's; by default its best pass is exported"
        ),
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="folder of an evaluation of that model; by default the split is evaluated")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="the run's index, if it has moved")] = None,
    split: Annotated[str, typer.Option("--split", help="split to report, where no evaluation is named")] = "valid",
) -> None:
    """Write what a run is and how good it is: data, curves, network, figures, failures, model card, checklist; HTML and Markdown."""
    from osteon.lab.model_file import model_path
    from osteon.lab.report.folder import HTML, MARKDOWN, report_run
    from osteon.lab.report.supply import Request

    folder = out or run / "report"
    file = None if model is None else model_path(model)
    request = Request(run, folder, file, evaluation, index, split, shlex.join(["osteon", *sys.argv[1:]]))
    try:
        with _stages() as watch:
            written = report_run(request, watch)
    except KeyboardInterrupt as stop:
        typer.echo("osteon: stopped. The same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from stop
    for warning in written.warnings:
        typer.echo(f"osteon: {warning.words}", err=True)
    typer.echo(f"{folder / HTML}: open it in a browser; the same as Markdown: {folder / MARKDOWN}")


@contextlib.contextmanager
def _stages() -> Iterator[Watch]:
    """Show a line for each stage, with a bar where it can be counted."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from osteon.lab.report.supply import STAGES

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task, shown = None, ""

        def show(stage: str, done: int, total: int) -> None:
            nonlocal task, shown
            if task is None or stage != shown:
                if task is not None:
                    bars.update(task, total=1, completed=1)
                task, shown = bars.add_task(STAGES[stage], total=None), stage
            bars.update(task, completed=done, total=total if total > 1 or done else None)

        yield show
