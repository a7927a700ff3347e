"""A float32 network and some films -> what NNCF would round in it, over which ranges: the beginning of the `Ranges` of a model file."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from osteon.errors import ModelFileError
from osteon.precision import Ranges, Rounding

if TYPE_CHECKING:
    from types import ModuleType

    import openvino

_LAST = frozenset(("Convolution", "GroupConvolution", "MatMul"))


def round_network(network: openvino.Model, films: NDArray[np.uint8]) -> Ranges:
    """Return the ranges over which NNCF's post-training quantisation rounds what a network computes with, weights to the nearest step.

    They hold all that the films bring about: what is cut off costs more than coarser steps do.

    Args:
        network: As `precision.folded` returns it; it stays as it is.
        films: Prepared films (n, S, S) to take the ranges from.

    Raises:
        ModelFileError: the network has no layer that can compute in INT8.
    """
    with _silence():
        nncf = nncf_runtime()
        quantised = nncf.quantize(
            network,
            nncf.Dataset([film[None] for film in films]),
            subset_size=len(films),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            ignored_scope=nncf.IgnoredScope(names=sorted(last_layers(network)), validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # Weights use half of the 8 bits: where a processor has no VNNI, sums of two products in 16 bits would saturate.
                overflow_fix=nncf.OverflowFix.ENABLE,
                backend_params={"compress_weights": False},
                activations_range_estimator_params=_whole_range(),
                disable_bias_correction=True,  # `rounding.round_weights` has its own
            ),
        )
    return read_ranges(quantised, network)


def read_ranges(quantised: openvino.Model, network: openvino.Model) -> Ranges:
    """Read out of a network that NNCF quantised what `precision.quantise` needs to make it again.

    A guard computes in float32, since its threshold was set there; what it reads of the network is rounded where the network's next layer
    has it rounded, so that no second copy is written for it.

    Raises:
        ModelFileError: nothing in it is quantised.
    """
    rounded = [_rounding(op) for op in quantised.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    if not rounded:
        raise ModelFileError("the network has no layer that can compute in INT8: it has no convolution before its last one.")
    answering = _answering(network)
    kept = Ranges(roundings=tuple(rounded)).only(answering)
    return msgspec.structs.replace(kept, roundings=tuple(_with_readers(network, r, answering) for r in kept.roundings))


def last_layers(network: openvino.Model) -> set[str]:
    """Return the last convolutions and matrix products before the outputs, and what follows them: all that stays in float32."""
    found: set[str] = set()
    ahead = [result.input(0).get_source_output().get_node() for result in network.get_results()]
    while ahead:
        op = ahead.pop()
        name = op.get_friendly_name()
        if name in found or op.get_type_name() in ("Constant", "Parameter"):
            continue
        found.add(name)
        if op.get_type_name() not in _LAST:
            ahead += [port.get_source_output().get_node() for port in op.inputs()]
    return found | {op.get_friendly_name() for op in network.get_ops() if op.get_type_name() == "MatMul"}


def made_with() -> str:
    """Return the releases that the ranges depend on."""
    return f"nncf {version('nncf')}, openvino {version('openvino')}"


def nncf_runtime() -> ModuleType:
    """Import NNCF without its telemetry, which tells Google Analytics of every quantisation.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if sys.modules.get("nncf") is None:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # NNCF takes it as not installed
        try:
            import nncf  # noqa: F401
        finally:
            del sys.modules["openvino_telemetry"]
    return sys.modules["nncf"]


def _whole_range() -> object:
    from nncf.quantization.range_estimator import AggregatorType, RangeEstimatorParameters, StatisticsCollectorParameters, StatisticsType

    lowest = StatisticsCollectorParameters(statistics_type=StatisticsType.MIN, aggregator_type=AggregatorType.MIN)
    highest = StatisticsCollectorParameters(statistics_type=StatisticsType.MAX, aggregator_type=AggregatorType.MAX)
    return RangeEstimatorParameters(min=lowest, max=highest)


def _answering(network: openvino.Model) -> set[str]:
    """Return the layers that logit and evidence are computed from."""
    ahead = [port.get_node() for port in network.outputs if port.get_names() & {"logit", "evidence"}]
    found: set[str] = set()
    while ahead:
        op = ahead.pop()
        if op.get_friendly_name() not in found:
            found.add(op.get_friendly_name())
            ahead += [port.get_source_output().get_node() for port in op.inputs()]
    return found


def _with_readers(network: openvino.Model, rounding: Rounding, answering: set[str]) -> Rounding:
    """Return the rounding with what reads the same tensor and answers nothing."""
    layer, port = rounding.inputs[0]
    op = next(op for op in network.get_ops() if op.get_friendly_name() == layer)
    readers = [(p.get_node().get_friendly_name(), p.get_index()) for p in op.input(port).get_source_output().get_target_inputs()]
    return msgspec.structs.replace(rounding, beside=tuple(sorted(place for place in readers if place[0] not in answering)))


def _rounding(op: openvino.Node) -> Rounding:
    inputs = tuple((port.get_node().get_friendly_name(), port.get_index()) for port in op.output(0).get_target_inputs())
    low, high, *again = (_value(op, port) for port in range(1, 5))
    assert np.array_equal(low, again[0]) and np.array_equal(high, again[1])
    return Rounding(
        inputs=tuple(sorted(inputs)), levels=op.get_attributes()["levels"], shape=low.shape, low=low.tobytes(), high=high.tobytes()
    )


def _value(op: openvino.Node, port: int) -> NDArray[np.float32]:
    return np.asarray(op.input(port).get_source_output().get_node().data, "<f4")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep NNCF's log and bars, which it writes to the standard output, off the terminal."""
    import logging

    with contextlib.redirect_stdout(io.StringIO()):
        logger = logging.getLogger("nncf")
        before = logger.disabled
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = before
