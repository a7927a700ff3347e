"""A guard inside a model file: where the network's features are, and how they become one number, `novelty`.

The nodes are named `guard/...`. Taken out again, they leave the file as it was; the outputs `logit` and `evidence` are never touched.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from osteon.errors import ModelFileError
from osteon.lab.guard.detector import Detector

PREFIX = "guard/"
FEATURES, NOVELTY = f"{PREFIX}features", "novelty"

LEAST_CHANNELS = 8
"""Of a feature map; a map of fewer is evidence."""

DEPTHS = 4
"""How many resolutions are looked at, the coarsest ones: shapes deep down, textures and brightness above."""

_ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Gelu", "PRelu", "Softplus", "Mish"}
_LINEAR = {"Conv", "Add", "Concat", "BatchNormalization", "AveragePool", "QuantizeLinear", "DequantizeLinear", "Identity"}
_SAME = {"QuantizeLinear", "DequantizeLinear", "Identity"}


def without_guard(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model without the nodes, constants and outputs of a guard."""
    bare = copy.deepcopy(model)
    graph = bare.graph
    kept_nodes = [node for node in graph.node if not node.name.startswith(PREFIX)]
    kept_constants = [tensor for tensor in graph.initializer if not tensor.name.startswith(PREFIX)]
    kept_outputs = [output for output in graph.output if output.name not in (FEATURES, NOVELTY)]
    for name, kept in (("node", kept_nodes), ("initializer", kept_constants), ("output", kept_outputs)):
        graph.ClearField(name)
        getattr(graph, name).extend(kept)
    return bare


def with_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model that also gives `FEATURES` (n, d): the mean of each channel of its feature maps."""
    probe = without_guard(model)
    _pool_features(probe.graph, feature_maps(probe), FEATURES)
    probe.graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", None]))
    return probe


def with_guard(model: onnx.ModelProto, detector: Detector) -> onnx.ModelProto:
    """Return a copy of a model that also gives `novelty` (n,), as `detector.novelty` computes it from the features."""
    guarded = without_guard(model)
    graph = guarded.graph
    _pool_features(graph, feature_maps(guarded), FEATURES)
    density, inversion = detector.density, detector.inversion
    share = 1 / len(density.scale)
    constants = {
        "centre": density.centre,
        "scale": density.scale,
        "directions": density.directions,
        "gain": density.gain[:, None] * share,
        "noise": np.full((len(density.scale), 1), share / density.noise),
        "weights": inversion.weights[:, None],
        "bias": np.array([inversion.bias]),
        "column": np.array([1]),
    }
    _add_constants(graph, constants)
    steps = [
        ("Sub", ["features", "centre"], "centred"),
        ("Div", ["centred", "scale"], "scaled"),
        ("MatMul", ["scaled", "directions"], "along"),
        ("Mul", ["along", "along"], "along_squared"),
        ("MatMul", ["along_squared", "gain"], "known"),
        ("Mul", ["scaled", "scaled"], "squared"),
        ("MatMul", ["squared", "noise"], "whole"),
        ("Add", ["whole", "known"], "distance"),
        ("MatMul", ["features", "weights"], "sum"),
        ("Add", ["sum", "bias"], "score"),
        ("Max", ["distance", "score"], "largest"),
    ]
    for kind, inputs, output in steps:
        _add_node(graph, kind, [PREFIX + name for name in inputs], PREFIX + output)
    _add_node(graph, "Squeeze", [f"{PREFIX}largest", f"{PREFIX}column"], NOVELTY)
    graph.output.append(helper.make_tensor_value_info(NOVELTY, TensorProto.FLOAT, ["n"]))
    return guarded


def feature_maps(model: onnx.ModelProto) -> list[str]:
    """Return the names of the feature maps that a guard looks at, the coarsest first.

    They are found by shape and use, so in a network of any family, in INT8 too: from each of the coarsest `DEPTHS` resolutions the last
    map that no activation has cut and that leads to the coarsest one, which leaves the head out. Where all are cut, the last of each.

    Raises:
        ModelFileError: the graph shows no feature map.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    sides = {value.name: side for value in graph.value_info if (side := _side(value))}
    fed = _fed_by(graph)
    order = [name for node in graph.node for name in node.output if name in sides and name in fed]
    maps = _uncut(graph, order) or order
    if not maps:
        raise ModelFileError("the model's graph shows no feature map, so it can have no guard. Export it again with `osteon export`.")
    coarsest = min(sides[name] for name in maps)
    deepest = [name for name in maps if sides[name] == coarsest][-1]
    leading = _leading_to(graph, deepest)
    last = {sides[name]: name for name in maps if name in leading or name == deepest}
    return [last[side] for side in sorted(last)[:DEPTHS]]


def _fed_by(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all that a film has a part in; a weight that is scaled inside the graph has the shape of a map as well."""
    found = {value.name for value in graph.input} - {constant.name for constant in graph.initializer}
    for node in graph.node:
        if found & set(node.input):
            found.update(node.output)
    return found


def _uncut(graph: onnx.GraphProto, names: list[str]) -> list[str]:
    """Return those of the maps that no activation has made, and that only linear nodes take."""
    maker = {output: node for node in graph.node for output in node.output}
    takers: Mapping[str, set[str]] = defaultdict(set)
    for node in graph.node:
        for name in node.input:
            takers[name].add(node.op_type)
    return [name for name in names if _origin(name, maker) not in _ACTIVATIONS and takers[name] and takers[name] <= _LINEAR]


def _origin(name: str, maker: dict[str, onnx.NodeProto]) -> str:
    node = maker[name]
    while node.op_type in _SAME and node.input[0] in maker:
        node = maker[node.input[0]]
    return node.op_type


def _leading_to(graph: onnx.GraphProto, name: str) -> set[str]:
    """Return the names of all that a tensor is computed from."""
    found, wanted = set[str](), {name}
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted.update(node.input)
            found.update(node.input)
    return found


def _side(value: onnx.ValueInfoProto) -> int:
    """Return the longer side of a float map (n, c, h, w) of enough channels, 0 for anything else."""
    tensor = value.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    good = tensor.elem_type == TensorProto.FLOAT and len(sizes) == 4 and sizes[1] >= LEAST_CHANNELS and min(sizes[2:]) >= 1
    return max(sizes[2:]) if good else 0


def _pool_features(graph: onnx.GraphProto, maps: list[str], output: str) -> None:
    _add_constants(graph, {"sides": np.array([2, 3])})
    pooled = [f"{PREFIX}mean_{i}" for i in range(len(maps))]
    for name, mean in zip(maps, pooled, strict=True):
        _add_node(graph, "ReduceMean", [name, f"{PREFIX}sides"], mean, {"keepdims": 0})
    _add_node(graph, "Concat", pooled, output, {"axis": 1})


def _add_constants(graph: onnx.GraphProto, values: Mapping[str, NDArray[np.generic]]) -> None:
    for name, value in values.items():
        kept = value if value.dtype == np.int64 else value.astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kept), PREFIX + name))


def _add_node(graph: onnx.GraphProto, kind: str, inputs: list[str], output: str, attributes: Mapping[str, int] | None = None) -> None:
    node = helper.make_node(kind, inputs, [output], output if output.startswith(PREFIX) else PREFIX + output)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in (attributes or {}).items())
    graph.node.append(node)
