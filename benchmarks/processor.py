"""The machine that times belong to, described without a name of it or of a person."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from msgspec import Struct

from osteon.network import cores
from osteon.version import __version__

PACKAGES = ("openvino", "numpy", "pillow", "imagecodecs", "pydicom", "polars", "torch", "onnxruntime", "nncf")
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")
"""What decides how fast a network runs, as Linux names it; VNNI and I8MM multiply bytes."""


class Machine(Struct, frozen=True, kw_only=True):
    """`cores` are those that this process may use, `memory_gb` is 10^9 bytes, `load` what others did when the measuring began."""

    processor: str
    cores: int
    instructions: tuple[str, ...]
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str]
    load: float

    def in_words(self) -> str:
        """Return a line that says what a reader must know to compare."""
        extra = ", ".join(self.instructions) or "no wide instructions known"
        return f"{self.processor}, {self.cores} cores ({extra}), {self.memory_gb:.0f} GB, {self.system}, Python {self.python}"


def describe_machine() -> Machine:
    """Return what this machine is."""
    about = _proc("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", _field(about, r"flags|Features")))
    return Machine(
        processor=_field(about, "model name") or platform.processor() or platform.machine(),
        cores=cores(),
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
        memory_gb=round(int((re.findall(r"MemTotal: +(\d+)", _proc("/proc/meminfo")) or ["0"])[0]) * 1024 / 1e9, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        python=platform.python_version(),
        packages={"osteon": __version__} | {name: version for name in PACKAGES if (version := _version(name))},
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    )


def resident_mb() -> float:
    """Return how much memory this process holds now (resident, MB of 10^6 bytes); 0 where the system does not say."""
    return int((re.findall(r"VmRSS:\s+(\d+)", _proc("/proc/self/status")) or ["0"])[0]) * 1024 / 1e6


def _field(text: str, name: str) -> str:
    found = re.search(rf"^(?:{name})\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _proc(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
