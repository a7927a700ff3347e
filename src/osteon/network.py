"""Model file -> its card and its network, if it keeps the contract of `docs/architecture.md`; network -> compiled for this processor.

Input `image`, outputs `logit`, `evidence` and, with a guard, `novelty`, metadata `card`. A file that breaks it is refused with what
is wrong.
"""

from __future__ import annotations

import functools
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osteon.card import Card
from osteon.errors import ModelFileError
from osteon.onnx_graph import EXPORT_AGAIN, NO_ONNX, check_graph

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from types import ModuleType

    import openvino

MOST_BYTES = 2**29
"""Of a model file; the largest network that osteon trains, five times over, has 400 MB."""

_ESCAPED = r"(?<!\\)(?:\\\\)*\\(?:[bfr]|u00(?:0[0-8b-f]|1|7f|[89])|u20(?:2[a-e]|6[6-9]))"
_OBEYED = re.compile(rf"{_ESCAPED}|[\x7f-\x9f\u202a-\u202e\u2066-\u2069]", re.IGNORECASE)
"""What a terminal obeys and does not show, as JSON writes it: control characters but for tab and new line, and turns of direction."""

MOST_MEMORY = 2**30
"""Bytes of the maps that a film needs at one time, and of the weights as the engine keeps them."""

MOST_WORK = 2**37
"""Multiplications for a film; the packaged model takes 2**30."""


def read_content(source: Path | Traversable, name: str) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: it is not there, too large, or cannot be opened; the message begins with `name`.
    """
    try:
        if isinstance(source, Path) and (source.stat().st_size > MOST_BYTES or not source.is_file()):
            raise ModelFileError(f"{name}: cannot be opened, as it is no file of at most {MOST_BYTES >> 20} MiB. Name a model file.")
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
    with refusal(name):
        check_graph(content)
        network = _read(content)
        card = _card(network)
        _check_input(network, card.frame.size)
        network.reshape([1, card.frame.size, card.frame.size])
        check_network(network, card)
    return card, network


def check_network(network: openvino.Model, card: Card) -> None:
    """Hold a network of fixed shape against the contract: its outputs, what a film takes, and that its weights are numbers.

    Raises:
        ModelFileError: it breaks the contract.
    """
    _check_outputs(network, card)
    nodes = network.get_ordered_ops()
    if not all(np.isfinite(node.data).all() for node in nodes if node.get_type_name() == "Constant" and node.get_element_type().is_real()):
        raise ModelFileError(f"some of its weights are no finite numbers. {EXPORT_AGAIN}")
    work, memory = sum(map(_work, nodes)), _memory(nodes)
    if work > MOST_WORK or memory > MOST_MEMORY:
        found = f"{work:.1e} multiplications and {memory >> 20:,} MiB"
        raise ModelFileError(f"a film would take {found}; at most {MOST_WORK:.1e} and {MOST_MEMORY >> 20:,} are allowed.")


def _work(node: openvino.Node) -> int:
    """Return about how many multiplications a node takes."""
    given, made = node.inputs(), node.outputs()
    match node.get_type_name():
        case "Convolution" | "GroupConvolution":
            each = math.prod(_sides(given[1])) // _sides(made[0])[1]
        case "MatMul":
            each = _sides(given[0])[-2 if node.get_attributes()["transpose_a"] else -1]
        case "AvgPool" | "MaxPool":
            each = math.prod(node.get_attributes()["kernel"])
        case _:
            each, made = 1, given + made
    return int(each * sum(port.get_tensor().size for port in made) // 4)


def _memory(nodes: list[openvino.Node]) -> int:
    """Return about how many bytes stand in memory at one time: all constants, and each map until its last reader has it."""
    constants, computed = ([n for n in nodes if (n.get_type_name() == "Constant") is kind] for kind in (True, False))
    place = {node.get_name(): i for i, node in enumerate(computed)}
    live = most = sum(_padded(node.output(0)) for node in constants)
    freed = [0] * len(computed)
    for i, node in enumerate(computed):
        for port in node.outputs():
            live += port.get_tensor().size
            freed[max((place[reader.get_node().get_name()] for reader in port.get_target_inputs()), default=i)] += port.get_tensor().size
        most = max(most, live)
        live -= freed[i]
    return most


def _padded(constant: openvino.Output) -> int:
    """Return the bytes of a constant as the engine keeps weights: channels in blocks of 16."""
    sides = _sides(constant)
    return 4 * math.prod(-(-side // 16) * 16 if i < 2 < len(sides) else side for i, side in enumerate(sides))


def _sides(port: openvino.Input | openvino.Output) -> list[int]:
    # To go through OpenVINO's own list takes ten times as long.
    return [int(side) for side in str(port.get_shape())[1:-1].split(",") if side]


def cores() -> int:
    """Return how many cores this process may use: those that it is bound to, and no more than a container's quota pays for."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _quota(Path("/sys/fs/cgroup")))))


