"""Sub-command: phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app


@app.command()
def phantom(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder that the data set is made in.")],
    studies: Annotated[int, typer.Option(help="Studies of each of the seven study types.", min=1)] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same films.", min=0)] = 0,
    size: Annotated[tuple[int, int], typer.Option(help="Shortest and longest long side of a film, pixels.")] = (256, 384),
) -> None:
    """Make synthetic films with known findings, in MURA's layout, with the boxes of the findings beside them."""
    from rich.console import Console

    from osteon.cli.progress import counting_bar
    from osteon.lab.phantom.dataset import DatasetSpec, make_dataset
    from osteon.network import cores

    spec = DatasetSpec(studies=studies, seed=seed, sizes=size, workers=cores())
    with counting_bar("films") as progress:
        made = make_dataset(out, spec, progress)
    kinds = ", ".join(f"{count} {kind}" for kind, count in made.kinds.items())
    Console().print(
        f"{made.films:,} films of {made.studies:,} studies of {made.patients:,} patients in {made.root}\n"
        f"abnormal studies: {made.abnormal_studies:,}; their films show: {kinds or 'none'}",
        highlight=False,
        soft_wrap=True,
    )
