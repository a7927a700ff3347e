"""The best weights of a run, or of several, -> one model file with its card, accepted only if it answers as torch does."""

from __future__ import annotations

import contextlib
import datetime
import logging
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import polars as pl
import torch

from osteon.card import Card, DataSource, Pooling
from osteon.errors import CheckpointError, ModelFileError, UsageError
from osteon.lab.index import read_index
from osteon.lab.training import checkpoint
from osteon.lab.training.network import Detector, Ensemble
from osteon.lab.training.run import RunFolder, RunRecord, ranked
from osteon.model import load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = 18
TOLERANCE = 1e-3  # logit units; float32 engines differ in the order of their sums
PROBES = 4


@dataclass(frozen=True, slots=True)
class Export:
    """What to export.

    Attributes:
        run: Folder of a training.
        out: The file.
        name: In the card; "" for the recipe's.
        version: In the card.
        members: How many of a run's best passes are averaged.
        others: Further trainings, whose best passes join; any recipe that sees films in the same frame.
    """

    run: Path
    out: Path
    name: str = ""
    version: str = "0.1.0"
    members: int = 1
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """The card that was written, and the largest difference to torch on the probe films, in logit units."""

    card: Card
    difference: float


def export_run(export: Export) -> Exported:
    """Write the best passes of a run, or of several, as one model file.

    The file is written beside its place, opened as any user opens it, compared with torch, and only then moved there.

    Raises:
        UsageError: a folder holds no training, or fewer finished passes than members; runs that see films in different frames.
        CheckpointError: weights cannot be read, or the file cannot be written.
        ModelFileError: the file does not answer as torch does.
    """
    runs = [RunFolder(folder) for folder in (export.run, *export.others)]
    records = [run.record() for run in runs]
    for run, record in zip(runs, records, strict=True):
        if record.recipe.frame != records[0].recipe.frame:
            raise UsageError(f"{run.folder} sees films in another frame than {export.run}. Export trainings of one frame together.")
    detectors = [d for run, record in zip(runs, records, strict=True) for d in _best(run, record, export.members)]
    network = detectors[0] if len(detectors) == 1 else Ensemble(detectors).eval()
    card = _card(records, network, export)
    beside = export.out.with_name(f"{export.out.stem}.part.onnx")
    try:
        export.out.parent.mkdir(parents=True, exist_ok=True)
        write_model(network, card, beside)
        difference = check_model(network, beside)
        beside.replace(export.out)
    except OSError as fault:
        raise CheckpointError(f"{export.out}: cannot be written ({fault.strerror}). Make room, or name another place with -o.") from fault
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return Exported(card, difference)


def check_model(network: Detector | Ensemble, path: Path) -> float:
    """Open a model file as any user does, and return its largest difference to a network on made films, in logit units.

    Raises:
        ModelFileError: it breaks the contract, or differs by more than `TOLERANCE`.
    """
    model = load_model(path)
    films = _probe_films(model.card.frame.size)
    with torch.no_grad():
        logit, evidence = (part.numpy() for part in network(torch.from_numpy(films)))
    told_logit, told_evidence = model.run(films)
    worst = float(max(np.abs(told_logit - logit).max(), np.abs(told_evidence - evidence).max()))
    if not worst <= TOLERANCE:
        raise ModelFileError(f"{path}: the exported network differs from torch by {worst:.2g} logit, {TOLERANCE:g} is allowed.")
    return worst


def write_model(network: Detector | Ensemble, card: Card, path: Path) -> None:
    """Write a network and its card as an ONNX file of any batch size (opset 18)."""
    size = card.frame.size
    probe = torch.zeros(2, size, size, dtype=torch.uint8)
    # A graph that turns gradients off for its frozen blocks alone takes twice as long to trace.
    with torch.no_grad(), warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")  # the exporter's own, about its internals
        program = torch.onnx.export(
            network.eval(),
            (probe,),
            input_names=["image"],
            output_names=["logit", "evidence"],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"card": card.to_json()})
    model.doc_string = ""
    for node in model.graph.node:  # source lines and stack traces of the exporting machine
        node.ClearField("metadata_props")
        node.doc_string = ""
    path.write_bytes(model.SerializeToString())


def _best(run: RunFolder, record: RunRecord, members: int) -> list[Detector]:
    best = ranked(run.history(), record.recipe)[: record.recipe.keep]
    if members < 1 or len(best) < members:
        raise UsageError(f"{run.folder} keeps the weights of {len(best)} passes, {members} were asked for. Change --members.")
    return [_detector(run.best_file(p.epoch), record) for p in best[:members]]


def _detector(path: Path, record: RunRecord) -> Detector:
    detector = Detector(record.recipe)
    try:
        detector.load_state_dict(checkpoint.load(path)["weights"])
    except (RuntimeError, KeyError) as fault:
        raise CheckpointError(f"{path}: its weights do not fit the recipe of this run. Export with the version that trained it.") from fault
    return detector.eval()


def _card(records: list[RunRecord], network: Detector | Ensemble, export: Export) -> Card:
    recipe, bias = records[0].recipe, network.bias if isinstance(network, Ensemble) else float(network.head.bias.detach())
    films = [_training_films(record) for record in records]
    return Card(
        name=export.name or _joined(record.recipe.name for record in records),
        version=export.version,
        frame=recipe.frame,
        pooling=Pooling(kind=recipe.pooling.kind, sharpness=recipe.pooling.sharpness, bias=bias),
        network=_described(records, export.members),
        recipe=_joined(record.recipe.name for record in records),
        code_commit=_joined(record.code_commit for record in records),
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        study_types=tuple(sorted({kind for table in films for kind in table["study_type"].unique() if kind})),
        data=tuple(dict.fromkeys(_source(table, record) for table, record in zip(films, records, strict=True))),
        intended_use="Research on abnormality in radiographs of bones and joints. Not a medical device.",
        limits="Trained and measured only on the data named here. A low score does not exclude an abnormality.",
    )


def _described(records: list[RunRecord], members: int) -> str:
    networks = _joined(record.recipe.network for record in records)
    if len(records) > 1:
        passes = "the best pass" if members == 1 else f"the {members} best passes"
        return f"ensemble of {passes} of each of {len(records)} trainings of {networks}"
    return f"ensemble of {members} passes of {networks}" if members > 1 else networks


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _training_films(record: RunRecord) -> pl.DataFrame:
    films = read_index(Path(record.plan.index))
    return films.filter((pl.col("split") == record.plan.train) & (pl.col("status") != "unreadable"))


def _source(films: pl.DataFrame, record: RunRecord) -> DataSource:
    return DataSource(
        name=Path(films["root"][0]).name if len(films) else "",
        films=len(films),
        studies=films["study"].n_unique(),
        abnormal_films=int(films["label"].sum() or 0),
        split=record.plan.train,
        fingerprint=record.plan.fingerprint,
    )


def _probe_films(size: int) -> NDArray[np.uint8]:
    """Smooth made films (noise alone would not reach the deeper layers), one black, (PROBES, S, S)."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (PROBES, size // 16 + 1, size // 16 + 1))
    films = np.kron(coarse, np.ones((16, 16)))[:, :size, :size]
    films[0] = 0
    return films.astype(np.uint8)


class _quiet:  # noqa: N801 - reads as what it does
    """Silence a logger for a while; the exporter reports each step to it."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
