"""Channel pruning: the ranges of an INT8 form -> the same with fewer channels, without those that a layer can nearly compute from others.

Between two layers of a bottleneck there are up to twelve times as many channels as before them, and on radiographs some say nothing that
the others do not. They are left out one after the other, the one first whose loss the reader's other weights make up for best (optimal
brain surgeon: Hassibi and Stork, NIPS 1992), as long as next to nothing of what the reader computes is lost. Float32 keeps them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from osteon.lab.progress import Count
from osteon.lab.quantisation.weight_rounding import Floats, Layer, fitted, moments, on_steps, rounded_layers, seen
from osteon.precision import Bias, Ranges, Rounding, Weights

if TYPE_CHECKING:
    import openvino

TOGETHER = 16
"""Channels that a processor computes together: fewer of them take as long."""

DAMPING = 1e-4
"""Of the second moments, as in `weight_rounding.rounded`."""

_POINTWISE = ("Add", "Clamp", "Relu")


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """Channels: the layers that make them, the nearest first, the one that reads them, and a product of their averages, if there is one."""

    makers: tuple[Layer, ...]
    reader: Layer
    product: openvino.Node | None


def prune(network: openvino.Model, ranges: Ranges, films: NDArray[np.uint8], lost: float, progress: Count | None = None) -> Ranges:
    """Return the ranges with the weights of fewer channels.

    Args:
        network: As `precision.folded` returns it; it stays as it is.
        ranges: Of this network, with `weight_rounding.round_weights`; layers without weights there keep their channels.
        films: Prepared films (n, S, S) that the channels are seen on.
        lost: Of the variance that each reader computes, what may be lost.
        progress: Called with (done, total).
    """
    rounded = {weights.layer for weights in ranges.weights}
    layers = {layer.name: layer for layer in rounded_layers(network, ranges) if layer.name in rounded}
    chains = list(_chains(layers))
    for done, chain in enumerate(chains, 1):
        [inputs] = seen(network, [chain.reader], films, seed=0)
        mean = inputs.mean(0)
        around = moments(inputs - mean)
        wanted, scale = _wanted(chain, around)
        kept, weights = least(wanted * scale, around, lost)
        if len(kept) < wanted.shape[1]:
            outputs = len(chain.reader.weights)
            fresh = fitted(chain.reader, weights[:outputs], mean, around, kept)
            ranges = _without(ranges, chain, kept, fresh, (weights / scale)[outputs:, kept])
        if progress:
            progress(done, len(chains))
    return ranges


def least(weights: Floats, seen_moments: Floats, lost: float) -> tuple[NDArray[np.intp], Floats]:
    """Return the inputs that a layer can do with, and its weights once these make up for the others.

    Args:
        weights: (outputs, inputs).
        seen_moments: Centred second moments of the inputs, (inputs, inputs).
        lost: Share of the outputs' variance that may be lost.

    Returns:
        The inputs that stay, in their order, a multiple of `TOGETHER` if any is left out; weights (outputs, inputs), 0 for the others.
    """
    n = len(seen_moments)
    inverse = np.linalg.inv(seen_moments + (DAMPING * np.trace(seen_moments) / n + np.finfo(np.float32).tiny) * np.eye(n))
    left, there, spent = weights.copy(), np.ones(n, bool), 0.0
    best, whole = (np.arange(n), weights), _variance(weights, seen_moments)
    while there.sum() > TOGETHER:
        costs = np.where(there, (left**2).sum(0) / np.where(there, np.diagonal(inverse), 1), np.inf)
        out = int(costs.argmin())
        spent += float(costs[out])
        if spent > lost * whole:
            break
        row = inverse[out] / inverse[out, out]
        left -= np.outer(left[:, out], row)
        inverse -= np.outer(inverse[:, out], row)
        left[:, out], there[out] = 0, False
        if there.sum() % TOGETHER == 0:
            best = np.flatnonzero(there), left.copy()
    return best


def _chains(layers: Mapping[str, Layer]) -> Iterator[_Chain]:
    for reader in layers.values():
        if reader.depthwise or reader.op.input(1).get_shape()[2:] != [1, 1]:
            continue
        maker, others = _before(reader, layers)
        product = _averaged(others)
        if maker is None or (others and product is None):
            continue
        makers = [maker]
        if maker.depthwise:
            first, others = _before(maker, layers)
            if first is None or first.depthwise or others:
                continue
            makers.append(first)
        yield _Chain(tuple(makers), reader, product)


def _before(layer: Layer, layers: Mapping[str, Layer]) -> tuple[Layer | None, list[openvino.Node]]:
    """Return the layer that alone makes another's input, None if there is none, and what else reads that input."""
    output = layer.op.input(0).get_source_output()
    others = [port.get_node() for port in output.get_target_inputs() if port.get_node().get_friendly_name() != layer.name]
    op = output.get_node()
    while op.get_type_name() in _POINTWISE:
        sources = [port.get_source_output() for port in op.inputs()]
        varying = [source for source in sources if source.get_node().get_type_name() != "Constant"]
        if len(varying) != 1 or len(varying[0].get_target_inputs()) != 1:
            return None, others
        op = varying[0].get_node()
    return layers.get(op.get_friendly_name()), others


