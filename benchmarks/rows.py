"""What a run of the benchmarks found, as it stands in JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from msgspec import Struct

from limits import Limits
from processor import Machine
from timing import Spread

Section = Literal["network", "start", "folder", "loader", "training", "index"]


class Row(Struct, frozen=True, kw_only=True):
    """One contestant's time or rate: median and quartiles of `n` values in `unit`; `peak_mb` is the most memory that its process held."""

    section: Section
    network: str
    name: str
    unit: str
    median: float
    low: float
    high: float
    n: int
    peak_mb: float = 0.0


class Report(Struct, frozen=True, kw_only=True):
    """One run: the machine and how much arithmetic it can do, the rows, and the arithmetic of each network (operations a film)."""

    date: str
    machine: Machine
    limits: Limits
    rows: tuple[Row, ...]
    operations: dict[str, int]

    def row(self, section: Section, network: str, name: str) -> Row | None:
        """Return one row, None where it was not measured."""
        found = (r for r in self.rows if r.section == section and r.network.startswith(network) and r.name == name)
        return next(found, None)


def row(place: tuple[Section, str, str], unit: str, values: Spread, peak_mb: float = 0.0) -> Row:
    """Return a row of measured values; `place` is section, network and name."""
    section, network, name = place
    return Row(section=section, network=network, name=name, unit=unit, peak_mb=peak_mb, **asdict(values))
