"""Trainings that take a second: Lite0 at 64 pixels on made films, in this process or as the command that a person types."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from osteon.lab.training import checkpoint
from osteon.lab.training.distributed import Processes
from osteon.lab.training.recipe import Recipe, recipe

SETTINGS = ("init=random", "frame.size=64", "frame.crop=none", "batch=4", "epochs=2", "freeze=16", "warmup=0", "ema=0.9")
"""What makes recipe `osteon` tiny; Lite0 has sixteen blocks, its head and the pyramid learn."""

QUICK_IN_BFLOAT16 = Processes(0, 1, torch.device("cpu")).quick_in_bfloat16
"""Whether `osteon reproduce` trains in bfloat16 here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command left on the terminal."""

    status: int
    out: str
    error: str


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one core here: the same bits as a process of its own with one, and quicker for films as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def own_stores(folder: Path) -> Iterator[Path]:
    """Train here on one core, with stores of films in this folder."""
    with one_thread(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("OSTEON_CACHE", str(folder / "cache"))
        yield folder


def tiny(*changes: str, name: str = "osteon") -> Recipe:
    """A recipe that trains in about a second."""
    return recipe(name, [*SETTINGS, *changes])


def settings(*changes: str) -> list[str]:
    """The same as arguments of `osteon train`."""
    return [part for change in (*SETTINGS, *changes) for part in ("--set", change)]


def osteon(*arguments: object) -> Answer:
    """Run the command line in this process: quick, and all that a person sees."""
    from osteon.cli import main

    out, error, status = io.StringIO(), io.StringIO(), 0
    argv = patch.object(sys, "argv", ["osteon", *map(str, arguments)])
    with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    return Answer(status, out.getvalue(), error.getvalue())


def started(*arguments: object, threads: int | None = 1, module: str = "osteon") -> subprocess.Popen[str]:
    """Start the command line as a process of its own; `threads` None leaves torch's choice."""
    env = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    if threads is None:
        env.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def weights(run: Path) -> dict[str, Tensor]:
    """All that a run has learned, by name: weights and their average, what the optimizer remembers, and the file of each best pass."""
    state = checkpoint.load(run / "checkpoint.pt")
    found = {f"{part} {key}": value for part in ("network", "mean") for key, value in state[part].items()}
    for number, memory in state["optimizer"]["state"].items():
        found |= {f"optimizer {number} {key}": value for key, value in memory.items()}
    files = {file.name: file.read_bytes() for file in (run / "best").iterdir()}
    return found | {name: torch.frombuffer(bytearray(content), dtype=torch.uint8) for name, content in files.items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors are identical."""
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


@contextlib.contextmanager
def full_disk(left: int) -> Iterator[None]:
    """Let no file grow beyond `left` bytes: writing fails as it does on a full disk (EFBIG for ENOSPC), and no root is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
