"""Shortcuts: attributes that predict the label without being the finding, which a model could learn instead.

Each attribute alone ranks the films, and its AUROC says how well abnormal and normal ones are told apart by it. Beside the AUROC over all
films stands the one within study types: only pairs of films of the same type are compared, so that a size that merely tells a hand
from a shoulder is not counted. Intervals allow for films of one group (a patient): the variance is that of Obuchowski, Biometrics
53, 1997, in closed form, here for pairs within strata; like the intervals of `bootstrap` they are symmetric in log-odds, on the
effective size, with Student's t.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy import stats

from osteon.lab.evaluation import bootstrap
from osteon.lab.evaluation.metrics import Bools, Floats
from osteon.lab.exploration.counts import flags, measured
from osteon.lab.exploration.records import Attribute

Codes = NDArray[np.int64]

TRUNCATED, FORMAT, FILMS = "file ends early", "format", "films in the study"
SAMPLED = {"mean": "mean grey", "contrast": "contrast", "black": "share of black"}
"""Attributes that only a film's pixels tell, by their column; contrast is the distance of the 1st and the 99th percentile."""

_TAIL = 0.025


def attributes(films: pl.DataFrame) -> list[Attribute]:
    """Return every attribute that the index tells.

    Width, height, megapixels, aspect, films in the study, truncated files, each format against the others, and the further columns
    that are yes or no.
    """
    return [_attribute(films, name, score) for name, score in _scores(films)]


def sampled_attributes(films: pl.DataFrame) -> list[Attribute]:
    """Return the attributes of `SAMPLED`, of films that have these columns (`samples.with_greys`)."""
    return [_attribute(films, name, films[column], sampled=True) for column, name in SAMPLED.items()]


def strongest_first(rows: list[Attribute]) -> list[Attribute]:
    """Return attributes by strength within study types, then over all; those that could not be measured last."""
    return sorted(rows, key=lambda a: (a.auroc is None, -a.strength, -abs((a.auroc or 0.5) - 0.5), a.name))


def auroc(label: Bools, score: Floats, cluster: Codes, stratum: Codes) -> tuple[float, float]:
    """Return the AUROC over pairs of one stratum, a tie counting half, and its standard error.

    Each film's influence on the AUROC is summed over its cluster; the variance is the sum of the squares.

    Args:
        label: (n,) True where abnormal.
        score: (n,) larger where more abnormal.
        cluster: (n,) whose films are not independent.
        stratum: (n,) one value for all: the plain AUROC.

    Returns:
        NaN and NaN where no stratum has films of both labels.
    """
    wins, others = np.zeros(len(label)), np.zeros(len(label))
    for rows in _parts(stratum):
        wins[rows] = _wins(label[rows], score[rows])
        positives = int(label[rows].sum())
        others[rows] = np.where(label[rows], len(rows) - positives, positives)
    pairs = float(others[label].sum())
    if not pairs:
        return float("nan"), float("nan")
    area = float(wins[label].sum()) / pairs
    influence = np.bincount(cluster, (wins - area * others) / pairs)
    return area, float(np.sqrt(np.square(influence).sum()))


def interval(area: float, error: float, clusters: int) -> tuple[float, float] | None:
    """Return the 95 % interval of an AUROC, None below `bootstrap.LEAST_CLUSTERS` clusters (of the rarer label)."""
    if clusters < bootstrap.LEAST_CLUSTERS or np.isnan(area):
        return None
    variance = error**2 * clusters / (clusters - 1)
    quantile = float(stats.t.ppf(1 - _TAIL, clusters - 1))
    if variance > 0 and 0 < area < 1:
        return bootstrap.logit_interval(area, area * (1 - area) / variance, quantile)
    return bootstrap.wilson(area, clusters, quantile)


def _scores(films: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    sized = measured(films)
    for name in ("width", "height", "megapixels", "aspect"):
        yield name, sized[name]
    yield FILMS, films.select(pl.len().over("study")).to_series()
    yield TRUNCATED, films["status"] == "truncated"
    kinds = films["format"].replace("", None)
    for kind in kinds.drop_nulls().unique().sort():
        yield f"{FORMAT} {kind}", kinds == kind
    yield from flags(films).items()


def _attribute(films: pl.DataFrame, name: str, score: pl.Series, sampled: bool = False) -> Attribute:
    rows = films.select("label", "group", "study_type").with_columns(score=score.cast(pl.Float64)).drop_nulls(["label", "score"])
    label = rows["label"].to_numpy() == 1
    base = Attribute(name=name, films=rows.height, abnormal=int(label.sum()), sampled=sampled)
    if base.abnormal in (0, base.films):
        return replace(base, note="one class only" if base.films else "no labelled film tells it")
    if rows["score"].n_unique() == 1:
        return replace(base, note=f"the same in all {rows.height:,} labelled films")
    cluster, stratum = (rows[c].rank("dense").to_numpy().astype(np.int64) - 1 for c in ("group", "study_type"))
    values = rows["score"].to_numpy()
    area, error = auroc(label, values, cluster, np.zeros_like(stratum))
    within, within_error = auroc(label, values, cluster, stratum)
    groups = min(len(np.unique(cluster[label])), len(np.unique(cluster[~label])))
    low, high = interval(area, error, groups) or (None, None)
    within_low, within_high = interval(within, within_error, groups) or (None, None)
    note = "" if low is not None else f"no interval: the rarer label has {groups} group{'s' if groups != 1 else ''}"
    alike = np.isnan(within) or (within_error == 0 and within == 0.5)  # no study type has both labels, or two values of it
    inner = {} if alike else {"within": within, "within_low": within_low, "within_high": within_high}
    return replace(base, auroc=area, low=low, high=high, note=note, **inner)


def _parts(stratum: Codes) -> list[NDArray[np.intp]]:
    """Return the rows of each stratum."""
    order = np.argsort(stratum, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1)


def _wins(label: Bools, score: Floats) -> Floats:
    """Return (n,) how many films of the other label each one stands on the right side of, a tie counting half."""
    normal, abnormal = np.sort(score[~label]), np.sort(score[label])
    below = (np.searchsorted(normal, score, "left") + np.searchsorted(normal, score, "right")) / 2
    above = len(abnormal) - (np.searchsorted(abnormal, score, "left") + np.searchsorted(abnormal, score, "right")) / 2
    return np.where(label, below, above)
