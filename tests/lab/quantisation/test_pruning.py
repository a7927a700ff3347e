"""Channels that others can stand for leave the INT8 form, and the network answers as before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from made_network import make_network
from osteon.errors import ModelFileError
from osteon.lab.quantisation import pruning
from osteon.lab.quantisation.pruning import least, prune
from osteon.lab.quantisation.ranges import round_network
from osteon.lab.quantisation.weight_rounding import round_weights
from osteon.model import Model
from osteon.network import compile_network, open_network
from osteon.precision import Ranges, Weights, folded, quantise


def films() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (24, 64, 64), dtype=np.uint8)


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose bottleneck has each of eight channels twice."""
    file = make_network(tmp_path_factory.mktemp("narrowing") / "made.onnx")
    model = onnx.load(str(file))
    for tensor in model.graph.initializer:
        if tensor.name.split()[0] in ("expand", "depthwise"):
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[8:] = values[:8]
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    file.write_bytes(model.SerializeToString())
    return file


@pytest.fixture(scope="module")
def both(doubled: Path) -> tuple[Ranges, Ranges]:
    """The ranges of all channels, and of those that are needed, eight of which a processor may compute together."""
    network = folded(open_network(doubled.read_bytes(), "made")[1])
    every = round_weights(network, round_network(network, films()), films())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pruning, "TOGETHER", 8)
        return every, prune(network, every, films(), 5e-4)


def answers(file: Path, ranges: Ranges | None) -> list[NDArray[np.float32]]:
    card, network = open_network(file.read_bytes(), "made")
    if ranges is not None:
        quantise(folded(network), ranges)
    return list(Model(card, compile_network(network)).run(films()))


def widths(ranges: Ranges) -> dict[str, int]:
    return {layer.removesuffix("/WithoutBiases"): r.step.size for r in ranges.roundings for layer, port in r.inputs if port == 1}


def test_a_channel_that_stands_twice_is_left_out_once(doubled: Path, both: tuple[Ranges, Ranges]) -> None:
    every, narrower = both
    assert [widths(every)[name] for name in ("stem", "expand", "depthwise", "project", "dense")] == [8, 16, 16, 8, 8]
    assert [widths(narrower)[name] for name in ("stem", "expand", "depthwise", "project", "dense")] == [8, 8, 8, 8, 8]
    exact, rounded, fewer = (answers(doubled, ranges) for ranges in (None, every, Ranges.from_json(narrower.to_json())))
    for k in range(2):
        assert np.abs(fewer[k] - rounded[k]).max() > 0
        assert np.sqrt(np.square(fewer[k] - exact[k]).mean()) < 2 * np.sqrt(np.square(rounded[k] - exact[k]).mean())


def test_what_reads_all_channels_keeps_them(tmp_path: Path) -> None:
    network = folded(open_network(make_network(tmp_path / "m.onnx").read_bytes(), "made")[1])
    every = round_weights(network, round_network(network, films()), films())
    assert prune(network, every, films(), 5e-4) == every


@pytest.fixture
def averaged(tmp_path: Path) -> Path:
    """A network with a layer more, whose eight inputs are four channels twice; their averages are told too."""
    model, node = onnx.load(str(make_network(tmp_path / "m.onnx"))), onnx.helper.make_node
    for tensor in model.graph.initializer:
        if tensor.name.startswith("dense"):
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[4:] = values[:4]
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    draw = np.random.default_rng(0)
    constants = {"next weight": draw.normal(size=(8, 8, 1, 1)), "next bias": draw.normal(size=8), "units": draw.normal(size=(1, 8))}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value.astype("f4"), name) for name, value in constants.items())
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3]), "cells"))
    joined = next(i for i, n in enumerate(model.graph.node) if n.op_type == "Concat")
    model.graph.node[joined].input[1] = "after"
    added = [
        node("Relu", ["dense"], ["seen"]),
        node("Conv", ["seen", "next weight", "next bias"], ["after"], name="next"),
        node("ReduceMean", ["seen", "cells"], ["averages"], keepdims=0),
        node("Gemm", ["averages", "units"], ["whole"], name="whole", transB=1),
    ]
    for offset, made in enumerate(added):
        model.graph.node.insert(joined + offset, made)
    model.graph.output.append(onnx.helper.make_tensor_value_info("whole", onnx.TensorProto.FLOAT, ["n", 1]))
    file = tmp_path / "averaged.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def test_the_averages_of_channels_are_made_up_for(averaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(ranges: Ranges | None) -> NDArray[np.float32]:
        network = folded(open_network(averaged.read_bytes(), "made")[1])
        if ranges is not None:
            quantise(network, ranges)
        request = compile_network(network).create_infer_request()
        return np.array([float(request.infer([film[None]])["whole"][0, 0]) for film in films()])

    monkeypatch.setattr(pruning, "TOGETHER", 4)
    network = folded(open_network(averaged.read_bytes(), "made")[1])
    every = round_weights(network, round_network(network, films()), films())
    narrower = prune(network, every, films(), 5e-4)
    assert (widths(every)["dense"], widths(narrower)["dense"]) == (8, 4)
    exact = whole(None)
    assert np.abs(whole(narrower) - exact).max() < 2 * np.abs(whole(every) - exact).max()


def test_inputs_that_are_sums_of_others_cost_nothing() -> None:
    draw = np.random.default_rng(1)
    four = draw.normal(size=(5000, 16))
    inputs = np.concatenate([four, four @ draw.normal(size=(16, 16))], 1)
    weights, moments = draw.normal(size=(3, 32)), inputs.T @ inputs / len(inputs)
    kept, again = least(weights, moments, 1e-4)
    assert len(kept) == 16
    np.testing.assert_array_equal(again[:, np.setdiff1d(np.arange(32), kept)], 0)
    np.testing.assert_allclose(inputs @ again.T, inputs @ weights.T, atol=0.2)


def test_inputs_that_all_count_stay() -> None:
    weights = np.random.default_rng(1).normal(size=(3, 32))
    kept, again = least(weights, np.eye(32), 5e-4)
    np.testing.assert_array_equal(kept, np.arange(32))
    assert again is weights


def test_widths_that_do_not_fit_are_refused(doubled: Path, both: tuple[Ranges, Ranges]) -> None:
    every, narrower = both
    mixed = {w.layer: w for w in every.weights} | {w.layer: w for w in narrower.weights if w.layer.startswith("project")}
    broken = msgspec.structs.replace(every, weights=tuple(mixed.values()))
    with pytest.raises(ModelFileError, match="its layers have other widths than those behind them"):
        answers(doubled, broken)
    odd = Weights.of(every.weights[0].layer, np.zeros(7, np.int8))
    with pytest.raises(ModelFileError, match="does not fit"):
        answers(doubled, msgspec.structs.replace(every, weights=(odd, *every.weights[1:])))
