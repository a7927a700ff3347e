"""Where a model's features lie on the films that it learned from, and how far from there another film's are.

Features are centred and scaled to deviation 1; their cloud is one Gaussian whose strongest directions are kept as they are and whose others
share one variance (probabilistic PCA: Tipping and Bishop, J R Stat Soc B 61, 1999). The novelty of a film is its squared Mahalanobis
distance (Lee et al., NeurIPS 2018) divided by the number of features: 1 on average over the films of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DIRECTIONS = 64
"""How many directions keep a variance of their own."""

_FLAT = 1e-3  # of the largest deviation: what hardly varies must not outweigh the rest


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """A cloud of features.

    `centre` and `scale` (d,) are the features' means and deviations, `directions` (d, k) orthonormal columns in scaled units with their
    `variances` (k,), `noise` the variance of every other direction.
    """

    centre: Floats
    scale: Floats
    directions: Floats
    variances: Floats
    noise: float

    @property
    def gain(self) -> Floats:
        """What squares along `directions` weigh beyond the weight that `noise` gives to all, (k,), 0 or less."""
        return np.asarray(1 / self.variances - 1 / self.noise)

    def novelty(self, features: NDArray[np.floating]) -> Floats:
        """Return the novelty (n,) of features (n, d), 0 or more."""
        away = (features - self.centre) / self.scale
        distance = (away**2).sum(1) / self.noise + (away @ self.directions) ** 2 @ self.gain
        return np.asarray(distance / len(self.scale))


def fit_density(features: NDArray[np.floating], directions: int = DIRECTIONS) -> Density:
    """Fit the density of the features (n, d) of n films, at least two."""
    wide = features.astype(np.float64)
    centre, deviation = wide.mean(0), wide.std(0)
    scale = deviation + _FLAT * deviation.max() + np.finfo(np.float32).tiny
    _, strengths, axes = np.linalg.svd((wide - centre) / scale, full_matrices=False)
    variances = strengths**2 / len(wide)
    kept = min(directions, len(variances) - 1)
    least = variances.sum() * np.finfo(np.float32).eps
    noise = max(float(variances[kept:].sum()) / max(1, wide.shape[1] - kept), float(least))
    return Density(centre, scale, axes[:kept].T, np.maximum(variances[:kept], noise), noise)
