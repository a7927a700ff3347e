"""Splits that keep every group (a patient, with its duplicates) whole and every part alike in study types and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from osteon.errors import LeakySplit, UsageError
from osteon.lab.layouts import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMED_LEAKS = 5
"""How many leaking groups a refusal names."""


def split(films: pl.DataFrame, parts: dict[str, float], seed: int = 0, of: str | None = None) -> pl.DataFrame:
    """Return the films with their `split` set by group, stratified by study type and label.

    Args:
        films: An index.
        parts: Name to share; shares are above 0 and sum to 1.
        seed: Same films, parts and seed give the same split, whatever the order of the rows.
        of: Only films of this split are dealt out again; the others stay. None deals out all.

    Raises:
        UsageError: the shares do not sum to 1, or no film stands in split `of`.
    """
    _check_parts(parts)
    chosen = pl.lit(True) if of is None else pl.col("split") == of
    pool = films.filter(chosen)
    if pool.is_empty():
        raise UsageError(f"no film stands in split {of!r}; the index has {films['split'].unique().sort().to_list()}.")
    groups, part = deal(pool, np.array(list(parts.values())), seed)
    names = dict(zip(groups, np.array(list(parts))[part].tolist(), strict=True))
    dealt = pl.col("group").replace_strict(names, default=None, return_dtype=pl.String)
    return films.with_columns(split=pl.when(chosen).then(dealt).otherwise("split"))


def folds(films: pl.DataFrame, count: int, seed: int = 0) -> pl.DataFrame:
    """Return the films with a column `fold` (Int32, 0 to count - 1), dealt out as `split` does.

    Raises:
        UsageError: fewer than two folds, or fewer groups than folds.
    """
    if not 2 <= count <= films["group"].n_unique():
        raise UsageError(f"{count} folds of {films['group'].n_unique()} groups: give at least 2 folds, and no more than groups.")
    groups, part = deal(films, np.full(count, 1 / count), seed)
    fold = pl.col("group").replace_strict(dict(zip(groups, part.tolist(), strict=True)), return_dtype=pl.Int32)
    return films.with_columns(fold=fold)


def deal(films: pl.DataFrame, shares: NDArray[np.float64], seed: int) -> tuple[list[str], NDArray[np.int64]]:
    """Deal groups out to parts, the largest first, each to the part where it brings the counts nearest to their share.

    The distance is chi-square over strata (study type x label) and the total, in films.

    Returns:
        The groups, and the part of each (index into `shares`).
    """
    groups, counts = _strata(films)
    goal = shares[:, None] * counts.sum(axis=0)
    have = np.zeros_like(goal)
    part = np.zeros(len(groups), dtype=np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    for g in shuffled[np.argsort(-counts[shuffled, -1], kind="stable")]:
        gap = have - goal
        cost = ((2 * gap + counts[g]) * counts[g] / goal).sum(axis=1)
        part[g] = int(cost.argmin())
        have[part[g]] += counts[g]
    return groups, part


def _strata(films: pl.DataFrame) -> tuple[list[str], NDArray[np.float64]]:
    """Return the groups in order of name and their films per stratum, the total last: (groups, strata + 1)."""
    stratum = films.select("group", stratum=pl.format("{} {}", "study_type", pl.col("label").cast(pl.String).fill_null("?")))
    table = stratum.group_by("group", "stratum").len().pivot("stratum", index="group", values="len", sort_columns=True)
    table = table.sort("group").fill_null(0)
    counts = table.drop("group").to_numpy().astype(np.float64)
    return table["group"].to_list(), np.column_stack([counts, counts.sum(axis=1)])


def leaks(films: pl.DataFrame) -> pl.DataFrame:
    """Return the groups that stand in more than one split: `group`, `splits`, `films` (paths)."""
    placed = films.filter(pl.col("split") != "")
    crossing = placed.select("group", "split").unique()["group"]
    placed = placed.filter(pl.col("group").is_in(crossing.filter(crossing.is_duplicated()).implode()))
    return placed.group_by("group").agg(splits=pl.col("split").unique().sort(), films=pl.col("path").sort()).sort("group")


def refuse_leaks(films: pl.DataFrame, allow: bool = False) -> list[Finding]:
    """Refuse films where a patient or a duplicate stands in two splits; allowed, they are findings for the report.

    Raises:
        LeakySplit: naming a film of each split of some of them.
    """
    found = leaks(films)
    if found.is_empty() or allow:
        return [Finding("leak", tuple(films), f"one group stands in {' and '.join(splits)}") for _, splits, films in found.iter_rows()]
    shown = [_one_of_each_split(films, group) for group in found["group"].head(NAMED_LEAKS)]
    more = f"; and {found.height - NAMED_LEAKS} more" if found.height > NAMED_LEAKS else ""
    raise LeakySplit(
        f"a patient or a duplicate stands in more than one split: {'; '.join(shown)}{more}."
        " Deal the films out again with osteon split, or go on with --allow-leaks."
    )


def _one_of_each_split(films: pl.DataFrame, group: str) -> str:
    """Return films by which a person finds a group; not its name, which may be a patient's."""
    mine = (
        films.filter((pl.col("group") == group) & (pl.col("split") != ""))
        .sort("split", "path")
        .unique("split", keep="first", maintain_order=True)
    )
    return " and ".join(f"{path} ({split})" for path, split in mine.select("path", "split").iter_rows())


def _check_parts(parts: dict[str, float]) -> None:
    if not parts or "" in parts or not min(parts.values()) > 0 or not abs(sum(parts.values()) - 1) < 1e-6:
        shown = ",".join(f"{name}={share:g}" for name, share in parts.items())
        raise UsageError(f"parts {shown!r}: give each a name and a share above 0, together 1, as in train=0.75,tune=0.10,valid=0.15.")
