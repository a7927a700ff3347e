"""Export, calibration, texts, guard, INT8, metrics, comparison, report, page: each does what the sub-command of its name does.

Stopped or killed at any moment, the same call goes on with the first stage that is not finished, and comes to the same file.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import alone
from osteon.errors import UsageError
from osteon.lab.calibration.calibrate import check_split
from osteon.lab.calibration.folder import calibrate_file, cross_validated, cross_validated_plan
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.folder import compare_into, evaluate_file, plan_for, predictions_of, read_evaluation, write_metrics
from osteon.lab.evaluation.scoring import score_films
from osteon.lab.evaluation.verdict import verdict
from osteon.lab.guard.fit import guard_file
from osteon.lab.model_file import describe_file, file_sha256, model_path
from osteon.lab.progress import Watch
from osteon.lab.quantisation.quantise import quantise_file
from osteon.lab.release.films import check_films
from osteon.lab.release.folder import Record, Release
from osteon.lab.release.page import write_page
from osteon.lab.release.plan import ReleasePlan, checked_name
from osteon.lab.reporting.folder import report_run
from osteon.lab.reporting.supply import Request
from osteon.lab.stages import Stage, Tell, remove, run_stages
from osteon.lab.training.export import Export, export_run
from osteon.opening import load_model

STAGES = {
    "exported": "export the trainings as one file",
    "calibrated": "calibrate it, choose threshold and limits of uncertain",
    "described": "write what people say of it into the card",
    "guarded": "fit and measure the guard",
    "quantised": "make its INT8 form, and measure what that costs",
    "measured": "measure it on the reported split",
    "finished": "write the metrics into the card",
    "compared": "measure the earlier model on the same films",
    "reported": "write the report",
    "told": "write release.md",
}
"""The stages in their order, and what the terminal calls them."""

GROWTH = 1.0
"""Megabytes that the later stages add at most to networks of which the package could bring the file."""


def release(folder: Path, plan: ReleasePlan, command: str, watch: Watch) -> Record:
    """Run the stages that are not finished; returns the record.

    Args:
        folder: Where everything goes.
        plan: What is asked.
        command: What a reader would type to get the same.
        watch: Told of every step.

    Raises:
        UsageError: a name that does not do, another release in the folder, another process there, or a file that is too large.
        LeakySplit: a training has learned from films that it is to be measured or calibrated on.
        OsteonError: as the stages do.
    """
    checked_name(plan.name, plan.version)
    here, films = Release(folder, plan, command), read_index(plan.index)
    here.record()  # refuses a folder of something else before anything is written there
    warned = check_films(plan, films)
    stages: dict[str, Stage] = {
        "exported": partial(_export, here),
        "calibrated": partial(_calibrate, here, films),
        "described": partial(_describe, here),
        "guarded": partial(_guard, here, films),
        "quantised": partial(_quantise, here),
        "measured": partial(_measure, here, films),
        "finished": partial(_finish, here),
        "compared": partial(_compare, here, films),
        "reported": partial(_report, here),
        "told": partial(write_page, here),
    }
    with alone(folder):
        record = here.begin()
        record = msgspec.structs.replace(record, notes=record.notes | {"films": tuple(warned)})
        return run_stages(record, here.record_file, {name: stages[name] for name in here.stages}, watch)


def _export(here: Release, _: Tell) -> list[str]:
    plan, out = here.plan, here.step("exported")
    runs = [Path(run) for run in plan.runs]
    done = export_run(Export(runs[0], out, plan.name, plan.version, plan.members, tuple(runs[1:])))
    size = _fitting(out, plan)
    close = [f"guard, INT8 and metrics add up to {GROWTH:g} MB: it may grow too large"] if size + GROWTH > plan.largest else []
    return [f"{done.card.network}, {size:.1f} MB; largest difference to torch {done.difference:.1e} logit", *close]


def _fitting(file: Path, plan: ReleasePlan) -> float:
    """Return a file's size in megabytes.

    Raises:
        UsageError: it has more of them than a release may have.
    """
    size = file.stat().st_size / 1e6
    if size > plan.largest:
        raise UsageError(
            f"{file.name} has {size:.1f} MB, and a release {plan.largest:g} at most. Release fewer trainings, or a smaller network; or "
            "allow more with largest = MEGABYTES in the plan."
        )
    return size


def _calibrate(here: Release, films: pl.DataFrame, tell: Tell) -> list[str]:
    plan, asked, file = here.plan, here.plan.calibration, here.ahead("calibrated")
    if plan.cross_validation:
        scored = cross_validated(Path(plan.cross_validation), films, (plan.report,))
        asked = cross_validated_plan(asked, Path(plan.cross_validation), scored)
    else:
        model = load_model(file)
        check_split(model.card, asked.split, films, fingerprint(films))
        scored = score_films(model, file, films, [asked.split], (here.command, tell))
    calibrated = calibrate_file(file, scored, asked, here.step("calibrated"), command=here.command)
    decision = calibrated.card.decision
    return [
        f"{calibrated.films:,} films, {asked.told or f'split {asked.split!r}'}; abnormal from {decision.threshold:.3g} ({decision.rule})"
    ]


def _describe(here: Release, _: Tell) -> list[str]:
    card = describe_file(here.ahead("described"), Path(here.plan.facts), here.step("described"))
    return [f"it finds {card.finding}"]


def _guard(here: Release, films: pl.DataFrame, tell: Tell) -> list[str]:
    assert here.plan.guard
    plan = msgspec.structs.replace(here.plan.guard, measured_on=here.plan.report)
    scope = guard_file(here.ahead("guarded"), films, here.step("guarded"), plan, tell).scope
    assert scope
    _fitting(here.step("guarded"), here.plan)
    return [f"of {scope.measured[0].kind} it refuses {scope.measured[0].refused} of {scope.measured[0].films}"]


def _quantise(here: Release, tell: Tell) -> list[str]:
    assert here.plan.int8
    plan = replace(here.plan.int8, report=tuple(dict.fromkeys((*here.plan.int8.report, here.plan.report))))
    int8 = quantise_file(str(here.ahead("quantised")), Path(here.plan.index), here.step("quantised"), plan, tell).int8
    assert int8
    _fitting(here.step("quantised"), here.plan)
    default = "the default" if int8.fits else "they cost too much to be the default"
    return [f"{int8.layers} layers in INT8, {int8.kept} left in float32; {default}"]


def _measure(here: Release, films: pl.DataFrame, tell: Tell) -> list[str]:
    evaluation = evaluate_file(here.made, films, here.plan.evaluation, here.evaluation, (here.command, tell))
    counts = evaluation.counts
    refused = [f"{counts.refused_films} films could not be read and take no part"] if counts.refused_films else []
    return [f"{counts.measured_films:,} films, {counts.abnormal_films:,} abnormal", verdict(evaluation), *refused, *evaluation.notes]


def _finish(here: Release, _: Tell) -> list[str]:
    card = write_metrics(here.made, [read_evaluation(here.evaluation)], here.file)
    size = _fitting(here.file, here.plan)
    return [f"{here.file.name}: {card.reference}, {size:.1f} MB, {len(card.metrics)} metrics in its card"]


def _compare(here: Release, films: pl.DataFrame, tell: Tell) -> list[str]:
    file, plan = model_path(here.plan.against), here.plan.evaluation
    if file_sha256(file) == file_sha256(here.file):
        raise UsageError(f"against: {here.plan.against} is the released file itself. Name an earlier one, or none.")
    evaluate_file(file, films, plan, here.before, (here.command, tell))
    earlier, now = predictions_of(here.before), predictions_of(here.evaluation)
    plans = plan_for(earlier, plan), plan_for(now, plan)
    comparison, _ = compare_into(earlier, now, plans, here.comparison, here.command)
    return [f"{comparison.films:,} films that both answered", *comparison.notes]


def _report(here: Release, tell: Tell) -> list[str]:
    remove(here.report)  # what a killed process has left
    request = Request(Path(here.plan.runs[0]), here.report, here.file, here.evaluation, None, here.plan.report, here.command)
    report = report_run(request, lambda progress: tell(progress.done, progress.total))
    several = [f"the report tells of the first of {len(here.plan.runs)} trainings"] if len(here.plan.runs) > 1 else []
    return [*several, *(warning.words for warning in report.warnings)]
