"""One file, two precisions: the float32 network as it stands, or the same network with its layers in INT8.

The ONNX graph is always float32. What NNCF found when it quantised the network (`osteon quantise`) stands beside it in the metadata
under `int8`: which inputs of which layers are rounded to how many levels over which range, and the biases that make up for the rounding.
From that the INT8 network is made when the file is opened. Weights that were rounded otherwise than to the nearest step stand there too.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from osteon.errors import ModelFileError
from osteon.network import check_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import openvino
    from numpy.typing import NDArray

    from osteon.card import Card, Decision

Precision = Literal["float32", "int8"]
Choice = Literal["auto", "float32", "int8"]

METADATA = "int8"
"""Where `Ranges` stand in the model file's metadata."""

SCHEMA = 2
"""Version of the layout of `Ranges`. The first had nothing `beside` and all channels, and is read as well."""

Shape = Annotated[tuple[Annotated[int, Meta(ge=1, le=2**20)], ...], Meta(max_length=5)]

_AGAIN = "Make it again with `osteon quantise`, or take --precision float32."


class Rounding(Struct, frozen=True, kw_only=True):
    """A FakeQuantize: what it feeds, its `levels` (all that 8 bits have, or as many below zero as above), and the range that they span.

    `inputs`: (layer, port) pairs that share it. `low` and `high`: little-endian float32 of `shape`, () where one range serves the whole
    tensor, one for each channel otherwise. `beside`: what else reads the rounded tensor and computes in float32, a guard; it is rounded
    only while there are `inputs`.
    """

    inputs: tuple[tuple[str, int], ...]
    levels: Literal[255, 256]
    shape: Shape
    low: bytes
    high: bytes
    beside: tuple[tuple[str, int], ...] = ()

    @property
    def limits(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The lowest and the highest value, each of `shape`.

        Raises:
            ModelFileError: they do not fit the shape, or one is not above the other.
        """
        low, high = _floats(self.low, self.shape), _floats(self.high, self.shape)
        if not (low < high).all():
            raise ModelFileError(f"its INT8 form has a range that spans nothing. {_AGAIN}")
        return low, high

    @property
    def step(self) -> NDArray[np.float32]:
        """What lies between two levels, of `shape`."""
        low, high = self.limits
        return np.asarray((high.astype(np.float64) - low) / (self.levels - 1), np.float32)


class Bias(Struct, frozen=True, kw_only=True):
    """A layer's bias, corrected for the mean error of rounding: little-endian float32 of `shape`, which `add` takes at `port`.

    Where a layer has lost inputs, also what else reads these, with the weights that it still needs.
    """

    layer: str
    add: str
    port: int
    shape: Shape
    values: bytes


class Weights(Struct, frozen=True, kw_only=True):
    """A layer's weights as whole numbers, to be multiplied by the step of the `Rounding` at its port 1: deflated int8, outputs first.

    There may be fewer outputs than in float32, one for each step, and fewer inputs.
    """

    layer: str
    values: bytes

    @staticmethod
    def of(layer: str, values: NDArray[np.int8]) -> Weights:
        """Return the weights of a layer, (outputs, inputs)."""
        return Weights(layer=layer, values=zlib.compress(values.tobytes(), 9))

    def numbers(self, outputs: int, shape: Sequence[int]) -> NDArray[np.int8]:
        """Return the whole numbers, (outputs, inputs, ...) where the layer has `shape` in float32.

        Raises:
            ModelFileError: they do not fit the shape.
        """
        inflated, most = zlib.decompressobj(), math.prod(shape)
        try:
            return np.frombuffer(inflated.decompress(self.values, most + 1), np.int8).reshape(outputs, -1, *shape[2:])
        except (zlib.error, ValueError) as fault:
            raise ModelFileError(f"its INT8 form does not fit: {fault}. {_AGAIN}") from fault


class Ranges(Struct, frozen=True, kw_only=True):
    """All that makes a float32 network an INT8 one; a layer without `weights` rounds its own to the nearest step."""

    roundings: tuple[Rounding, ...]
    biases: tuple[Bias, ...] = ()
    weights: tuple[Weights, ...] = ()
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
        biases, weights = (b for b in self.biases if b.layer in kept), (w for w in self.weights if w.layer in kept)
        return Ranges(roundings=roundings, biases=tuple(biases), weights=tuple(weights))

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
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise ModelFileError(f"its INT8 form does not fit: {fault}. {_AGAIN}") from fault
        if not 1 <= ranges.schema <= SCHEMA:
            raise ModelFileError(f"its INT8 form has schema {ranges.schema}, this osteon reads up to {SCHEMA}. {_AGAIN}")
        return ranges


def in_precision(network: openvino.Model, card: Card, choice: Choice) -> Precision:
    """Bring a network of fixed shape, as it was read from a model file, into the precision that a person or its card chose.

    "auto" is INT8 where the card shows that it costs no more than `card.INT8_LIMITS`.

    Raises:
        ModelFileError: INT8 was asked for and the file has no such form, or one that does not fit its network.
    """
    if choice == "float32" or (choice == "auto" and not (card.int8 and card.int8.fits)):
        return "float32"
    ranges = int8_form(network)
    try:
        quantise(folded(network), ranges)
        check_network(network, card)
    except RuntimeError as fault:
        raise ModelFileError(f"its INT8 form does not fit: its ranges have other shapes than the layers. {_AGAIN}") from fault
    return "int8"


def int8_form(network: openvino.Model) -> Ranges:
    """Return the INT8 form that a network's file holds.

    Raises:
        ModelFileError: it has none, or one that does not fit.
    """
    try:
        text = network.get_rt_info(["framework", METADATA]).astype(str)
    except (RuntimeError, UnicodeDecodeError) as fault:
        raise ModelFileError("it has no INT8 form. Make one with `osteon quantise`, or take --precision float32.") from fault
    return Ranges.from_json(text)


def edges(decision: Decision) -> tuple[float, ...]:
    """Return the probabilities at which an answer becomes another, ascending."""
    return tuple(sorted({decision.threshold, decision.doubt_from, decision.doubt_to}))


def leaves_open(card: Card, logit: float | None = None, novelty: float | None = None) -> bool:
    """Return whether an INT8 reading is so near an edge of the answers, or the guard's limit, that float32 is asked.

    >>> from osteon.card import Card, Frame, Int8, Pooling
    >>> eight = Int8(calibrated_on="train", films=150, held="tune", layers=68, kept=2, near=0.2)
    >>> card = Card(name="wrist", version="1", frame=Frame(size=320), pooling=Pooling(kind="mean"), int8=eight)
    >>> leaves_open(card, -0.1), leaves_open(card, 0.3)
    (True, False)
    """
    if card.int8 is None:
        return False
    if novelty is not None and card.scope and abs(novelty / card.scope.threshold - 1) < card.int8.near_novelty:
        return True
    if logit is None:
        return False
    low, high = card.probability(logit - card.int8.near), card.probability(logit + card.int8.near)
    return any(low < edge <= high for edge in edges(card.decision))


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
    from openvino.op import Constant  # opset8's own makes a list of every number in it first

    ops = {op.get_friendly_name(): op for op in network.get_ops()}
    for bias in ranges.biases:
        _port(ops, bias.add, bias.port).replace_source_output(Constant(_floats(bias.values, bias.shape)).output(0))
    grids = {place: rounding for rounding in ranges.roundings for place in rounding.inputs}
    whole = {(weights.layer, 1): weights for weights in ranges.weights}
    for place, weights in whole.items():
        port = _port(ops, *place)
        if place not in grids:
            raise ModelFileError(f"its INT8 form has weights of {weights.layer} and not the range that they are rounded over. {_AGAIN}")
        # Whole numbers times a step, which OpenVINO takes as they are: it need not round float32 ones first.
        step = grids[place].step
        numbers = opset8.convert(Constant(weights.numbers(step.size, port.get_shape())), "f32")
        port.replace_source_output(opset8.multiply(numbers, Constant(step)).output(0))
    _settle(network)
    for rounding in ranges.roundings:
        ports = [_port(ops, *place) for place in (*rounding.inputs, *rounding.beside) if place not in whole]
        if ports:
            low, high = (Constant(limit) for limit in rounding.limits)
            rounded = opset8.fake_quantize(ports[0].get_source_output(), low, high, low, high, rounding.levels).output(0)
            for port in ports:
                port.replace_source_output(rounded)
    _settle(network)


def _settle(network: openvino.Model) -> None:
    try:
        network.validate_nodes_and_infer_types()
    except RuntimeError as fault:
        raise ModelFileError(f"its INT8 form does not fit: its layers have other widths than those behind them. {_AGAIN}") from fault


def _floats(content: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        numbers = np.frombuffer(content, "<f4").astype(np.float32).reshape(shape)
    except ValueError as fault:
        raise ModelFileError(f"its INT8 form does not fit: {fault}. {_AGAIN}") from fault
    if not np.isfinite(numbers).all():
        raise ModelFileError(f"its INT8 form has ranges or biases that are no finite numbers. {_AGAIN}")
    return numbers


def _port(ops: dict[str, openvino.Node], op: str, port: int) -> openvino.Input:
    if op not in ops or not 0 <= port < ops[op].get_input_size():
        raise ModelFileError(f"its INT8 form names a layer that the network has not, {op}. {_AGAIN}")
    return ops[op].input(port)
