"""The folder of a release: what was asked, which stages are finished, and where each result stands.

release.json                what was asked, the finished stages, and what a reader should know of each
steps/exported.onnx ...     the model after each stage
steps/calibrated.calibration/   the calibration's report
evaluation/                 the finished model on the reported split
NAME-VERSION.onnx           it, with these metrics in its card
before/, comparison/        the earlier model on the same films, and both side by side
report/                     the page of `osteon report`
release.md                  what changed in its metrics, and the plan
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from osteon.atomic import write_json
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.folder import PREDICTIONS
from osteon.lab.model_file import file_sha256, model_path
from osteon.lab.release.plan import ReleasePlan
from osteon.lab.stages import Staged, changed, read_record, refuse_changed, still_finished
from osteon.lab.training.run import RunFolder
from osteon.version import __version__


class Record(Staged, frozen=True, kw_only=True):
    """`release.json`; `sources` are the sums of what was read, `notes` what a reader should know, by stage."""

    plan: ReleasePlan
    sources: dict[str, str]
    command: str = ""
    osteon: str = __version__


class Release:
    """Paths and record of one release."""

    def __init__(self, folder: Path, plan: ReleasePlan, command: str = "") -> None:
        self.folder, self.plan, self.command = folder, plan, command
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

    def begin(self) -> Record:
        """Return the record, a new one in an empty folder; a stage whose result is gone is made again, and all after it.

        Raises:
            UsageError: the folder holds something else, a release of other settings or sources, or cannot be written.
        """
        now = Record(plan=self.plan, sources=_sources(self.plan), command=self.command)
        record = self.record() or now
        refuse_changed(self.folder, "release", changed(record, now, {"sources": "another content of {}, which has changed since"}))
        record = still_finished(record, {stage: (self.result(stage),) for stage in self.stages})
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
        """Return the file or folder that a stage leaves."""
        others = {
            "measured": self.evaluation,
            "finished": self.file,
            "compared": self.comparison,
            "reported": self.report,
            "told": self.page,
        }
        return others.get(stage) or self.step(stage)


def _sources(plan: ReleasePlan) -> dict[str, str]:
    """Return a sum of everything that the stages read, so that a release does not go on with other material."""
    sums = {plan.index: fingerprint(read_index(plan.index))}
    for run in plan.runs:
        here = RunFolder(Path(run))
        sums[run] = hashlib.sha256(here.record_file.read_bytes() + here.history_file.read_bytes()).hexdigest()
    if plan.facts:
        sums[plan.facts] = file_sha256(Path(plan.facts))
    if plan.cross_validation:
        sums[plan.cross_validation] = file_sha256(table_of(Path(plan.cross_validation)))
    if plan.against:
        sums[plan.against] = file_sha256(model_path(plan.against))
    return sums


def table_of(folder: Path) -> Path:
    """Return the table of predictions of a folder, or the file itself."""
    return folder / PREDICTIONS if folder.is_dir() else folder
