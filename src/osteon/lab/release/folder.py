"""The folder of a release: what was asked, which stages are finished, and where each result stands.

release.json                what was asked, the finished stages, and what a reader should know of each
steps/exported.onnx ...     the model after each stage
steps/calibrated.calibration/   the calibration's report
evaluation/                 the finished model on the reported split
NAME-VERSION.onnx           it, with these figures in its card
before/, comparison/        the earlier model on the same films, and both side by side
report/                     the page of `osteon report`
release.md                  what changed in figures, and the commands
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import msgspec

from osteon.atomic import write_json
from osteon.errors import UsageError
from osteon.lab.calibration.calibrate import CalibrationPlan
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation import evaluation
from osteon.lab.evaluation.folder import COMPARISON, EVALUATION, PREDICTIONS
from osteon.lab.guard.fit import GuardPlan
from osteon.lab.model_file import file_sha256, model_path
from osteon.lab.quantisation import quantise
from osteon.lab.reporting.folder import HTML
from osteon.lab.stages import Staged, read_record
from osteon.lab.training.run import RunFolder
from osteon.model_names import PACKAGED, VERSION, packaged_models
from osteon.version import __version__

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
        members: How many of a run's best passes are averaged.
        facts: File of `model_file.Facts`, "" for none.
        calibration: How it is calibrated; its split is not looked at where `out_of_fold` is given.
        out_of_fold: Folder of a cross-validation to calibrate on, or "".
        guard: How it gets its guard, None for no guard.
        int8: How it gets its 8-bit form, None for none; the reported split is added to those that its cost is measured on.
        figures: The reported split, and how it is measured.
        against: Which model it is compared with: a file or `name@version`, "" for none.
        largest: Megabytes that the file may have.
    """

    runs: tuple[str, ...]
    index: str
    name: str
    version: str
    members: int = 1
    facts: str = ""
    calibration: CalibrationPlan = CalibrationPlan(split="tune")
    out_of_fold: str = ""
    guard: GuardPlan | None = GuardPlan()
    int8: quantise.Plan | None = quantise.Plan()
    figures: evaluation.Plan = evaluation.Plan()
    against: str = ""
    largest: float = LARGEST

    @property
    def report(self) -> str:
        """The split that the card's figures are of."""
        return self.figures.split

    @property
    def steps(self) -> tuple[str, ...]:
        """Those of `STEPS` that were asked for."""
        left_out = {"described": not self.facts, "guarded": self.guard is None, "quantised": self.int8 is None}
        return tuple(step for step in STEPS if not left_out.get(step))


class Record(Staged, frozen=True, kw_only=True):
    """`release.json`; `sources` are the sums of what was read, `notes` what a reader should know, by stage."""

    plan: ReleasePlan
    sources: dict[str, str]
    command: str = ""
    osteon: str = __version__


class Release:
    """Paths and record of one release."""

    def __init__(self, folder: Path, plan: ReleasePlan) -> None:
        self.folder, self.plan = folder, plan
        self.record_file = folder / "release.json"
        self.file = folder / f"{plan.name}-{plan.version}.onnx"
        self.evaluation, self.before, self.comparison = folder / "evaluation", folder / "before", folder / "comparison"
        self.report, self.page = folder / "report", folder / "release.md"

    def step(self, name: str) -> Path:
        """Return the model file that a step leaves."""
        return self.folder / "steps" / f"{name}.onnx"

    def ahead(self, name: str) -> Path:
        """Return the model file that a step starts from."""
        return self.step(self.plan.steps[self.plan.steps.index(name) - 1])

    @property
    def made(self) -> Path:
        """The model file of the last step, which is measured."""
        return self.step(self.plan.steps[-1])

    def begin(self, command: str) -> Record:
        """Return the record, a new one in an empty folder; a stage whose result is gone is made again, and all after it.

        Raises:
            UsageError: the folder holds something else, a release of other settings or sources, or cannot be written.
        """
        record, sources = self.record(), _sources(self.plan)
        if record is None:
            record = Record(plan=self.plan, sources=sources, command=command)
        elif changed := self._changed(record, sources):
            raise UsageError(f"{self.folder} holds a release with {changed}. Give the same command, or name another folder with -o.")
        there = record.finished
        for place, stage in enumerate(record.finished):
            if not self.result(stage).exists():
                there = record.finished[:place]
                break
        self._remove(set(self.stages) - set(there))
        record = msgspec.structs.replace(record, finished=there)
        write_json(record, self.record_file)
        return record

    def record(self) -> Record | None:
        """Return what is finished, None where the folder is new.

        Raises:
            UsageError: the folder holds something else.
        """
        return read_record(self.record_file, Record, "release")

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that were asked for, in their order."""
        compared = ("compared",) if self.plan.against else ()
        return (*self.plan.steps, "measured", "finished", *compared, "reported", "told")

    def result(self, stage: str) -> Path:
        """Return the file whose presence says that a stage is finished."""
        others = {
            "measured": self.evaluation / EVALUATION,
            "finished": self.file,
            "compared": self.comparison / COMPARISON,
            "reported": self.report / HTML,
            "told": self.page,
        }
        return others.get(stage) or self.step(stage)

    def _remove(self, stages: set[str]) -> None:
        """Remove what was made of a result that is gone."""
        for stage in stages:
            self.result(stage).unlink(missing_ok=True)
        if "measured" in stages:
            shutil.rmtree(self.evaluation, ignore_errors=True)
        if "reported" in stages:
            shutil.rmtree(self.report, ignore_errors=True)

    def _changed(self, record: Record, sources: dict[str, str]) -> str:
        if record.osteon != __version__:
            return f"osteon {record.osteon}, and this is {__version__}"
        before, now = (msgspec.to_builtins(plan) for plan in (record.plan, self.plan))
        if names := [name for name in now if before.get(name) != now[name]]:
            return f"another {names[0].replace('_', ' ')}"
        names = [name for name in sources if record.sources.get(name) != sources[name]]
        return f"another content of {names[0]}, which has changed since" if names else ""


def checked_name(name: str, version: str) -> None:
    """Refuse what cannot be found again as `name@version`.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UsageError(f"--name {name!r}: a model's name has small letters, digits and hyphens, such as fracture.")
    if not re.fullmatch(VERSION, version):
        raise UsageError(f"--version {version!r}: a version has numbers with points between, such as 0.2.0.")


def compared_with(words: str) -> str:
    """Return what `ReleasePlan.against` is for "packaged" (the newest model of the package, if any), "none", a reference or a file."""
    if words == PACKAGED:
        return next(reversed(packaged_models()), "")
    if words == "none":
        return ""
    return str(Path(words).resolve()) if Path(words).is_file() else words


def _sources(plan: ReleasePlan) -> dict[str, str]:
    """Return a sum of everything that the stages read, so that a release does not go on with other material."""
    sums = {plan.index: fingerprint(read_index(plan.index))}
    for run in plan.runs:
        here = RunFolder(Path(run))
        sums[run] = hashlib.sha256(here.record_file.read_bytes() + here.history_file.read_bytes()).hexdigest()
    if plan.facts:
        sums[plan.facts] = file_sha256(Path(plan.facts))
    if plan.out_of_fold:
        sums[plan.out_of_fold] = file_sha256(table_of(Path(plan.out_of_fold)))
    if plan.against:
        sums[plan.against] = file_sha256(model_path(plan.against))
    return sums


def table_of(folder: Path) -> Path:
    """Return the table of predictions of a folder, or the file itself."""
    return folder / PREDICTIONS if folder.is_dir() else folder
