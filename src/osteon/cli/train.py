"""Sub-commands that make a model: train, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app


@app.command()
def train(
    index: Annotated[
        Path | None, typer.Argument(help="index.parquet, from `osteon index` and `osteon split`; not needed with --resume")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of this training")] = Path("run"),
    recipe: Annotated[str, typer.Option(help="paper, article or osteon")] = "osteon",
    change: Annotated[list[str] | None, typer.Option("--set", help="change a setting of the recipe: epochs=3, frame.size=224")] = None,
    init: Annotated[str, typer.Option(help="first weights: imagenet, random, or a file; by default what the recipe says")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="go on with the training in the folder")] = False,
    learn: Annotated[str, typer.Option("--train", help="split to learn from")] = "train",
    select: Annotated[str, typer.Option(help="split to choose checkpoints on; never the one you report")] = "tune",
    budget: Annotated[float, typer.Option(help="end the schedule properly within so many minutes")] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="open no network connection")] = False,
) -> None:
    """Train a network on an index; killed or stopped, it goes on with --resume. Several GPUs: torchrun -m osteon train ..."""
    from osteon.cli.progress import training_bar
    from osteon.errors import UsageError
    from osteon.lab.training import recipe as recipes
    from osteon.lab.training.session import TrainingRequest, resume_training, start_training

    with training_bar() as watch:
        if resume:
            history = resume_training(out, device, watch)
        elif index is None:
            raise UsageError("name the index to train on, or go on with a training by --resume.")
        else:
            changes = [*(change or []), *([f"init={init}"] if init else [])]
            plan = TrainingRequest(recipes.recipe(recipe, changes), index, learn, select, budget, offline)
            history = start_training(plan, out, device, watch)
    typer.echo(f"{len(history)} passes in {out}. Next: osteon export {out} -o model.onnx")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a training")],
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write")] = Path("model.onnx"),
    name: Annotated[str, typer.Option(help="name in the card; by default the recipe's")] = "",
    version: Annotated[str, typer.Option(help="version in the card")] = "0.1.0",
    members: Annotated[int, typer.Option(help="how many of the best passes go into the ensemble")] = 1,
) -> None:
    """Write a training's best weights as one model file with its card, checked against torch."""
    from osteon.lab.training.export import Export, export_run

    done = export_run(Export(run, out, name, version, members))
    typer.echo(f"{out}: {done.card.reference}, {out.stat().st_size / 1e6:.1f} MB, largest difference to torch {done.difference:.1e} logit")
