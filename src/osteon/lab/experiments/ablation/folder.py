"""The folder of an ablation study: what is made, by however many processes.

ablation.json    what was asked, and each ablation that is made
ablation.md      the same as a table
locks/NAME       held by the process that has taken an ablation
base/, NAME/     each ablation's cross-validation
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from osteon.atomic import alone, write_json
from osteon.lab.evaluation.comparison import Difference, compare
from osteon.lab.evaluation.evaluation import ALL, Plan
from osteon.lab.evaluation.folder import plan_for, predictions_of
from osteon.lab.evaluation.folds import FOLDS
from osteon.lab.experiments.ablation.ablations import BASE, Ablation, AblationPlan, AblationStudy, folder_of
from osteon.lab.experiments.ablation.table import METRICS, markdown
from osteon.lab.pages import write_whole
from osteon.lab.stages import read_record

STUDY, TABLE, LOCKS = "ablation.json", "ablation.md", "locks"


class StudyFolder:
    """Record and table of what is asked.

    What was made before counts, also of another plan with the same base, whose ablations stand below the asked ones; of another base
    nothing does.
    """

    def __init__(self, folder: Path, asked: AblationPlan, command: str) -> None:
        """Take up a folder.

        Raises:
            UsageError: it holds something else, or cannot be written.
        """
        self.folder, self.asked, self.command = folder, asked, command
        self._record()  # refuses before anything is written

    def lock(self, ablation: Ablation) -> Path:
        """Return the file that is locked by the process that makes an ablation."""
        return self.folder / LOCKS / ablation.folder

    def made(self, ablation: Ablation | None = None) -> AblationStudy:
        """Write record and table anew, with an ablation that this process has made; returns what is made by all of them."""
        with alone(self.folder, wait=True):
            before = self._record()
            known = {made.name: made for made in before.ablations} if before is not None and _alike(before.asked, self.asked) else {}
            if ablation is not None:
                known[ablation.name] = ablation
            wanted = [(BASE, ()), *self.asked.ablations.items()]
            kept = [known[name] for name, changes in wanted if name in known and known[name].changes == changes]
            taken = {folder_of(name) for name, _ in wanted}
            kept += [made for made in known.values() if made.folder not in taken and not made.error]
            if BASE in known:
                kept = [self._compared(made) for made in kept]
            study = AblationStudy(asked=self.asked, ablations=tuple(kept), command=self.command)
            write_json(study, self.folder / STUDY)
            write_whole(self.folder / TABLE, markdown(study))
        return study

    def _record(self) -> AblationStudy | None:
        return read_record(self.folder / STUDY, AblationStudy, "ablation study")

    def _compared(self, ablation: Ablation) -> Ablation:
        if ablation.name == BASE or ablation.error or ablation.differences:
            return ablation
        return msgspec.structs.replace(ablation, differences=_differences(self.folder / BASE, self.folder / ablation.folder))


def _alike(before: AblationPlan, now: AblationPlan) -> bool:
    return msgspec.structs.replace(before, ablations={}) == msgspec.structs.replace(now, ablations={})


def _differences(base: Path, other: Path) -> dict[str, Difference]:
    first, second = predictions_of(base), predictions_of(other)
    plan = Plan(split=ALL)
    apart = compare(first, second, (plan_for(first, plan), plan_for(second, plan))).differences
    return {d.name: d for d in apart if d.group == FOLDS and d.name in METRICS}
