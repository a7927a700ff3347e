"""Sub-commands that measure a model: evaluate, compare, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from osteon.cli import app
from osteon.cli.models import ModelOption

IndexOption = Annotated[Path | None, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")]
PredictionsOption = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        help="predictions.parquet of an earlier evaluation, what predict wrote (JSON, CSV), or another program's table: no model is run",
    ),
]
ByOption = Annotated[list[str] | None, typer.Option("--by", help="a further column of the index to make subgroups by")]
PrevalenceOption = Annotated[
    list[float] | None, typer.Option("--prevalence", min=0, max=1, help="state PPV and NPV at this prevalence too")
]


@app.command()
def evaluate(
    model: ModelOption = None,
    index: IndexOption = None,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="split to measure, several for several reports; all: every film")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the evaluation")] = Path("evaluation"),
    predictions: PredictionsOption = None,
    by: ByOption = None,
    prevalence: PrevalenceOption = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="by default the card's")] = None,
    card_into: Annotated[Path | None, typer.Option(help="write a copy of the model whose card carries these metrics")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="packaged|NAME@VERSION|FILE|FOLDER",
            help="also compare with another model on the same films; a model, or an evaluation of it",
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, max=100_000, help="bootstrap resamples of the groups (patients, where they are named)")
    ] = 2000,
) -> None:
    """Measure a model on a split: every metric with its interval, for studies and films, per study type and subgroup."""
    from osteon import lab
    from osteon.cli.evaluation_tables import show_comparison, show_evaluation, show_gain
    from osteon.cli.progress import progress_bar
    from osteon.lab.evaluation.folder import write_metrics
    from osteon.lab.model_file import model_path

    evaluations = []
    for name in split or ["valid"]:
        folder = out / name if split and len(split) > 1 else out
        plan = lab.EvaluationPlan(split=name, by=tuple(by or ()), prevalences=tuple(prevalence or ()), resamples=resamples)
        with progress_bar() as progress:
            evaluations.append(lab.evaluate(predictions or model, index, folder, split=plan, threshold=threshold, progress=progress))
        show_evaluation(evaluations[-1], folder)
        if against is not None:
            with progress_bar() as progress:
                comparison = lab.compare(against, evaluations[-1], folder, index=index, split=plan, progress=progress)
            show_comparison(comparison)
            show_gain(comparison)
    if card_into is not None:
        written = write_metrics(model_path(model), evaluations, card_into)
        typer.echo(f"{card_into}: {written.reference} with {len(written.metrics)} metrics in its card")
    if any(evaluation.counts.refused_films for evaluation in evaluations):
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="an evaluation's folder, a table of predictions, or with --index a model")],
    b: Annotated[str, typer.Argument(metavar="B", help="another; differences are B - A")],
    split: Annotated[str, typer.Option("--split", help="split to compare on; all: every film")] = "valid",
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the comparison")] = Path("comparison"),
    index: IndexOption = None,
) -> None:
    """Compare two models on the same films: paired differences with their intervals, McNemar's test, where they disagree."""
    from osteon import lab
    from osteon.cli.evaluation_tables import show_comparison
    from osteon.cli.progress import progress_bar

    with progress_bar() as progress:
        comparison = lab.compare(a, b, out, index=index, split=split, progress=progress)
    show_comparison(comparison)


SiteFilms = Annotated[
    Path | None,
    typer.Option("--site", metavar="FILMS", help="a hospital's films (index, table, folder) that move the limits"),
]


@app.command()
def calibrate(
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write, with the new card; with --site NAME.site.json")],
    model: ModelOption = None,
    index: IndexOption = None,
    site: SiteFilms = None,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", help="split to calibrate on, never the one you report; default: tune, of a cross-validation every film"),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", help="an evaluation's predictions, or a cross-validation of the same recipe (its folder): no model is run"
        ),
    ] = None,
    method: Annotated[Literal["logistic", "temperature", "isotonic"], typer.Option(help="how logits become probabilities")] = "logistic",
    rule: Annotated[str, typer.Option(help="max-kappa, sensitivity>=0.9, specificity>=0.9, or a threshold such as 0.5")] = "max-kappa",
    uncertain: Annotated[str, typer.Option(help="sensitivity below and specificity above the uncertain answers, or none")] = "0.95,0.92",
    pooling: Annotated[Literal["mean", "max", "noisy-or", "top-k"], typer.Option(help="how a study's films are pooled")] = "mean",
) -> None:
    """Calibrate probabilities and choose the answers' limits.

    With --site the model stays as it is: a hospital's own films, at least
    30 normal ones, move the limits, and `osteon predict --site-file` takes
    the small file that is made.
    """
    from osteon import lab
    from osteon.cli.evaluation_tables import show_calibration
    from osteon.cli.progress import progress_bar
    from osteon.lab.calibration.decision import read_band, read_rule
    from osteon.lab.calibration.folder import report_folder

    if site:
        _calibrate_site(model, site, out)
        return
    names, limits, band = ",".join(split or ()), read_rule(rule), read_band(uncertain)
    plan = lab.CalibrationPlan(split=names, method=method, rule=limits, doubt=band, pooling=pooling)
    with progress_bar() as progress:
        calibrated = lab.calibrate(model, index, out, split=plan, predictions=predictions, progress=progress)
    show_calibration(calibrated, out, report_folder(out))


def _calibrate_site(model: str | None, films: Path, out: Path) -> None:
    from osteon import lab
    from osteon.cli.evaluation_tables import show_site
    from osteon.cli.progress import progress_bar

    with progress_bar() as progress:
        made = lab.calibrate_site(model, films, out, progress=progress)
    show_site(made, out)
