"""A folder of very many films, killed at random moments and gone on with: is every film answered once, and with the same bits?

    python benchmarks/kills.py [--films 20000] [--kills 20] [--model FILE]

Without a model a network of small input answers, to be done in time: what is on disk does not depend on how long the network takes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from films import link_many, make_films
from soak import DISTINCT, predicting, tiny_model
from timing import finished

SIDE = 128


def main() -> None:
    """Make the films, answer them at one go and in pieces, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--model", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_many(make_films(folder / "made", DISTINCT, SIDE), folder / "films", given.films)
        command = [*predicting(folder / "films"), "--model", str(given.model or tiny_model(folder)), "-o"]
        whole = finished([*command, str(folder / "whole")])
        kills = killed([*command, str(folder / "killed")], folder / "killed" / "parts", given.kills, given.films)
        last = finished([*command, str(folder / "killed")])
        times = answered(folder / "killed" / "parts")
        files = [f"answers.{suffix}" for suffix in ("csv", "json", "parquet")]
        other = [file for file in files if (folder / "whole" / file).read_bytes() != (folder / "killed" / file).read_bytes()]
    print(f"{given.films:,} films, killed {kills} times: {len(times):,} answered, {sum(n != 1 for n in times.values())} of them not once.")
    print(f"Files that differ in any byte from those of one run without a stop: {', '.join(other) or 'none'} of {', '.join(files)}.")
    print(
        f"At one go {whole.seconds:.0f} s and {whole.peak_mb:.0f} MB at most; the last piece {last.seconds:.0f} s, {last.peak_mb:.0f} MB."
    )


def killed(command: list[str], parts: Path, kills: int, films: int) -> int:
    """Start a command again and again, and kill it (SIGKILL) at random moments that share the films out; returns how often it was."""
    draw, times = random.Random(0), 0
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            some = len(answered(parts)) + draw.uniform(0, 1.6 * films / kills)
            while process.poll() is None and sum(1 for _ in parts.glob("*.jsonl")) * 64 < some:
                time.sleep(0.05)
            time.sleep(draw.uniform(0, 0.5))
            process.kill()
        times += process.returncode < 0
    return times


def answered(parts: Path) -> Counter[str]:
    """Return how often each film stands in the parts."""
    lines = (line for part in parts.glob("*.jsonl") if part.stem.isdigit() for line in part.read_bytes().splitlines())
    return Counter(json.loads(line)["film"] for line in lines)


if __name__ == "__main__":
    main()
