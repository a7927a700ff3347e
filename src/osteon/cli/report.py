"""Sub-command: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app
from osteon.cli.progress import progress_bar, stopped


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="folder of a training")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder of the report; by default RUN/report")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME@VERSION", help="model file of this run, or one by name; by default its best epoch is exported"),
    ] = None,
    evaluation: Annotated[
        str, typer.Option(metavar="SPLIT|FOLDER", help="a split, which is then evaluated, or the folder of an evaluation of that model")
    ] = "valid",
    index: Annotated[Path | None, typer.Option(help="the run's index, if it has moved")] = None,
) -> None:
    """Write on one page what a training is worth: verdict, curves, heat maps, data, metrics, failures, model card, checklist."""
    from osteon import lab
    from osteon.lab.reporting.folder import HTML, MARKDOWN
    from osteon.lab.reporting.supply import STAGES

    with stopped(), progress_bar({stage: stage for stage in STAGES}) as watch:
        written = lab.report(run, out, model=model, evaluation=evaluation, index=index, progress=watch)
    for text in (written.verdict, written.answers):
        typer.echo(text.words)
    for warning in written.warnings:
        typer.echo(f"osteon: {warning.words}", err=True)
    typer.echo(f"{written.folder / HTML}: open it in a browser; the same as Markdown: {written.folder / MARKDOWN}")
