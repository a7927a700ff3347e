"""Change the card in a model file; the weights stay as they are, bit for bit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import onnx

from osteon.atomic import whole
from osteon.card import Card
from osteon.errors import ModelFileError, UsageError
from osteon.model_names import find_model
from osteon.opening import load_model, trust
from osteon.precision import METADATA, Choice, Ranges


def model_path(reference: str | None) -> Path:
    """Return the file of a model, as `osteon.model_names.find_model` does, as a path.

    Raises:
        ModelFileError: there is no such model.
    """
    return Path(str(find_model(reference)))


class NamedData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, licence and source (citation, doi) of one training data set."""

    name: str
    licence: str
    source: str


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people, not measurements, say of a model; "" leaves the card as it is.

    `data` names the training data in the card's order; one is enough where all the card's have one name, as the splits of a data set.
    """

    version: str = ""
    finding: str = ""
    licence: str = ""
    intended_use: str = ""
    limits: str = ""
    data: tuple[NamedData, ...] = ()


def described(card: Card, facts: bytes) -> Card:
    """Return the card with facts from a JSON text.

    Raises:
        UsageError: the text does not fit `Facts`, or names another number of data sets than the card.
    """
    try:
        told = msgspec.json.decode(facts, type=Facts)
    except msgspec.MsgspecError as fault:
        raise UsageError(f"the facts do not fit: {fault}. They may hold: {', '.join(Facts.__struct_fields__)}.") from fault
    one = len(told.data) == 1 and len({source.name for source in card.data}) == 1
    sets = told.data * len(card.data) if one else told.data
    if sets and len(sets) != len(card.data):
        raise UsageError(f"the facts name {len(told.data)} data sets, the card {len(card.data)}. Name each of the card's.")
    texts = {name: value for name, value in msgspec.structs.asdict(told).items() if name != "data" and value}
    named = zip(card.data, sets, strict=False)
    data = tuple(msgspec.structs.replace(old, **msgspec.structs.asdict(new)) for old, new in named) or card.data
    return msgspec.structs.replace(card, data=data, **texts)


def describe_file(model: Path, facts: Path, out: Path) -> Card:
    """Write a copy of a model file whose card also says what a JSON file of `Facts` says; returns the card.

    Raises:
        UsageError: the facts cannot be read, or do not fit.
        ModelFileError: no model file, or `out` cannot be written.
    """
    try:
        text = facts.read_bytes()
    except OSError as fault:
        raise UsageError(f"{facts}: cannot be read ({fault.strerror}).") from fault
    card = described(load_model(model).card, text)
    with_card(model, card, out)
    return card


def with_card(path: Path, card: Card, out: Path, ranges: Ranges | None = None) -> None:
    """Write a copy of a model file that carries another card; `out` is whole or as it was, and may be `path` itself.

    With `ranges` it also carries another INT8 form. Both the file and the copy are opened as any user opens them before `out` is touched.

    Raises:
        ModelFileError: no model file, a card of another frame or evidence pooling, or `out` cannot be written.
    """
    old = load_model(path, "float32").card
    if (old.frame, old.pooling) != (card.frame, card.pooling):
        raise ModelFileError(f"{path}: the new card has another frame or evidence pooling than the file, and these belong to its weights.")
    model = onnx.load_model(str(path))
    kept = {entry.key: entry.value for entry in model.metadata_props} | {"card": card.to_json()}
    eight = {} if ranges is None else {METADATA: ranges.to_json()}
    onnx.helper.set_model_props(model, kept | eight)
    _write(model.SerializeToString(), out, "int8" if eight else "auto")


def write_model_file(model: onnx.ModelProto, card: Card, out: Path) -> None:
    """Write a model with its card; `out` is whole or as it was. The file is opened as any user opens it before `out` is touched.

    Raises:
        ModelFileError: it breaks the contract, or `out` cannot be written.
    """
    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | {"card": card.to_json()})
    _write(model.SerializeToString(), out)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, hexadecimal.

    Raises:
        ModelFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise ModelFileError(f"{path}: the model file cannot be read ({fault.strerror}).") from fault


def _write(content: bytes, out: Path, precision: Choice = "auto") -> None:
    try:
        with whole(out, durable=True) as part:
            part.write_bytes(content)
            trust(content)
            load_model(part, precision)
    except OSError as fault:
        raise ModelFileError(f"{out}: the model file cannot be written ({fault.strerror}). What stood there is unchanged.") from fault
