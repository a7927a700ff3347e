"""What NNCF does to a network, read out and done again: the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from made_model import made_card, make_model
from made_network import CONVOLUTIONS, make_network
from osteon.errors import ModelFileError
from osteon.lab.quantisation import ranges as ranges_module
from osteon.lab.quantisation.ranges import last_layers, made_with, round_network
from osteon.lab.training.export import write_model
from osteon.lab.training.networks.detector import Detector
from osteon.model import Model
from osteon.network import compile_network, open_network
from osteon.precision import Ranges, folded, quantise
from tiny_training import one_thread, tiny


def films(n: int = 32, size: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (n, size, size), dtype=np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_network(tmp_path_factory.mktemp("ranges") / "made.onnx")


def answers(file: Path, ranges: Ranges | None) -> list[NDArray[np.float32]]:
    card, network = open_network(file.read_bytes(), "made")
    if ranges is not None:
        quantise(folded(network), ranges)
    return list(Model(card, compile_network(network)).run(films(8)))


def check_same_bits(file: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> Ranges:
    """Quantise, keeping hold of NNCF's own network; a network read anew and rounded by the ranges must give the bits of that one."""
    theirs = []
    read = ranges_module.read_ranges
    monkeypatch.setattr(ranges_module, "read_ranges", lambda quantised, network: (theirs.append(quantised), read(quantised, network))[1])
    card, network = open_network(file.read_bytes(), "made")
    found = round_network(folded(network), films(32, size))
    expected = Model(card, compile_network(theirs[0])).run(films(8, size))
    again, fresh = open_network(file.read_bytes(), "made")
    quantise(folded(fresh), Ranges.from_json(found.to_json()))
    for ours, nncfs in zip(Model(again, compile_network(fresh)).run(films(8, size)), expected, strict=True):
        np.testing.assert_array_equal(ours, nncfs)
    return found


def test_the_ranges_make_nncfs_own_network_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check_same_bits(file, 64, monkeypatch)
    convolutions = [layer.removesuffix("/WithoutBiases") for layer in found.layers]
    assert set(CONVOLUTIONS[:-1]) <= set(convolutions)
    assert CONVOLUTIONS[-1] not in convolutions
    before, after = answers(file, None), answers(file, found)
    assert 0 < np.abs(before[0] - after[0]).max() < 0.5


