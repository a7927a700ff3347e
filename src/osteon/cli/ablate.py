"""Sub-command: ablate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, offline, typed
from osteon.cli.progress import progress_bar, stopped
from osteon.cli.side_by_side import Jobs, side_by_side

if TYPE_CHECKING:
    from osteon.lab.experiments.ablation.ablations import AblationStudy


@app.command()
def ablate(
    index: Annotated[Path, typer.Argument(help="index.parquet with folds, from `osteon split --folds`")],
    plan: Annotated[Path, typer.Argument(help="TOML: what all change, and in the table ablations what each does; see above")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the study; the same command goes on with it")] = Path("ablation"),
    save_every: Annotated[float, typer.Option(min=0, help="minutes between two checkpoints within an epoch")] = 5.0,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
) -> None:
    r"""Ablation study: cross-validate each change of a recipe and compare it with the unchanged one, with intervals.

    A plan:

    set = ["frame.size=160", "epochs=3"]

    \[ablations]

    "nothing frozen" = ["freeze=0"]

    "CutMix" = ["augmentation.cut=0.5"]

    Further lines: recipe = "osteon", only = [1, 2] (folds), budget = 30
    (minutes a fold), by = ["hand"] (subgroups). What goes wrong in one
    ablation costs that one alone; the exit status is then 1.
    """
    from osteon.lab.experiments.ablation import study

    asked = study.AblationRequest(
        index=index, file=plan, out=out, save_every=save_every, device=device, offline=offline(), command=typed(), jobs=jobs
    )
    with stopped(), side_by_side(jobs), progress_bar() as watch:
        made = study.ablate(asked, watch)
    _show(made, out)
    if any(ablation.error for ablation in made.ablations):
        raise typer.Exit(1)


def _show(study: AblationStudy, out: Path) -> None:
    from osteon.cli.terminal import show, show_table
    from osteon.lab.experiments.ablation.folder import TABLE
    from osteon.lab.experiments.ablation.table import BY_CHANCE, cells, remarks

    rows = [(ablation.name, *cells(ablation, ["auroc"]), f"{ablation.seconds / 60:.1f}") for ablation in study.ablations]
    show_table(("ablation", "AUROC of films", "difference", "min"), rows)
    for text in remarks(study):
        show(text, "yellow")
    show(BY_CHANCE)
    show(f"{out / TABLE}: with kappa, sensitivity and pointing accuracy")
