"""How many films a hospital needs to move the edges of the answers: films of another machine are drawn, the others measured.

What another machine changes first is where the scores of normal films lie, and normal films are what every hospital has. Weights and
calibration stay.

python scripts/site_sizes.py MODEL OWN OTHER: evaluation folders of one model, of films of the card's own kind and of another machine's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from scipy import special

from osteon import load_model
from osteon.card import Decision
from osteon.errors import MeasurementError
from osteon.lab.calibration.decision import Rule, choose
from osteon.lab.evaluation.metrics import Floats, Sample

LEAST_NORMAL = 30
"""Normal films; with fewer, the share of a tenth that lies above an edge is two or three films."""

LEAST_ABNORMAL = 20
"""Abnormal films; with fewer, a sensitivity of 0.95 hangs on less than one film."""

CARD_COUNTS = 30
"""How many films the card's own edge counts as, beside those of the site.

Chosen before anything was measured: at `LEAST_NORMAL` films the card and the site count the same, at 300 the card is a tenth of it. It
holds the edge of "yes" above all, which n films place by their highest few alone.
"""

_INSIDE = 1e-6
"""Probabilities are kept so far from 0 and 1 before their log-odds are taken."""


SIZES = (50, 100, 300)
DRAWS = 1000
TARGETS = (0.95, 0.92)
Way = Callable[[Sample], Decision]


class Shares(NamedTuple):
    """Which share of the normal films lies below each edge of the answers, and below the threshold."""

    below_doubt: float
    below_threshold: float
    below_yes: float


def normal_shares(decision: Decision, normal: Floats) -> Shares:
    """Return the shares of the normal films, of calibrated probabilities (n,), that lie below a decision's edges."""
    below = [float(np.mean(normal < edge)) for edge in (decision.doubt_from, decision.threshold, decision.doubt_to)]
    return Shares(*below)


def edges_by_normal(decision: Decision, shares: Shares, normal: Floats) -> Decision:
    """Put the edges at the same quantiles of the site's normal films as they have among the normal films that the card was measured on.

    Each edge is the mean of the site's quantile and the card's edge in log-odds, the site's weighing n films and the card's `CARD_COUNTS`.

    Args:
        decision: The card's.
        shares: Below its edges, on films of the card's kind.
        normal: Calibrated probabilities (n,) of the site's normal films.

    Raises:
        MeasurementError: there are fewer than `LEAST_NORMAL`.
    """
    if len(normal) < LEAST_NORMAL:
        raise MeasurementError(f"{len(normal)} normal films cannot move the edges of the answers: it takes {LEAST_NORMAL}.")
    quantiles, card = np.quantile(normal, shares), np.array([decision.doubt_from, decision.threshold, decision.doubt_to])
    site, own = (special.logit(np.clip(edges, _INSIDE, 1 - _INSIDE)) for edges in (quantiles, card))
    doubt_from, threshold, doubt_to = special.expit((len(normal) * site + CARD_COUNTS * own) / (len(normal) + CARD_COUNTS)).tolist()
    rule = f"the card's shares of normal films, by {len(normal)} normal films of the site"
    return Decision(threshold=threshold, doubt_from=doubt_from, doubt_to=doubt_to, rule=rule)


def edges_by_labels(decision: Decision, shares: Shares, films: Sample, targets: tuple[float, float]) -> Decision:
    """Put the edges where the site's labelled films reach the targets, or by its normal films where abnormal ones are few.

    Args:
        decision: The card's.
        shares: Below its edges, on films of the card's kind.
        films: Labels and calibrated probabilities of the site's films.
        targets: Sensitivity below the uncertain answers, specificity above them, which is the threshold's, too.

    Raises:
        MeasurementError: there are fewer than `LEAST_NORMAL` normal films.
    """
    normal = films.probability[~films.label]
    if films.label.sum() < LEAST_ABNORMAL or len(normal) < LEAST_NORMAL:
        return edges_by_normal(decision, shares, normal)
    low, high = choose(films, Rule("sensitivity", targets[0])), choose(films, Rule("specificity", targets[1]))
    rule = f"uncertain from sensitivity {targets[0]:g} to specificity {targets[1]:g}, by {len(films)} labelled films of the site"
    return msgspec.structs.replace(decision, threshold=high, doubt_from=min(low, high), doubt_to=high, rule=rule, split="")


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
