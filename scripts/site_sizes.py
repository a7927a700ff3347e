"""How many films a hospital needs to move the edges of the answers: films of another machine are drawn, the others measured.

python scripts/site_sizes.py MODEL OWN OTHER: evaluation folders of one model, of films of the card's own kind and of another machine's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from osteon import load_model
from osteon.card import Decision
from osteon.errors import MeasurementError
from osteon.lab.calibration.site import TARGETS, edges_by_labels, edges_by_normal, normal_shares
from osteon.lab.evaluation.metrics import Floats, Sample

SIZES = (50, 100, 300)
DRAWS = 1000
Way = Callable[[Sample], Decision]


def main(model: str, own: Path, other: Path) -> None:
    """Print the table."""
    decision, site = load_model(model).card.decision, films_of(other)
    shares = normal_shares(decision, normal_of(films_of(own)))
    print(f"{len(site)} films, {int(site.label.sum())} fractured, {len(np.unique(site.cluster))} groups; card's shares {shares}")
    print("| films drawn | normal 'no' | fractured 'no' | normal not 'yes' | uncertain |\n|---|--:|--:|--:|--:|")
    print(line("none: the card's edges", [told(site, decision)]))
    ways: dict[str, tuple[Way, bool]] = {
        "normal": (lambda drawn: edges_by_normal(decision, shares, normal_of(drawn)), True),
        "labelled": (lambda drawn: edges_by_labels(decision, shares, drawn, TARGETS), False),
    }
    for name, (way, normal_only) in ways.items():
        for n in SIZES:
            rows = list(draws(site, n, way, normal_only=normal_only))
            refused = f", {DRAWS - len(rows)} of {DRAWS} draws refused" if len(rows) < DRAWS else ""
            print(line(f"{n} {name}{refused}", rows) if rows else f"| {n} {name} | too few films here | | | |")


def films_of(folder: Path) -> Sample:
    """Return the films of an evaluation that have a number, each by itself."""
    films = pl.read_parquet(folder / "predictions.parquet").filter(pl.col("probability").is_finite() & pl.col("label").is_not_null())
    clusters = np.unique(films["group"].to_numpy(), return_inverse=True)[1]
    return Sample(films["label"].to_numpy() == 1, films["probability"].to_numpy(), clusters)


def normal_of(films: Sample) -> Floats:
    """Return the probabilities of the normal films."""
    return films.probability[~films.label]


def draws(site: Sample, n: int, way: Way, *, normal_only: bool) -> Iterator[Floats]:
    """Yield what the edges by n drawn films give on the others; nothing where fewer than 30 normal films would be left."""
    rng, pool = np.random.default_rng(0), np.flatnonzero(~site.label) if normal_only else np.arange(len(site))
    if len(pool) < n + 30:
        return
    for _ in range(DRAWS):
        drawn = np.isin(np.arange(len(site)), rng.choice(pool, n, replace=False))
        try:
            yield told(site.part(~drawn), way(site.part(drawn)))
        except MeasurementError:  # too few normal films among those drawn
            continue


def told(films: Sample, decision: Decision) -> Floats:
    """Return the shares of the table's columns (4,)."""
    p, label = films.probability, films.label
    no, yes = p < decision.doubt_from, p >= decision.doubt_to
    return np.array([no[~label].mean(), no[label].mean(), 1 - yes[~label].mean(), (~no & ~yes).mean()])


def line(name: str, rows: list[Floats]) -> str:
    """Return a row: means, and 2.5 to 97.5 % of the draws where there are several."""
    table = np.stack(rows)
    mean, (low, high) = table.mean(axis=0), np.quantile(table, (0.025, 0.975), axis=0)
    spread = [f" ({a:.2f}, {b:.2f})" if len(rows) > 1 else "" for a, b in zip(low, high, strict=True)]
    return f"| {name} | " + " | ".join(f"{m:.2f}{s}" for m, s in zip(mean, spread, strict=True)) + " |"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
