"""Sub-command: release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from osteon.cli import app, typed
from osteon.cli.progress import stages_bar, stopped

if TYPE_CHECKING:
    from osteon.lab.release.folder import ReleasePlan

OutOfFoldOption = Annotated[
    Path | None, typer.Option(help="folder of a cross-validation of the same recipe, to calibrate on instead of a split")
]
AimOption = Annotated[float, typer.Option(min=0, max=0.2, help="share of films in scope that may be called out of it")]
RoomOption = Annotated[
    float, typer.Option(min=1, max=3, help="times the novelty that --aim allows is in scope: room for other machines' films")
]
PartOption = Annotated[
    list[str] | None, typer.Option("--part", help="body part that a DICOM film may declare; default: the card's study types")
]
ForeignOption = Annotated[
    list[Path] | None,
    typer.Option("--foreign", exists=True, file_okay=False, help="folder of pictures that are out of scope, to measure on"),
]
AgainstOption = Annotated[
    str, typer.Option(metavar="packaged|NAME@VERSION|FILE|none", help="model to compare with on the same films; packaged: the newest")
]


@app.command()
def release(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folder of a training; of several, an ensemble is made")],
    index: Annotated[Path, typer.Option("--index", help="index.parquet with the splits named here")],
    name: Annotated[str, typer.Option(help="name in the card, as in name@version")],
    version: Annotated[str, typer.Option(help="version in the card")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the release; the same command goes on with it")] = Path("released"),
    facts: Annotated[Path | None, typer.Option(help="JSON for `osteon card --facts`")] = None,
    members: Annotated[int, typer.Option(min=1, help="how many of a training's best passes go into the file")] = 1,
    report: Annotated[str, typer.Option(help="split whose figures go into the card; nothing else is done with its films")] = "valid",
    by: Annotated[list[str] | None, typer.Option("--by", help="a further column of the index to make subgroups by")] = None,
    calibrate_on: Annotated[str, typer.Option(help="split for calibration, threshold and band of doubt")] = "tune",
    out_of_fold: OutOfFoldOption = None,
    method: Annotated[Literal["logistic", "temperature", "isotonic"], typer.Option(help="how logits become probabilities")] = "logistic",
    rule: Annotated[str, typer.Option(help="max-kappa, sensitivity>=0.9, specificity>=0.9, or a threshold such as 0.5")] = "max-kappa",
    doubt: Annotated[str, typer.Option(help="sensitivity below and specificity above the band of doubt, or none")] = "0.95,0.95",
    pooling: Annotated[Literal["mean", "max", "noisy-or", "top-k"], typer.Option(help="how a study's films are pooled")] = "mean",
    guard: Annotated[bool, typer.Option("--guard/--no-guard", help="whether it gets a guard")] = True,
    guard_on: Annotated[list[str] | None, typer.Option(help="splits whose films are in scope; default: train and tune")] = None,
    part: PartOption = None,
    foreign: ForeignOption = None,
    aim: AimOption = 0.001,
    room: RoomOption = 1.0,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="whether it gets an 8-bit form")] = True,
    ranges_on: Annotated[str, typer.Option(help="split whose films give the ranges of the 8-bit numbers")] = "train",
    hold: Annotated[str, typer.Option(help="split on which the layers are chosen that stay in float32")] = "tune",
    films: Annotated[int, typer.Option(min=30, help="how many films give the ranges")] = 150,
    against: AgainstOption = "packaged",
    largest: Annotated[float | None, typer.Option(min=1, help="megabytes that the file may have; 30 by default")] = None,
) -> None:
    """Make a release from trainings, in stages that can be interrupted.

    Each stage does what the sub-command of its name does; release.md in
    the folder has the commands.
    """
    from osteon.lab.calibration.calibrate import CalibrationPlan
    from osteon.lab.calibration.decision import read_band, read_rule
    from osteon.lab.evaluation import evaluation
    from osteon.lab.guard.fit import GuardPlan
    from osteon.lab.quantisation import quantise
    from osteon.lab.release.folder import LARGEST, ReleasePlan, compared_with
    from osteon.regions import study_type

    splits, parts = tuple(guard_on or ("train", "tune")), tuple(study_type(p) for p in part or ())
    scope = GuardPlan(splits=splits, measured_on=report, aim=aim, room=room, body_parts=parts, foreign=_absolute(*foreign or ()))
    plan = ReleasePlan(
        runs=_absolute(*runs),
        index=str(index.resolve()),
        name=name,
        version=version,
        members=members,
        facts=str(facts.resolve()) if facts else "",
        calibration=CalibrationPlan(split=calibrate_on, method=method, rule=read_rule(rule), doubt=read_band(doubt), pooling=pooling),
        out_of_fold=str(out_of_fold.resolve()) if out_of_fold else "",
        guard=scope if guard else None,
        int8=quantise.Plan(calibrate_on=ranges_on, hold=hold, report=(report,), films=films) if int8 else None,
        figures=evaluation.Plan(split=report, by=tuple(by or ())),
        against=compared_with(against),
        largest=largest or LARGEST,
    )
    _run(out, plan)


def _absolute(*paths: Path) -> tuple[str, ...]:
    return tuple(str(path.resolve()) for path in paths)


def _run(out: Path, plan: ReleasePlan) -> None:
    from osteon.lab.release.folder import Release
    from osteon.lab.release.stages import STAGES
    from osteon.lab.release.stages import release as make

    with stopped(), stages_bar(STAGES) as watch:
        make(out, plan, typed(), watch)
    here = Release(out, plan)
    typer.echo(here.page.read_text(encoding="utf-8"))
    typer.echo(f"{here.file}: {here.file.stat().st_size / 1e6:.1f} MB; {here.page.name} and {here.report.name}/ beside it")