def _quota(cgroups: Path) -> float:
    """Return of how many cores' time a process in a container may take (Linux, cgroup 2 and 1), inf where nothing says so."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroups / name).read_text() for name in names).split()
            return math.inf if quota in ("max", "-1") else int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return math.inf


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
    """Let every `ModelFileError` begin with `name`, and turn what OpenVINO raises into one."""
    try:
        yield
    except ModelFileError as fault:
        raise ModelFileError(f"{name}: {fault}") from fault
    except (RuntimeError, UnicodeDecodeError) as fault:  # OpenVINO's words may hold a name that is no UTF-8
        reason = next((line for line in reversed(str(fault).splitlines()) if line.strip()), "no reason given")
        raise ModelFileError(f"{name}: the model cannot be compiled ({reason.strip()}). {EXPORT_AGAIN}") from fault


def _read(content: bytes) -> openvino.Model:
    try:
        return engine().read_model(content, b"")
    except (RuntimeError, UnicodeDecodeError) as fault:
        raise ModelFileError(NO_ONNX) from fault


def _card(network: openvino.Model) -> Card:
    try:
        text = network.get_rt_info(["framework", "card"]).astype(str)
    except (RuntimeError, UnicodeDecodeError) as fault:
        raise ModelFileError(f"the model carries no card, so nobody can know what it wants and means. {EXPORT_AGAIN}") from fault
    if _OBEYED.search(text):
        raise ModelFileError(f"the model's card holds control characters, which a terminal would obey. {EXPORT_AGAIN}")
    return Card.from_json(text)


def _check_input(network: openvino.Model, size: int) -> None:
    found = ", ".join(_described(port, "image") for port in network.inputs)
    if found != f"image u8[?,{size},{size}]":
        raise ModelFileError(f"the input is {found or 'missing'}, where the card wants image u8[?,{size},{size}]. {EXPORT_AGAIN}")


def _check_outputs(network: openvino.Model, card: Card) -> None:
    wanted = {"logit": r"f32\[1\]", "evidence": r"f32\[1,\d+,\d+\]"} | ({"novelty": r"f32\[1\]"} if card.scope else {})
    found = {label: _described(port, label) for port in network.outputs for label in port.get_names()}
    for label, pattern in wanted.items():
        if label not in found:
            raise ModelFileError(f"there is no output {label}, only {', '.join(found) or 'none'}. {EXPORT_AGAIN}")
        if not re.fullmatch(f"{label} {pattern}", found[label]):
            rank = "f32[n,h,w]" if label == "evidence" else "f32[n]"
            raise ModelFileError(f"for one film the output is {found[label]}, where {label} {rank} is wanted. {EXPORT_AGAIN}")


def _described(port: openvino.Output, label: str) -> str:
    names = port.get_names()
    name = label if label in names else min(names, default="unnamed")
    return f"{name} {port.get_element_type().get_type_name()}{port.get_partial_shape()}".replace(", ", ",")
