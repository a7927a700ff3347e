"""Weight rounding (GPTQ): a network and the ranges of its layers' inputs -> the same with weights that were rounded for what they see.

The nearest step is a weight's best rounding only if a layer's inputs have nothing to do with each other. So the weights of an output are
rounded one after the other, and what each is off by is made up for by those to come, as the second moments of the inputs on some films say
(GPTQ: Frantar et al., arXiv 2210.17323). What is then left of it on the mean of the films goes into the bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from osteon.lab.progress import Count
from osteon.network import compile_network
from osteon.precision import Bias, Ranges, Rounding, Weights

if TYPE_CHECKING:
    import openvino

Floats = NDArray[np.float64]

STEPS = 63
"""On either side of zero: weights use half of their 8 bits, as in `ranges.round_network`."""

LEVELS = 255
"""Of the whole of the 8 bits, which the ranges of weights are given for."""

POSITIONS = 400
"""Places of each film at which a layer's inputs are looked at."""

DAMPING = 1e-3
"""Of the second moments: what each input is thought to have of its own, as a share of their mean."""

_DEPTHWISE = "GroupConvolution"
_CONVOLUTIONS = ("Convolution", _DEPTHWISE)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution, its weights (outputs, inputs) and the port of an addition that gives it its bias."""

    op: openvino.Node
    weights: Floats
    add: openvino.Node
    port: int

    @property
    def name(self) -> str:
        """What the network calls it."""
        return str(self.op.get_friendly_name())

    @property
    def bias(self) -> Floats:
        """What is added to its outputs, (1, outputs, 1, 1)."""
        return np.asarray(_source(self.add, self.port).data, np.float64)

    @property
    def depthwise(self) -> bool:
        """Whether each output has one input."""
        return str(self.op.get_type_name()) == _DEPTHWISE


def round_weights(
    network: openvino.Model, ranges: Ranges, films: NDArray[np.uint8], seed: int = 0, progress: Count | None = None
) -> Ranges:
    """Return ranges that also carry their layers' rounded weights, and the biases that go with them.

    Args:
        network: As `precision.folded` returns it; it stays as it is.
        ranges: Of this network; those of convolutions' weights, and all biases, are made anew.
        films: Prepared films (n, S, S) that the layers' inputs are seen on.
        seed: Of the places that are looked at.
        progress: Called with (done, total).
    """
    layers = list(rounded_layers(network, ranges))
    weights, biases, grids = [], [], {}
    for done, (layer, inputs) in enumerate(zip(layers, seen(network, layers, films, seed), strict=True), 1):
        mean = inputs.mean(0)
        part, bias, grids[layer.name, 1] = fitted(layer, layer.weights, mean, moments(inputs - mean))
        weights.append(part)
        biases.append(bias)
        if progress:
            progress(done, len(layers))
    roundings = tuple(on_steps(r, grids[r.inputs[0]]) if r.inputs[0] in grids else r for r in ranges.roundings)
    return msgspec.structs.replace(ranges, roundings=roundings, biases=tuple(biases), weights=tuple(weights))


def fitted(
    layer: Layer, weights: Floats, mean: Floats, seen_moments: Floats, kept: NDArray[np.intp] | None = None
) -> tuple[Weights, Bias, Floats]:
    """Round a layer's weights, with the bias that makes up for what is left of it on the mean of its inputs.

    Args:
        layer: The layer.
        weights: (outputs, inputs), to be rounded in the place of its own.
        mean: Of its inputs, (1 or outputs, inputs).
        seen_moments: Centred second moments of its inputs, as `moments` returns them.
        kept: The inputs that are still there, where some are left out.

    Returns:
        Its weights as whole numbers, its bias, and the step of each output.
    """
    there = np.arange(weights.shape[1]) if kept is None else kept
    values, step = rounded(weights[:, there], seen_moments[..., there[:, None], there])
    missed = (layer.weights * mean).sum(1) - (values * step[:, None] * mean[:, there]).sum(1)
    bias = (layer.bias + missed.reshape(layer.bias.shape)).astype("<f4")
    told = Bias(layer=layer.name, add=layer.add.get_friendly_name(), port=layer.port, shape=bias.shape, values=bias.tobytes())
    return Weights.of(layer.name, values), told, step


def rounded(weights: Floats, moments: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round weights (outputs, inputs) so that as little as can be is changed in what they make of their inputs.

    Args:
        weights: Float weights.
        moments: Second moments of the inputs, (inputs, inputs), or (outputs, inputs, inputs) where each output has inputs of its own.

    Returns:
        Whole numbers within `STEPS` of zero, and the step of each output (outputs,): their product stands for the weights.
    """
    step = np.maximum(np.abs(weights).max(1), np.finfo(np.float32).tiny) / STEPS
    own = np.diagonal(moments, axis1=-2, axis2=-1)
    alone = DAMPING * own.mean(-1)[..., None, None] + np.finfo(np.float32).tiny
    damped = moments + alone * np.eye(weights.shape[1])
    # Those that weigh most first: what is off in them can still be made up for.
    order = np.argsort(-(own if own.ndim == 1 else own.mean(0)))
    ordered = damped[..., order[:, None], order]
    upper = np.linalg.cholesky(np.linalg.inv(ordered)).swapaxes(-1, -2)
    left, values = weights[:, order].copy(), np.zeros(weights.shape, np.int8)
    for i in range(weights.shape[1]):
        column = np.clip(np.rint(left[:, i] / step), -STEPS, STEPS)
        values[:, order[i]] = column
        row = upper[..., i, i:]
        off = (left[:, i] - column * step) / row[..., 0]
        left[:, i:] -= off[:, None] * row
    return values, step


