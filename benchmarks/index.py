"""osteon's index without decoding against the article's row-by-row functions, on a tree of MURA's full size.

    python benchmarks/index.py [--runs 7] [--json FILE]

All index the same 40,005 synthetic films, each in a process of its own, one after the other. Function against function: imports are left
out on both sides, writing is not. Ours reads every film's header, checks the counts against the published ones, looks for leaks and writes
films, studies and report; the article's lists names. The whole command is given too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from timing import finished

HERE = Path(__file__).parent
PEERS = HERE / "peers"
TARGET_RATIO, TARGET_SECONDS, TARGET_MB = 50, 2.0, 500
OURS = """
from osteon.lab.data.index import write_index
from osteon.lab.data.build import build_index
from osteon.lab.data.leaks import refuse_leaks
def index(tree, out):
    films, report = build_index(tree, decode=False)
    report.findings += refuse_leaks(films)
    return write_index(films, out + "/index.parquet", report).films
"""
ARTICLE = """
from pathlib import Path
import article_index
def index(tree, out):
    return article_index.index_{what}(tree, Path(out))
"""
TIMED = """
import sys, time
{code}
began = time.perf_counter(), time.process_time()
rows = index({tree!r}, {out!r})
print(rows, time.perf_counter() - began[0], time.process_time() - began[1])
"""


def main() -> None:
    """Time all, print the table, and fail where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="runs of ours")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    found = measured(options.runs)
    figures = _figures(found.ours, found.article, found.commands)
    _tell(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    if figures["ratio_wall"] < TARGET_RATIO or figures["command_peak_mb"] > TARGET_MB:
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class Found:
    """Wall and CPU seconds of our function's runs and of the article's two; seconds and peak MB of the whole command's runs."""

    ours: list[tuple[float, float]]
    article: dict[str, tuple[float, float]]
    commands: list[tuple[float, float]]


def measured(runs: int) -> Found:
    """Make the tree and time all, ours before and after the article's."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from made_trees import full_mura  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        tree = full_mura(Path(folder) / "MURA-v1.1")
        first = [_function(OURS, tree, 40_005) for _ in range(runs // 2)]
        article = {what: _function(ARTICLE.format(what=what), tree, rows) for what, rows in (("films", 40_005), ("studies", 14_656))}
        ours = first + [_function(OURS, tree, 40_005) for _ in range(runs - len(first))]
        return Found(ours, article, [_command(tree) for _ in range(runs)])


def _function(code: str, tree: Path, rows: int) -> tuple[float, float]:
    """Return wall and CPU seconds of a function in a fresh process, and see that it found all rows."""
    script = TIMED.format(code=code, tree=str(tree), out=str(tree.parent))
    environment = os.environ | {"PYTHONPATH": str(PEERS)}
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True).stdout.split()
    if int(answer[0]) != rows:
        sys.exit(f"{answer[0]} rows instead of {rows}")
    return float(answer[1]), float(answer[2])


def _command(tree: Path) -> tuple[float, float]:
    """Return seconds and peak MB of the whole command."""
    command = [sys.executable, "-m", "osteon", "index", str(tree), "--no-decode", "-o", str(tree.parent / "index.parquet")]
    done = finished(command)
    return done.seconds, done.peak_mb


def _figures(
    ours: list[tuple[float, float]], article: dict[str, tuple[float, float]], commands: list[tuple[float, float]]
) -> dict[str, float]:
    wall, cpu = (statistics.median(run[k] for run in ours) for k in (0, 1))
    return {
        "ours_wall_s": wall,
        "ours_cpu_s": cpu,
        "article_films_wall_s": article["films"][0],
        "article_films_cpu_s": article["films"][1],
        "article_studies_wall_s": article["studies"][0],
        "article_studies_cpu_s": article["studies"][1],
        "ratio_wall": sum(run[0] for run in article.values()) / wall,
        "ratio_cpu": sum(run[1] for run in article.values()) / cpu,
        "ratio_films_alone_wall": article["films"][0] / wall,
        "command_wall_s": statistics.median(run[0] for run in commands),
        "command_peak_mb": max(run[1] for run in commands),
    }


def _tell(f: dict[str, float]) -> None:
    print(f"40,005 films; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}          wall s    CPU s")
    print(f"article, table of films                   {f['article_films_wall_s']:8.2f} {f['article_films_cpu_s']:8.2f}")
    print(f"article, table of studies                 {f['article_studies_wall_s']:8.2f} {f['article_studies_cpu_s']:8.2f}")
    print(f"osteon, both and the report (median)      {f['ours_wall_s']:8.2f} {f['ours_cpu_s']:8.2f}")
    print(f"ratio, both tables                        {f['ratio_wall']:8.0f} {f['ratio_cpu']:8.0f}   target {TARGET_RATIO}")
    print(f"ratio, ours against its films alone       {f['ratio_films_alone_wall']:8.0f}")
    print(f"osteon index --no-decode, start to end    {f['command_wall_s']:8.2f}            target {TARGET_SECONDS:.0f}")
    print(f"peak memory, MB                           {f['command_peak_mb']:8.0f}            target {TARGET_MB}")


if __name__ == "__main__":
    main()
