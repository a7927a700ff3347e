"""DenseNet-169 in Keras, as the article made it: `keras.applications`, three equal channels, average pooling, one sigmoid unit.

`predict_on_batch` is used, which is quicker for one film than the `predict` of the article. Weights are random: time does not depend on
them. MODEL is not read.
"""

from __future__ import annotations

import keras  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray
from peer import Network, main


def opened(_: str, side: int) -> Network:
    """Return the network."""
    base = keras.applications.DenseNet169(include_top=False, weights=None, input_shape=(side, side, 3), pooling="avg")
    model = keras.Sequential([base, keras.layers.Dropout(0.1), keras.layers.Dense(1, activation="sigmoid")])
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)

    def network(film: NDArray[np.uint8]) -> float:
        image = (np.repeat(film[None, :, :, None], 3, axis=3) / np.float32(255) - mean) / std
        return float(model.predict_on_batch(image)[0, 0])

    return network


if __name__ == "__main__":
    main(opened)
