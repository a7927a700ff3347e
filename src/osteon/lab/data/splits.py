"""Splits that keep every group (a patient, with its duplicates) whole and every part alike in study types and labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from osteon.errors import BadManifest, EmptyDataset, LeakySplit, UsageError
from osteon.lab.data.leaks import NAMED, leaks, named

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = "all"
"""What a person writes for every film, whatever its split."""

TEST = "test"
"""The split of films that are set apart by a condition."""


@dataclass(frozen=True, slots=True)
class Folds:
    """How many folds, and the split that is to be fold 0, "" for none."""

    count: int
    first: str = ""


@dataclass(frozen=True, slots=True)
class Apart:
    """Films for which a condition over the index's columns holds become split `TEST`, the others are split into parts (name to share)."""

    condition: str
    parts: Mapping[str, float]


Into = Mapping[str, float] | Folds | Apart | str | os.PathLike[str]
"""What films are split into: the share of each part, folds, films set apart by a condition and parts, or the folds of a file."""


def divided(films: pl.DataFrame, into: Into, seed: int = 0, of: str | None = None) -> tuple[pl.DataFrame, str]:
    """Return the films with their `split`, or with their `fold`, set; and how, in words for the report.

    Args:
        films: An index.
        into: As `split` (shares), `folds` or `fixed_folds` (a file) take it.
        seed: Another seed, another split.
        of: With shares: films of this split alone are split again.

    Raises:
        UsageError, BadManifest, LeakySplit: as `split`, `folds` and `fixed_folds`.
    """
    if isinstance(into, Mapping):
        words = ",".join(f"{name}={share:g}" for name, share in into.items())
        return split(films, dict(into), seed, of), f"{words}{f' of {of}' if of else ''}, seed {seed}"
    if of is not None:
        raise UsageError(f"folds, and a test by a condition, are made of all films, not of split {of!r} alone. Leave it out.")
    if isinstance(into, Apart):
        return set_apart(films, into, seed)
    if isinstance(into, Folds):
        first = f", fold 0 is split {into.first}" if into.first else ""
        return folds(films, into.count, seed, into.first), f"{into.count} folds{first}, seed {seed}"
    films, strangers = fixed_folds(films, Path(into))
    return films, f"folds of {os.fspath(into)}{f', which names {strangers:,} films that are not in this index' if strangers else ''}"


def split(films: pl.DataFrame, parts: dict[str, float], seed: int = 0, of: str | None = None) -> pl.DataFrame:
    """Return the films with their `split` set by group, stratified by study type and label.

    Args:
        films: An index.
        parts: Name to share; shares are above 0 and sum to 1.
        seed: Same films, parts and seed give the same split, whatever the order of the rows.
        of: Only films of this split are split again; the others stay. None splits all.

    Raises:
        UsageError: the shares do not sum to 1, or no film stands in split `of`.
    """
    _check_parts(parts)
    chosen = pl.lit(True) if of is None else pl.col("split") == of
    pool = films.filter(chosen)
    if pool.is_empty():
        raise UsageError(f"no film stands in split {of!r}; the index has {films['split'].unique().sort().to_list()}.")
    groups, part = assign(pool, np.array(list(parts.values())), seed)
    names = dict(zip(groups, np.array(list(parts))[part].tolist(), strict=True))
    assigned = pl.col("group").replace_strict(names, default=None, return_dtype=pl.String)
    return films.with_columns(split=pl.when(chosen).then(assigned).otherwise("split"))


def set_apart(films: pl.DataFrame, apart: Apart, seed: int = 0) -> tuple[pl.DataFrame, str]:
    """Return the films with those of a condition in split `TEST` and the others split as `split` does; and how, in words.

    A group that has films on both sides would leak: its other films stand in no split ("").

    Raises:
        UsageError: no such condition, it holds for none or for all, or a part is called `TEST`.
    """
    if TEST in apart.parts:
        raise UsageError(f"the films of the condition are split {TEST!r}, and a part has that name too. Leave it out (into, --parts).")
    test = _holds(films, apart.condition)
    beside = films["group"].is_in(films.filter(test)["group"].implode()) & ~test
    rest = split(films.filter(~test & ~beside), dict(apart.parts), seed).select("path", "root", _part="split")
    placed = films.join(rest, on=["path", "root"], how="left", maintain_order="left")
    count, left = test.sum(), beside.sum()
    words = f"{TEST} where {apart.condition} ({count:,} films)"
    words += f", {left:,} other films of their groups in no split" if left else ""
    words += f", {','.join(f'{name}={share:g}' for name, share in apart.parts.items())} of the others, seed {seed}"
    return placed.with_columns(split=pl.when(test).then(pl.lit(TEST)).otherwise(pl.col("_part").fill_null(""))).drop("_part"), words


def _holds(films: pl.DataFrame, condition: str) -> pl.Series:
    try:
        found = films.select(pl.sql_expr(condition)).to_series()
    except pl.exceptions.PolarsError as fault:
        reason = str(fault).splitlines()[0]
        raise UsageError(f"--test {condition!r}: this is no condition over the index's columns ({reason}). Write it as in SQL.") from fault
    if found.dtype != pl.Boolean or len(found) != len(films):
        raise UsageError(f"--test {condition!r}: this is not true or false for each film. Compare a column, as in width > 454.")
    found = found.fill_null(value=False)
    if found.all() or not found.any():
        raise UsageError(
            f"--test {condition!r}: it holds for {'every' if found.any() else 'no'} film. Look at the columns with osteon explore."
        )
    return found


