"""Sub-command: ladder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, typed
from osteon.cli.cross_validate import steps_shown
from osteon.cli.progress import stopped
from osteon.cli.side_by_side import Jobs, side_by_side

if TYPE_CHECKING:
    from osteon.lab.experiments.ablation.rungs import Ladder
    from osteon.lab.experiments.crossvalidation.stages import Step


@app.command()
def ladder(
    index: Annotated[Path, typer.Argument(help="index.parquet with folds, from `osteon split --folds`")],
    rungs: Annotated[Path, typer.Argument(help="TOML: what all rungs change, and in the table rungs what each does; see above")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the ladder; the same command goes on with it")] = Path("ladder"),
    save_every: Annotated[float, typer.Option(min=0, help="minutes between two checkpoints within a pass")] = 5.0,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="open no network connection")] = False,
) -> None:
    r"""Change one setting at a time: cross-validate each change, and say what it gains or loses against the base, with intervals.

    A file of rungs:

    set = ["frame.size=160", "epochs=3"]

    \[rungs]

    "nothing frozen" = ["freeze=0"]

    "joined films" = ["augmentation.cut=0.5"]

    Further lines: recipe = "osteon", only = [1, 2] (folds), budget = 30
    (minutes a fold), by = ["hardware"] (subgroups). What goes wrong in one
    rung costs that rung alone; the exit status is then 1.
    """
    from osteon.lab.experiments.ablation.climb import Climb, climb

    asked = Climb(index=index, file=rungs, out=out, save_every=save_every, device=device, offline=offline, command=typed(), jobs=jobs)
    with stopped(), side_by_side(jobs), steps_shown() as shown:

        def watch(name: str, place: int, count: int, step: Step) -> None:
            shown(step, f"{name} ({place} of {count}), ")

        climbed = climb(asked, watch)
    _show(climbed, out)
    if any(rung.error for rung in climbed.rungs):
        raise typer.Exit(1)


def _show(climbed: Ladder, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from osteon.lab.experiments.ablation.folder import TABLE
    from osteon.lab.experiments.ablation.table import BY_CHANCE, cells, remarks

    console = Console(highlight=False, markup=False)
    table = Table("rung", "AUROC of films", "difference", "min", box=None, pad_edge=False)
    for rung in climbed.rungs:
        table.add_row(rung.name, *cells(rung, ["auroc"]), f"{rung.seconds / 60:.1f}")
    console.print(table)
    for text in remarks(climbed):
        console.print(text, style="yellow")
    console.print(BY_CHANCE)
    console.print(f"{out / TABLE}: with kappa, sensitivity and the peak in a box")
