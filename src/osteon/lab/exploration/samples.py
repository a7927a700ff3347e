"""Films chosen to be opened, and what their pixels say. Which ones follows from the seed, whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from osteon.errors import FilmError
from osteon.film import read_film
from osteon.lab.data.layouts import Problem
from osteon.lab.exploration.records import ALL, WORDS, Opened, Range
from osteon.lab.progress import Count
from osteon.lab.tiles import MISSING, REFUSED, Tile, tile_of
from osteon.network import cores

BLACK = 3 / 255
"""Below that a pixel is black: air, padding, collimation."""

_MOST_PIXELS = 400_000  # percentiles of every k-th pixel are those of all


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One opened film: a small picture of it, and percentiles of its grey levels, 0 to 1."""

    tile: Tile
    p1: float = 0
    p25: float = 0
    p50: float = 0
    p75: float = 0
    p99: float = 0
    mean: float = 0
    black: float = 0


def choose(films: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """Return about `count` whole films, as many of each label as there are, drawn at random."""
    pool = films.filter(pl.col("status") == "ok")
    labels = pool["label"].unique().sort(nulls_last=True).to_list()
    parts = [_drawn(pool.filter(pl.col("label").eq_missing(label)), -(-count // len(labels)), seed) for label in labels]
    return pl.concat(parts) if parts else pool


def choose_grid(films: pl.DataFrame, label: int | None, count: int, seed: int) -> pl.DataFrame:
    """Return up to `count` whole films of a label: one of each study type in turn, the most frequent first, side by side by type."""
    pool = films.filter((pl.col("status") == "ok") & pl.col("label").eq_missing(label))
    mixed = _drawn(pool, pool.height, seed).with_columns(turn=pl.int_range(pl.len()).over("study_type"), often=pl.len().over("study_type"))
    chosen = mixed.sort("turn", "often", "study_type", descending=[False, True, False]).head(count)
    return chosen.sort("study_type", "turn").drop("turn", "often")


def rows_of(films: pl.DataFrame, problem: Problem) -> pl.DataFrame:
    """Return the films that a problem names, by their paths or by their study, in its order."""
    names = pl.DataFrame({"name": list(problem.names)}, schema={"name": pl.String}).with_row_index("at")
    by_path = names.join(films, left_on="name", right_on="path", how="inner", coalesce=False)
    found = by_path if by_path.height else names.join(films, left_on="name", right_on="study", how="inner", coalesce=False)
    return found.sort("at", "path").select(films.columns)


def look_at(films: pl.DataFrame, progress: Count | None = None) -> dict[str, Look]:
    """Open each film once, on all cores; returns what was seen by file (root and path)."""
    files = list(dict.fromkeys(files_of(films)))
    looks: dict[str, Look] = {}
    with ThreadPoolExecutor(cores()) as pool:  # decoders let go of the interpreter's lock
        for file, seen in zip(files, pool.map(look, files), strict=True):
            looks[file] = seen
            if progress:
                progress(len(looks), len(files))
    return looks


def files_of(films: pl.DataFrame) -> list[str]:
    """Return each film's file."""
    return films.select(pl.format("{}/{}", "root", "path")).to_series().to_list()


def look(file: str) -> Look:
    """Open one film."""
    if not Path(file).is_file():
        return Look(Tile(None, reason=MISSING))
    try:
        pixels = read_film(file).pixels
    except FilmError:
        return Look(Tile(None, reason=REFUSED))
    step = max(1, round((pixels.size / _MOST_PIXELS) ** 0.5))
    some = pixels[::step, ::step]
    p1, p25, p50, p75, p99 = np.percentile(some, [1, 25, 50, 75, 99]).tolist()
    return Look(tile_of(pixels), p1, p25, p50, p75, p99, float(some.mean()), float((some < BLACK).mean()))


def opened(looks: Sequence[Look]) -> Opened:
    """Count what came of opening films."""
    missing, refused = (sum(seen.tile.reason == reason for seen in looks) for reason in (MISSING, REFUSED))
    return Opened(asked=len(looks), opened=len(looks) - missing - refused, missing=missing, refused=refused)


def with_greys(films: pl.DataFrame, looks: dict[str, Look]) -> pl.DataFrame:
    """Return the films that could be opened, with `p1` to `p99`, `mean`, `black` and `contrast`."""
    seen = [looks[file] for file in files_of(films)]
    columns = ("p1", "p25", "p50", "p75", "p99", "mean", "black")
    greys = pl.DataFrame({c: [getattr(one, c) for one in seen] for c in columns}, schema=dict.fromkeys(columns, pl.Float64))
    whole = films.hstack(greys).with_columns(contrast=pl.col("p99") - pl.col("p1"))
    return whole.filter(pl.Series([not one.tile.reason for one in seen], dtype=pl.Boolean))


def ranges(greys: pl.DataFrame) -> list[Range]:
    """Return the grey levels by study type and label, over all types first."""
    both = pl.concat([greys.with_columns(study_type=pl.lit(ALL)), greys])
    medians = [pl.col(c).median() for c in ("p1", "p25", "p50", "p75", "p99", "black")]
    table = both.group_by("study_type", "label").agg(*medians, films=pl.len())
    rows = table.sort(pl.col("study_type") != ALL, "study_type", "label", descending=[False, False, True], nulls_last=True)
    return [Range(**(row | {"label": WORDS[row["label"]]})) for row in rows.to_dicts()]


def _drawn(films: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    order = np.random.default_rng(seed).permutation(films.height)[:count]
    return films.sort("root", "path")[order]
