"""How much arithmetic a machine can do at best. Measured, since no data sheet knows a virtual machine.

It is the fastest of a few dense convolutions and matrix products, those that a network is made of, in the engine that runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from osteon.network import compile_network, openvino_runtime
from osteon.precision import Precision
from timing import timed

if TYPE_CHECKING:
    import openvino

SHAPES = ((256, 48, 3), (512, 64, 1), (128, 96, 3))
"""Dense convolutions: channels in and out, side of the map, side of the kernel."""

MATRIX = 1536


class Limits(Struct, frozen=True, kw_only=True):
    """Peaks in 10^9 operations a second; a multiplication with its addition is two."""

    float32_gops: float
    int8_gops: float

    def seconds(self, operations: float, precision: Precision = "float32") -> float:
        """Return the least time that so many operations take."""
        return operations / (1e9 * (self.int8_gops if precision == "int8" else self.float32_gops))


def measure_limits(rounds: int = 7) -> Limits:
    """Measure this machine's peaks."""
    return Limits(
        float32_gops=max(_matrix_gops(rounds), *(_convolution_gops(shape, rounds, int8=False) for shape in SHAPES)),
        int8_gops=max(_convolution_gops(shape, rounds, int8=True) for shape in SHAPES),
    )


def _matrix_gops(rounds: int) -> float:
    a, b = (np.random.default_rng(k).standard_normal((MATRIX, MATRIX), np.float32) for k in (0, 1))
    out = np.empty_like(a)
    return float(2 * MATRIX**3 / min(timed(lambda: np.matmul(a, b, out=out), rounds)) / 1e9)


def _convolution_gops(shape: tuple[int, int, int], rounds: int, *, int8: bool) -> float:
    channels, side, kernel = shape
    compiled = compile_network(_convolution(shape, int8=int8))
    request = compiled.create_infer_request()
    request.get_tensor(compiled.input(0)).data[:] = np.random.default_rng(0).random((1, channels, side, side), np.float32)
    return float(2 * (channels * kernel * side) ** 2 / min(timed(request.infer, rounds, warm_up=2)) / 1e9)


def _convolution(shape: tuple[int, int, int], *, int8: bool) -> openvino.Model:
    """Return one convolution alone: several in a row would measure the cache, one alone measures the multipliers."""
    channels, side, kernel = shape
    runtime = openvino_runtime()
    from openvino import opset13 as ops

    weights = np.random.default_rng(1).standard_normal((channels, channels, kernel, kernel), np.float32)
    image = ops.parameter([1, channels, side, side], np.float32)
    data, filters = image, ops.constant(weights)
    if int8:
        data = ops.fake_quantize(image, *(np.float32(v) for v in (0, 1, 0, 1)), 256)
        high = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
        filters = ops.fake_quantize(filters, -high, high, -high, high, 255)
    pad = [kernel // 2] * 2
    return runtime.Model([ops.relu(ops.convolution(data, filters, [1, 1], pad, pad, [1, 1]))], [image])
