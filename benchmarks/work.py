"""How much arithmetic a film asks for: in a model file, counted from its graph, and in a training step, counted by torch as it runs one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from osteon.errors import ModelFileError
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe
from osteon.network import engine

if TYPE_CHECKING:
    import openvino


def operations(model: Path) -> int:
    """Return the multiplications and additions of convolutions and matrix products that a model file needs for one film.

    Raises:
        ModelFileError: no ONNX model can be read from it.
    """
    try:
        network = engine().read_model(model.read_bytes(), b"")
        sides = [side.get_length() for side in list(network.input(0).get_partial_shape())[1:]]
        network.reshape([1, *sides])
    except (OSError, RuntimeError) as fault:
        raise ModelFileError(f"{model}: no ONNX model can be read from it. Name a model that osteon exported.") from fault
    layers = [node for node in network.get_ops() if node.get_type_name() in _TERMS]
    return sum(2 * math.prod(node.output(0).get_shape()) * _TERMS[node.get_type_name()](node) for node in layers)


def _convolution(node: openvino.Node) -> int:
    return math.prod(list(node.input(1).get_shape())[1:])


def _grouped_convolution(node: openvino.Node) -> int:
    return math.prod(list(node.input(1).get_shape())[2:])


def _product(node: openvino.Node) -> int:
    return int(list(node.input(0).get_shape())[-2 if node.get_attributes().get("transpose_a") else -1])


_TERMS = {"Convolution": _convolution, "GroupConvolution": _grouped_convolution, "MatMul": _product}
"""How many products one output value is the sum of (OpenVINO's operation set 13)."""


def step_flops(recipe: Recipe) -> int:
    """Return the operations of one film's share of a training step, forward and backward; frozen blocks have no backward pass.

    The multiplications and the additions of convolutions and matrix products count, nothing else does.
    """
    detector = Detector(recipe).train()
    films = torch.zeros(2, recipe.frame.size, recipe.frame.size, dtype=torch.uint8)  # batch normalisation wants two
    with FlopCounterMode(display=False) as counted:
        outputs = detector.outputs(films)
        (outputs.logit.sum() + outputs.cells.sum()).backward()  # type: ignore[no-untyped-call]
    return int(counted.get_total_flops()) // len(films)
