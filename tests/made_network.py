"""A small true model file with what the networks of osteon are made of: bottlenecks with ReLU6 and a residual, dense layers with
batch normalisation, and the pooled evidence; drawn weights, so every film gets an answer of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from made_model import _outputs, _pooling, made_card
from osteon.card import Card

CONVOLUTIONS = ("stem", "expand", "depthwise", "project", "dense", "cell")
"""In the network's order; `cell` is the last one, whose output is the evidence."""


def make_network(path: Path, card: Card | None = None) -> Path:
    """Write a model file with the card, by default that of `made_card(64)`."""
    card = card or made_card(64)
    draw = np.random.default_rng(5)
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        node("Div", ["grey", "white"], ["unit"]),
        node("Unsqueeze", ["unit", "one"], ["planes"]),
        _conv("stem", "planes", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Clip", ["stem", "nothing", "six"], ["a"]),
        _conv("expand", "a"),
        node("Clip", ["expand", "nothing", "six"], ["b"]),
        _conv("depthwise", "b", group=16, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Clip", ["depthwise", "nothing", "six"], ["c"]),
        _conv("project", "c"),
        node("Add", ["project", "a"], ["residual"]),
        node("BatchNormalization", ["residual", "scale", "shift", "mean", "variance"], ["normal"]),
        node("Relu", ["normal"], ["d"]),
        _conv("dense", "d", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Concat", ["residual", "dense"], ["both"], axis=1),
        node("Relu", ["both"], ["e"]),
        _conv("cell", "e", kernel_shape=[8, 8], strides=[8, 8]),
        node("Squeeze", ["cell", "one"], ["map"]),
        *_pooling(card.pooling),
        *_outputs(None),
    ]
    constants = {**_weights(draw), "white": np.float32(255), "one": np.array([1]), "cell axes": np.array([1, 2]), "six": np.float32(6)}
    constants |= {"sharpness": np.float32(card.pooling.sharpness), "bias": np.float32(card.pooling.bias), "nothing": np.float32(0)}
    used = {name for n in nodes for name in n.input}
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", card.frame.size, card.frame.size])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n"])
    evidence = helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["n", None, None])
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used]
    graph = helper.make_graph(nodes, "made", [image], [logit, evidence], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"card": card.to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _conv(name: str, source: str, **attributes: object) -> NodeProto:
    return helper.make_node("Conv", [source, f"{name} weight", f"{name} bias"], [name], name=name, **attributes)


def _weights(draw: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    shapes = {"stem": (8, 1, 3, 3), "expand": (16, 8, 1, 1), "depthwise": (16, 1, 3, 3), "project": (8, 16, 1, 1), "dense": (8, 8, 3, 3)}
    shapes["cell"] = (1, 16, 8, 8)
    found = {f"{name} weight": draw.normal(0, 1.6 / np.sqrt(np.prod(shape[1:])), shape).astype("f4") for name, shape in shapes.items()}
    found |= {f"{name} bias": draw.normal(0, 0.2, shape[0]).astype("f4") for name, shape in shapes.items()}
    found |= {"scale": draw.uniform(0.5, 1.5, 8).astype("f4"), "shift": draw.normal(0, 0.2, 8).astype("f4")}
    return found | {"mean": draw.normal(0, 0.2, 8).astype("f4"), "variance": draw.uniform(0.5, 1.5, 8).astype("f4")}