def folds(films: pl.DataFrame, count: int, seed: int = 0, first: str = "") -> pl.DataFrame:
    """Return the films with a column `fold` (Int32, 0 to count - 1), split as `split` does.

    Args:
        films: An index.
        count: How many folds.
        seed: Another seed, other folds.
        first: The films of this split are fold 0, and the others are split into folds 1 to count - 1. "" splits all.

    Raises:
        UsageError: fewer than two folds, fewer groups than folds, or no film stands in split `first`.
        LeakySplit: a group stands in split `first` and outside of it.
    """
    chosen = pl.col("split") == first if first else pl.lit(False)
    pool = films.filter(~chosen)
    if first and len(pool) == len(films):
        raise UsageError(f"no film stands in split {first!r}; the index has {films['split'].unique().sort().to_list()}.")
    assigned, there = (count - 1 if first else count), pool["group"].n_unique()
    if count < 2 or assigned > there:
        outside = f" outside of split {first!r}" if first else ""
        raise UsageError(f"{count} folds of {there} groups{outside}: give at least 2 folds, and no more than groups.")
    groups, part = assign(pool, np.full(assigned, 1 / assigned), seed)
    of_group = dict(zip(groups, (part + count - assigned).tolist(), strict=True))
    fold = pl.col("group").replace_strict(of_group, default=None, return_dtype=pl.Int32)
    films = films.with_columns(fold=pl.when(chosen).then(0).otherwise(fold).cast(pl.Int32))
    refuse_crossing(films)
    return films


def fixed_folds(films: pl.DataFrame, file: Path) -> tuple[pl.DataFrame, int]:
    """Return the films with the `fold` that a file gives (CSV: path, fold, or an index), and how many films it names that are not there.

    Where the file has a column `split` too, the films stand in these splits.

    Raises:
        BadManifest: no such file, no columns `path` and `fold`, or films that it names not once.
        LeakySplit: a group stands in two folds.
    """
    try:
        fixed = pl.read_csv(file, schema_overrides={"path": pl.String, "split": pl.String, "fold": pl.Int32})
        fixed = fixed.select("path", "fold", fixed_split=pl.col("split") if "split" in fixed.columns else pl.lit(None, pl.String))
    except FileNotFoundError as fault:
        raise BadManifest(f"{file}: there is no such file. Make one with: osteon split INDEX --folds 5 -o {file}") from fault
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadManifest(f"{file}: no folds can be read from it ({str(fault).splitlines()[0]}). It takes columns path,fold.") from fault
    twice = fixed.filter(pl.col("path").is_duplicated())["path"].unique().sort().to_list()
    unnamed = films.join(fixed.drop_nulls("fold"), on="path", how="anti")["path"].sort().to_list()
    if twice or unnamed or (fixed["fold"] < 0).any():
        wrong = [f"names {len(twice)} films twice ({_few(twice)})"] if twice else []
        wrong += [f"gives no fold to {len(unnamed)} films of the index ({_few(unnamed)})"] if unnamed else []
        raise BadManifest(f"{file} {' and '.join(wrong) or 'has a fold below 0'}. Name each film once, with a fold from 0 on.")
    films = films.drop("fold", strict=False).join(fixed, on="path", how="left", maintain_order="left")
    films = films.with_columns(split=pl.coalesce("fixed_split", "split")).drop("fixed_split")
    refuse_crossing(films)
    return films, fixed.join(films, on="path", how="anti").height


def refuse_crossing(films: pl.DataFrame) -> None:
    """Refuse folds of which two have films of one group.

    Raises:
        LeakySplit: naming a film of each.
    """
    films = films.with_columns(split=pl.format("fold {}", "fold"))
    if len(found := leaks(films)):
        raise LeakySplit(
            f"a patient or a duplicate stands in more than one fold: {named(found, films)}. Split the films again with osteon split "
            "--folds 5."
        )


def assign(films: pl.DataFrame, shares: NDArray[np.float64], seed: int) -> tuple[list[str], NDArray[np.int64]]:
    """Assign groups to parts, the largest first, each to the part where it brings the counts nearest to their share.

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


def learned(films: pl.DataFrame, names: str) -> pl.DataFrame:
    """Return the films that a training learns from, in their order.

    Args:
        films: An index.
        names: A split, several with commas between, or "all" for every film.

    Raises:
        EmptyDataset: no film stands in one of the splits.

    >>> learned(pl.DataFrame({"split": ["train", "tune", "valid"]}), "train, valid")["split"].to_list()
    ['train', 'valid']
    """
    if names == ALL:
        return films
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in films["split"]:
            there = ", ".join(sorted(s for s in films["split"].unique().to_list() if s)) or "none"
            raise EmptyDataset(
                f"the index has no split {name!r} (it has: {there}). Make one with `osteon split`, or name one with --train and --select."
            )
    return films.filter(pl.col("split").is_in(wanted))


def _few(paths: list[str]) -> str:
    return ", ".join(paths[:NAMED]) + (" ..." if len(paths) > NAMED else "")


def _check_parts(parts: dict[str, float]) -> None:
    if not parts or "" in parts or not min(parts.values()) > 0 or not abs(sum(parts.values()) - 1) < 1e-6:
        shown = ",".join(f"{name}={share:g}" for name, share in parts.items())
        raise UsageError(f"parts {shown!r}: give each a name and a share above 0, together 1, as in train=0.75,tune=0.10,valid=0.15.")
