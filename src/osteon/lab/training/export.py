"""The best weights of a run, or of several, -> one model file with its card, accepted only if it answers as torch does."""

from __future__ import annotations

import datetime
import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx
import polars as pl
import torch

from osteon.atomic import whole
from osteon.card import Card, DataSource
from osteon.errors import CheckpointError, UsageError
from osteon.lab.data.index import read_index
from osteon.lab.data.splits import learned
from osteon.lab.training.checkpoint import load_weights
from osteon.lab.training.earlier import OTHER_NETWORK, refuse_gone
from osteon.lab.training.networks.detector import Detector, Ensemble
from osteon.lab.training.recipe import read_frame
from osteon.lab.training.run import RunFolder, RunRecord, kept
from osteon.lab.training.start.agreement import check_model

OPSET = 18


@dataclass(frozen=True, slots=True)
class Export:
    """What to export.

    Attributes:
        run: Folder of a training.
        out: The file.
        name: In the card; "" for the recipe's.
        version: In the card.
        members: How many of a run's best epochs are averaged.
        others: Further trainings, whose best epochs are averaged too; any recipe that sees films in the same frame.
    """

    run: Path
    out: Path
    name: str = ""
    version: str = "0.1.0"
    members: int = 1
    others: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Exported:
    """The file, the card that was written, and the largest difference to torch on the probe films, in logit units."""

    path: Path
    card: Card
    difference: float

    def __fspath__(self) -> str:
        """Return the model file."""
        return str(self.path)

    def __repr__(self) -> str:
        """Return the model's name, its difference to torch, and where it stands."""
        return f"<Exported {self.card.reference}, {self.difference:.1e} logits from torch, in {self.path}>"


def export_run(export: Export) -> Exported:
    """Write the best epochs of a run, or of several, as one model file.

    The file is written beside its place, opened as any user opens it, compared with torch, and only then moved there.

    Raises:
        UsageError: a folder holds no training, one of a network that is gone, or fewer finished epochs than members; runs that see films
            in different frames.
        CheckpointError: weights cannot be read, or the file cannot be written.
        ModelFileError: the file does not answer as torch does.
    """
    runs = [RunFolder(folder) for folder in (export.run, *export.others)]
    records = [run.record() for run in runs]
    for run, record in zip(runs, records, strict=True):
        refuse_gone(run.record_file, OTHER_NETWORK, "exported")
        if read_frame(record.recipe) != read_frame(records[0].recipe):
            raise UsageError(f"{run.folder} sees films in another frame than {export.run}. Export trainings of one frame together.")
    detectors = [d for run, record in zip(runs, records, strict=True) for d in _best(run, record, export.members)]
    network = detectors[0] if len(detectors) == 1 else Ensemble(detectors).eval()
    card = _card(records, network, export)
    try:
        with whole(export.out) as part:
            write_model(network, card, part)
            difference = check_model(network, part)
    except OSError as fault:
        raise CheckpointError(f"{export.out}: cannot be written ({fault.strerror}). Make room, or name another place with -o.") from fault
    return Exported(export.out, card, difference)


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
    best = kept(run.history(), record)
    if members < 1 or len(best) < members:
        raise UsageError(f"{run.folder} keeps the weights of {len(best)} epochs, {members} were asked for. Change --members.")
    return [_detector(run.best_file(p.epoch), record) for p in best[:members]]


def _detector(path: Path, record: RunRecord) -> Detector:
    detector = Detector(record.recipe)
    try:
        detector.load_state_dict(load_weights(path))
    except (RuntimeError, KeyError) as fault:
        raise CheckpointError(f"{path}: its weights do not fit the recipe of this run. Export with the version that trained it.") from fault
    return detector.eval()


def _card(records: list[RunRecord], network: Detector | Ensemble, export: Export) -> Card:
    recipe, bias = records[0].recipe, network.bias if isinstance(network, Ensemble) else float(network.head.bias.detach())
    films = [_training_films(record) for record in records]
    return Card(
        name=export.name or _each_once(record.recipe.name for record in records),
        version=export.version,
        frame=read_frame(recipe),
        pooling=msgspec.structs.replace(recipe.pooling, bias=bias),
        network=_described(records, export.members),
        recipe=_each_once(record.recipe.name for record in records),
        code_commit=_each_once(record.code_commit for record in records),
        weights=_each_once(record.weights for record in records),
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        study_types=tuple(sorted({kind for table in films for kind in table["study_type"].unique() if kind})),
        data=tuple(dict.fromkeys(source for table, record in zip(films, records, strict=True) for source in _sources(table, record))),
        intended_use="Research on abnormality in radiographs of bones and joints. Not a medical device.",
        limits="Trained and measured only on the data named here. A low score does not exclude an abnormality.",
    )


def _described(records: list[RunRecord], members: int) -> str:
    networks = _each_once(record.recipe.network for record in records)
    if len(records) > 1:
        epochs = "the best epoch" if members == 1 else f"the {members} best epochs"
        return f"ensemble of {epochs} of each of {len(records)} trainings of {networks}"
    return f"ensemble of {members} epochs of {networks}" if members > 1 else networks


def _each_once(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _training_films(record: RunRecord) -> pl.DataFrame:
    return learned(read_index(Path(record.plan.index)), record.plan.train).filter(pl.col("status") != "unreadable")


def _sources(films: pl.DataFrame, record: RunRecord) -> Iterator[DataSource]:
    """Yield what each of the training's splits gave, so that none of them is taken for one to measure on."""
    for (split,), part in films.partition_by("split", maintain_order=True, as_dict=True).items():
        yield DataSource(
            name=Path(part["root"][0]).name,
            films=len(part),
            studies=part["study"].n_unique(),
            abnormal_films=int(part["label"].sum() or 0),
            split=str(split),
            fingerprint=record.plan.fingerprint,
        )


class _quiet:  # noqa: N801 - reads as what it does
    """Silence a logger for a while; the exporter reports each step to it."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
