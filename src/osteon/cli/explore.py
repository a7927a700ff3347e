"""Sub-command: explore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app

if TYPE_CHECKING:
    from osteon.lab.exploration.records import Exploration


@app.command()
def explore(
    index: Annotated[Path, typer.Argument(help="index.parquet, from `osteon index` or `osteon split`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the page, its figures (PNG) and its numbers (JSON)")] = Path(
        "exploration"
    ),
    sample: Annotated[int, typer.Option(min=0, help="films to open for their grey levels, drawn at random; 0 opens none at all")] = 400,
) -> None:
    """Show on one page what a dataset is like: counts, films, possible shortcuts, and problems."""
    from osteon import lab
    from osteon.cli.progress import progress_bar

    with progress_bar() as progress:
        found = lab.explore(index, out, sample=sample, progress=progress)
    _show(found, out)
    if found.pixels is not None and found.pixels.missing + found.pixels.refused:
        raise typer.Exit(1)


def _show(found: Exploration, out: Path) -> None:
    from osteon.cli.terminal import show
    from osteon.lab.exploration.notes import notes

    patients = f"{found.groups:,} groups (no patient is named)" if found.patients is None else f"{found.patients:,} patients"
    show(f"{found.origin.dataset}: {found.films:,} films, {found.studies:,} studies, {patients}")
    for note in notes(found):
        show(f"  {note.text}", "yellow" if note.warns else "")
    show(f"{out / 'exploration.html'}, with {len(found.figures)} figures and exploration.json")
