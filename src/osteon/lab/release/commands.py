"""The commands that a release's stages stand for, typed in its folder: the same file, step by step."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from osteon.lab.calibration.calibrate import CalibrationPlan
from osteon.lab.calibration.decision import Rule
from osteon.lab.data.index import read_index
from osteon.lab.evaluation import bootstrap
from osteon.lab.release.folder import Release


def commands(here: Release) -> Iterator[str]:
    """Yield the command of each stage, in their order."""
    for stage in here.stages:
        if stage == "compared":
            yield command_of(here, "before")
        if stage not in {"finished", "told"}:
            yield command_of(here, stage)


def command_of(here: Release, stage: str) -> str:
    """Return the command of one stage; of "before" that which measures the earlier model."""
    return shlex.join(["osteon", *_words(here, stage)])


def _words(here: Release, stage: str) -> list[str]:
    plan = here.plan
    if stage in plan.steps:
        return [*_step(here, stage), "-o", _path(here, stage)]
    evaluate = {"measured": (_path(here, plan.steps[-1]), "evaluation"), "before": (plan.against, "before")}
    if stage in evaluate:
        model, out = evaluate[stage]
        card = ["--card-into", here.file.name] if stage == "measured" else []
        return ["evaluate", "--model", model, "--index", plan.index, *_figures(here), "-o", out, *card]
    if stage == "compared":
        return ["compare", "before", "evaluation", "--split", plan.report, "-o", "comparison"]
    return ["report", plan.runs[0], "--model", here.file.name, "--evaluation", "evaluation", "-o", "report"]


def _step(here: Release, step: str) -> list[str]:
    """Return the words of a step that leaves a model file."""
    plan, index = here.plan, ["--index", here.plan.index]
    if step == "exported":
        members = ["--members", str(plan.members)] if plan.members > 1 else []
        return ["export", *plan.runs, "--name", plan.name, "--version", plan.version, *members]
    file = here.ahead(step).relative_to(here.folder).as_posix()
    if step == "calibrated":
        return ["calibrate", "--model", file, *index, *_calibration(here, plan.calibration)]
    if step == "described":
        return ["card", file, "--facts", plan.facts]
    return ["guard", file, *index, *_guard(here)] if step == "guarded" else ["quantise", file, *index, *_int8(here)]


def _path(here: Release, step: str) -> str:
    return here.step(step).relative_to(here.folder).as_posix()


def _figures(here: Release) -> list[str]:
    figures = here.plan.figures
    prevalences = _each("--prevalence", (f"{value:g}" for value in figures.prevalences))
    return ["--split", figures.split, *_each("--by", figures.by), *prevalences, *_unusual(here)]


def _unusual(here: Release) -> list[str]:
    figures = here.plan.figures
    return [] if figures.resamples == bootstrap.RESAMPLES else ["--resamples", str(figures.resamples)]


def _calibration(here: Release, asked: CalibrationPlan) -> list[str]:
    crossed = here.plan.out_of_fold
    films = ["--predictions", crossed, *_each("--split", _others(here))] if crossed else ["--split", asked.split]
    doubt = "none" if asked.doubt is None else f"{asked.doubt[0]:g},{asked.doubt[1]:g}"
    return [*films, "--method", asked.method, "--rule", _rule(asked.rule), "--doubt", doubt, "--pooling", asked.pooling]


def _others(here: Release) -> list[str]:
    """Return the splits that are not reported."""
    return [split for split in sorted(set(read_index(Path(here.plan.index))["split"])) if split != here.plan.report]


def _rule(rule: Rule) -> str:
    return {"max-kappa": "max-kappa", "fixed": f"{rule.target:g}"}.get(rule.kind, f"{rule.kind}>={rule.target:g}")


def _guard(here: Release) -> list[str]:
    asked = here.plan.guard
    assert asked
    named = [*_each("--split", asked.splits), *_each("--foreign", asked.foreign)]
    room = ["--room", f"{asked.room:g}"] if asked.room != 1 else []
    return [*named, "--measure", here.plan.report, "--aim", f"{asked.aim:g}", *room]


def _int8(here: Release) -> list[str]:
    asked = here.plan.int8
    assert asked
    reported = _each("--report", dict.fromkeys((*asked.report, here.plan.report)))
    return ["--calibrate-on", asked.calibrate_on, "--hold", asked.hold, *reported]


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
