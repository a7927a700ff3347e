"""The folder of a ladder: what is made, by however many processes.

ladder.json      what was asked, and each rung that is made
ladder.md        the same as a table
locks/NAME       held by the process that has taken a rung
base/, NAME/     each rung's cross-validation
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import msgspec

from osteon.atomic import write_json
from osteon.lab.evaluation.comparison import Difference, compare
from osteon.lab.evaluation.evaluation import ALL, Plan
from osteon.lab.evaluation.folder import plan_for, predictions_of
from osteon.lab.evaluation.folds import FOLDS
from osteon.lab.experiments.ablation.rungs import BASE, Ladder, Rung, Rungs, folder_of
from osteon.lab.experiments.ablation.table import FIGURES, markdown
from osteon.lab.lock import alone, hold
from osteon.lab.pages import write_whole
from osteon.lab.stages import read_record

LADDER, TABLE, LOCKS = "ladder.json", "ladder.md", "locks"


class LadderFolder:
    """Record and table of what is asked.

    What was made before counts, also of another file with the same base, whose rungs stand below the asked ones; what was asked otherwise
    before does not.
    """

    def __init__(self, folder: Path, asked: Rungs, command: str) -> None:
        """Take up a folder.

        Raises:
            UsageError: it holds something else, or cannot be written.
        """
        self.folder, self.asked, self.command = folder, asked, command
        self._record()  # refuses before anything is written

    def take(self, rung: Rung) -> IO[str] | None:
        """Take a rung for this process until what is returned is closed; None where another has it."""
        return hold(self.folder / LOCKS / rung.folder, wait=False)

    def made(self, rung: Rung | None = None) -> Ladder:
        """Write record and table anew, with a rung that this process has made; returns what is made by all of them."""
        with alone(self.folder, wait=True):
            before = self._record()
            known = {made.name: made for made in before.rungs} if before is not None and _alike(before.asked, self.asked) else {}
            if rung is not None:
                known[rung.name] = rung
            wanted = [(BASE, ()), *self.asked.rungs.items()]
            kept = [known[name] for name, changes in wanted if name in known and known[name].changes == changes]
            taken = {folder_of(name) for name, _ in wanted}
            kept += [made for made in known.values() if made.folder not in taken and not made.error]
            if BASE in known:
                kept = [self._compared(made) for made in kept]
            ladder = Ladder(asked=self.asked, rungs=tuple(kept), command=self.command)
            write_json(ladder, self.folder / LADDER)
            write_whole(self.folder / TABLE, markdown(ladder))
        return ladder

    def _record(self) -> Ladder | None:
        return read_record(self.folder / LADDER, Ladder, "ladder")

    def _compared(self, rung: Rung) -> Rung:
        if rung.name == BASE or rung.error or rung.differences:
            return rung
        return msgspec.structs.replace(rung, differences=_differences(self.folder / BASE, self.folder / rung.folder))


def _alike(before: Rungs, now: Rungs) -> bool:
    return msgspec.structs.replace(before, rungs={}) == msgspec.structs.replace(now, rungs={})


def _differences(base: Path, other: Path) -> dict[str, Difference]:
    first, second = predictions_of(base), predictions_of(other)
    plan = Plan(split=ALL)
    apart = compare(first, second, (plan_for(first, plan), plan_for(second, plan))).differences
    return {d.name: d for d in apart if d.group == FOLDS and d.name in FIGURES}
