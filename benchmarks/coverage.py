"""How often do 95 % intervals hold the true value?

Made test sets of 200 studies of patients with several studies each, scored by a made reader whose true figures are known from two million
studies. Run with `python benchmarks/coverage.py`; it prints a table for each population: the share of 1,000 intervals that hold the truth,
for osteon's own interval and for the ones that were not chosen.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from osteon.lab.evaluation import bootstrap, metrics
from osteon.lab.evaluation.measurement import intervals, measure_part
from osteon.lab.evaluation.metrics import Floats, Sample

THRESHOLD = 0.5
PREVALENCE = 0.1
KINDS = ("osteon", "percentile", "basic", "normal", "bca")


@dataclass(frozen=True, slots=True)
class Population:
    """Patients, their studies and the reader.

    `sizes` is the share of patients with 1, 2, ... studies; `alike` the correlation of a patient's studies, in finding and in score;
    `prevalence` the abnormal share; `separation` the distance of the two classes' scores in standard deviations; `slope` and `shift`
    distort the reader's log-odds (1 and 0: perfectly calibrated).
    """

    sizes: tuple[float, ...] = (0.6, 0.25, 0.1, 0.05)
    alike: float = 0.5
    prevalence: float = 0.45
    separation: float = 2.1
    slope: float = 0.7
    shift: float = 0.3


POPULATIONS = {
    "common": Population(),
    "rare": Population(prevalence=0.15),
    "weak reader": Population(prevalence=0.3, separation=1.0),
    "strong reader": Population(prevalence=0.3, separation=3.2),
    "calibrated": Population(slope=1, shift=0),
    "ten films a patient": Population(sizes=(0.1,) * 10, alike=0.3, prevalence=0.4),
    "few groups": Population(sizes=(0.0,) * 11 + (1 / 7,) * 7, alike=0.3, prevalence=0.4),  # with 200 studies, 12 to 15 of them
}


def draw(population: Population, studies: int, rng: np.random.Generator) -> Sample:
    """Draw a test set; the last patient's studies are cut to the wanted number."""
    shares = np.array(population.sizes)
    sizes = rng.choice(np.arange(1, len(shares) + 1), size=studies, p=shares)
    patient = np.repeat(np.arange(studies), sizes)[:studies]

    def correlated() -> Floats:
        own, common = np.sqrt(1 - population.alike), np.sqrt(population.alike)
        return np.asarray(own * rng.normal(size=studies) + common * rng.normal(size=studies)[patient])

    label = correlated() > stats.norm.ppf(1 - population.prevalence)
    score = population.separation * (label - 0.5) + correlated()
    log_odds = population.separation * score + np.log(population.prevalence / (1 - population.prevalence))
    probability = 1 / (1 + np.exp(-(population.slope * log_odds + population.shift)))
    return Sample(label, probability, patient.astype(np.int64))


def truth(population: Population, studies: int = 2_000_000) -> dict[str, float]:
    """Return the figures of a test set so large that they are the population's."""
    sample = draw(population, studies, np.random.default_rng(99))
    return {name: float(value[0]) for name, value in figures(sample, np.ones((1, studies))).items()}


def figures(sample: Sample, weights: Floats) -> dict[str, Floats]:
    """Return all figures of a test set."""
    return metrics.measure(sample, THRESHOLD, weights, (PREVALENCE,))


def coverage(
    population: Population, sets: int = 1000, studies: int = 200, kinds: tuple[str, ...] = KINDS, known_from: int = 2_000_000
) -> dict[str, dict[str, float]]:
    """Return for each figure and kind of interval the share of made test sets whose interval holds the truth."""
    true = truth(population, known_from)
    hits: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(sets):
        sample = draw(population, studies, np.random.default_rng(seed))
        for name, kind, low, high in _intervals(sample, seed, kinds):
            hits[name][kind].append(low - 1e-9 <= true[name] <= high + 1e-9)
    return {name: {kind: float(np.mean(held)) for kind, held in by_kind.items()} for name, by_kind in hits.items()}


def _intervals(sample: Sample, seed: int, kinds: tuple[str, ...]) -> Iterator[tuple[str, str, float, float]]:
    clusters = int(sample.cluster.max()) + 1
    weights = bootstrap.cluster_weights(clusters, seed=seed)
    own = intervals(measure_part(sample, THRESHOLD, weights, (PREVALENCE,)))
    for name, ends in own.items():
        if ends is not None:
            yield name, "osteon", *ends
    if kinds == ("osteon",):
        return
    values = figures(sample, np.ones((1, len(sample))))
    resampled = bootstrap.replicate(sample, lambda rows: figures(sample, rows), weights)
    without_one = bootstrap.replicate(sample, lambda rows: figures(sample, rows), 1 - np.eye(clusters, dtype=np.float32))
    for name, value in values.items():
        defined = resampled[name][~np.isnan(resampled[name])]
        if np.isnan(value[0]) or not len(defined):
            continue
        for kind, ends in _others(float(value[0]), defined, without_one[name]).items():
            yield name, kind, *ends


def _others(value: float, resampled: Floats, without_one: Floats) -> dict[str, tuple[float, float]]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    spread = 1.96 * resampled.std(ddof=1)
    return {
        "percentile": (low, high),
        "basic": (2 * value - high, 2 * value - low),
        "normal": (value - spread, value + spread),
        "bca": _bca(value, resampled, without_one[~np.isnan(without_one)]),
    }


def _bca(value: float, resampled: Floats, without_one: Floats) -> tuple[float, float]:
    """Return Efron's bias-corrected accelerated interval (JASA 82, 1987), the acceleration by the jackknife over patients."""
    pull = without_one.mean() - without_one
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5 + 1e-300)
    below = np.mean(resampled < value) + np.mean(resampled == value) / 2
    bias = stats.norm.ppf(np.clip(below, 1e-4, 1 - 1e-4))
    quantile = bias + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(resampled, stats.norm.cdf(bias + quantile / (1 - acceleration * quantile)))
    return float(low), float(high)


def main() -> None:
    """Print a table for each population."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--own", action="store_true", help="osteon's interval alone: five times as fast")
    parser.add_argument("populations", nargs="*", default=list(POPULATIONS))
    given = parser.parse_args()
    kinds = KINDS[:1] if given.own else KINDS
    for name in given.populations:
        true, table = truth(POPULATIONS[name]), coverage(POPULATIONS[name], given.sets, given.studies, kinds)
        print(f"\n{name}: {given.sets} sets of {given.studies} studies, coverage in %")
        print(f"{'':20}{'truth':>8}" + "".join(f"{kind:>12}" for kind in kinds))
        for figure, by_kind in table.items():
            print(f"{figure:20}{true[figure]:8.3f}" + "".join(f"{100 * by_kind[kind]:12.1f}" for kind in kinds))


if __name__ == "__main__":
    main()
