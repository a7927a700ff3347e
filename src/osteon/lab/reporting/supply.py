"""The model and the evaluation that a report shows: those that were named, or else made from the run and kept in the report's folder."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from osteon.card import Card
from osteon.errors import UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.evaluation import Evaluation, Plan
from osteon.lab.evaluation.folder import EVALUATION, PREDICTIONS, evaluate, plan_for, read_evaluation
from osteon.lab.evaluation.scoring import Predictions, read_predictions, score_index, write_predictions
from osteon.lab.model_file import file_sha256
from osteon.lab.progress import Progress, Watch, counting
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.recipe import read_frame
from osteon.lab.training.run import RunFolder, RunRecord
from osteon.opening import load_model

STAGES = EXPORT, SCORE, MEASURE, WRITE = "export the model", "read films", "measure", "write the report"
"""What is done for a report, in order."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a report was asked for; `model`, `evaluation` and `index` are None where they are made, or where the run says.

    `about` is what a reader must know first, "" for nothing more than the record says; `beside` the folder of another model's evaluation on
    the same films.
    """

    run: Path
    out: Path
    model: Path | None = None
    evaluation: Path | None = None
    index: Path | None = None
    split: str = "valid"
    command: str = ""
    about: str = ""
    beside: Path | None = None

    def index_path(self, record: RunRecord) -> Path:
        """Return where the run's index is."""
        return self.index or Path(record.plan.index)


@dataclass(frozen=True, slots=True)
class Measured:
    """An evaluation and the predictions it was made of (None where they are no longer beside it), and the folder of its pictures."""

    evaluation: Evaluation
    predictions: Predictions | None
    folder: Path


def supply_model(request: Request, run: RunFolder, watch: Watch) -> Path:
    """Return the model file, exported from the run's best epoch if none was named.

    An earlier export is used again unless the run has gone on since.

    Raises:
        UsageError: the run has finished no epoch, its index is gone, or the named model is not of this run.
        ModelFileError: the model cannot be opened.
    """
    record, out = run.record(), request.out / "model.onnx"
    if request.model is not None:
        _check_of_run(load_model(request.model).card, record, request)
        return request.model
    if not run.history():
        raise UsageError(f"{run.folder} has not finished an epoch. Go on with: osteon train --resume -o {run.folder}")
    if not Path(record.plan.index).exists():
        raise UsageError(f"the index of this training is not at {record.plan.index} now. Put it back, or name the model (model, --model).")
    if not out.exists() or out.stat().st_mtime < run.history_file.stat().st_mtime:
        watch(Progress(EXPORT))
        export_run(Export(run.folder, out))
    return out


def supply_evaluation(request: Request, record: RunRecord, model: Path, watch: Watch) -> Measured:
    """Return the evaluation that was named, or that of the reported split, made and kept in the report's folder.

    Raises:
        UsageError: the named evaluation is of another model.
        MeasurementError: there is no such split, or nothing in it can be measured.
    """
    if request.evaluation is not None:
        folder = request.evaluation if request.evaluation.is_dir() else request.evaluation.parent
        evaluation = read_evaluation(request.evaluation)
        _check_of_model(evaluation, model)
        return Measured(evaluation, _kept(folder / PREDICTIONS), folder)
    folder = request.out / "evaluation"
    predictions = _scored(request, record, model, folder, watch)
    kept = _kept_evaluation(folder)
    # The same predictions and resamples give the same metrics: there is nothing to measure again.
    if kept is None or (kept.origin, kept.plan.split) != (predictions.origin, request.split):
        watch(Progress(MEASURE))
        plan = plan_for(predictions, Plan(split=request.split))
        kept = evaluate(predictions, plan, folder, predictions.origin.command)
    return Measured(kept, predictions, folder)


def same_decisions(one: Card, other: Card) -> bool:
    """Return whether two cards read a film alike: reference, frame, pooling, calibration and decision; not metrics and texts."""
    parts = ("reference", "frame", "pooling", "study_pooling", "calibration", "decision")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


def _scored(request: Request, record: RunRecord, model: Path, folder: Path, watch: Watch) -> Predictions:
    index = request.index_path(record)
    words = ["osteon", "evaluate", "--model", str(model), "--index", str(index), "--split", request.split, "-o", str(folder)]
    wanted = (file_sha256(model), fingerprint(read_index(index)), shlex.join(words))
    kept = _kept(folder / PREDICTIONS)
    if kept and (kept.origin.model_sha256, kept.origin.fingerprint, kept.origin.command) == wanted:
        return kept
    predictions = score_index(str(model), index, [request.split], wanted[-1], counting(SCORE, watch))
    write_predictions(predictions, folder / PREDICTIONS)
    return predictions


def _kept(path: Path) -> Predictions | None:
    return read_predictions(path) if path.exists() else None


def _kept_evaluation(folder: Path) -> Evaluation | None:
    return read_evaluation(folder) if (folder / EVALUATION).exists() else None


def _check_of_run(card: Card, record: RunRecord, request: Request) -> None:
    if record.plan.fingerprint not in {source.fingerprint for source in card.data} or read_frame(record.recipe) != card.frame:
        raise UsageError(
            f"{request.model}: {card.reference} was not made from {request.run}: its card names other training data or another frame. "
            f"Name a model exported from this run, or leave --model out."
        )


def _check_of_model(evaluation: Evaluation, model: Path) -> None:
    told = evaluation.origin
    if told.model_sha256 == file_sha256(model):
        return
    if told.card is None or not same_decisions(told.card, load_model(model).card):
        which = told.model or "another program's predictions"
        raise UsageError(f"the evaluation is of {which}, and not of {model} as it is. Name the model that was evaluated (model, --model).")
