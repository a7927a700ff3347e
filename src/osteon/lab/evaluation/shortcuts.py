"""What attributes of the file alone reach on the films that a model was measured on: shortcuts that it may have learned.

Each attribute's values become classes: its values where they are few, twentieths of the films else, and a missing one is a class of its
own. A film's score is the share of abnormal films of its class among the other groups (patients) of five folds, so that a column of many
values does not win by chance, and its AUROC compares films of one fold. What is left of the model is its AUROC over pairs of films of
the same class. The variance is that of Obuchowski, Biometrics 53, 1997, for films of one group, in closed form, over pairs within
strata; like the intervals of `bootstrap` they are symmetric in log-odds, on the effective size, with Student's t.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from osteon.card_text import interval as ends_in_words
from osteon.lab.data.index import COLUMNS
from osteon.lab.evaluation import bootstrap
from osteon.lab.evaluation.appearance import SEEN
from osteon.lab.evaluation.metrics import Bools, Floats
from osteon.lab.evaluation.scoring import SCORES

Codes = NDArray[np.int64]

FOLDS, CLASSES, MOST_WORDS = 5, 20, 50
"""Folds of the cross-fitting; classes of a number with many values; values that a column of words may have."""
MOST = 0.5
"""From which share on an attribute explains most of what a model has above chance."""
SAME = 0.99
"""From which AUROC on a column of the index may be the label under another name."""

_FILE = {"width": "width", "height": "height", "aspect": "aspect", "format": "format", "status": "file ends early", **SEEN}
_COLUMNS = {"study_type": "study type", "view": "view"}
_TAIL = 0.025


class Area(msgspec.Struct, frozen=True):
    """An AUROC, or a difference of two, with its 95 % interval; None where there are too few groups."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """Value and interval."""
        return f"{self.value:.3f} {ends_in_words(self.low, self.high)}".strip()


class Shortcut(msgspec.Struct, frozen=True, kw_only=True):
    """What one attribute reaches.

    Attributes:
        name: The attribute.
        alone: Its AUROC, cross-fitted.
        within: Each model's AUROC among films that are alike in it, None where no two of both labels are; `gain` is the second's less the
            first's.
        column: It is a column of the index, not of the file.
    """

    name: str
    alone: Area
    within: tuple[Area | None, ...] = ()
    gain: Area | None = None
    column: bool = False

    @property
    def shows(self) -> bool:
        """Whether its interval leaves out chance."""
        return self.alone.low is not None and self.alone.low > 0.5

    @property
    def is_label(self) -> bool:
        """Whether it may be the label under another name."""
        return self.column and self.alone.value >= SAME


def shortcuts(films: pl.DataFrame, scores: Sequence[str] = ("probability",), seed: int = 0) -> list[Shortcut]:
    """Return every attribute with what it reaches, the strongest first.

    Args:
        films: Rows with `label`, `group` and the scores, none of them missing, and what is known of each.
        scores: Columns, one a model.
        seed: Of the folds.

    Returns:
        None at all where the rarer label has too few groups to measure one.
    """
    label = films["label"].to_numpy() == 1
    cluster = films["group"].rank("dense").to_numpy().astype(np.int64) - 1
    groups = min(len(np.unique(cluster[rows])) for rows in (label, ~label))
    if groups < bootstrap.LEAST_CLUSTERS:
        return []
    fold = np.random.default_rng(seed).permutation(int(cluster.max()) + 1)[cluster] % FOLDS
    found = []
    for name, values, column in _attributes(films):
        classes = _classes(values)
        if len(np.unique(classes)) > 1:
            alone = _area(*influence(label, _crossed(label, classes, fold), cluster, fold), groups)
            models = [influence(label, films[score].to_numpy().astype(np.float64), cluster, classes) for score in scores]
            left = tuple(None if np.isnan(area) else _area(area, parts, groups) for area, parts in models)
            gain = _gain(*models, groups=groups) if len(models) == 2 and None not in left else None
            found.append(Shortcut(name=name, alone=alone, within=left, gain=gain, column=column))
    return sorted(found, key=lambda s: -s.alone.value)


def warnings(found: Sequence[Shortcut], models: Sequence[float], gain: float | None = None) -> Iterator[str]:
    """Yield a sentence for each column that may be the label itself, and for the strongest attribute where it explains most.

    Args:
        found: Of `shortcuts`, the strongest first.
        models: Each model's AUROC on these films; the last one's is held against the attribute.
        gain: By how much the second is above the first, where there are two and chance alone does not give it.
    """
    for same in (s for s in found if s.is_label):
        yield f"the column {same.name} alone tells the label (AUROC {same.alone.words}): it is the label under another name, or a shortcut"
    strongest = next((s for s in found if not s.is_label and s.shows), None)
    if strongest is None:
        return
    told, left = strongest.alone.value - 0.5, strongest.within[-1]
    lost = models[-1] - left.value if left else 0.0
    if max(told, lost) > MOST * (models[-1] - 0.5):
        of_it = f"{left.words} among films that are alike in it" if left else "not measurable among films that are alike in it"
        yield (
            f"{strongest.name} alone has AUROC {strongest.alone.words}, the model {models[-1]:.3f}, and {of_it}: "
            "the model may have learned this in place of the finding"
        )
    smaller = next((s for s in found if s.shows and not s.is_label and s.gain and gain and s.gain.value < (1 - MOST) * gain), None)
    if gain and gain > 0 and smaller and smaller.gain:
        yield f"{smaller.name} explains most of the gain: +{gain:.3f} over all films, {smaller.gain.value:+.3f} among films alike in it"


def influence(label: Bools, score: Floats, cluster: Codes, stratum: Codes) -> tuple[float, Floats]:
    """Return the AUROC over pairs of one stratum, a tie counting half, and what each cluster adds to its error.

    The variance is the sum of the squares; that of a difference is the sum of the squared differences.

    Args:
        label: (n,) True where abnormal.
        score: (n,) larger where more abnormal.
        cluster: (n,) whose films are not independent.
        stratum: (n,) one value for all: the plain AUROC.

    Returns:
        NaN where no stratum has films of both labels.
    """
    wins, others = np.zeros(len(label)), np.zeros(len(label))
    for rows in _parts(stratum):
        wins[rows] = _wins(label[rows], score[rows])
        positives = int(label[rows].sum())
        others[rows] = np.where(label[rows], len(rows) - positives, positives)
    pairs = float(others[label].sum())
    if not pairs:
        return float("nan"), np.full(int(cluster.max(initial=0)) + 1, np.nan)
    area = float(wins[label].sum()) / pairs
    return area, np.bincount(cluster, (wins - area * others) / pairs).astype(np.float64)


def auroc(label: Bools, score: Floats, cluster: Codes, stratum: Codes) -> tuple[float, float]:
    """Return the AUROC over pairs of one stratum and its standard error, as `influence` says."""
    area, parts = influence(label, score, cluster, stratum)
    return area, _error(parts)


def interval(area: float, error: float, clusters: int) -> tuple[float, float] | None:
    """Return the 95 % interval of an AUROC, None below `bootstrap.LEAST_CLUSTERS` clusters (of the rarer label)."""
    if clusters < bootstrap.LEAST_CLUSTERS or np.isnan(area):
        return None
    variance = error**2 * clusters / (clusters - 1)
    quantile = float(stats.t.ppf(1 - _TAIL, clusters - 1))
    if variance > 0 and 0 < area < 1:
        return bootstrap.logit_interval(area, area * (1 - area) / variance, quantile)
    return bootstrap.wilson(area, clusters, quantile)


def _attributes(films: pl.DataFrame) -> Iterator[tuple[str, pl.Series, bool]]:
    """Yield name and values of what is known of the films but their label, and whether it is a column of the index."""
    if {"width", "height"} <= set(films.columns):
        films = films.with_columns(aspect=pl.col("width") / pl.col("height"))
    for column, name in _FILE.items():
        if column in films.columns:
            yield name, films[column], False
    if (films["study"] != "").all():
        yield "films in the study", films.select(pl.len().over("study")).to_series(), False
    for column, name in _COLUMNS.items():
        if column in films.columns:
            yield name, films[column], True
    known = {*COLUMNS, *SCORES, "fold", "films", "size", "aspect"}
    for column in (c for c in films.columns if c.removesuffix("_b") not in known and not c.startswith("boxes")):
        values = films[column]
        if not values.dtype.is_nested() and (values.dtype.is_numeric() or values.n_unique() <= MOST_WORDS):
            yield column, values, True


def _classes(values: pl.Series) -> Codes:
    """Return each film's class (n,); a missing value is one."""
    if values.dtype.is_numeric() and values.n_unique() > CLASSES:
        numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, CLASSES + 1)[1:-1]))
        return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, "left")).astype(np.int64)
    return values.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)


def _crossed(label: Bools, classes: Codes, fold: Codes) -> Floats:
    """Return each film's share of abnormal ones in its class among the other folds (n,), drawn a little towards that of all."""
    _, place = np.unique(classes, return_inverse=True)
    score = np.empty(len(label))
    for k in range(FOLDS):
        others, own = fold != k, fold == k
        of_all = float(label[others].mean()) if others.any() else 0.5
        films = np.bincount(place[others], minlength=place.max() + 1)
        share = (np.bincount(place[others], label[others], minlength=place.max() + 1) + of_all) / (films + 1)
        score[own] = share[place[own]]
    return score


def _area(area: float, parts: Floats, groups: int) -> Area:
    return Area(area, *(interval(area, _error(parts), groups) or (None, None)))


def _gain(first: tuple[float, Floats], second: tuple[float, Floats], *, groups: int) -> Area:
    half = float(stats.t.ppf(1 - _TAIL, groups - 1)) * _error(second[1] - first[1])
    return Area(second[0] - first[0], second[0] - first[0] - half, second[0] - first[0] + half)


def _error(parts: Floats) -> float:
    return float(np.sqrt(np.square(parts).sum()))


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
