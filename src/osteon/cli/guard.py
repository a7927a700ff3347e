"""Sub-command: guard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app
from osteon.cli.models import ModelArgument, ModelOption, named_model


@app.command()
def guard(
    index: Annotated[Path, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write, with the guard")],
    argument: ModelArgument = None,
    model: ModelOption = None,
    split: Annotated[list[str] | None, typer.Option("--split", help="splits whose films are in scope; default: train and tune")] = None,
    measure: Annotated[str, typer.Option(help="split to count false refusals on; its films take no part in the fit")] = "valid",
    aim: Annotated[float, typer.Option(min=0, max=0.2, help="share of films in scope that may be called out of it")] = 0.001,
    room: Annotated[
        float, typer.Option(min=1, max=3, help="times the novelty that --aim allows is in scope: room for other machines' films")
    ] = 1.0,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="body part that a DICOM film may declare; default: the card's study types")
    ] = None,
    out_of_scope: Annotated[
        list[Path] | None,
        typer.Option("--out-of-scope", exists=True, file_okay=False, help="folder of pictures that are out of scope, to measure on"),
    ] = None,
) -> None:
    """Fit the detection of films that are out of scope (out-of-distribution), and measure it."""
    from osteon.cli.card import show_scope
    from osteon.cli.progress import counting_bar
    from osteon.lab.data.index import read_index
    from osteon.lab.guard.fit import GuardPlan, guard_file
    from osteon.lab.model_file import model_path
    from osteon.regions import study_type

    parts = tuple(study_type(name) for name in part or ())
    splits, pictures = tuple(split or ("train", "tune")), tuple(map(str, out_of_scope or ()))
    plan = GuardPlan(splits=splits, measured_on=measure, aim=aim, room=room, body_parts=parts, out_of_scope=pictures)
    with counting_bar("read films") as progress:
        card = guard_file(model_path(named_model(argument, model)), read_index(index), out, plan, progress)
    show_scope(card)
    typer.echo(f"{out}: {card.reference} with its guard")
