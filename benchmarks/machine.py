"""How fast this machine predicts: one film, a process from its start, a folder. Let nothing else run meanwhile.

    python benchmarks/machine.py [--quick] [--model FILE|NAME@VERSION]

The films are synthetic; nothing of yours is read. `make bench` measures the same beside osteon's peers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from contestants import Contestant
from limits import measure_limits
from osteon.model_names import find_model
from osteon.opening import load_model
from predicting import GLANCE, Pace, network, start, whole_folder
from processor import describe_machine
from rows import Row
from work import operations


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a glance: seconds in the place of minutes")
    parser.add_argument("--model", default="", help="by default the packaged one")
    given = parser.parse_args()
    model = load_model(given.model or None)
    command = ("--model", given.model) if given.model else ()
    one = Contestant("osteon", model.card.reference, "ours.py", given.model or "packaged", model.card.frame.size, command=command)
    print(describe_machine().in_words())
    least = 1e3 * measure_limits().seconds(operations(Path(str(find_model(given.model or None)))), model.precision)
    print(f"{model.card.reference} in {model.precision}: the machine's arithmetic allows a film in {least:.1f} ms", flush=True)
    with tempfile.TemporaryDirectory() as name:
        os.environ["OSTEON_CACHE"] = f"{name}/cache"  # the user's own stays as it is
        for row in measured(one, Path(name), GLANCE if given.quick else Pace()):
            print(f"{row.section:8} {row.name:20} {row.median:.3g} {row.unit} ({row.low:.3g} to {row.high:.3g})")


def measured(one: Contestant, folder: Path, pace: Pace) -> list[Row]:
    """Return the rows of one film, of starts and of a folder."""
    print("measuring ...", file=sys.stderr)
    return [*network([one], pace), *start(folder / "start", [one], pace), *whole_folder(folder / "folder", [one], pace)]


if __name__ == "__main__":
    main()
