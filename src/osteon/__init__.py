"""osteon finds abnormality in radiographs of bones and joints.

>>> import osteon
>>> [study] = osteon.predict("IMG0000057.jpg")      # a film, several, a folder, bytes, an array   # doctest: +SKIP
>>> study                                           # doctest: +SKIP
<Prediction IMG0000057.jpg: yes 0.491, fracture@0.7.1>
>>> study.overlay().save("overlay.png")             # the film with its heat map                   # doctest: +SKIP

A model that is asked more than once is opened once; a film that it cannot judge gets a reason instead of a probability:

>>> import numpy as np
>>> model = osteon.load_model()                     # the packaged one; or a path, or name@version
>>> film = osteon.read_film(np.linspace(0, 1, 96 * 64).reshape(96, 64), "ramp", bone="bright")
>>> film
<Film ramp: array, 64 x 96 pixels>
>>> model.predict(film).level
'out of scope'
"""

from __future__ import annotations

import importlib

from osteon import errors
from osteon.errors import *  # noqa: F403 - all of them, named in `errors.__all__`
from osteon.version import __version__

TYPE_CHECKING = False  # as type checkers know it; to import it takes longer than all the rest
if TYPE_CHECKING:
    from osteon.card import Card
    from osteon.film import Film, read_film
    from osteon.model import Model
    from osteon.opening import load_model
    from osteon.pipeline import predict
    from osteon.prediction import FilmPrediction, Prediction
    from osteon.results import Predictions

# Loaded on first use: `import osteon` costs nothing, and the card's tools need neither pydicom nor OpenVINO.
_WHERE = {
    "Card": "card",
    "Film": "film",
    "FilmPrediction": "prediction",
    "Model": "model",
    "Prediction": "prediction",
    "Predictions": "results",
    "load_model": "opening",
    "predict": "pipeline",
    "read_film": "film",
}

__all__ = [
    "Card",
    "Film",
    "FilmPrediction",
    "Model",
    "Prediction",
    "Predictions",
    "__version__",
    "errors",
    "load_model",
    "predict",
    "read_film",
]
__all__ += errors.__all__


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'osteon' has no attribute {name!r}")
    return getattr(importlib.import_module(f"osteon.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
