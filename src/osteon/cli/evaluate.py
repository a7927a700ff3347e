"""Sub-commands that measure a model: evaluate, compare, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from osteon.cli import app, typed
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.lab.evaluation.evaluation import Plan
    from osteon.lab.evaluation.scoring import Predictions

ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="FILE|NAME@VERSION", help="a model file, or one by name; default: the package's")
]
IndexOption = Annotated[Path | None, typer.Option("--index", help="index.parquet, from `osteon index` and `osteon split`")]
PredictionsOption = Annotated[
    Path | None,
    typer.Option("--predictions", help="predictions.parquet of an earlier evaluation, or another program's table: no model is run"),
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
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="bootstrap resamples of the patients")] = 2000,
) -> None:
    """Measure a model on a split: every metric with its interval, for studies and films, per study type and subgroup."""
    from osteon.cli.evaluation_tables import show_evaluation
    from osteon.lab.evaluation.evaluation import Plan
    from osteon.lab.evaluation.folder import PREDICTIONS, evaluate, plan_for, write_metrics
    from osteon.lab.evaluation.scoring import write_predictions
    from osteon.lab.model_file import model_path

    splits = split or ["valid"]
    scored = _predictions(model, index, predictions, splits)
    other = None if against is None else _other_model(against, index, splits)
    if predictions is None:
        write_predictions(scored, out / PREDICTIONS)
    evaluations = []
    for name in splits:
        folder = out if len(splits) == 1 else out / name
        plan = Plan(split=name, by=tuple(by or ()), prevalences=tuple(prevalence or ()), resamples=resamples)
        evaluations.append(evaluate(scored, plan_for(scored, plan, threshold), folder, typed()))
        show_evaluation(evaluations[-1], folder)
        if other is not None:
            _show_gain(other, scored, (plan_for(other, plan), plan_for(scored, plan, threshold)), folder)
    if card_into is not None:
        written = write_metrics(model_path(model), evaluations, card_into)
        typer.echo(f"{card_into}: {written.reference} with {len(written.metrics)} metrics in its card")
    if any(evaluation.counts.refused_films for evaluation in evaluations):
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="an evaluation's folder, or a table of predictions")],
    b: Annotated[Path, typer.Argument(metavar="B", help="another; differences are B - A")],
    split: Annotated[str, typer.Option("--split", help="split to compare on; all: every film")] = "valid",
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the comparison")] = Path("comparison"),
    index: IndexOption = None,
) -> None:
    """Compare two models on the same films: paired differences with their intervals, McNemar's test, where they disagree."""
    from osteon.cli.evaluation_tables import show_comparison
    from osteon.lab.data.index import read_index
    from osteon.lab.evaluation.evaluation import Plan
    from osteon.lab.evaluation.folder import compare_into, plan_for, predictions_of

    films = None if index is None else read_index(index)
    first, second = predictions_of(a, films), predictions_of(b, films)
    plan = Plan(split=split)
    comparison, apart = compare_into(first, second, (plan_for(first, plan), plan_for(second, plan)), out, typed())
    show_comparison(comparison, apart, out)


@app.command()
def calibrate(
    out: Annotated[Path, typer.Option("-o", "--out", help="model file to write, with the new card")],
    model: ModelOption = None,
    index: IndexOption = None,
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
    doubt: Annotated[str, typer.Option(help="sensitivity below and specificity above the uncertain answers, or none")] = "0.95,0.95",
    pooling: Annotated[Literal["mean", "max", "noisy-or", "top-k"], typer.Option(help="how a study's films are pooled")] = "mean",
    other_data: Annotated[bool, typer.Option("--other-data", help="the split only shares its name with one in the card")] = False,
) -> None:
    """Calibrate probabilities and choose the answers' limits."""
    from osteon.cli.evaluation_tables import show_calibration
    from osteon.lab.calibration.calibrate import CalibrationPlan, check_split
    from osteon.lab.calibration.decision import read_band, read_rule
    from osteon.lab.calibration.folder import calibrate_file, cross_validated, cross_validated_plan, is_cross_validation, report_folder
    from osteon.lab.data.index import read_index
    from osteon.lab.model_file import model_path
    from osteon.opening import load_model

    plan = CalibrationPlan(method=method, rule=read_rule(rule), doubt=read_band(doubt), pooling=pooling)
    file = model_path(model)
    card = load_model(file).card
    if predictions is None or not is_cross_validation(predictions):
        plan = msgspec.structs.replace(plan, split=_only(split))
        if not other_data:
            check_split(card, plan.split)
        scored = _predictions(model, index, predictions, [plan.split])
    elif index is None:
        raise UsageError("name the index with --index: it says which films take part, and what their labels are.")
    else:
        scored = cross_validated(predictions, read_index(index), splits=tuple(split or ()))
        plan = cross_validated_plan(plan, predictions, scored)
    calibrated = calibrate_file(file, scored, plan, out, command=typed())
    show_calibration(calibrated, out, report_folder(out))


def _only(splits: list[str] | None) -> str:
    if splits and len(splits) > 1:
        raise UsageError(f"--split: {', '.join(splits)}: a model is calibrated on one split. Name several for a cross-validation only.")
    return splits[0] if splits else "tune"


def _predictions(model: str | None, index: Path | None, table: Path | None, splits: list[str]) -> Predictions:
    from osteon.cli.progress import counting_bar
    from osteon.lab.data.index import read_index
    from osteon.lab.evaluation.folder import predictions_of
    from osteon.lab.evaluation.scoring import score_index

    if table is not None:
        return predictions_of(table, None if index is None else read_index(index))
    if index is None:
        raise UsageError("name the index with --index, or the predictions of an earlier evaluation with --predictions.")
    with counting_bar("read films") as progress:
        return score_index(model, index, splits, typed(), progress)


def _other_model(against: str, index: Path | None, splits: list[str]) -> Predictions:
    if Path(against).is_dir() or Path(against).suffix in (".parquet", ".csv", ".json"):
        return _predictions(None, index, Path(against), splits)
    return _predictions(against, index, None, splits)


def _show_gain(other: Predictions, scored: Predictions, plans: tuple[Plan, Plan], folder: Path) -> None:
    """Compare with the other model as `osteon compare` does, into the evaluation's folder, and say the gain in a sentence."""
    from osteon.cli.evaluation_tables import show_comparison, show_gain
    from osteon.lab.evaluation.evaluation import ALL
    from osteon.lab.evaluation.folder import compare_into
    from osteon.lab.evaluation.scoring import write_predictions

    write_predictions(other, folder / "against.parquet")
    comparison, apart = compare_into(other, scored, plans, folder, typed())
    show_comparison(comparison, apart, folder)
    for difference in comparison.differences:
        if (difference.group, difference.name) == (ALL, "auroc"):
            show_gain(difference)
