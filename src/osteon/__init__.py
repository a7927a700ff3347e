"""osteon finds abnormality in radiographs of bones and joints.

>>> import osteon
>>> [study] = osteon.predict("wrist.png")               # a film, a folder, bytes, an array, ...  # doctest: +SKIP
>>> study.level, round(study.probability, 2)            # doctest: +SKIP
('yes', 0.93)
>>> study.overlay().save("wrist.overlay.png")           # the film with its heat map              # doctest: +SKIP

A model that is asked more than once is opened once:

>>> model = osteon.load_model()                         # the packaged one, or a path             # doctest: +SKIP
>>> film = osteon.read_film("hand.dcm")                 # PNG, JPEG, TIFF or DICOM                # doctest: +SKIP
>>> model.predict([film])                               # doctest: +SKIP
<Prediction hand.dcm: no 0.012, fracture@0.7.0>
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from osteon import errors
from osteon.errors import (
    BadManifest,
    BlankFilm,
    CheckpointError,
    CountMismatch,
    DatasetError,
    DivergedTraining,
    EmptyDataset,
    FilmError,
    LeakySplit,
    MeasurementError,
    MissingExtra,
    MissingWeights,
    ModelFileError,
    OsteonError,
    OversizedFilm,
    TrainingError,
    UnreadableFilm,
    UnsupportedFilm,
    UsageError,
)
from osteon.version import __version__

if TYPE_CHECKING:
    from osteon.card import Card
    from osteon.film import Film, read_film
    from osteon.model import Model
    from osteon.opening import load_model
    from osteon.pipeline import predict
    from osteon.prediction import FilmPrediction, Prediction
    from osteon.results import Predictions

__all__ = [
    "BadManifest",
    "BlankFilm",
    "Card",
    "CheckpointError",
    "CountMismatch",
    "DatasetError",
    "DivergedTraining",
    "EmptyDataset",
    "Film",
    "FilmError",
    "FilmPrediction",
    "LeakySplit",
    "MeasurementError",
    "MissingExtra",
    "MissingWeights",
    "Model",
    "ModelFileError",
    "OsteonError",
    "OversizedFilm",
    "Prediction",
    "Predictions",
    "TrainingError",
    "UnreadableFilm",
    "UnsupportedFilm",
    "UsageError",
    "__version__",
    "errors",
    "load_model",
    "predict",
    "read_film",
]

# Loaded on first use: `import osteon` costs nothing, and the card's tools need neither pydicom nor OpenVINO.
_WHERE = {
    "Card": "card",
    "Film": "film",
    "read_film": "film",
    "Model": "model",
    "load_model": "opening",
    "predict": "pipeline",
    "FilmPrediction": "prediction",
    "Prediction": "prediction",
    "Predictions": "results",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'osteon' has no attribute {name!r}")
    return getattr(importlib.import_module(f"osteon.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
