"""Small true model files that keep the contract of `docs/architecture.md`, and some that break it.

uint8 image -> [0, 1] -> Conv, Relu -> Conv -> evidence -> pooling + bias -> logit
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from osteon.card import Card, Frame, Pooling

Fault = Literal[
    "no card", "card is no JSON", "card with an escape sequence",
    "card of another frame", "card of another pooling", "input name", "input dtype", "input rank",
    "batch fixed", "no evidence", "evidence name", "logit rank", "logit dtype", "evidence rank", "not finite", "half a file",
]  # fmt: skip


def made_card(size: int = 64, **fields: object) -> Card:
    """A card for a made model: frame `size`, log-sum-exp pooling; `fields` replace the card's own."""
    frame, pooling = Frame(size=size), Pooling(kind="logsumexp", sharpness=2.0, bias=0.5)
    return msgspec.structs.replace(Card(name="made", version="1.0.0", frame=frame, pooling=pooling), **fields)


def make_model(path: Path, card: Card | None = None, kind: Literal["random", "brightness"] = "random", fault: Fault | None = None) -> Path:
    """Write a model file.

    Args:
        kind: "random" has drawn weights. "brightness" gives each cell 16 * (its mean brightness) - 9: bright parts speak for abnormal.
        fault: what the file breaks of the contract.
    """
    card = card or made_card()
    first, second, offset = _random_weights() if kind == "random" else _brightness_weights()
    graph = _graph(card, {"w1": first, "w2": second, "b2": offset}, fault)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    text = _card_text(card, fault)
    if text is not None:
        helper.set_model_props(model, {"card": text})
    data = model.SerializeToString()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[: len(data) // 2] if fault == "half a file" else data)
    return path


def _card_text(card: Card, fault: Fault | None) -> str | None:
    other = {
        "card with an escape sequence": {"limits": "none\x1b[2J"},
        "card of another frame": {"frame": Frame(size=card.frame.size * 2)},
        "card of another pooling": {"pooling": Pooling(kind="mean", bias=3.0)},
    }
    if fault == "no card":
        return None
    if fault == "card is no JSON":
        return "{name: made"
    return msgspec.structs.replace(card, **other.get(fault or "", {})).to_json()


def _random_weights() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    draw = np.random.default_rng(7)
    return draw.normal(0, 0.6, (8, 1, 4, 4)).astype("f4"), draw.normal(0, 0.6, (1, 8, 4, 4)).astype("f4"), np.zeros(1, "f4")


def _brightness_weights() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    return np.full((1, 1, 4, 4), 1 / 16, "f4"), np.full((1, 1, 4, 4), 1, "f4"), np.array([-9], "f4")


def _graph(card: Card, weights: dict[str, NDArray[np.float32]], fault: Fault | None) -> onnx.GraphProto:
    size = card.frame.size
    image = "film" if fault == "input name" else "image"
    batch = 1 if fault == "batch fixed" else "n"
    shape = [batch, size, size, 1] if fault == "input rank" else [batch, size, size]
    dtype = TensorProto.FLOAT if fault == "input dtype" else TensorProto.UINT8
    node = helper.make_node
    nodes = [node("Squeeze", [image, "last"], ["flat"])] if fault == "input rank" else [node("Identity", [image], ["flat"])]
    nodes += [
        node("Cast", ["flat"], ["grey"], to=TensorProto.FLOAT),
        node("Div", ["grey", "white"], ["unit"]),
        node("Unsqueeze", ["unit", "one"], ["planes"]),
        # Stride 4 twice: a cell of the evidence sees 16 x 16 pixels of the frame, whatever its size.
        node("Conv", ["planes", "w1"], ["features"], strides=[4, 4]),
        node("Relu", ["features"], ["positive"]),
        node("Conv", ["positive", "w2", "b2"], ["cells"], strides=[4, 4]),
        node("Squeeze", ["cells", "one"], ["map"]),
        *_pooling(card.pooling),
        *_outputs(fault),
    ]
    constants = {
        **weights, "white": np.float32(255), "one": np.array([1]), "last": np.array([3]), "cell axes": np.array([1, 2]),
        "sharpness": np.float32(card.pooling.sharpness), "bias": np.float32(card.pooling.bias), "nothing": np.float32(0),
    }  # fmt: skip
    used = {name for n in nodes for name in n.input}
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used]
    return helper.make_graph(nodes, "made", [helper.make_tensor_value_info(image, dtype, shape)], _output_infos(fault), initializers)


def _pooling(pooling: Pooling) -> list[onnx.NodeProto]:
    node = helper.make_node
    if pooling.kind == "mean":
        return [node("ReduceMean", ["map", "cell axes"], ["pooled"], keepdims=0), node("Add", ["pooled", "bias"], ["score"])]
    return [
        node("Mul", ["map", "sharpness"], ["sharp"]),
        node("ReduceMax", ["sharp", "cell axes"], ["peak"], keepdims=1),
        node("Sub", ["sharp", "peak"], ["below"]),
        node("Exp", ["below"], ["powers"]),
        node("ReduceMean", ["powers", "cell axes"], ["power"], keepdims=0),
        node("Log", ["power"], ["log"]),
        node("Squeeze", ["peak", "cell axes"], ["peak value"]),
        node("Add", ["log", "peak value"], ["sum"]),
        node("Div", ["sum", "sharpness"], ["pooled"]),
        node("Add", ["pooled", "bias"], ["score"]),
    ]


def _outputs(fault: Fault | None) -> list[onnx.NodeProto]:
    node = helper.make_node
    evidence = "heat" if fault == "evidence name" else "evidence"
    logit = {
        "logit rank": node("Unsqueeze", ["score", "one"], ["logit"]),
        "logit dtype": node("Cast", ["score"], ["logit"], to=TensorProto.DOUBLE),
        "not finite": node("Div", ["score", "nothing"], ["logit"]),
    }.get(fault or "", node("Identity", ["score"], ["logit"]))
    if fault == "no evidence":
        return [logit]
    return [logit, node("Unsqueeze", ["map", "one"], [evidence]) if fault == "evidence rank" else node("Identity", ["map"], [evidence])]


def _output_infos(fault: Fault | None) -> list[onnx.ValueInfoProto]:
    info = helper.make_tensor_value_info
    logit = info("logit", TensorProto.DOUBLE if fault == "logit dtype" else TensorProto.FLOAT, ["n", 1] if fault == "logit rank" else ["n"])
    name = "heat" if fault == "evidence name" else "evidence"
    evidence = info(name, TensorProto.FLOAT, ["n", None, None, None] if fault == "evidence rank" else ["n", None, None])
    return [logit] if fault == "no evidence" else [logit, evidence]
