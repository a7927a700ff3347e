"""Made tables of predictions: an index's columns and a made reader's scores, for the tests of measuring."""

from __future__ import annotations

import numpy as np
import polars as pl

from osteon.lab.evaluation.scoring import SCORES, Origin, Predictions
from osteon.regions import MURA_STUDY_TYPES


def made_films(studies: int = 120, seed: int = 0, separation: float = 2.0) -> pl.DataFrame:
    """One to four films a study, one to three studies a patient, seven study types; scores further apart with `separation`."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(studies), rng.integers(1, 4, studies))[:studies]
    abnormal = rng.random(studies) < 0.45
    study_type = rng.choice(MURA_STUDY_TYPES, studies)
    study = np.repeat(np.arange(studies), rng.integers(1, 5, studies))
    n = len(study)
    logit = separation * (abnormal[study] - 0.5) + rng.normal(size=studies)[study] + 0.5 * rng.normal(size=n)
    names = [f"valid/XR_{study_type[s]}/patient{patient[s]:05d}/study{s}" for s in study]
    films = pl.DataFrame(
        {
            "path": [f"{name}/image{i}.png" for i, name in enumerate(names)],
            "root": "/data",
            "split": "valid",
            "study_type": study_type[study],
            "view": rng.choice(["FRONTAL", "LATERAL", ""], n),
            "patient": [f"patient{patient[s]:05d}" for s in study],
            "study": names,
            "label": pl.Series(abnormal[study].astype(np.int8), dtype=pl.Int8),
            "width": pl.Series(rng.integers(200, 600, n), dtype=pl.Int32),
            "height": pl.Series(rng.integers(200, 600, n), dtype=pl.Int32),
            "group": [f"patient{patient[s]:05d}" for s in study],
            "status": "ok",
            "hardware": rng.integers(0, 2, n),
            "logit": logit,
            "probability": 1 / (1 + np.exp(-logit)),
            "error": "",
        }
    )
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in SCORES.items() if name not in films.columns]
    return films.with_columns(*absent)


def made_predictions(films: pl.DataFrame | None = None, **made: float) -> Predictions:
    """A table as `read_predictions` returns it."""
    return Predictions(made_films(**made) if films is None else films, Origin(model="made@1.0.0", fingerprint="f00d"))