def _averaged(readers: list[openvino.Node]) -> openvino.Node | None:
    """Return the product with constants that the averages of some channels go into, if that is all that reads them."""
    if len(readers) != 1 or readers[0].get_type_name() != "ReduceMean":
        return None
    nodes = [port.get_node() for port in readers[0].output(0).get_target_inputs()]
    if len(nodes) != 1 or nodes[0].get_type_name() != "MatMul" or not nodes[0].get_attributes()["transpose_b"]:
        return None
    return nodes[0] if nodes[0].input(1).get_source_output().get_node().get_type_name() == "Constant" else None


def _wanted(chain: _Chain, around: Floats) -> tuple[Floats, Floats]:
    """Return all weights that the channels are read with, (outputs, channels), and by what each output counts, (outputs, 1).

    The product of the averages counts as much as all that the reader computes.
    """
    own = chain.reader.weights
    if chain.product is None:
        return own, np.ones((len(own), 1))
    product: Floats = np.asarray(chain.product.input(1).get_source_output().get_node().data, np.float64)
    scale = np.sqrt(_variance(own, around) / _variance(product, around))
    return np.concatenate([own, product]), np.repeat([1.0, scale], [len(own), len(product)])[:, None]


def _variance(weights: Floats, around: Floats) -> float:
    """Return the variance of all outputs together."""
    return float(np.einsum("oi,ij,oj->", weights, around, weights, optimize=True))


def _without(ranges: Ranges, chain: _Chain, kept: NDArray[np.intp], fresh: tuple[Weights, Bias, Floats], product: Floats) -> Ranges:
    """Return the ranges with these channels alone between the makers and the reader, which is `fresh`, and the product's weights."""
    reader = chain.reader.name
    grids = {rounding.inputs[0]: rounding for rounding in ranges.roundings}
    parts, biases = {w.layer: w for w in ranges.weights}, {(b.layer, b.add): b for b in ranges.biases}
    parts[reader], biases[reader, fresh[1].add] = fresh[:2]
    grids[reader, 1] = on_steps(grids[reader, 1], fresh[2])
    for maker in chain.makers:
        made, own = parts[maker.name], biases[maker.name, maker.add.get_friendly_name()]
        parts[maker.name] = Weights.of(maker.name, made.numbers(len(maker.weights), maker.op.input(1).get_shape())[kept])
        values = np.frombuffer(own.values, "<f4").reshape(own.shape)[:, kept]
        biases[maker.name, own.add] = msgspec.structs.replace(own, shape=values.shape, values=values.tobytes())
        grids[maker.name, 1] = _of(grids[maker.name, 1], kept, 0)
        if maker.depthwise:
            grids[maker.name, 0] = _of(grids[maker.name, 0], kept, 1)
    if chain.product is not None:
        values, name = product.astype("<f4"), chain.product.get_friendly_name()
        biases[reader, name] = Bias(layer=reader, add=name, port=1, shape=values.shape, values=values.tobytes())
    return msgspec.structs.replace(ranges, roundings=tuple(grids.values()), weights=tuple(parts.values()), biases=tuple(biases.values()))


def _of(rounding: Rounding, kept: NDArray[np.intp], axis: int) -> Rounding:
    """Return the rounding of these channels, where each has a range of its own."""
    if not rounding.shape or rounding.shape[axis] == 1:
        return rounding
    low, high = (np.take(limit, kept, axis) for limit in rounding.limits)
    return msgspec.structs.replace(rounding, shape=low.shape, low=low.astype("<f4").tobytes(), high=high.astype("<f4").tobytes())
