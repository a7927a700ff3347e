"""Sub-command: release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli import app, typed
from osteon.cli.progress import progress_bar, stopped

AgainstOption = Annotated[
    str, typer.Option(metavar="packaged|NAME@VERSION|FILE|none", help="model to compare with on the same films; packaged: the newest")
]


@app.command()
def release(
    plan: Annotated[Path, typer.Argument(help="TOML: trainings, splits, and how each stage does its work; see above")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the release; the same command goes on with it")] = Path("released"),
    index: Annotated[Path | None, typer.Option(help="index.parquet with the splits that the plan names")] = None,
    name: Annotated[str, typer.Option(help="name in the card, as in name@version")] = "",
    version: Annotated[str, typer.Option(help="version in the card")] = "",
    against: AgainstOption = "",
) -> None:
    r"""Make a release from trainings, in stages that can be interrupted.

    A plan; paths are relative to it, and options go before it:

    runs = ["run"]

    index = "split.parquet"

    name = "fracture"

    version = "0.8.0"

    It may also hold members, facts, cross_validation, against, largest, and
    tables: \[calibration] split, method, rule, uncertain, pooling, resamples,
    seed; \[guard] splits, aim, room, body_parts, out_of_scope, seed; \[int8]
    calibrate_on, hold, films, seed; \[evaluation] split, by, prevalences,
    resamples, seed. guard = false and int8 = false leave these out.
    docs/release.md explains each.
    """
    from osteon.lab.release.folder import Release
    from osteon.lab.release.plan import read_plan
    from osteon.lab.release.stages import STAGES
    from osteon.lab.release.stages import release as make

    options = {"index": index and str(index.resolve()), "name": name, "version": version, "against": _placed(against)}
    asked = read_plan(plan, {option: value for option, value in options.items() if value})
    with stopped(), progress_bar(STAGES) as watch:
        make(out, asked, typed(), watch)
    here = Release(out, asked)
    typer.echo(here.page.read_text(encoding="utf-8"))
    typer.echo(f"{here.file}: {here.file.stat().st_size / 1e6:.1f} MB; {here.page.name} and {here.report.name}/ beside it")


def _placed(model: str) -> str:
    return str(Path(model).resolve()) if Path(model).is_file() else model
