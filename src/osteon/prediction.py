"""What a model says of a film and of a study.

A film's number is the card's calibration of the model's logit; a study's is its films' numbers pooled as the card says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from osteon.card import Card, Level, OutOfScope, Pooling
    from osteon.film import Film, Placement

OUT_OF_SCOPE: OutOfScope = "out of scope"
"""What stands in the place of a level where the model does not answer for a film."""

TOP_K = 2
"""How many of a study's films the study pooling "top-k" averages: the finding shows in two views."""


@dataclass(frozen=True, slots=True, eq=False)
class FilmPrediction:
    """What a model says of one film, or why it says nothing.

    A film has a number, or is out of the model's scope for a `reason`, or was refused with an `error`.

    `film` is the path as it was given, `logit` the log-odds before and `probability` in [0, 1] after calibration, `level` the one
    of three that people are shown. `evidence` is (h, w) float32 in logit units, `placement` says where in the film its cells stand.
    A film out of scope has the level "out of scope", a `reason`, a placement (unless all is one grey) and no numbers; a refused film has
    None for all of these.
    """

    film: str
    logit: float | None = None
    probability: float | None = None
    level: Level | OutOfScope | None = None
    evidence: NDArray[np.float32] | None = None
    placement: Placement | None = None
    study_type: str = ""
    truncated: bool = False
    reason: str = ""
    error: str = ""

    def without_evidence(self) -> FilmPrediction:
        """Return a copy that drops the map, for keeping very many."""
        return replace(self, evidence=None)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of one study: its films' probabilities pooled, None where no film gave one.

    Such a study is "out of scope" where at least one of its films is, else it has no level.
    """

    study: str
    probability: float | None
    level: Level | OutOfScope | None
    films: tuple[FilmPrediction, ...]
    model: str

    @property
    def refused(self) -> tuple[FilmPrediction, ...]:
        """The films that could not be used."""
        return tuple(f for f in self.films if f.error)

    @property
    def out_of_scope(self) -> tuple[FilmPrediction, ...]:
        """The films that the model does not answer for."""
        return tuple(f for f in self.films if f.reason)


def film_prediction(film: Film, placement: Placement, logit: float, evidence: NDArray[np.float32], card: Card) -> FilmPrediction:
    """Turn a network's two outputs for one film, `logit` and `evidence` (h, w) in logit units, into what a person is told."""
    probability = card.probability(logit)
    return FilmPrediction(
        film=film.path,
        logit=logit,
        probability=probability,
        level=card.level(probability),
        evidence=evidence,
        placement=placement,
        study_type=film.study_type,
        truncated=film.truncated,
    )


def out_of_scope(film: Film, placement: Placement, reason: str) -> FilmPrediction:
    """Tell a person why a film has no number, though it was read."""
    return FilmPrediction(
        film=film.path,
        level=OUT_OF_SCOPE,
        placement=placement,
        study_type=film.study_type,
        truncated=film.truncated,
        reason=reason,
    )


def study_prediction(study: str, films: Sequence[FilmPrediction], card: Card) -> Prediction:
    """Pool the films of one study; films refused or out of scope stay in it and take no part in its number."""
    told = [f.probability for f in films if f.probability is not None]
    probability = pool_study(told, card) if told else None
    silent = OUT_OF_SCOPE if any(f.reason for f in films) else None
    return Prediction(study, probability, silent if probability is None else card.level(probability), tuple(films), card.reference)


def pool_study(probabilities: Sequence[float], card: Card) -> float:
    """Return a study's probability from those of its films, at least one.

    "mean": as in the MURA paper (arXiv 1712.06957, section 3). "max": the highest. "noisy-or": that not every film is normal, were
    they independent. "top-k": the mean of the `TOP_K` highest.
    """
    match card.study_pooling:
        case "mean":
            return math.fsum(probabilities) / len(probabilities)
        case "max":
            return max(probabilities)
        case "noisy-or":
            return 1 - math.prod(1 - p for p in probabilities)
        case "top-k":
            highest = sorted(probabilities)[-TOP_K:]
            return math.fsum(highest) / len(highest)


def highest(cells: int, pooling: Pooling) -> int:
    """Return of how many of so many cells "top-k" takes the mean: `share` of them, at least one."""
    return max(round(pooling.share * cells), 1)


def pool_evidence(evidence: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float64]:
    """Return the logits (...) that maps of evidence (..., h, w) stand for: `pool(evidence) + bias`, all log-odds."""
    cells = evidence.astype(np.float64)
    if pooling.kind == "mean":
        return np.asarray(cells.mean(axis=(-2, -1)) + pooling.bias)
    if pooling.kind == "top-k":
        flat = np.sort(cells.reshape(*cells.shape[:-2], -1))
        return np.asarray(flat[..., -highest(flat.shape[-1], pooling) :].mean(-1) + pooling.bias)
    sharp = cells * pooling.sharpness
    peak = sharp.max(axis=(-2, -1), keepdims=True)
    log_mean = np.log(np.exp(sharp - peak).mean(axis=(-2, -1))) + peak[..., 0, 0]
    return np.asarray(log_mean / pooling.sharpness + pooling.bias)
