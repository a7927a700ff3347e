"""Sub-command: cross-validate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.card_text import interval
from osteon.cli import app, offline, typed
from osteon.cli.progress import progress_bar, stopped
from osteon.cli.recipes import RecipeName
from osteon.cli.side_by_side import Jobs, side_by_side
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.card import Metric
    from osteon.lab.experiments.crossvalidation.result import CrossValidated, FoldResult

COLUMNS = {
    "auroc": "AUROC",
    "kappa": "kappa",
    "sensitivity at specificity 0.9": "sens. at 90 % spec.",
    "ece": "calibration error",
    "pointing": "pointing accuracy",
}
"""Metrics of films that the terminal shows; `cross-validation.json` has them all."""


@app.command()
def cross_validate(
    index: Annotated[Path, typer.Argument(help="index.parquet with folds, from `osteon split --folds`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder of the cross-validation; the same command goes on with it")],
    recipe: RecipeName = "osteon",
    change: Annotated[list[str] | None, typer.Option("--set", help="change a setting of the recipe: epochs=3, frame.size=224")] = None,
    init: Annotated[
        str, typer.Option(help="first weights, as for `osteon train`; another cross-validation's folder: of the same fold")
    ] = "",
    budget: Annotated[float, typer.Option(min=0, help="time limit of a fold in minutes; the schedule is shortened to fit")] = 0.0,
    only: Annotated[str, typer.Option(help="make these folds alone: 1,2,3; folds made before are measured with them")] = "",
    by: Annotated[list[str] | None, typer.Option("--by", help="a further column of the index to make subgroups by")] = None,
    save_every: Annotated[float, typer.Option(min=0, help="minutes between two checkpoints within an epoch")] = 5.0,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
) -> None:
    """k-fold cross-validation of a recipe.

    The same command in a second terminal takes the folds that the first is
    not making.
    """
    from osteon.lab.experiments.crossvalidation.first_weights import recipe_for
    from osteon.lab.experiments.crossvalidation.stages import Request, cross_validate

    request = Request(
        recipe=recipe_for(recipe, [*(change or []), *([f"init={init}"] if init else [])]),
        index=index,
        budget=budget,
        only=_numbers(only),
        by=tuple(by or ()),
        save_every=save_every,
        device=device,
        offline=offline(),
        command=typed(),
        jobs=jobs,
    )
    with stopped(), side_by_side(jobs), progress_bar() as watch:
        found = cross_validate(out, request, watch)
    _show(found, out)


def _numbers(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise UsageError(f"--only {text!r}: write the numbers of folds with commas between, as in 1,2,3.")
    return tuple(dict.fromkeys(map(int, parts)))


def _show(found: CrossValidated, out: Path) -> None:
    from osteon.cli.terminal import show, show_notes, show_table

    names = [name for name in COLUMNS if any(fold.metrics.get(name) is not None for fold in found.folds)]
    rows = [(f"{fold.fold}", f"{fold.films:,} ({fold.abnormal:,})", *_of_fold(fold, names)) for fold in found.folds]
    groups = list(dict.fromkeys(m.group for m in found.metrics))
    rows += [_mean(found, group, names) for group in groups]
    header = ("fold", "n (abnormal)", *(COLUMNS[name] for name in names), "epochs", "min", "films/s")
    title = f"{found.plan.name}: recipe {found.plan.recipe.name}, {len(found.folds)} folds, films"
    show_table(header, rows, title, [len(found.folds) + place for place, group in enumerate(groups) if group == "all"])
    show(f"means over folds with 95 % intervals over groups; kappa at the threshold {found.threshold:g}; *: of the folds that define it")
    show_notes(found.notes)
    show(f"{out}: cross-validation.json, evaluation.json, predictions.parquet and figures")


def _of_fold(fold: FoldResult, names: list[str]) -> Iterator[str]:
    for name in names:
        yield "" if (value := fold.metrics.get(name)) is None else f"{value:.4f}"
    yield from (f"{fold.epochs}", f"{fold.seconds / 60:.1f}", f"{fold.films_per_second:.1f}")


def _mean(found: CrossValidated, group: str, names: list[str]) -> tuple[str, ...]:
    first = found.find(group, "auroc")
    label = "mean" if group == "all" else group.removeprefix("study_type=").replace("=", " ")
    cost = ("", f"{found.seconds / 60:.1f}", "") if group == "all" else ("", "", "")
    count = f"{first.n:,} ({first.positives:,})" if first else ""
    return label, count, *(_cell(found.find(group, name)) for name in names), *cost


def _cell(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return ""
    parts = (f"{metric.value:.3f}", interval(metric.low, metric.high), "*" if "mean of " in metric.note else "")
    return " ".join(filter(None, parts))
