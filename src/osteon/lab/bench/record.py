"""What a bench found: figures beside the machine's limits, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import msgspec
from msgspec import Struct

from osteon.lab.bench.limits import Limits
from osteon.lab.bench.machine import Machine
from osteon.lab.bench.timing import Spread

SCHEMA = 1
Part = Literal["prediction", "start-up", "folder", "decode", "store", "index", "training"]
PARTS: tuple[Part, ...] = ("prediction", "start-up", "folder", "decode", "store", "index", "training")
Unit = Literal["ms", "s", "films/s", "MB"]


class Figure(Struct, frozen=True, kw_only=True):
    """One measured figure: median and quartiles of `n` values in `unit`.

    `limit` is what this machine could do at best in the same unit, by `limit_is`; None where there is no such limit.
    """

    part: Part
    name: str
    unit: Unit
    median: float
    low: float
    high: float
    n: int
    limit: float | None = None
    limit_is: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the limit it takes; 1 is the limit, None where there is none."""
        if not self.limit or not self.median:
            return None
        return self.limit / self.median if self.unit == "films/s" else self.median / self.limit


class Bench(Struct, frozen=True, kw_only=True):
    """One run of `osteon bench`. `not_measured` says of each part that was left out why."""

    machine: Machine
    limits: Limits
    model: str
    figures: tuple[Figure, ...]
    not_measured: dict[str, str]
    schema: int = SCHEMA

    def to_json(self) -> bytes:
        """Return it as JSON, each figure with its ratio to the limit."""
        plain = msgspec.to_builtins(self)
        for row, figure in zip(plain["figures"], self.figures, strict=True):
            row["ratio"] = figure.ratio
        return msgspec.json.format(msgspec.json.encode(plain), indent=1)


def figure(name: tuple[Part, str], unit: Unit, values: Spread, limit: float | None = None, limit_is: str = "") -> Figure:
    """Return a figure of measured values, already in `unit`."""
    part, what = name
    return Figure(
        part=part,
        name=what,
        unit=unit,
        **asdict(values),
        limit=limit,
        limit_is=limit_is if limit else "",
    )
