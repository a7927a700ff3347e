"""Model file -> its card and its network, if it keeps the contract of `docs/architecture.md`; network -> compiled for this processor.

Input `image`, outputs `logit`, `evidence` and, with a guard, `novelty`, metadata `card`. A file that breaks it is refused with what
is wrong.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from osteon.card import Card
from osteon.errors import ModelFileError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from types import ModuleType

    import openvino

MOST_BYTES = 2**31
"""A protobuf message, and so an ONNX file, cannot be larger."""

EXPORT_AGAIN = "Export it again with `osteon export`."


def read_content(source: Path | Traversable, name: str) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: it is not there, too large, or cannot be opened; the message begins with `name`.
    """
    try:
        if isinstance(source, Path) and source.is_file() and source.stat().st_size > MOST_BYTES:
            raise ModelFileError(f"{name}: larger than 2 GiB, no ONNX file. Name a model that osteon exported.")
        return source.read_bytes()
    except FileNotFoundError as fault:
        raise ModelFileError(f"{name}: there is no such model file.") from fault
    except OSError as fault:
        raise ModelFileError(f"{name}: the model file cannot be opened ({fault.strerror}).") from fault


def open_network(content: bytes, name: str) -> tuple[Card, openvino.Model]:
    """Read a model file, not yet compiled: its card, and the float32 network for one film.

    Raises:
        ModelFileError: it cannot be read, or breaks the contract; the message begins with `name`.
    """
    try:
        network = engine().read_model(content, b"")
    except RuntimeError as fault:
        raise ModelFileError(f"{name}: no ONNX model can be read from it. Copy it again, or name another.") from fault
    card = _card(network, name)
    _check_input(network, card.frame.size, name)
    with refusal(name):
        network.reshape([1, card.frame.size, card.frame.size])
    _check_outputs(network, card, name)
    return card, network


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runtime(side_by_side: bool = False) -> dict[str, str | int]:
    """Return how every network is compiled: for one film at a time on all cores, or for a film on each.

    A batch would be no quicker on a CPU, and a film's number might depend on its neighbours.
    """
    many: dict[str, str | int] = {"NUM_STREAMS": cores(), "INFERENCE_NUM_THREADS": cores()}
    one: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY"}
    # float32 where it is not INT8, or newer processors would compute in bfloat16 and give other numbers.
    return (many if side_by_side else one) | {"INFERENCE_PRECISION_HINT": "f32"}


def compile_network(network: openvino.Model, side_by_side: bool = False) -> openvino.CompiledModel:
    """Compile a network for this machine's processor, as `runtime` says."""
    return engine().compile_model(network, "CPU", runtime(side_by_side))


@functools.cache
def engine() -> openvino.Core:
    """Return OpenVINO's core, the only one of this process, which lives as long as the process does.

    Each core that opens the processor gives the thread another stack for signal handlers, and takes it away when it goes. Of two that go
    in the order in which they came, the second puts back the stack of the first, which is no longer there: the next Ctrl-C is then a
    segmentation fault (OpenVINO 2026.4).
    """
    return openvino_runtime().Core()


def openvino_runtime() -> ModuleType:
    """Import OpenVINO without its model converter, which tells Google Analytics of every import and costs a third of its time."""
    if "openvino" not in sys.modules:
        sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]  # OpenVINO takes it as not installed
        try:
            import openvino  # noqa: F401
        finally:
            del sys.modules["openvino.tools.ovc"]
    return sys.modules["openvino"]


@contextmanager
def refusal(name: str) -> Iterator[None]:
    """Turn what OpenVINO raises into a `ModelFileError` that begins with `name`."""
    try:
        yield
    except RuntimeError as fault:
        reason = next((line for line in reversed(str(fault).splitlines()) if line.strip()), "no reason given")
        raise ModelFileError(f"{name}: the model cannot be compiled ({reason.strip()}). {EXPORT_AGAIN}") from fault


def _card(network: openvino.Model, name: str) -> Card:
    try:
        text = network.get_rt_info(["framework", "card"]).astype(str)
    except RuntimeError as fault:
        raise ModelFileError(f"{name}: the model carries no card, so nobody can know what it wants and means. {EXPORT_AGAIN}") from fault
    try:
        return Card.from_json(text)
    except ModelFileError as fault:
        raise ModelFileError(f"{name}: {fault}") from fault


def _check_input(network: openvino.Model, size: int, name: str) -> None:
    found = ", ".join(_described(port, "image") for port in network.inputs)
    if found != f"image u8[?,{size},{size}]":
        raise ModelFileError(f"{name}: the input is {found or 'missing'}, where the card wants image u8[?,{size},{size}]. {EXPORT_AGAIN}")


def _check_outputs(network: openvino.Model, card: Card, name: str) -> None:
    wanted = {"logit": r"f32\[1\]", "evidence": r"f32\[1,\d+,\d+\]"} | ({"novelty": r"f32\[1\]"} if card.scope else {})
    found = {label: _described(port, label) for port in network.outputs for label in port.get_names()}
    for label, pattern in wanted.items():
        if label not in found:
            raise ModelFileError(f"{name}: there is no output {label}, only {', '.join(found) or 'none'}. {EXPORT_AGAIN}")
        if not re.fullmatch(f"{label} {pattern}", found[label]):
            rank = "f32[n,h,w]" if label == "evidence" else "f32[n]"
            raise ModelFileError(f"{name}: for one film the output is {found[label]}, where {label} {rank} is wanted. {EXPORT_AGAIN}")


def _described(port: openvino.Output, label: str) -> str:
    names = port.get_names()
    name = label if label in names else min(names, default="unnamed")
    return f"{name} {port.get_element_type().get_type_name()}{port.get_partial_shape()}".replace(", ", ",")
