"""Further processes that run a command beside this one, where several may share its work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

HELPER = "OSTEON_HELPER"  # a further process's number, in its environment; it begins none itself
ENDED_WELL = (0, 1)  # 1: some ablation or film failed, and this process says which
ENDED_WITHIN = 60.0  # seconds in which a stopped training leaves its checkpoint

Jobs = Annotated[
    int, typer.Option(min=1, help="processes side by side, each on its share of the cores: on a CPU quicker, for as much more memory")
]
"""The option `--jobs`."""


@contextlib.contextmanager
def side_by_side(jobs: int) -> Iterator[None]:
    """Have `jobs - 1` further processes run what was typed, each on its share of the cores; they end with this one.

    They are silent: what one of them does not come to, this process comes to at the end, and tells why; if one is lost on the way, that is
    told at the end. Only if this one is killed outright do they go on.
    """
    if jobs == 1 or HELPER in os.environ:
        yield
        return
    from osteon.lab.training.cpu import share_cores

    threads = share_cores(jobs)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training takes this one over, and gives it back
    others = [_begun(threads, number) for number in range(1, jobs)]
    lost: list[int] = []
    try:
        yield
        lost = [status for other in others if (status := other.poll()) not in (None, *ENDED_WELL)]
    finally:
        for other in others:
            other.terminate()
        for other in others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(ENDED_WITHIN)
        signal.signal(signal.SIGTERM, before)
        for status in lost:
            why = "it was killed, mostly for want of memory: take fewer --jobs" if status == -signal.SIGKILL else f"status {status}"
            typer.echo(f"osteon: a process beside this one ended before the work did, so it took longer ({why}).", err=True)


def of_process(parts: Sequence[str]) -> str:
    """Return what falls to this process of what processes take in turn, such as GPUs."""
    return parts[int(os.environ.get(HELPER, "0")) % len(parts)]


def _begun(threads: int, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "osteon", *sys.argv[1:]]
    environment = {**os.environ, HELPER: str(number), "OMP_NUM_THREADS": str(threads)}
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=silent, stdout=silent, stderr=silent)  # noqa: S603 - this very program
