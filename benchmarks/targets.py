"""What was wanted, and whether a run of the benchmarks shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rows import Report, Row, Section

PAPER, PACKAGED = "DenseNet-169", "packaged"
KERAS, TORCH = "Keras, as the article", "PyTorch eager"


@dataclass(frozen=True, slots=True)
class Target:
    """One target: `measured` is None where the run did not measure it; it is met at or below `wanted`, or above where `least`."""

    what: str
    wanted: float
    measured: float | None
    unit: str = ""
    least: bool = False

    @property
    def verdict(self) -> str:
        """Say in a word whether it is met."""
        if self.measured is None:
            return "not measured"
        return "met" if (self.measured >= self.wanted if self.least else self.measured <= self.wanted) else "**missed**"


def targets(report: Report) -> Iterator[Target]:
    """Yield every target with what the run says of it."""
    ours, lite = _ours(report, "network", PAPER), _ours(report, "network", PACKAGED)
    torch, keras = report.row("network", PAPER, TORCH), report.row("network", PAPER, KERAS)
    yield Target("DenseNet-169, one film: time against PyTorch eager", 1 / 4, _ratio(ours, torch))
    yield Target("DenseNet-169, one film: time against Keras", 1 / 4, _ratio(ours, keras))
    yield Target("DenseNet-169, one film: times the INT8 limit", 3, _times_limit(report, ours))
    yield Target("packaged model, one film: time against Keras's DenseNet-169", 1 / 20, _ratio(lite, keras))
    for network, warm, cold in ((PAPER, 0.8, 2.5), (PACKAGED, 0.5, 1.0)):
        kept, empty = _ours(report, "start", network), _ours(report, "start", network, ", empty cache")
        yield Target(f"{network}: process start to first answer, model kept", warm, _median(kept), "s")
        yield Target(f"{network}: process start to first answer, empty cache", cold, _median(empty), "s")
    folder, loop = _ours(report, "folder", PAPER), report.row("folder", PAPER, TORCH)
    yield Target("DenseNet-169, a folder, decode included: films/s against PyTorch and Pillow", 5, _ratio(folder, loop), least=True)
    store, png = report.row("loader", "", "osteon's store"), report.row("loader", "", "PNG decoded each epoch")
    yield Target("films that reach a training: films/s against PNG decoded each epoch", 20, _ratio(store, png), least=True)
    step, script = report.row("training", "Lite0", "osteon, 3 blocks frozen"), report.row("training", "Lite0", TORCH)
    yield Target(
        "a training step, Lite0 at 320, 3 blocks frozen: films/s against PyTorch eager, none frozen", 2.5, _ratio(step, script), least=True
    )
    yield from _index(report)


def _index(report: Report) -> Iterator[Target]:
    ours, films, studies = (report.row("index", "", name) for name in ("osteon", "the article, films", "the article, studies"))
    whole = report.row("index", "", "osteon index, the whole command")
    faster = (films.median + studies.median) / ours.median if ours and films and studies else None
    yield Target("index of 40,005 films: times as fast as the article's functions", 50, faster, least=True)
    yield Target("index of 40,005 films: the whole command", 2, _median(whole), "s")
    yield Target("index of 40,005 films: most memory", 500, whole.peak_mb if whole else None, "MB")


def _ours(report: Report, section: Section, network: str, suffix: str = "") -> Row | None:
    """Return our best row: INT8 where there is one."""
    names = ("osteon, INT8", "osteon", "osteon, float32")
    return next((row for name in names if (row := report.row(section, network, name + suffix))), None)


def _times_limit(report: Report, ours: Row | None) -> float | None:
    return ours.median / 1e3 / report.limits.seconds(report.operations[ours.network], "int8") if ours else None


def _ratio(one: Row | None, other: Row | None) -> float | None:
    return one.median / other.median if one and other else None


def _median(row: Row | None) -> float | None:
    return row.median if row else None
