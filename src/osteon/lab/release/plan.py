"""What a release is asked to be: a TOML file, whose relative paths are relative to it, and a few settings given beside it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from osteon.errors import UsageError
from osteon.lab.calibration.calibrate import CalibrationPlan
from osteon.lab.calibration.decision import read_band, read_rule
from osteon.lab.evaluation import evaluation
from osteon.lab.guard.fit import GuardPlan
from osteon.lab.quantisation import quantise
from osteon.lab.stages import flat
from osteon.model_names import PACKAGED, VERSION, packaged_models
from osteon.regions import study_type

LARGEST = 30.0
"""Megabytes (10^6 bytes) that a release may have, unless it is asked for more: it travels in the package and in the repository."""

STEPS = ("exported", "calibrated", "described", "guarded", "quantised")
"""The stages that each leave a model file, in their order; the last is measured."""


class ReleasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the released file depends on.

    Attributes:
        runs: Folders of trainings, absolute; of several an ensemble is made.
        index: The index file, absolute.
        name: In the card and the file's name.
        version: Likewise.
        members: How many of a run's best epochs are averaged.
        facts: File of `model_file.Facts`, "" for none.
        calibration: How it is calibrated; its split is not looked at where `cross_validation` is given.
        cross_validation: Folder of a cross-validation of the same recipe to calibrate on, or "".
        guard: How it gets its guard, None for no guard.
        int8: How it gets its INT8 form, None for none; the reported split is added to those that its cost is measured on.
        evaluation: The reported split, and how it is measured.
        against: Which model it is compared with: a file or `name@version`, "" for none.
        largest: Megabytes that the file may have.
    """

    runs: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    index: str
    name: str
    version: str
    members: Annotated[int, msgspec.Meta(ge=1)] = 1
    facts: str = ""
    calibration: CalibrationPlan = CalibrationPlan(split="tune")
    cross_validation: str = ""
    guard: GuardPlan | None = GuardPlan()
    int8: quantise.Plan | None = quantise.Plan()
    evaluation: evaluation.Plan = evaluation.Plan()
    against: str = ""
    largest: Annotated[float, msgspec.Meta(ge=0)] = LARGEST

    @property
    def report(self) -> str:
        """The split that the card's metrics are of."""
        return self.evaluation.split

    @property
    def steps(self) -> tuple[str, ...]:
        """Those of `STEPS` that were asked for."""
        left_out = {"described": not self.facts, "guarded": self.guard is None, "quantised": self.int8 is None}
        return tuple(step for step in STEPS if not left_out.get(step))


SETTLED = (
    "calibration.told",
    "guard.measured_on",
    "int8.report",
    "evaluation.threshold",
    "evaluation.edges",
    "evaluation.study_pooling",
)
"""What follows from the rest."""

RENAMED = {"calibration.doubt": "calibration.uncertain", "guard.foreign": "guard.out_of_scope"}
"""Settings that have another name now, told for one release."""


def lines(plan: ReleasePlan) -> Iterator[str]:
    """Yield a plan as the lines of a file that `read_plan` takes."""
    calibration = {"rule": plan.calibration.rule.option, "uncertain": ",".join(map(str, plan.calibration.doubt or ["none"]))}
    told = msgspec.to_builtins(plan)
    told["calibration"] |= calibration
    del told["calibration"]["doubt"]
    for name, value in flat(told).items():
        if name not in SETTLED:
            yield f"{name} = {json.dumps(False if value is None else value)}"


def may_hold() -> list[str]:
    """Return what a plan may hold, in tables with a point; `guard = false` and `int8 = false` leave these out."""
    return [line.partition(" = ")[0] for line in lines(ReleasePlan(runs=("",), index="", name="", version=""))]


def read_plan(file: Path, given: Mapping[str, str]) -> ReleasePlan:
    """Read a plan.

    Args:
        file: TOML, with some of `may_hold`.
        given: What goes before what the file says.

    Raises:
        UsageError: the file cannot be read, holds something else, or too little.
    """
    try:
        asked = tomllib.loads(file.read_text(encoding="utf-8")) | dict(given)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be read ({fault.strerror}).") from fault
    except ValueError as fault:
        raise UsageError(f"{file}: no TOML ({fault}).") from fault
    left_out = [name for name in ("guard", "int8") if asked.get(name) is False]
    if renamed := [name for name in flat(asked) if name in RENAMED]:
        raise UsageError(f"{file}: {renamed[0]} is called {RENAMED[renamed[0]]} now.")
    if unknown := [name for name in flat(asked) if name not in (*may_hold(), *left_out)]:
        raise UsageError(f"{file}: {unknown[0]} is no setting of a release. It may hold: {', '.join(may_hold())}.")
    try:
        return _located(msgspec.convert(_values(asked) | dict.fromkeys(left_out), ReleasePlan), file.absolute().parent)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{file}: {fault}. Correct it; a plan may hold: {', '.join(may_hold())}.") from fault


def _values(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says as `ReleasePlan` has it."""
    calibration = {"split": "tune"} | asked.get("calibration", {})
    if "rule" in calibration:
        calibration["rule"] = msgspec.to_builtins(read_rule(str(calibration["rule"])))
    if "uncertain" in calibration:
        calibration["doubt"] = read_band(str(calibration.pop("uncertain")))
    return {"against": PACKAGED} | asked | {"calibration": calibration}


def _located(plan: ReleasePlan, base: Path) -> ReleasePlan:
    """Return a plan with absolute paths."""

    def there(*paths: str) -> tuple[str, ...]:
        return tuple(str((base / path).resolve()) if path else "" for path in paths)

    [index, facts, crossed] = there(plan.index, plan.facts, plan.cross_validation)
    guard = plan.guard
    if guard:
        guard = msgspec.structs.replace(guard, out_of_scope=there(*guard.out_of_scope), body_parts=tuple(map(study_type, guard.body_parts)))
    placed = msgspec.structs.replace(plan, runs=there(*plan.runs), index=index, facts=facts, cross_validation=crossed, guard=guard)
    return msgspec.structs.replace(placed, against=_compared_with(plan.against, base))


def _compared_with(words: str, base: Path) -> str:
    """Return what `ReleasePlan.against` is for "packaged" (the newest model of the package, if any), "none", a reference or a file."""
    if words == PACKAGED:
        return next(reversed(packaged_models()), "")
    if words == "none":
        return ""
    return str((base / words).resolve()) if (base / words).is_file() else words


def checked_name(name: str, version: str) -> None:
    """Refuse what cannot be found again as `name@version`.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UsageError(f"name {name!r}: a model's name has small letters, digits and hyphens, such as fracture.")
    if not re.fullmatch(VERSION, version):
        raise UsageError(f"version {version!r}: a version has numbers with points between, such as 0.2.0.")
