"""The folder of a training that has ended, quickly: record and history as `osteon train` writes them, a small true model beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from made_index import made_index
from made_model import made_card, make_model
from osteon.card import Card, DataSource
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.evaluation import Plan as EvaluationPlan
from osteon.lab.evaluation.evaluation import measure
from osteon.lab.evaluation.folder import plan_for
from osteon.lab.evaluation.scoring import score_index
from osteon.lab.progress import Epoch
from osteon.lab.reporting.material import Material, read_material
from osteon.lab.reporting.supply import Measured, Request
from osteon.lab.training.run import Plan, RunFolder, RunRecord
from tiny_training import tiny

SPLITS = {"train": 12, "tune": 12, "valid": 36}


@dataclass(frozen=True)
class Made:
    """A run's folder, its index, and a model file whose card says that it was made from it."""

    run: Path
    index: Path
    model: Path
    card: Card

    def request(self, out: Path, **changes: object) -> Request:
        """A report of this run with its model."""
        return Request(**{"run": self.run, "out": out, "model": self.model, "command": "osteon report run"} | changes)  # type: ignore[arg-type]

    def material(self, folder: Path, split: str = "valid") -> Material:
        """What a report of this run speaks of, measured with few resamples and no curves drawn."""
        figures = folder / "figures"
        figures.mkdir(parents=True, exist_ok=True)
        predictions = score_index(str(self.model), self.index, [split], "osteon evaluate")
        evaluation = measure(predictions, plan_for(predictions, EvaluationPlan(split=split, resamples=100)))
        request = self.request(folder)
        return read_material(request, RunFolder(self.run), self.model, Measured(evaluation, predictions, folder))


def made_run(folder: Path, passes: int = 3, **card: Any) -> Made:
    """Write an index, a run of it and its model, which calls bright films abnormal; `card` are fields of the model's card."""
    index = made_index(folder, SPLITS)
    told = fingerprint(read_index(index))
    run = RunFolder(folder / "run")
    run.start(RunRecord(recipe=tiny(), plan=Plan(index=str(index), fingerprint=told), weights="random", code_commit="c0ffee"))
    run.write_history([made_pass(epoch) for epoch in range(passes)])
    data = (DataSource(name="made", films=12, studies=6, abnormal_films=4, fingerprint=told),)
    filled = msgspec.structs.replace(made_card(), data=data, **card)
    return Made(run.folder, index, make_model(folder / "model.onnx", filled, kind="brightness"), filled)


def made_pass(epoch: int) -> Epoch:
    """A pass that is better than the one before it."""
    return Epoch(
        epoch=epoch,
        loss=1 / (epoch + 2),
        select_loss=0.6 - 0.1 * epoch,
        select_auroc=0.7 + 0.05 * epoch,
        rate=1e-4,
        films_per_second=10.0,
        seconds=60.0,
    )
