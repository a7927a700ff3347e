"""Groups (a patient, with its duplicates) that stand on both sides of a split, and films that were learned from before."""

from __future__ import annotations

import polars as pl

from osteon.errors import LeakySplit
from osteon.lab.data.layouts import Problem

NAMED = 5
"""How many leaking groups a refusal names."""


def leaks(films: pl.DataFrame) -> pl.DataFrame:
    """Return the groups that stand in more than one split: `group`, `splits`, `films` (paths)."""
    placed = films.filter(pl.col("split") != "")
    crossing = placed.select("group", "split").unique()["group"]
    placed = placed.filter(pl.col("group").is_in(crossing.filter(crossing.is_duplicated()).implode()))
    return placed.group_by("group").agg(splits=pl.col("split").unique().sort(), films=pl.col("path").sort()).sort("group")


def refuse_leaks(films: pl.DataFrame, allow: bool = False) -> list[Problem]:
    """Refuse films where a patient or a duplicate stands in two splits; allowed, they are problems for the report.

    Raises:
        LeakySplit: naming a film of each split of some of them.
    """
    found = leaks(films)
    if found.is_empty() or allow:
        return [Problem("leak", tuple(films), f"one group stands in {' and '.join(splits)}") for _, splits, films in found.iter_rows()]
    raise LeakySplit(
        f"a patient or a duplicate stands in more than one split: {named(found, films)}."
        " Split the films again with osteon split, or go on with --allow-leaks."
    )


def seen(films: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the films of which something stands in `known`: the same file, or in the same data set the same path or the same group."""
    hashed = known.filter(pl.col("sha256") != "")
    found = [films.join(hashed, on="sha256", how="semi"), *(films.join(known, on=["root", key], how="semi") for key in ("path", "group"))]
    return pl.concat(found).unique(["root", "path"]).sort("root", "path")


def named(found: pl.DataFrame, films: pl.DataFrame) -> str:
    """Return some of the groups that `leaks` found in words."""
    shown = [_one_of_each_split(films, group) for group in found["group"].head(NAMED)]
    return "; ".join(shown) + (f"; and {found.height - NAMED} more" if found.height > NAMED else "")


def _one_of_each_split(films: pl.DataFrame, group: str) -> str:
    """Return films by which a person finds a group; not its name, which may be a patient's."""
    mine = (
        films.filter((pl.col("group") == group) & (pl.col("split") != ""))
        .sort("split", "path")
        .unique("split", keep="first", maintain_order=True)
    )
    return " and ".join(f"{path} ({split})" for path, split in mine.select("path", "split").iter_rows())
