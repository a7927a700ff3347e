"""A film shown as its negative, bone dark, is the one mistake that a file cannot tell of and that can be taught.

A linear unit on the same features (logistic regression, films and their varied copies against negatives) tells the two apart; its score is
moved so that it passes the guard's threshold where it passes its own, and joins the novelty as a maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from osteon.lab.guard.density import Floats

_STRENGTH = 0.01  # of the fit; hundreds of features and films want a strong penalty


@dataclass(frozen=True, slots=True, eq=False)
class Inversion:
    """`weights` (d,) in feature units and `bias`: the score of a film is `features @ weights + bias`."""

    weights: Floats
    bias: float

    def score(self, features: NDArray[np.floating]) -> Floats:
        """Return the score (n,) of features (n, d): the higher, the more like a negative."""
        return np.asarray(features @ self.weights + self.bias)

    def moved(self, by: float) -> Inversion:
        """Return the same with `by` added to every score."""
        return Inversion(self.weights, self.bias + by)


def fit_inversion(films: NDArray[np.floating], negatives: NDArray[np.floating]) -> Inversion:
    """Fit on the features of films (n, d) and of negatives (m, d)."""
    both = np.concatenate([films, negatives]).astype(np.float64)
    centre, scale = both.mean(0), both.std(0) + 1e-6
    negative = np.arange(len(both)) >= len(films)
    fitted = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000).fit((both - centre) / scale, negative)
    weights = fitted.coef_[0] / scale
    return Inversion(weights, float(fitted.intercept_[0] - centre @ weights))
