"""Cross-validations that take seconds: tiny trainings, and in the place of the export, which takes ten, a true model file at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from made_index import made_index
from made_model import made_card
from made_network import make_network
from osteon.card import Pooling
from osteon.lab.data.splits import folds
from osteon.lab.experiments.crossvalidation.folder import CrossValidation
from osteon.lab.experiments.crossvalidation.result import CrossValidated
from osteon.lab.experiments.crossvalidation.stages import Request, cross_validate
from osteon.lab.progress import Progress, Watch
from osteon.lab.training import checkpoint
from osteon.lab.training.export import Export, Exported
from osteon.lab.training.run import RunFolder, kept
from tiny_training import tiny

COMMAND = "osteon cross-validate index.parquet"
EXPORT = "osteon.lab.experiments.crossvalidation.stages.export_run"
"""What a test puts `exported_at_once` in the place of."""


def quiet(_: Progress) -> None:
    """Show nothing."""


def with_folds(folder: Path, films: int = 24, count: int = 2) -> Path:
    """Write films and an index whose column `fold` has that many folds."""
    index = made_index(folder, {"train": films})
    folds(pl.read_parquet(index), count).write_parquet(index)
    return index


def exported_at_once(asked: Export) -> Exported:
    """Write a small true model that answers by what its training has learned: its bias is `mark` of the run."""
    pooling = Pooling(kind="logsumexp", sharpness=2.0, bias=mark(asked.run))
    card = made_card(name=asked.name, pooling=pooling)
    make_network(asked.out, card)
    return Exported(asked.out, card, 0.0)


def mark(run: Path) -> float:
    """A number that only these weights have."""
    folder = RunFolder(run)
    [last] = kept(folder.history(), folder.record())
    weights = checkpoint.load(folder.best_file(last.epoch))["weights"]
    return float(1000 * weights["head.cell.weight"].double().mean())


@dataclass(frozen=True)
class Made:
    """Where cross-validations of one index are made."""

    folder: Path
    index: Path

    def run(self, folder: str, watch: Watch = quiet, **changes: Any) -> CrossValidated:
        """Make one, or go on with it."""
        asked: dict[str, Any] = {"recipe": tiny(), "index": self.index, "name": "made", "command": COMMAND}
        return cross_validate(self.folder / folder, Request(**asked | changes), watch)

    def at(self, name: str) -> CrossValidation:
        """Return its folder."""
        return CrossValidation(self.folder / name)


def stage_of(progress: Progress) -> tuple[int, str]:
    """Return the fold, -1 for all of them, and what is done for it; selecting is a part of training."""
    fold = re.search(r"fold (\d+)", progress.part)
    return int(fold[1]) if fold else -1, {"select": "train"}.get(progress.stage, progress.stage)


def stages(told: list[tuple[int, str]]) -> Watch:
    """Return a watch that notes each stage of each fold once."""

    def watch(progress: Progress) -> None:
        if (stage := stage_of(progress)) not in told:
            told.append(stage)

    return watch
