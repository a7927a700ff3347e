"""Osteon's own model, one film at a time. MODEL is a file, or "packaged"; a comma and a precision may follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from peer import Network, main

from osteon.opening import load_model


def opened(name: str, _side: int) -> Network:
    """Return the model's network."""
    file, _, precision = name.partition(",")
    model = load_model(None if file == "packaged" else file, "int8" if precision == "int8" else "float32" if precision else "auto")

    def network(film: NDArray[np.uint8]) -> float:
        logit, _ = model.run(film[None])
        return model.card.probability(float(logit[0]))

    return network


if __name__ == "__main__":
    main(opened)
