"""How much arithmetic a model file asks for, counted from its graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from osteon.errors import ModelFileError
from osteon.network import engine

if TYPE_CHECKING:
    import openvino


class Work(Struct, frozen=True, kw_only=True):
    """What one film asks for.

    `operations` are the multiplications and the additions of convolutions and matrix products; nothing else counts. `parameters` are the
    numbers in their kernels.
    """

    operations: int
    parameters: int


def work_of(model: Path) -> Work:
    """Count a model file's work for one film.

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
    return Work(
        operations=sum(2 * math.prod(node.output(0).get_shape()) * _TERMS[node.get_type_name()](node) for node in layers),
        parameters=sum(math.prod(node.input(1).get_shape()) for node in layers),
    )


def _convolution(node: openvino.Node) -> int:
    return math.prod(list(node.input(1).get_shape())[1:])


def _grouped_convolution(node: openvino.Node) -> int:
    return math.prod(list(node.input(1).get_shape())[2:])


def _product(node: openvino.Node) -> int:
    return int(list(node.input(0).get_shape())[-2 if node.get_attributes().get("transpose_a") else -1])


_TERMS = {"Convolution": _convolution, "GroupConvolution": _grouped_convolution, "MatMul": _product}
"""How many products one output value is the sum of (OpenVINO's operation set 13)."""
