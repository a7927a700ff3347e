"""osteon against its peers, from one command, in turn: one film, start-up, a folder, a training's loader and step, the index.

    python benchmarks/run.py [--quick] [--only SECTION]... [-o bench-out/report.json]

Every contestant is a process of its own. In each round each one has its turn, so that a slow moment of the machine strikes all alike.
Weights are random, since time does not depend on them, and the films are synthetic. `make bench` writes `docs/performance.md` from it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import torch

import index
from contestants import KERAS_PYTHON, PEERS, Contestant, contestants, trainings
from films import link_many, make_films
from limits import measure_limits
from osteon.card import Card, Pooling
from osteon.errors import ModelFileError
from osteon.film import prepare, read_film
from osteon.lab.model_file import with_card
from osteon.lab.quantisation.ranges import round_network
from osteon.lab.training.export import write_model
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import recipe
from osteon.model_names import packaged_models
from osteon.network import open_network
from osteon.opening import load_model
from osteon.precision import folded
from predicting import GLANCE, Pace, in_turn, network, start, whole_folder
from processor import describe_machine
from rows import Report, Row, Section, row
from timing import spread
from work import operations

SECTIONS: tuple[Section, ...] = ("network", "start", "folder", "loader", "training", "index")
STORE_SIDE = 320
TRAINING_BATCH = 16  # of peers/torch_training.py
RANGING = 14  # films that give the 8-bit ranges


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a glance, to see that all runs")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="measure this section; may be given more than once")
    parser.add_argument("-o", "--out", type=Path, default=Path("bench-out/report.json"))
    given = parser.parse_args()
    if not KERAS_PYTHON.exists():
        sys.exit("Keras's environment .venv-bench is not there; `make bench` makes it")
    pace, sections = GLANCE if given.quick else Pace(), given.only or list(SECTIONS)
    with tempfile.TemporaryDirectory() as name:
        report = measured(Path(name), sections, pace)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"written: {given.out}")


def measured(folder: Path, sections: list[Section], pace: Pace) -> Report:
    """Measure the machine's limits and some sections."""
    machine = describe_machine()
    say("the machine's limits")
    limits = measure_limits()
    densenet = densenet_model(folder / "densenet169.onnx")
    precisions = ["int8", "float32"] if add_int8(densenet, folder / "ranging") else ["float32"]
    packaged = Path(str(list(packaged_models().values())[-1]))
    entrants = contestants(densenet, precisions, load_model(None).card.frame.size)
    work = {entrants[0].network: operations(densenet), entrants[-1].network: operations(packaged)}
    os.environ["OSTEON_CACHE"] = str(folder / "cache")  # of this process and its children: the user's own stays as it is
    rows: list[Row] = []
    for section in sections:
        say(section)
        place = folder / section
        place.mkdir()
        rows += measure(section, place, entrants, pace)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Report(date=date, machine=machine, limits=limits, rows=tuple(rows), operations=work)


def measure(section: Section, folder: Path, entrants: list[Contestant], pace: Pace) -> list[Row]:
    """Measure one section in an empty folder."""
    match section:
        case "network":
            return network(entrants, pace)
        case "start":
            return start(folder, entrants, pace)
        case "folder":
            return whole_folder(folder, entrants, pace)
        case "loader":
            return loader(folder, pace)
        case "training":
            return training(pace)
        case "index":
            return index_rows(pace)


def densenet_model(path: Path) -> Path:
    """Write a model file of recipe `paper` with random weights."""
    settings = recipe("paper")
    torch.manual_seed(0)
    detector = Detector(settings).eval()
    pooling = Pooling(kind="mean", bias=float(detector.head.bias.detach()))
    write_model(detector, Card(name="densenet169", version="0.0.0", frame=settings.frame, pooling=pooling), path)
    return path


def add_int8(model: Path, films: Path) -> bool:
    """Give a model file an INT8 form, its ranges from some films; says why where that cannot be done, and returns whether it could."""
    card, network = open_network(model.read_bytes(), model.name)
    squares = np.stack([prepare(read_film(film), card.frame) for film in make_films(films, RANGING)])
    try:
        with_card(model, card, model, round_network(folded(network), squares))
    except ModelFileError as fault:
        print(f"DenseNet-169 is not measured in INT8: {fault}", file=sys.stderr)
        return False
    return True


def loader(folder: Path, pace: Pace) -> list[Row]:
    """The films a second that reach a training, without augmentation: PNG decoded each epoch, and the store."""
    films = link_many(make_films(folder / "films", 28), folder / "many", 28 * 16)
    names = {"store": "osteon's store", "png": "PNG decoded each epoch"}
    rates: dict[str, list[float]] = {kind: [] for kind in names}
    for _ in range(2):
        for kind in names:
            command = [sys.executable, str(PEERS / "png_loader.py"), kind, str(films[0].parent), str(STORE_SIDE), str(pace.epochs)]
            rates[kind] += json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [row(("loader", f"films at {STORE_SIDE}", name), "films/s", spread(rates[kind])) for kind, name in names.items()]


def training(pace: Pace) -> list[Row]:
    """Steps of a training on random films: ours with some of the network frozen, and a script's with nothing frozen."""
    entrants = trainings(STORE_SIDE)
    seconds = in_turn(entrants, 1, pace.steps, 1)
    return [
        row(("training", e.network, e.name), "films/s", spread([TRAINING_BATCH / s for s in taken]))
        for e, taken in zip(entrants, seconds, strict=True)
    ]


def index_rows(pace: Pace) -> list[Row]:
    """The index of a MURA tree of full size against the article's functions."""
    found = index.measured(pace.indexes)
    network = "40,005 films"
    rows = [row(("index", network, "osteon"), "s", spread([wall for wall, _ in found.ours]))]
    rows += [row(("index", network, f"the article, {what}"), "s", spread([wall])) for what, (wall, _) in found.article.items()]
    peak = max(mb for _, mb in found.commands)
    rows += [row(("index", network, "osteon index, the whole command"), "s", spread([wall for wall, _ in found.commands]), peak)]
    return rows


def say(what: str) -> None:
    """Tell what comes next, on the standard error."""
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
