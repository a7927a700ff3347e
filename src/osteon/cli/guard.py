"""Sub-command: guard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app
from osteon.cli.evaluate import ModelOption
from osteon.cli.release import AimOption, ForeignOption, PartOption, RoomOption


@app.command()
def guard(
    index: Annotated[Path, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write, with the guard")],
    model: ModelOption = None,
    split: Annotated[list[str] | None, typer.Option("--split", help="splits whose films are in scope; default: train and tune")] = None,
    measure: Annotated[str, typer.Option(help="split to count false refusals on; its films take no part in the fit")] = "valid",
    aim: AimOption = 0.001,
    room: RoomOption = 1.0,
    part: PartOption = None,
    foreign: ForeignOption = None,
    seed: Annotated[int, typer.Option(help="another seed, other parts and made pictures")] = 0,
) -> None:
    """Teach a model which films it does not answer for, and measure how well it tells."""
    from osteon.cli.progress import counting_bar
    from osteon.cli.show_card import show_scope
    from osteon.lab.data.index import read_index
    from osteon.lab.guard.fit import GuardPlan, guard_file
    from osteon.lab.model_file import model_path
    from osteon.regions import study_type

    splits, parts = tuple(split or ("train", "tune")), tuple(study_type(p) for p in part or ())
    plan = GuardPlan(
        splits=splits, measured_on=measure, aim=aim, room=room, body_parts=parts, foreign=tuple(map(str, foreign or ())), seed=seed
    )
    with counting_bar("read films") as progress:
        card = guard_file(model_path(model), read_index(index), out, plan, progress)
    show_scope(card)
    typer.echo(f"{out}: {card.reference} with its guard")
