"""Shortcuts: attributes that predict the label without being the finding, which a model could learn instead.

Each attribute alone ranks the films, and its AUROC says how well abnormal and normal ones are told apart by it. Beside the AUROC over all
films stands the one within study types: only pairs of films of the same type are compared, so that a size that merely tells a hand
from a shoulder is not counted. Intervals allow for films of one group (a patient), as `evaluation.shortcuts` says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from msgspec.structs import replace

from osteon.lab.evaluation.shortcuts import auroc, interval
from osteon.lab.exploration.counts import flags, measured
from osteon.lab.exploration.records import Attribute

TRUNCATED, FORMAT, FILMS = "file ends early", "format", "films in the study"
SAMPLED = {"mean": "mean grey", "contrast": "contrast", "black": "share of black"}
"""Attributes that only a film's pixels tell, by their column; contrast is the distance of the 1st and the 99th percentile."""


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
