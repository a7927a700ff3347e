"""Films -> studies, and either -> subgroups by what the index says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from osteon.errors import UsageError
from osteon.lab.evaluation.metrics import Bools, Sample
from osteon.prediction import TOP_K

StudyPooling = Literal["mean", "max", "noisy-or", "top-k"]

USUAL = ("study_type", "view", "films", "size", "hardware")
"""What subgroups are made by, where the index knows it and not all are alike: `films` is films per study, `size` the longer side."""

UNKNOWN, MIXED = "unknown", "mixed"
MOST_VALUES = 50
QUARTERS_ABOVE = 12  # a number with more values than this is cut into four

_SIZES = (256, 512, 1024, 2048)
_MANY_FILMS = 4


def with_classes(films: pl.DataFrame) -> pl.DataFrame:
    """Return the films with the columns `films` ("1", "2", "3", "4 or more") and `size` ("1 to 256", ...), where `width` is known."""
    count = pl.len().over("study")
    films = films.with_columns(films=pl.when(count >= _MANY_FILMS).then(pl.lit(f"{_MANY_FILMS} or more")).otherwise(count.cast(pl.String)))
    if not {"width", "height"} <= set(films.columns):
        return films
    longer, size = pl.max_horizontal("width", "height"), pl.lit(f"above {_SIZES[-1]}")
    for top, below in pairwise((0, *_SIZES)[::-1]):
        size = pl.when(longer <= top).then(pl.lit(f"{below + 1} to {top}")).otherwise(size)
    return films.with_columns(size=pl.when(longer.is_not_null()).then(size))


def pool(pooling: StudyPooling) -> pl.Expr:
    """Return how a study's probability comes from those of its answered films; the same as `osteon.prediction.pool_study`."""
    p = pl.col("probability").drop_nulls()
    pooled = {"mean": p.mean(), "max": p.max(), "noisy-or": 1 - (1 - p).product(), "top-k": p.top_k(TOP_K).mean()}[pooling]
    return pl.when(p.len() > 0).then(pooled)


def studies(films: pl.DataFrame, pooling: StudyPooling, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return a row a study: probability pooled over its answered films, label, group, and `columns` ("mixed" where its films differ).

    A study is abnormal if one of its films is, normal if all are, and unknown otherwise.
    """
    label = pl.when(pl.col("label").max() == 1).then(1).when(pl.col("label").null_count() == 0).then(pl.col("label").max())
    kept = [pl.when(pl.col(c).n_unique() == 1).then(pl.col(c).cast(pl.String).first()).otherwise(pl.lit(MIXED)).alias(c) for c in columns]
    return films.group_by("study", maintain_order=True).agg(
        pool(pooling).alias("probability"), label.cast(pl.Int8).alias("label"), pl.col("group").first(), *kept
    )


def sample(table: pl.DataFrame, codes: dict[str, int]) -> Sample:
    """Return labels, probabilities and clusters of rows that have both; `codes` numbers the groups."""
    cluster = np.array([codes[group] for group in table["group"].to_list()], dtype=np.int64)
    return Sample(table["label"].to_numpy() == 1, table["probability"].to_numpy().astype(np.float64), cluster)


def dimensions(films: pl.DataFrame, by: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns to make subgroups by: the usual ones that the table has, then those asked for.

    Raises:
        UsageError: a column that was asked for is not there, or has more values than a table can show.
    """
    for name in by:
        if name not in films.columns:
            raise UsageError(f"the index has no column {name!r} to make subgroups by; it has {', '.join(films.columns)}.")
        if not _countable(films[name]):
            raise UsageError(f"the column {name!r} has more than {MOST_VALUES} values, or lists; name one with fewer.")
    return tuple(dict.fromkeys((*(name for name in USUAL if name in films.columns), *by)))


def subgroups(table: pl.DataFrame, column: str) -> Iterator[tuple[str, Bools]]:
    """Yield each subgroup's name (`view=LATERAL`) and its rows; nothing where all rows are alike."""
    values = _classes(table[column])
    if values.n_unique() < 2:
        return
    for value in sorted(values.unique().to_list(), key=_natural):
        yield f"{column}={value}", (values == value).to_numpy()


def _countable(values: pl.Series) -> bool:
    return not values.dtype.is_nested() and (values.dtype.is_numeric() or values.n_unique() <= MOST_VALUES)


def _classes(values: pl.Series) -> pl.Series:
    if values.dtype.is_numeric() and values.n_unique() > QUARTERS_ABOVE:
        return _quarters(values)
    words = values.cast(pl.String).fill_null("")
    return words.replace({"": UNKNOWN})


def _quarters(values: pl.Series) -> pl.Series:
    numbers = values.to_numpy().astype(np.float64)
    edges = np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1])
    quarter = np.searchsorted(edges[1:-1], numbers, side="left")
    names = np.array([f"quarter {i + 1}: {low:g} to {high:g}" for i, (low, high) in enumerate(pairwise(edges))])
    return pl.Series(np.where(np.isnan(numbers), UNKNOWN, names[quarter]))


def _natural(text: str) -> tuple[int, str]:
    number = re.search(r"\d+", text)
    return (int(number[0]) if number else 0, text)
