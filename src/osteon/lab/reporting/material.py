"""All that a report speaks of, read once: the run, its index, its model, its evaluation; and what is wrong between them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from osteon.card import Card
from osteon.errors import BadManifest, CheckpointError
from osteon.lab.data.index import Report as IndexReport
from osteon.lab.data.index import fingerprint, read_index, read_report
from osteon.lab.data.splits import ALL
from osteon.lab.model_file import file_sha256
from osteon.lab.progress import Epoch
from osteon.lab.reporting.document import Origin
from osteon.lab.reporting.supply import Measured, Request
from osteon.lab.stages import flat
from osteon.lab.training.networks.summary import Summary, summary
from osteon.lab.training.recipe import RECIPES, Recipe
from osteon.lab.training.run import RunFolder, RunRecord
from osteon.lab.training.session import has_ended
from osteon.model import Model
from osteon.opening import load_model
from osteon.version import __version__


@dataclass(frozen=True, slots=True)
class Origins:
    """What made each kind of number."""

    data: Origin
    training: Origin
    model: Origin
    evaluation: Origin
    report: Origin

    def all(self) -> tuple[Origin, ...]:
        """Return them in order."""
        return self.data, self.training, self.model, self.evaluation, self.report


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A run with all that belongs to it; `films` is None where the index is gone, `ended` where no checkpoint tells."""

    request: Request
    record: RunRecord
    history: list[Epoch]
    ended: bool | None
    films: pl.DataFrame | None
    index_report: IndexReport | None
    model_file: Path
    model: Model
    network: Summary
    measured: Measured
    origins: Origins

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.model.card

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return self.record.recipe


def read_material(request: Request, run: RunFolder, model_file: Path, measured: Measured) -> Material:
    """Read what a report speaks of.

    Raises:
        UsageError: the folder holds no training.
        ModelFileError: the model cannot be opened.
    """
    record, index = run.record(), request.index_path(run.record())
    films = _films(index)
    return Material(
        request=request,
        record=record,
        history=run.history(),
        ended=_ended(run.folder),
        films=films,
        index_report=read_report(index),
        model_file=model_file,
        model=load_model(model_file),
        network=summary(record.recipe),
        measured=measured,
        origins=_origins(request, record, films, model_file, measured),
    )


def warnings(m: Material) -> Iterator[tuple[str, Origin]]:
    """Yield what a reader must know before any number, each with what tells it."""
    record, evaluation, origins = m.record, m.measured.evaluation, m.origins
    if m.request.about:
        yield m.request.about, origins.report
    if m.ended is False:
        yield f"This training has not ended: {len(m.history)} epochs so far, and the best of them is reported.", origins.training
    if m.ended is None:
        yield "Whether this training has ended cannot be told: its checkpoint is gone or cannot be read.", origins.training
    if m.films is not None and origins.data.fingerprint != record.plan.fingerprint:
        now, then = origins.data.fingerprint[:12], record.plan.fingerprint[:12]
        yield (
            (
                f"The index has the fingerprint {now} now, and had {then} when the training began: it has changed since, or another "
                "version of osteon took its fingerprint. What is said of the data holds for the index as it is now."
            ),
            origins.data,
        )
    if evaluation.origin.fingerprint not in {record.plan.fingerprint, origins.data.fingerprint}:
        yield (
            (
                "These results are of another index than the training's. Whether its patients are others is not "
                "recorded anywhere: it is an external test only if they are."
            ),
            origins.evaluation,
        )
    if seen := _seen(evaluation.plan.split, record):
        yield seen, origins.evaluation
    if evaluation.counts.refused_films:
        refused, films = evaluation.counts.refused_films, evaluation.counts.films
        yield f"{refused:,} of the {films:,} films to measure were refused and have no part in the results.", origins.evaluation


def training_command(record: RunRecord, folder: Path) -> str:
    """Return the command that makes a training again, with every setting in which its recipe differs from the one it is named after."""
    words = ["osteon", "train", record.plan.index, "--recipe", record.recipe.name]
    base = RECIPES.get(record.recipe.name)
    mine = flat(msgspec.to_builtins(record.recipe))
    published = flat(msgspec.to_builtins(base)) if base else {}
    for name, value in mine.items():
        if name not in {"name", "departures"} and base and value != published[name]:
            words += ["--set", f"{name}={value}"]
    plan = record.plan
    words += ["--train", plan.train] if plan.train != "train" else []
    words += ["--select", plan.select or "none"] if plan.select != "tune" else []
    words += [*(["--budget", f"{plan.budget:g}"] if plan.budget else []), "-o", str(folder)]
    return shlex.join(words)


def _origins(request: Request, record: RunRecord, films: pl.DataFrame | None, model_file: Path, measured: Measured) -> Origins:
    report = request.command or shlex.join(["osteon", "report", str(request.run)])
    now = fingerprint(films) if films is not None else ""
    told, sha256 = measured.evaluation.origin, file_sha256(model_file)
    by = f"osteon {record.version}, commit {record.code_commit or 'unknown'}, torch {record.torch}, on {record.device}"
    command = measured.evaluation.command or told.command
    scored = f"osteon {told.osteon or 'unknown'}, model {told.model}, SHA-256 {told.model_sha256}"
    train = training_command(record, request.run)
    read = f"read from {model_file.name}, SHA-256 {sha256}"
    return Origins(
        data=Origin("D", "the data, counted from the index as it is now", report, now, f"osteon {__version__}"),
        training=Origin("T", "the training, and the network as its recipe builds it", train, record.plan.fingerprint, by),
        model=Origin("M", "the model file and its card", report, record.plan.fingerprint, read),
        evaluation=Origin("E", "the evaluation", command, told.fingerprint, scored),
        report=Origin("R", "what this report counts from the evaluation's predictions", report, told.fingerprint, f"osteon {__version__}"),
    )


def _seen(split: str, record: RunRecord) -> str:
    if split in {*(name.strip() for name in record.plan.train.split(",")), "", ALL} or record.plan.train == ALL:
        return f"The results are of split {split!r}, whose films the model was trained on: they say how well it remembers them."
    return f"These results are optimistic: the kept epoch was chosen on split {split!r}." if split == record.plan.select else ""


def _films(index: Path) -> pl.DataFrame | None:
    try:
        return read_index(index)
    except BadManifest:
        return None  # the section on the data says so


def _ended(folder: Path) -> bool | None:
    try:
        return has_ended(folder) if RunFolder(folder).checkpoint.exists() else None
    except CheckpointError:
        return None
