"""What a guard computes of a film's features: one number, and from where on the film is out of scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteon.lab.guard.density import Density, Floats, fit_density
from osteon.lab.guard.inversion import Inversion, fit_inversion

FOLDS = 5
MISSED = 0.02
"""Share of negatives that may pass: those most like a film."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features (n, d) of films, the patient (n,) and the study type (n,) of each."""

    values: NDArray[np.float32]
    group: NDArray[np.str_]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.values)

    def part(self, rows: NDArray[np.bool_]) -> Features:
        """Return some of them."""
        return Features(self.values[rows], self.group[rows], self.kind[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a guard is fitted on: films, varied copies of some, and negatives of some."""

    films: Features
    copies: Features
    negatives: Features

    @property
    def usual(self) -> NDArray[np.float32]:
        """What must pass: films and copies."""
        return np.concatenate([self.films.values, self.copies.values])

    def part(self, chosen: Callable[[Features], NDArray[np.bool_]]) -> Known:
        """Return the films, copies and negatives that `chosen` picks."""
        return Known(*(some.part(chosen(some)) for some in (self.films, self.copies, self.negatives)))


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """The novelty of a film: the larger of its distance from the density and its score as a negative. Above `threshold` it is out."""

    density: Density
    inversion: Inversion
    threshold: float

    def novelty(self, features: NDArray[np.floating]) -> Floats:
        """Return the novelty (n,) of features (n, d)."""
        return np.maximum(self.density.novelty(features), self.inversion.score(features))

    def refuses(self, features: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which films (n,) of these features (n, d) are out of scope."""
        return self.novelty(features) > self.threshold


def fit_detector(known: Known, aim: float, seed: int, room: float = 1.0) -> Detector:
    """Fit on all, with the limits from parts: each patient's films are measured by what the other patients teach.

    What `aim`, a share of the films and copies, lies above is multiplied by `room` and is the threshold. The score as a negative is moved
    so that the negatives pass the same threshold, all but `MISSED`, where that costs no more than `aim` again.
    """
    names = np.unique(known.films.group)
    part = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    distances, scores, turned = [], [], []
    for i in range(FOLDS):
        inside = names[part == i]
        rest = known.part(lambda some, inside=inside: ~np.isin(some.group, inside))  # type: ignore[misc]
        here = known.part(lambda some, inside=inside: np.isin(some.group, inside))  # type: ignore[misc]
        inversion = fit_inversion(rest.usual, rest.negatives.values)
        distances.append(fit_density(rest.usual).novelty(here.usual))
        scores.append(inversion.score(here.usual))
        turned.append(inversion.score(here.negatives.values))
    threshold, costly = (float(np.quantile(np.concatenate(told), 1 - aim)) for told in (distances, scores))
    threshold *= room
    limit = max(costly, float(np.quantile(np.concatenate(turned), MISSED)))
    inversion = fit_inversion(known.usual, known.negatives.values)
    return Detector(fit_density(known.usual), inversion.moved(threshold - limit), threshold)
