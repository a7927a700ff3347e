"""Times of repeated calls and of whole processes: medians and quartiles, alternatives in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteon.errors import MeasurementError

Call = Callable[[], object]

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles of `n` values."""

    median: float
    low: float
    high: float
    n: int

    def map(self, change: Callable[[float], float]) -> Spread:
        """Return what a monotonic function makes of the three; one that falls swaps the quartiles."""
        low, high = sorted((change(self.low), change(self.high)))
        return Spread(change(self.median), low, high, self.n)


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended: its wall time, and the most memory it held (resident, MB of 10^6 bytes)."""

    seconds: float
    peak_mb: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles of at least one value.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.5, high=2.5, n=3)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def timed(call: Call, rounds: int, warm_up: int = 1) -> list[float]:
    """Return the seconds of each of `rounds` calls, after some that are not counted."""
    return in_turn({"": call}, rounds, warm_up)[""]


def in_turn(calls: Mapping[str, Call], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Return the seconds of each call by name; each round makes every call once, so that a slow moment strikes all alike."""
    for call in calls.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def finished(command: Sequence[str], environment: Mapping[str, str] | None = None, allowed: Sequence[int] = (0,)) -> Finished:
    """Run a command to its end, what it prints thrown away.

    Raises:
        MeasurementError: it cannot be started, or its exit status is not among the allowed ones.
    """
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *command]
    told = subprocess.run(launcher, capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False)
    if told.returncode:
        raise MeasurementError(f"this cannot be started: {' '.join(command)} ({told.stderr.strip().rpartition(': ')[2]}).")
    seconds, kilobytes, status = told.stdout.split()
    if int(status) not in allowed:
        raise MeasurementError(f"this ended with status {status} and cannot be timed: {' '.join(command)}. Run it by hand to see why.")
    return Finished(float(seconds), int(kilobytes) * 1024 / 1e6)
