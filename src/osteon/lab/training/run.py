"""The folder of one training: what was asked, how far it is, what it has found.

recipe.json       the recipe, each departure, the data and its fingerprint, the first weights: enough to do it again
history.json      a row an epoch
checkpoint.pt     everything needed to go on
best/             the weights of the best epochs, at most `recipe.keep`
select.parquet    the selection split's films with the best epoch's scores, as `osteon evaluate --predictions` reads them
tensorboard/      curves
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import polars as pl
import torch
from msgspec import Struct
from scipy import special

from osteon.atomic import whole
from osteon.errors import CheckpointError, MeasurementError, UsageError
from osteon.lab.evaluation.evaluation import Evaluation, measure
from osteon.lab.evaluation.evaluation import Plan as Measuring
from osteon.lab.evaluation.metrics import Floats
from osteon.lab.evaluation.scoring import Origin, Predictions, read_predictions, write_predictions
from osteon.lab.progress import Epoch
from osteon.lab.training.earlier import read_stored
from osteon.lab.training.recipe import Recipe
from osteon.version import __version__


class Plan(Struct, frozen=True, kw_only=True):
    """What a training was asked to do, apart from the recipe.

    Attributes:
        index: The index file.
        fingerprint: Of the index, so that nothing goes on with other data.
        train: Split that is learned from; several with commas between, "all" for every film.
        select: Split that checkpoints are chosen on; never the one that is reported. "" for none: the last epoch is kept.
        budget: Minutes after which the schedule ends, 0 for the recipe's epochs.
        save_every: Minutes between checkpoints within an epoch.
    """

    index: str
    fingerprint: str = ""
    train: str = "train"
    select: str = "tune"
    budget: float = 0.0
    save_every: float = 5.0


class RunRecord(Struct, frozen=True, kw_only=True):
    """`recipe.json`: enough to do the training again; `refused` has the films that were left out, each with its reason."""

    recipe: Recipe
    plan: Plan
    weights: str
    version: str = __version__
    code_commit: str = ""
    torch: str = str(torch.__version__)
    processes: int = 1
    device: str = "cpu"
    threads: int = 1
    refused: dict[str, str] = {}


class RunFolder:
    """Paths and records of one training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "recipe.json"
        self.history_file = folder / "history.json"
        self.checkpoint = folder / "checkpoint.pt"
        self.best = folder / "best"
        self.selected = folder / "select.parquet"
        self.tensorboard = folder / "tensorboard"

    def __fspath__(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def __repr__(self) -> str:
        """Return the recipe, the epochs so far and the best of them, and where it stands."""
        if not self.record_file.exists():
            return f"<RunFolder {self.folder}, nothing in it yet>"
        recipe, history = self.record().recipe, self.history()
        best = ranked(history, recipe)[:1]
        area = f", the best AUROC {best[0].select_auroc:.3f}" if best and best[0].select_auroc is not None else ""
        return f"<RunFolder recipe {recipe.name}, {len(history)} of {recipe.epochs} epochs{area}, in {self.folder}>"

    def refuse_used(self) -> None:
        """Raise where a new training would write over another.

        Raises:
            UsageError: the folder already holds one.
        """
        if self.record_file.exists():
            raise UsageError(f"{self.folder} already holds a training. Go on with it (index=None, --resume), or name another (out, -o).")

    def start(self, record: RunRecord) -> None:
        """Make the folder of a new training.

        Raises:
            UsageError: it already holds one.
            CheckpointError: it cannot be made.
        """
        self.refuse_used()
        try:
            self.best.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise CheckpointError(f"{self.folder}: the folder cannot be made ({fault.strerror}). Name another with -o.") from fault
        self._write(self.record_file, msgspec.json.format(msgspec.json.encode(record), indent=1))

    def record(self) -> RunRecord:
        """Return what the training was asked to do.

        Raises:
            UsageError: the folder holds no training.
            CheckpointError: its record cannot be read.
        """
        if not self.record_file.exists():
            raise UsageError(f"{self.folder} holds no training (no recipe.json). Start one with: osteon train INDEX -o {self.folder}")
        try:
            return read_stored(self.record_file.read_bytes(), RunRecord)
        except (OSError, msgspec.MsgspecError) as fault:
            raise CheckpointError(
                f"{self.record_file}: no record of a training ({fault}). Use the version of osteon that made it."
            ) from fault

    def history(self) -> list[Epoch]:
        """Return the epochs so far."""
        return msgspec.json.decode(self.history_file.read_bytes(), type=list[Epoch]) if self.history_file.exists() else []

    def write_history(self, history: list[Epoch]) -> None:
        """Write the epochs so far, atomically."""
        self._write(self.history_file, msgspec.json.format(msgspec.json.encode(history), indent=1))

    def write_selected(self, films: pl.DataFrame, logits: Floats) -> None:
        """Write the selection split's films with the best epoch's scores, atomically."""
        scored = films.with_columns(logit=pl.Series(logits), probability=pl.Series(special.expit(logits)))
        record = self.record()
        origin = Origin(f"{record.recipe.name}, best epoch", fingerprint=record.plan.fingerprint, osteon=__version__)
        try:
            write_predictions(Predictions(scored, origin), self.selected)
        except OSError as fault:
            raise CheckpointError(f"{self.selected}: cannot be written ({fault.strerror}). Make room and go on with --resume.") from fault

    def evaluation(self) -> Evaluation | None:
        """Return what the best epoch is worth on the selection split, which chose it; None where there is none, or it has one label."""
        if not self.selected.exists():
            return None
        try:
            select = self.record().plan.select
            return measure(read_predictions(self.selected), Measuring(split="all" if "," in select else select))
        except MeasurementError:
            return None

    def best_file(self, epoch: int) -> Path:
        """Return where the weights of an epoch are kept; an earlier osteon called the file `pass-000.pt`."""
        earlier = self.best / f"pass-{epoch:03d}.pt"
        return earlier if earlier.exists() else self.best / f"epoch-{epoch:03d}.pt"

    def _write(self, path: Path, content: bytes) -> None:
        try:
            with whole(path, durable=True) as part:
                part.write_bytes(content)
        except OSError as fault:
            raise CheckpointError(f"{path}: cannot be written ({fault.strerror}). Make room and go on with --resume.") from fault


def ranked(history: list[Epoch], recipe: Recipe) -> list[Epoch]:
    """Return the epochs, best first, by what the recipe selects by; one whose AUROC cannot be measured comes last.

    Where there was no selection split the latest epoch comes first.
    """
    if any(p.select_loss is None for p in history):
        return sorted(history, key=lambda p: -p.epoch)
    by_loss = sorted(history, key=lambda p: p.select_loss or 0.0)
    if recipe.select_by == "loss":
        return by_loss
    return sorted(by_loss, key=lambda p: -(p.select_auroc if p.select_auroc is not None else -1.0))


def kept(history: list[Epoch], record: RunRecord) -> list[Epoch]:
    """Return the epochs whose weights are kept, best first: the recipe's number of them, the last alone without a selection split."""
    return ranked(history, record.recipe)[: record.recipe.keep if record.plan.select else 1]


def code_commit() -> str:
    """Return the commit of the source that runs, "" where it is not a checkout."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()
