"""Long runs: is memory flat, is a film's answer always the same, what do broken films cost, and how much memory do very many need?

    python benchmarks/soak.py [--predictions 20000] [--films 10000] [--many 100000] [-o bench-out/soak.json]

Hours on a slow machine, so `make soak` is apart from `make bench`.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from films import link_many, make_films
from osteon.card import Card, Pooling
from osteon.film import prepare, read_film
from osteon.opening import load_model
from processor import describe_machine, resident_mb
from timing import finished, spread

DISTINCT = 28
EVERY = 100  # predictions between two looks at the memory
WARM_UP = 0.1
BROKEN = 0.01
TURNS = 2
TINY = 64  # pixels: what is held in memory does not depend on how long the network takes


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """Very many predictions in one process.

    `slope_kb` is how much its memory (resident) grows in a thousand predictions after warm-up, by least squares, with its standard error.
    `other_bits` counts predictions whose logit differed from the same film's first; `batch_difference` is the largest difference in logit
    between batches of 1, 2 and 8.
    """

    predictions: int
    slope_kb: float
    slope_error_kb: float
    resident_mb: float
    other_bits: int
    batch_difference: float


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with broken films: `lost` sound ones had no answer, `slowdown` is the share of time that the broken ones cost."""

    films: int
    broken: int
    lost: int
    slowdown: float


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """What the long runs found; `many_mb` is the most memory of a process that answers `many` films."""

    machine: str
    steady: Steady
    hurt: Broken
    many: int
    many_mb: float

    def in_words(self) -> Iterator[str]:
        """Yield a sentence for each finding."""
        steady, hurt = self.steady, self.hurt
        yield f"Machine: {self.machine}."
        yield (
            f"{steady.predictions:,} predictions in one process: memory {steady.resident_mb:.0f} MB, slope after warm-up "
            f"{steady.slope_kb:+.1f} kB (standard error {steady.slope_error_kb:.1f}) a thousand."
        )
        yield (
            f"{steady.other_bits} of these answers differed in any bit from the same film's first; largest difference between batch sizes "
            f"{steady.batch_difference:.1e} logit."
        )
        yield (
            f"A folder of {hurt.films:,} films of which {hurt.broken} are broken: {hurt.lost} others lost, "
            f"{100 * hurt.slowdown:+.1f} % time against the same folder unbroken."
        )
        yield f"A folder of {self.many:,} films: {self.many_mb:.0f} MB at most."


def main() -> None:
    """Run all and write the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=20_000)
    parser.add_argument("--films", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench-out/soak.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["OSTEON_CACHE"] = f"{name}/cache"
        films = make_films(Path(name) / "films", DISTINCT)
        steady = soak(films, given.predictions)
        hurt = broken(films, Path(name), given.films)
        many_mb = most_memory(films, Path(name), given.many)
    found = Soak(machine=describe_machine().in_words(), steady=steady, hurt=hurt, many=given.many, many_mb=many_mb)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print("\n".join(found.in_words()))


def soak(films: list[Path], predictions: int) -> Steady:
    """Predict films in turn, from the file each time, and watch memory and bits."""
    model = load_model()
    memory: list[float] = []
    first: dict[int, float | None] = {}
    other = 0
    for k in range(predictions):
        told = model.predict_film(read_film(films[k % len(films)])).logit
        other += first.setdefault(k % len(films), told) != told
        if k % EVERY == 0:
            memory.append(resident_mb())
    kept = np.array(memory[int(WARM_UP * len(memory)) :])
    slope, error = line(EVERY * np.arange(len(kept)) / 1000, 1000 * kept)
    squares = np.stack([prepare(read_film(path), model.card.frame) for path in films[:8]])
    logits = [np.concatenate([model.run(squares[k : k + n])[0] for k in range(0, 8, n)]) for n in (1, 2, 8)]
    apart = max(float(np.abs(one - logits[0]).max()) for one in logits)
    return Steady(
        predictions=predictions,
        slope_kb=slope,
        slope_error_kb=error,
        resident_mb=float(kept[-1]),
        other_bits=other,
        batch_difference=apart,
    )


def line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope of a least-squares line and its standard error."""
    away = x - x.mean()
    slope = float((away * y).sum() / (away**2).sum())
    rest = y - y.mean() - slope * away
    return slope, float(np.sqrt((rest**2).sum() / max(len(x) - 2, 1) / (away**2).sum()))


def broken(films: list[Path], folder: Path, count: int) -> Broken:
    """Predict a folder with and without broken films in it, in turn."""
    link_many(films, folder / "whole", count)
    hurt = break_some(link_many(films, folder / "broken", count))
    seconds: dict[str, list[float]] = {"whole": [], "broken": []}
    for _ in range(TURNS):
        for name, told in seconds.items():
            told.append(finished([*predicting(folder / name), "--csv", str(folder / f"{name}.csv")], allowed=(0, 1)).seconds)
    with (folder / "broken.csv").open(newline="", encoding="utf-8") as file:
        answered = sum(row["row"] == "film" and bool(row["probability"] or row.get("reason")) for row in csv.DictReader(file))
    whole, some = (spread(told).median for told in seconds.values())
    return Broken(films=count, broken=hurt, lost=count - hurt - answered, slowdown=some / whole - 1)


def break_some(paths: list[Path]) -> int:
    """Put broken files in the place of one film in a hundred; returns how many."""
    contents = (b"", b"no film", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\x86\xa0\0\1\x86\xa0\x08\0\0\0\0", paths[0].read_bytes()[:40])
    chosen = paths[:: round(1 / BROKEN)]
    for k, path in enumerate(chosen):
        path.unlink()
        path.write_bytes(contents[k % len(contents)])
    return len(chosen)


def most_memory(films: list[Path], folder: Path, count: int) -> float:
    """Return the most memory, MB, that `osteon predict` holds over very many films, with a network of small input to be done in time."""
    link_many(films, folder / "many", count)
    return finished([*predicting(folder / "many"), "--csv", str(folder / "many.csv"), "--model", str(tiny_model(folder))]).peak_mb


def tiny_model(folder: Path) -> Path:
    """Write a model of the usual network with a small input; returns its file."""
    import torch  # last, so that it takes no part in what the soak holds

    from osteon.lab.training.export import write_model
    from osteon.lab.training.networks.detector import Detector
    from osteon.lab.training.recipe import recipe

    settings = recipe("osteon", [f"frame.size={TINY}"])
    torch.manual_seed(0)
    pooling = Pooling(kind=settings.pooling.kind, sharpness=settings.pooling.sharpness)
    write_model(Detector(settings), Card(name="tiny", version="0.0.0", frame=settings.frame, pooling=pooling), folder / "tiny.onnx")
    return folder / "tiny.onnx"


def predicting(folder: Path) -> list[str]:
    """Return the command that answers a folder."""
    return [sys.executable, "-m", "osteon", "predict", str(folder), "--quiet"]


if __name__ == "__main__":
    main()
