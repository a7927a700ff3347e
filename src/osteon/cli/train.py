"""Sub-commands that make a model: train, export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app, offline
from osteon.cli.recipes import RecipeName
from osteon.cli.terminal import show, show_notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osteon.lab.training.run import RunFolder


@app.command()
def train(
    index: Annotated[
        Path | None, typer.Argument(help="index.parquet, from `osteon index` and `osteon split`; not needed with --resume")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of this training")] = Path("run"),
    recipe: RecipeName = "osteon",
    change: Annotated[list[str] | None, typer.Option("--set", help="change a setting of the recipe: epochs=3, frame.size=224")] = None,
    init: Annotated[
        str,
        typer.Option(
            help="what to start from. For the backbone: imagenet, random, or a file of weights. A whole model: packaged, name@version, "
            "model.onnx, or the folder of another training; its network, head, pooling and frame are then used"
        ),
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="continue the training in the folder")] = False,
    learn: Annotated[str, typer.Option("--train", help="split to train on; several: train,tune; every film: all")] = "train",
    select: Annotated[
        str, typer.Option(help="split to choose the best epochs on; never the one that you report. none: the last epoch is kept")
    ] = "tune",
    budget: Annotated[float, typer.Option(min=0, help="time limit in minutes; the schedule is shortened to fit. 0: no limit")] = 0.0,
    save_every: Annotated[float, typer.Option(min=0, help="minutes between two checkpoints within an epoch")] = 5.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
) -> None:
    """Train a network. A training that was stopped continues with --resume. Several GPUs: torchrun -m osteon train ..."""
    from osteon import lab
    from osteon.cli.progress import progress_bar
    from osteon.errors import UsageError
    from osteon.lab.training.loop import Stopped
    from osteon.lab.training.session import has_ended

    if index is None and not resume:
        raise UsageError("name the index to train on, or continue a training with --resume.")
    settings = dict(_setting(words) for words in change or ()) | ({"init": init} if init else {})
    chosen = "" if select == "none" else select
    plan = lab.TrainingPlan(learn=learn, select=chosen, budget=budget, save_every=save_every, device=device, offline=offline())
    if resume and not settings and has_ended(out):
        _say(f"{out}: this training has ended, there was nothing to do. Next: osteon export {out} -o model.onnx")
        return
    if index is not None and not resume:
        _tell_boxes(index, recipe, settings)
    try:
        with progress_bar() as watch:
            run = lab.train(None if resume else index, out, recipe=recipe, settings=settings, plan=plan, callbacks=[watch])
    except Stopped as stop:
        _say(f"osteon: stopped. Continue with: osteon train --resume -o {out}", error=True)
        raise typer.Exit(130) from stop
    if refused := run.record().refused:
        _say(f"{len(refused)} films could not be read and were left out; {run.record_file} lists them with the reasons.", error=True)
    _tell_worth(run)
    _say(f"{len(run.history())} epochs in {out}. Next: osteon export {out} -o model.onnx")


@app.command()
def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folder of a training; several make an ensemble")],
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write")] = Path("model.onnx"),
    name: Annotated[str, typer.Option(help="model name; by default the recipe's")] = "",
    version: Annotated[str, typer.Option(help="model version")] = "0.1.0",
    members: Annotated[int, typer.Option(help="how many of each training's best epochs to average")] = 1,
) -> None:
    """Write the best epoch of a training as a model file (ONNX); several trainings make an ensemble."""
    from osteon import lab

    made = lab.export(runs, out, name=name, version=version, members=members)
    size = made.path.stat().st_size / 1e6
    typer.echo(f"{out}: {made.card.reference}, {size:.1f} MB, largest difference to torch {made.difference:.1e} logit")


def _setting(words: str) -> tuple[str, str]:
    """Return name and value of `--set`; what is no setting is left to the recipe to refuse."""
    name, _, value = words.partition("=")
    return name, value


def _tell_boxes(index: Path, recipe: str, settings: Mapping[str, str]) -> None:
    """Say that there is a recipe for films like these, to those who use the default."""
    from osteon.lab.data.index import read_index

    if recipe != "osteon" or settings.get("window", "0") != "0":
        return
    if boxed := int((read_index(index)["boxes"].list.len() > 0).sum()):
        _say(f"Findings are boxed in {boxed:,} films: --recipe boxed also trains on parts of films around them.", error=True)


def _tell_worth(run: RunFolder) -> None:
    """Say what the best epoch is worth on the selection split, and what attributes of the file alone reach there."""
    from osteon.cli.evaluation_tables import show_shortcuts
    from osteon.lab.evaluation.verdict import verdict

    if os.environ.get("RANK", "0") == "0" and (evaluation := run.evaluation()):
        show(f"{verdict(evaluation)} These films chose the epoch: the reported split may give less.", "bold")
        show_shortcuts(evaluation)
        show_notes(evaluation.notes)


def _say(line: str, error: bool = False) -> None:
    if os.environ.get("RANK", "0") == "0":  # one of torchrun's processes prints
        typer.echo(line, err=error)
