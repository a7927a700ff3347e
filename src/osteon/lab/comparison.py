"""Two tables of predictions of the same films: how far apart are they, and where do they disagree?

Both are measured on the studies, or films, that both answered. The difference of a figure is taken within each resample, so what makes
both better or worse in the same patients cancels out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from osteon.card import Level as ShownLevel
from osteon.errors import MeasurementError
from osteon.lab import bootstrap, subgroups
from osteon.lab.evaluation import ALL, Level, Plan
from osteon.lab.measurement import Part, measure_part
from osteon.lab.metrics import Bools, Floats, Sample
from osteon.lab.scoring import Origin, Predictions, of_split

__all__ = ["Comparison", "Difference", "McNemar", "compare", "disagreements"]

EXACT_BELOW = 25
"""With fewer discordant pairs than this, McNemar's test is the exact binomial one."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of A and of B, B - A, and the 95 % interval of that; None where it cannot be measured, `note` then says why."""

    level: Level
    group: str
    name: str
    a: float | None
    b: float | None
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""


class McNemar(msgspec.Struct, frozen=True, kw_only=True):
    """Who is right where, and the p-value of "both are right equally often" (McNemar, Psychometrika 12, 1947).

    Exact (two-sided binomial) with few discordant pairs, else chi-square with continuity correction. It takes studies as independent; the
    interval of the accuracy's difference does not.
    """

    level: Level
    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    p: float
    exact: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All differences; `only_a`, `only_b` count the films that the other did not answer or does not know."""

    a: Origin
    b: Origin
    split: str
    thresholds: tuple[float, float]
    resamples: int
    seed: int
    studies: int
    films: int
    only_a: int
    only_b: int
    differences: tuple[Difference, ...]
    mcnemar: tuple[McNemar, ...]
    notes: tuple[str, ...] = ()
