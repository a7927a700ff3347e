"""Does a model file answer as a network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from osteon.errors import ModelFileError
from osteon.lab.training.networks.detector import Detector, Ensemble
from osteon.opening import load_model

TOLERANCE = 1e-3  # logit units; float32 engines differ in the order of their sums
PROBES = 4


def check_model(network: Detector | Ensemble, path: Path) -> float:
    """Open a model file as any user does, in float32, and return its largest difference to a network on synthetic films, in logit units.

    Args:
        network: In evaluation mode.
        path: The file.

    Raises:
        ModelFileError: it breaks the contract, or differs by more than `TOLERANCE`.
    """
    model = load_model(path, "float32")
    films = _probe_films(model.card.frame.size)
    with torch.no_grad():
        logit, evidence = (part.numpy() for part in network(torch.from_numpy(films)))
    its_logit, its_evidence = model.run(films)
    if its_evidence.shape != evidence.shape:
        raise ModelFileError(f"{path}: its evidence has {its_evidence.shape[1:]} cells, torch's network {evidence.shape[1:]}.")
    worst = float(max(np.abs(its_logit - logit).max(), np.abs(its_evidence - evidence).max()))
    if not worst <= TOLERANCE:
        raise ModelFileError(f"{path}: the network in it differs from torch by {worst:.2g} logit, {TOLERANCE:g} is allowed.")
    return worst


def _probe_films(size: int) -> NDArray[np.uint8]:
    """Return smooth synthetic films (noise alone would not reach the deeper layers), one black, (PROBES, S, S)."""
    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (PROBES, size // 16 + 1, size // 16 + 1))
    films = np.kron(coarse, np.ones((16, 16)))[:, :size, :size]
    films[0] = 0
    return films.astype(np.uint8)