def moments(centred: Floats) -> Floats:
    """Return second moments of (n, outputs or 1, inputs)."""
    if centred.shape[1] == 1:
        return centred[:, 0].T @ centred[:, 0] / len(centred)
    return np.asarray(np.einsum("noi,noj->oij", centred, centred, optimize=True) / len(centred))


def rounded_layers(network: openvino.Model, ranges: Ranges) -> Iterator[Layer]:
    """Yield the convolutions whose weights are rounded and that have a bias to make up with, in the network's order."""
    named = {layer for r in ranges.roundings for layer, port in r.inputs if port == 1}
    for op in network.get_ordered_ops():
        if op.get_type_name() in _CONVOLUTIONS and op.get_friendly_name() in named:
            add = next(iter(op.output(0).get_target_inputs())).get_node()
            constants = [port for port in range(add.get_input_size()) if _source(add, port).get_type_name() == "Constant"]
            if add.get_type_name() == "Add" and constants:
                weights = np.asarray(_source(op, 1).data, np.float64)
                yield Layer(op, weights.reshape(op.output(0).get_shape()[1], -1), add, constants[0])


def seen(network: openvino.Model, layers: Sequence[Layer], films: NDArray[np.uint8], seed: int) -> Iterator[Floats]:
    """Yield what each layer sees at some places of the films: (places, 1, inputs), a depthwise one (places, outputs, inputs).

    One layer at a time: all of them at all places would take gigabytes.
    """
    import openvino

    random = np.random.default_rng(seed)
    places = random.random((len(films), 2, POSITIONS))
    for layer in layers:
        before = openvino.Model([layer.op.input(0).get_source_output()], network.get_parameters())
        request = compile_network(before).create_infer_request()
        yield np.concatenate([_windows(layer, request.infer({0: film[None]})[0][0], at) for film, at in zip(films, places, strict=True)])


def _windows(layer: Layer, maps: NDArray[np.float32], at: Floats) -> Floats:
    how = layer.op.get_attributes()
    (stride, _), begin, end = how["strides"], how["pads_begin"], how["pads_end"]
    side = np.arange(layer.op.input(1).get_shape()[-1])
    height, width = layer.op.output(0).get_shape()[2:]
    row, column = (at[0] * height).astype(int) * stride, (at[1] * width).astype(int) * stride
    padded = np.pad(maps, ((0, 0), (begin[0], end[0]), (begin[1], end[1])))
    # (channels, places, side, side) -> (places, channels, inputs of one channel)
    windows = padded[:, row[:, None, None] + side[:, None], column[:, None, None] + side].swapaxes(0, 1)
    shape = (len(row), len(maps), -1) if layer.depthwise else (len(row), 1, -1)
    return windows.reshape(shape).astype(np.float64)


def on_steps(rounding: Rounding, step: Floats) -> Rounding:
    """Return the rounding of weights with these steps."""
    high = (step * (LEVELS // 2)).astype("<f4")
    return msgspec.structs.replace(rounding, levels=LEVELS, low=(-high).tobytes(), high=high.tobytes())


def _source(op: openvino.Node, port: int) -> openvino.Node:
    return op.input(port).get_source_output().get_node()