@pytest.mark.long
@pytest.mark.parametrize("network", ["lite0", "densenet121"])
def test_the_networks_that_are_trained_are_made_again_too(network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tiny(f"network={network}", "freeze=0")
    torch.manual_seed(0)
    with one_thread():
        detector = Detector(chosen).eval()
        with torch.no_grad():
            for parameter in detector.head.parameters():
                parameter.normal_(0, 0.05)
        card = made_card(chosen.frame.size, frame=chosen.frame, pooling=chosen.pooling)
        write_model(detector, card, tmp_path / "m.onnx")
    assert len(check_same_bits(tmp_path / "m.onnx", chosen.frame.size, monkeypatch).layers) > 50


def test_no_layer_kept_is_float32_and_each_layer_moves_the_logit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = open_network(file.read_bytes(), "made")
    every = round_network(folded(network), films())
    none = every.only([])
    assert (none.layers, none.biases) == ([], ())
    float32 = answers(file, None)
    np.testing.assert_allclose(answers(file, none)[0], float32[0], atol=1e-4)
    for layer in every.layers:
        assert every.only([layer]).layers == [layer]
        assert np.abs(answers(file, every.only([layer]))[0] - float32[0]).max() > 0


def test_the_layers_really_compute_in_8_bits(file: Path) -> None:
    _, network = open_network(file.read_bytes(), "made")
    network = folded(network)
    quantise(network, round_network(network.clone(), films()))
    ops = {op.get_friendly_name().split("/")[0]: op.get_rt_info() for op in compile_network(network).get_runtime_model().get_ops()}
    precision = {name: info["runtimePrecision"].astype(str) for name, info in ops.items() if name in CONVOLUTIONS}
    assert {name for name, kind in precision.items() if kind in ("i8", "u8")} >= {"expand", "project", "dense"}
    assert precision["cell"] == "f32"


def test_what_follows_the_last_convolution_stays_in_float32(file: Path) -> None:
    _, network = open_network(file.read_bytes(), "made")
    last = last_layers(folded(network))
    assert {"logit", "evidence"} <= last
    assert any(name.startswith("cell") for name in last)
    assert not any(name.startswith(CONVOLUTIONS[:-1]) for name in last)


def test_a_guard_computes_in_float32_and_reads_what_is_rounded_for_a_layer(tmp_path: Path) -> None:
    model, node = onnx.load(make_network(tmp_path / "m.onnx")), onnx.helper.make_node
    constants = {"directions": np.ones((8, 1), np.float32), "cells": np.array([2, 3])}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.node.extend(
        [
            node("Mul", ["d", "d"], ["square"], name="guard/square"),
            node("ReduceMean", ["square", "cells"], ["squares"], name="guard/squares", keepdims=0),
            node("ReduceMean", ["d", "cells"], ["means"], name="guard/mean", keepdims=0),
            node("Add", ["means", "squares"], ["features"], name="guard/features"),
            node("MatMul", ["features", "directions"], ["column"], name="guard/product"),
            node("Squeeze", ["column", "one"], ["novelty"], name="guard/novelty"),
        ]
    )
    model.graph.output.append(onnx.helper.make_tensor_value_info("novelty", onnx.TensorProto.FLOAT, ["n"]))
    _, network = open_network(model.SerializeToString(), "made")
    found = round_network(folded(network), films(8))
    assert set(CONVOLUTIONS[:-1]) <= {layer.removesuffix("/WithoutBiases") for layer in found.layers}
    assert not [layer for layer in found.layers if layer.startswith("guard")]
    dense = next(rounding for rounding in found.roundings if ("dense/WithoutBiases", 0) in rounding.inputs)
    assert dense.beside == (("guard/mean", 0), ("guard/square", 0), ("guard/square", 1))
    assert not found.only(set(found.layers) - {"dense/WithoutBiases"}).roundings.count(dense)
    quantise(network, Ranges.from_json(found.to_json()))
    read = {op.get_friendly_name(): op.input(0).get_source_output().get_node().get_type_name() for op in network.get_ops() if op.inputs()}
    assert read["guard/mean"] == read["guard/square"] == "FakeQuantize"
    assert read["guard/features"] == "ReduceMean"


def test_a_network_of_one_layer_is_refused(tmp_path: Path) -> None:
    _, network = open_network(make_model(tmp_path / "m.onnx").read_bytes(), "made")
    bare = folded(network)
    with pytest.raises(ModelFileError, match="no layer that can compute in INT8"):
        ranges_module.read_ranges(bare, bare)


def test_it_says_what_the_ranges_were_made_with() -> None:
    assert made_with().startswith("nncf 3") and "openvino 20" in made_with()


def test_nncf_says_nothing_and_sends_nothing(tmp_path: Path, file: Path) -> None:
    code = f"""
import sys
sent, outward = [], ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork")
sys.addaudithook(lambda event, args: sent.append(event) if event in outward else None)
import numpy as np
from osteon.network import open_network
from osteon.precision import folded
from osteon.lab.quantisation.ranges import round_network
_, network = open_network(open({str(file)!r}, "rb").read(), "made")
round_network(folded(network), np.random.default_rng(0).integers(0, 256, (8, 64, 64), dtype=np.uint8))
print(sent, [m for m in sys.modules if "openvino_telemetry" in m])
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "HOME", "NNCF_CI")} | {"HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (told.returncode, told.stdout) == (0, "[] []\n"), told.stderr
    assert list(tmp_path.iterdir()) == []
