"""The same model file in ONNX Runtime, float32, on all cores. MODEL is the file."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from peer import Network, main


def opened(model: str, _: int) -> Network:
    """Return the file's network."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def network(film: NDArray[np.uint8]) -> float:
        [logit] = session.run(["logit"], {"image": film[None]})
        return float(1 / (1 + np.exp(-logit[0])))

    return network


if __name__ == "__main__":
    main(opened)
