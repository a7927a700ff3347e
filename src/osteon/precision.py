"""One file, two precisions: the float32 network as it stands, or the same network with its layers in 8 bits.

The ONNX graph is always float32. What NNCF found when it quantised the network (`osteon quantise`) stands beside it in the metadata
under `int8`: which inputs of which layers are rounded to how many levels over which range, and the biases that make up for the rounding.
From that the 8-bit network is made when the file is opened; weights need no second copy.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from msgspec import Struct

from osteon.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import openvino
    from numpy.typing import NDArray

    from osteon.card import Card

Precision = Literal["float32", "int8"]
Choice = Literal["auto", "float32", "int8"]

METADATA = "int8"
"""Where `Ranges` stand in the model file's metadata."""

SCHEMA = 1
"""Version of the layout of `Ranges`."""

_AGAIN = "Make it again with `osteon quantise`, or take --precision float32."


class Rounding(Struct, frozen=True, kw_only=True):
    """A FakeQuantize: what it feeds, its `levels`, and the range that they span.

    `inputs`: (layer, port) pairs that share it. `low` and `high`: little-endian float32 of `shape`, () where one range serves the whole
    tensor, one for each channel otherwise.
    """

    inputs: tuple[tuple[str, int], ...]
    levels: int
    shape: tuple[int, ...]
    low: bytes
    high: bytes


class Bias(Struct, frozen=True, kw_only=True):
    """A layer's bias, corrected for the mean error of rounding: little-endian float32 of `shape`, which `add` takes at `port`."""

    layer: str
    add: str
    port: int
    shape: tuple[int, ...]
    values: bytes


class Ranges(Struct, frozen=True, kw_only=True):
    """All that makes a float32 network an 8-bit one."""

    roundings: tuple[Rounding, ...]
    biases: tuple[Bias, ...] = ()
    schema: int = SCHEMA

    @property
    def layers(self) -> list[str]:
        """The layers whose inputs are rounded, in the network's order."""
        return list(dict.fromkeys(layer for rounding in self.roundings for layer, _ in rounding.inputs))

    def only(self, layers: Iterable[str]) -> Ranges:
        """Return the ranges of these layers; the others compute in float32."""
        kept = frozenset(layers)
        inputs = [tuple(place for place in r.inputs if place[0] in kept) for r in self.roundings]
        roundings = tuple(msgspec.structs.replace(r, inputs=i) for r, i in zip(self.roundings, inputs, strict=True) if i)
        return Ranges(roundings=roundings, biases=tuple(b for b in self.biases if b.layer in kept))

    def to_json(self) -> str:
        """Return the text that travels in the model file."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Ranges:
        """Read the text.

        Raises:
            ModelFileError: it does not fit.
        """
        try:
            ranges = msgspec.json.decode(text, type=Ranges)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise ModelFileError(f"its 8-bit form does not fit: {fault}. {_AGAIN}") from fault
        if ranges.schema != SCHEMA:
            raise ModelFileError(f"its 8-bit form has schema {ranges.schema}, this osteon reads {SCHEMA}. {_AGAIN}")
        return ranges


def in_precision(network: openvino.Model, card: Card, choice: Choice) -> Precision:
    """Bring a network of fixed shape, as it was read from a model file, into the precision that a person or its card chose.

    "auto" is 8 bits where the card shows that they cost no more than `card.INT8_LIMITS`.

    Raises:
        ModelFileError: 8 bits were asked for and the file has no such form, or one that does not fit its network.
    """
    if choice == "float32" or (choice == "auto" and not (card.int8 and card.int8.fits)):
        return "float32"
    try:
        text = network.get_rt_info(["framework", METADATA]).astype(str)
    except RuntimeError as fault:
        raise ModelFileError("it has no 8-bit form. Make one with `osteon quantise`, or take --precision float32.") from fault
    quantise(folded(network), Ranges.from_json(text))
    return "int8"


def folded(network: openvino.Model) -> openvino.Model:
    """Bring a network of fixed shape into the form whose layers `Ranges` names: constants folded, a bias and a limit one layer each.

    Layers that the folding made are called after what they read, since OpenVINO numbers them anew each time.
    """
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(network, cf=True)
    named: Counter[str] = Counter()
    for op in network.get_ordered_ops():
        kind = op.get_type_name()
        sources = [port.get_source_output().get_node() for port in op.inputs()]
        read = [source.get_friendly_name() for source in sources if source.get_type_name() != "Constant"]
        if read and re.fullmatch(rf"{kind}_\d+", op.get_friendly_name()):
            name = f"{read[0]}/{kind}"
            named[name] += 1
            op.set_friendly_name(name if named[name] == 1 else f"{name}_{named[name]}")
    return network


def quantise(network: openvino.Model, ranges: Ranges) -> None:
    """Round what the ranges name, in a network that `folded` returned.

    Raises:
        ModelFileError: the network has no such layer: the ranges were made with another release of OpenVINO, or of another network.
    """
    from openvino import opset8

    def constant(content: bytes, shape: tuple[int, ...]) -> openvino.Output:
        return opset8.constant(_floats(content, shape), np.float32).output(0)

    ops = {op.get_friendly_name(): op for op in network.get_ops()}
    for bias in ranges.biases:
        _port(ops, bias.add, bias.port).replace_source_output(constant(bias.values, bias.shape))
    for rounding in ranges.roundings:
        ports = [_port(ops, *place) for place in rounding.inputs]
        low, high = (constant(limit, rounding.shape) for limit in (rounding.low, rounding.high))
        rounded = opset8.fake_quantize(ports[0].get_source_output(), low, high, low, high, rounding.levels).output(0)
        for port in ports:
            port.replace_source_output(rounded)
    network.validate_nodes_and_infer_types()


def _floats(content: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        return np.frombuffer(content, "<f4").astype(np.float32).reshape(shape)
    except ValueError as fault:
        raise ModelFileError(f"its 8-bit form does not fit: {fault}. {_AGAIN}") from fault


def _port(ops: dict[str, openvino.Node], op: str, port: int) -> openvino.Input:
    if op not in ops or not 0 <= port < ops[op].get_input_size():
        raise ModelFileError(f"its 8-bit form names a layer that the network has not, {op}. {_AGAIN}")
    return ops[op].input(port)
