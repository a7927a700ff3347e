"""Model files that would never end, or take all memory: refused in seconds, before an engine computes with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from made_model import make_model
from made_network import make_network
from osteon.errors import ModelFileError
from osteon.onnx_graph import check_graph
from osteon.opening import load_model

node = helper.make_node


def constant(graph: GraphProto, name: str, value: object, dtype: str = "i8") -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
    return name


def first(model: ModelProto, *nodes: NodeProto) -> None:
    """Put nodes before the network; what they make as "film" is what it sees in the place of "unit"."""
    graph = model.graph
    old = list(graph.node)
    at = next(i for i, n in enumerate(old) if "unit" in n.output) + 1
    for later in old[at:]:
        for i, name in enumerate(later.input):
            if name == "unit":
                later.input[i] = "film"
    del graph.node[:]
    graph.node.extend([*old[:at], *nodes, *old[at:]])


def loop(model: ModelProto) -> None:
    true, cond = constant(model.graph, "true", True, "?"), helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    steps = [helper.make_tensor_value_info("i", TensorProto.INT64, []), cond, helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    ends = [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    body = helper.make_graph([node("Identity", ["c"], ["d"]), node("Identity", ["x"], ["y"])], "body", steps, ends)
    first(model, node("Loop", ["", true, "unit"], ["film"], body=body))


def branch(model: ModelProto) -> None:
    ends = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    body = helper.make_graph([node("Identity", ["unit"], ["y"])], "body", [], ends)
    first(model, node("If", [constant(model.graph, "true", True, "?")], ["film"], then_branch=body, else_branch=body))


def hidden_graph(model: ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    first(model, node("Identity", ["unit"], ["film"], body=body))


def function(model: ModelProto) -> None:
    made = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)])
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("own", 1))
    first(model, node("Twice", ["unit"], ["film"], domain="own"))


def own_operator(model: ModelProto) -> None:
    first(model, node("Add", ["unit", "unit"], ["film"], domain="com.example"))


def other_file(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")


def promised(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 2**40


def sparse(model: ModelProto) -> None:
    values, places = numpy_helper.from_array(np.ones(1, "f4"), "sparse"), numpy_helper.from_array(np.zeros(1, "i8"), "at")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**40]))


def zeros(model: ModelProto) -> None:
    first(model, node("ConstantOfShape", [constant(model.graph, "many", [2**40])], ["zeros"]), node("Add", ["unit", "zeros"], ["film"]))


def tiled(model: ModelProto) -> None:
    first(model, node("Tile", ["unit", constant(model.graph, "times", [1, 2**20, 2**20])], ["film"]))


def resized(model: ModelProto) -> None:
    first(model, node("Resize", ["unit", "", "", constant(model.graph, "sides", [1, 2**20, 2**20])], ["film"]))


def enlarged(model: ModelProto) -> None:
    by = constant(model.graph, "by", [1, 2**10, 2**10], "f4")
    first(model, node("Resize", ["unit", "", by], ["large"]), node("ReduceMax", ["large", "one"], ["film"]))


def padded(model: ModelProto) -> None:
    first(model, node("Pad", ["unit", constant(model.graph, "pads", [0, 2**20, 2**20, 0, 2**20, 2**20])], ["film"]))


def doubled(model: ModelProto) -> None:
    first(model, *(node("Concat", [f"x{i}"] * 2, [f"x{i + 1}"], axis=1) for i in range(60)), node("ReduceMax", ["x60", "one"], ["film"]))
    model.graph.node.insert(0, node("Cast", ["image"], ["x0"], to=TensorProto.FLOAT))


def doubled_constant(model: ModelProto) -> None:
    constant(model.graph, "x0", [1.0], "f4")
    first(model, *(node("Concat", [f"x{i}"] * 2, [f"x{i + 1}"], axis=0) for i in range(40)), node("Add", ["x40", "unit"], ["film"]))


def outer_product(model: ModelProto) -> None:
    side, across = constant(model.graph, "side", np.ones((2**15, 1)), "f4"), constant(model.graph, "across", np.ones((1, 2**15)), "f4")
    first(model, node("Mul", [side, across], ["square"]), node("Add", ["unit", "square"], ["film"]))


def constant_work(model: ModelProto) -> None:
    weights = constant(model.graph, "weights", np.ones((1, 1, 1, 1)), "f4")
    first(model, node("Conv", [weights, weights], ["made"], pads=[2**18] * 4), node("Add", ["unit", "made"], ["film"]))


def deep_shape(model: ModelProto) -> None:
    axes = constant(model.graph, "axes", list(range(1000)))
    first(model, *(node("Unsqueeze", [f"x{i}", axes], [f"x{i + 1}"]) for i in range(5)), node("Identity", ["unit"], ["film"]))
    model.graph.node.insert(0, node("Identity", ["image"], ["x0"]))


def many(model: ModelProto) -> None:
    first(model, *(node("Exp", ["unit"], [f"x{i}"]) for i in range(20_000)), node("Identity", ["unit"], ["film"]))


def many_read(model: ModelProto) -> None:
    first(model, *(node("Concat", ["unit"] * 64, [f"x{i}"], axis=1) for i in range(500)), node("Identity", ["unit"], ["film"]))


def long_chain(model: ModelProto) -> None:
    constant(model.graph, "half", 0.5, "f4")
    names = ["unit", *(f"x{i}" for i in range(1000)), "film"]
    first(model, *(node("Mul", [a, "half"], [b]) for a, b in pairwise(names)))


def much_work(model: ModelProto) -> None:
    kernel = constant(model.graph, "kernel", np.ones((64, 64, 31, 31)), "f4")
    spread = constant(model.graph, "spread", np.ones((64, 1, 1, 1)), "f4")
    steps = [node("Unsqueeze", ["unit", "one"], ["p"]), node("Resize", ["p", "", constant(model.graph, "by", [1, 1, 8, 8], "f4")], ["q"])]
    steps += [node("Conv", ["q", spread], ["c0"])]
    steps += [node("Conv", [f"c{i}", kernel], [f"c{i + 1}"], pads=[15] * 4) for i in range(200)]
    steps += [node("MaxPool", ["c200"], ["s"], kernel_shape=[8, 8], strides=[8, 8]), node("ReduceMax", ["s", "one"], ["film"], keepdims=0)]
    first(model, *steps)


def circle(model: ModelProto) -> None:
    first(model, node("Add", ["unit", "b"], ["a"]), node("Identity", ["a"], ["b"]), node("Identity", ["b"], ["film"]))


def reads_too_little(model: ModelProto) -> None:
    first(model, node("Conv", ["unit"], ["film"]))


def clipped_by_a_map(model: ModelProto) -> None:
    first(model, node("Clip", ["unit", "w1"], ["film"]))


def great_stride(model: ModelProto) -> None:
    next(n for n in model.graph.node if n.op_type == "Conv").attribute[0].ints[:] = [2**62] * 2


def not_finite(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weights = numpy_helper.to_array(weight).copy()
    weights.flat[3] = np.inf
    weight.CopyFrom(numpy_helper.from_array(weights, weight.name))


def old(model: ModelProto) -> None:
    model.opset_import[0].version = 9


HOSTILE: dict[Callable[[ModelProto], None], str] = {
    loop: "'Loop' is no part",
    branch: "'If' is no part",
    hidden_graph: "an attribute has more",
    function: "more than the contract allows",
    own_operator: "'Add' is no part",
    other_file: "a constant has more",
    promised: "not the numbers that it promises",
    sparse: "more than the contract allows",
    zeros: "'ConstantOfShape' is no part",
    tiled: "'Tile' is no part",
    resized: "a film would take",
    enlarged: "no ONNX model|a film would take",
    padded: "a film would take",
    doubled: "no ONNX model|a film would take",
    doubled_constant: "Concat makes too much of constants",
    outer_product: "Mul makes too much of constants",
    constant_work: "Conv makes too much of constants",
    deep_shape: "Unsqueeze makes too much",
    many: "its graph is larger",
    many_read: "its graph is larger",
    long_chain: "nodes follow one another",
    much_work: "a film would take .* multiplications",
    circle: "no ONNX model",
    reads_too_little: "reads too little",
    clipped_by_a_map: "what it cannot",
    great_stride: "number above",
    not_finite: "no finite numbers",
    old: "its operators",
}


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_a_hostile_file_is_refused_in_seconds(tmp_path: Path, change: Callable[[ModelProto], None]) -> None:
    file = make_model(tmp_path / "m.onnx")
    model = onnx.load_model(file)
    change(model)
    file.write_bytes(model.SerializeToString())
    began = time.monotonic()
    with pytest.raises(ModelFileError, match=HOSTILE[change]) as refusal:
        load_model(file)
    assert time.monotonic() - began < 10
    assert str(refusal.value).startswith(f"{file}: ") and "\n" not in str(refusal.value)


def test_a_file_of_endless_fields_is_refused() -> None:
    began = time.monotonic()
    with pytest.raises(ModelFileError):
        check_graph(b"\x72\x00" * 2**26)  # empty metadata
    assert time.monotonic() - began < 10


def test_what_the_engine_dies_of_ends_another_process(tmp_path: Path) -> None:
    model = onnx.load(make_network(tmp_path / "model.onnx"))
    [axis] = [tensor for tensor in model.graph.initializer if tensor.name == "one"]
    axis.raw_data = np.int64(2**60).tobytes()  # a node that cannot be converted, and a Clip behind it
    [squeeze] = [n for n in model.graph.node if "map" in n.output]
    squeeze.op_type = "Clip"
    onnx.save(model, tmp_path / "dies.onnx")
    with pytest.raises(ModelFileError, match=r"dies\.onnx: OpenVINO dies of reading it\. Export it again"):
        load_model(tmp_path / "dies.onnx")


def test_a_stranger_s_model_answers_and_its_refusals_name_it(tmp_path: Path) -> None:
    model = onnx.load(make_network(tmp_path / "model.onnx"))
    model.producer_name = "somebody else"
    onnx.save(model, tmp_path / "theirs.onnx")
    assert load_model(tmp_path / "theirs.onnx").card.name == "made"
    [weights] = [tensor for tensor in model.graph.initializer if tensor.name == "stem weight"]
    weights.raw_data = np.full(72, np.nan, np.float32).tobytes()
    onnx.save(model, tmp_path / "nan.onnx")
    with pytest.raises(ModelFileError, match=rf"^{tmp_path / 'nan.onnx'}: some of its weights are no finite numbers\."):
        load_model(tmp_path / "nan.onnx")
