"""Sub-command quantise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app
from osteon.cli.models import ModelArgument, ModelOption, named_model


@app.command()
def quantise(
    index: Annotated[Path, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write, with both precisions")],
    argument: ModelArgument = None,
    model: ModelOption = None,
    calibrate_on: Annotated[str, typer.Option(help="split whose films give the ranges of the INT8 numbers")] = "train",
    hold: Annotated[str, typer.Option(help="split on which the layers are chosen that stay in float32")] = "tune",
    report: Annotated[list[str] | None, typer.Option(help="a further split whose cost goes into the card")] = None,
    again: Annotated[bool, typer.Option("--again", help="keep the file's INT8 form, and measure its cost again")] = False,
) -> None:
    """Give a model file an INT8 form beside float32, and write into its card what that costs.

    Do it after `osteon calibrate`: answers are counted at the card's
    limits. Where INT8 costs at most 0.002 AUROC, 0.5 % of the answers
    and 1 % of the pointing accuracy, `osteon predict` takes it.
    """
    from osteon.cli.card import show_int8
    from osteon.cli.progress import counting_bar
    from osteon.lab.quantisation.quantise import Plan, quantise_file

    plan = Plan(calibrate_on=calibrate_on, hold=hold, report=tuple(report or ()))
    with counting_bar("rank layers") as progress:
        card = quantise_file(named_model(argument, model), index, out, plan, progress, again=again)
    typer.echo(f"{out}: {card.reference}, {out.stat().st_size / 1e6:.1f} MB")
    show_int8(card)
