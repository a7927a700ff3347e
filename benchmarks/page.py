"""What the benchmarks found -> the tables of `docs/performance.md`; what people wrote around them stays.

python benchmarks/page.py bench-out/report.json [--soak bench-out/soak.json] [-o docs/performance.md]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rows import Report, Row, Section
from soak import Soak
from targets import targets

FIGURES = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
LONG_RUNS = "<!-- long runs: of the last `make soak` -->", "<!-- end of long runs -->"
TITLES: dict[Section, str] = {
    "network": "One prepared film through the network",
    "start": "Process start to the answer for one film",
    "folder": "A folder, from the files to the answers",
    "loader": "Films that reach a training",
    "training": "A training step on the CPU",
    "index": "The index of a MURA tree of full size",
}


def main() -> None:
    """Put the tables in their place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--soak", type=Path, default=Path("bench-out/soak.json"))
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/performance.md"))
    given = parser.parse_args()
    report = msgspec.json.decode(given.report.read_bytes(), type=Report)
    page = placed(given.out.read_text(encoding="utf-8"), tables(report), FIGURES)
    if given.soak.exists():
        page = placed(page, long_runs(msgspec.json.decode(given.soak.read_bytes(), type=Soak)), LONG_RUNS)
    given.out.write_text(page, encoding="utf-8")
    print(f"written: {given.out}")


def placed(page: str, text: str, marks: tuple[str, str]) -> str:
    """Return a page with the text between two marks."""
    begin, end = marks
    before, _, rest = page.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"the page has no place for figures: {begin} ... {end}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def tables(report: Report) -> str:
    """Return the tables of a run as Markdown."""
    return "\n".join([*_machine(report), *_targets(report), *_sections(report)])


def long_runs(soak: Soak) -> str:
    """Return what the long runs found as Markdown."""
    return "\n".join(["### Long runs (`make soak`)", "", *(f"- {line}" for line in soak.in_words()), ""])


def _machine(report: Report) -> Iterator[str]:
    machine, peaks = report.machine, report.limits
    yield f"Measured on {report.date}: {machine.in_words()}; {_versions(machine.packages)}. Load at the start {machine.load:.1f}."
    yield f"Its limits, measured in the same run: float32 {peaks.float32_gops:.0f} and INT8 {peaks.int8_gops:.0f} Gop/s."
    for network, operations in report.operations.items():
        least = ", ".join(f"{kind} {1e3 * peaks.seconds(operations, kind):.1f} ms" for kind in ("float32", "int8"))
        yield f"{network}: {operations / 1e9:.1f} GFLOP a film, at the limit {least}."
    yield ""


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _targets(report: Report) -> Iterator[str]:
    yield from ("### Targets", "", "| what | wanted | measured | |", "|---|--:|--:|---|")
    for target in targets(report):
        sign, unit = "at least" if target.least else "at most", f" {target.unit}" if target.unit else ""
        found = "" if target.measured is None else number(target.measured) + unit
        yield f"| {target.what} | {sign} {number(target.wanted)}{unit} | {found} | {target.verdict} |"
    yield ""


def _sections(report: Report) -> Iterator[str]:
    for section, title in TITLES.items():
        rows = [row for row in report.rows if row.section == section]
        if not rows:
            continue
        yield from (f"### {title}", "", "| | | median | quartiles | most memory, MB |", "|---|---|--:|--:|--:|")
        yield from (_row(row) for row in rows)
        yield ""


def _row(row: Row) -> str:
    quartiles = f"{number(row.low)} to {number(row.high)}" if row.n > 1 else "one run"
    memory = f"{row.peak_mb:.0f}" if row.peak_mb else ""
    return f"| {row.network} | {row.name} | {number(row.median)} {row.unit} | {quartiles} | {memory} |"


def number(value: float) -> str:
    """Return a number with three digits, or whole where it is large."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
