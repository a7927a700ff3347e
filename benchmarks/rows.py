"""What a run of the benchmarks found, as it stands in JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from msgspec import Struct

from osteon.lab.bench.record import Bench
from osteon.lab.bench.timing import Spread

Section = Literal["network", "start", "folder", "loader", "training", "index"]


class Row(Struct, frozen=True, kw_only=True):
    """One contestant's figure: median and quartiles of `n` values in `unit`; `peak_mb` is the most memory that its process held."""

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
    """One run: the rows, the arithmetic of each network (operations a film), and osteon's own bench with machine and limits."""

    date: str
    rows: tuple[Row, ...]
    operations: dict[str, int]
    bench: Bench

    def row(self, section: Section, network: str, name: str) -> Row | None:
        """Return one figure, None where it was not measured."""
        found = (r for r in self.rows if r.section == section and r.network.startswith(network) and r.name == name)
        return next(found, None)


def row(place: tuple[Section, str, str], unit: str, values: Spread, peak_mb: float = 0.0) -> Row:
    """Return a row of measured values; `place` is section, network and name."""
    section, network, name = place
    return Row(section=section, network=network, name=name, unit=unit, peak_mb=peak_mb, **asdict(values))
