"""On what a device's time goes: the kernels of a step, by name and by what they do."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

PROFILED = 5
"""Steps."""

LARGEST = 8
"""Of the kernels, so many are told by name."""

KINDS = {
    "compiled": r"triton",
    "optimizer": r"adam|multi_tensor|foreach",
    "normalisation": r"batch_?norm|bn_",
    "concatenation": r"\bcat\b|CatArray",
    "convolution": r"conv|gemm|cudnn|cutlass|xmma|wgrad|dgrad|fprop|addmm|depthwise",
    "copy": r"memcpy|memset|copy|_to\b|fill|zero_",
    "elementwise": r"elementwise|vectorized|relu|hardtanh|add|mul|div|sub|clamp|threshold",
    "reduction": r"reduce|mean|sum",
}
"""Of kernels: what they do, by the first of these that their name has."""


def profiled(step: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Return the milliseconds of a step by kernel; on a processor by torch's operation."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as told:
        for _ in range(PROFILED):
            step()
        wait(device)
    kernels: dict[str, float] = {}
    for event in told.key_averages():
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if microseconds:
            kernels[event.key] = microseconds / PROFILED / 1000
    return kernels


def by_kind(kernels: dict[str, float]) -> dict[str, float]:
    """Return the milliseconds by kind, the most first."""
    kinds: dict[str, float] = {}
    for name, milliseconds in kernels.items():
        kinds[kind(name)] = kinds.get(kind(name), 0.0) + milliseconds
    return dict(_by_size(kinds))


def largest(kernels: dict[str, float]) -> dict[str, float]:
    """Return the kernels that take most of the time."""
    return dict(_by_size(kernels)[:LARGEST])


def kind(kernel: str) -> str:
    """Return what a kernel does, by its name.

    >>> kind("void cudnn::ops::nchwToNhwcKernel"), kind("aten::native_batch_norm"), kind("Memcpy DtoD")
    ('convolution', 'normalisation', 'copy')
    """
    return next((name for name, pattern in KINDS.items() if re.search(pattern, kernel, re.IGNORECASE)), "other")


def wait(device: torch.device) -> None:
    """Let a GPU finish what it was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _by_size(milliseconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(milliseconds.items(), key=lambda pair: -pair[1])
