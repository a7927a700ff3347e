"""DICOM films with the answers of a model, and what is written of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from made_dicom import content, radiograph
from made_model import made_card
from osteon.clinic.report import Origin
from osteon.clinic.results import Written, write_results
from osteon.prediction import FilmPrediction, Prediction, study_prediction

CARD = made_card(64, finding="fracture")
ORIGIN = Origin(CARD, "0123456789abcdef" * 4)
SERIES = "1.2.3.7"


def film_file(path: Path, number: int = 1, **attributes: object) -> Path:
    pixels = (np.add.outer(np.arange(96), np.arange(80)) * 20).astype("<u2")
    given = {
        "SeriesInstanceUID": SERIES,
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "StudyID": "S1",
        "PatientSex": "F",
        "StudyDate": "20260102",
    }
    given |= {"BodyPartExamined": "HAND", "ContentDate": "20260102", "ContentTime": "101500.25"}
    ours = {keyword: value for keyword, value in (given | attributes).items() if value is not None or keyword not in given}
    if attributes.get("SOPInstanceUID", "") is None:
        ours["SOPInstanceUID"] = None
    path.write_bytes(content(radiograph(pixels, **ours)))
    return path


def answer(file: Path, probability: float | None = 0.9, **fields: object) -> FilmPrediction:
    """Return what a model says of a film, with an overlay beside the film."""
    made = FilmPrediction(str(file), card=CARD, study_type="HAND")
    if probability is None:
        return replace(made, level="out of scope", reason="it is unlike the films that the model learned from", **fields)
    overlay = file.with_suffix(".png")
    if not overlay.exists():
        made_picture(overlay)
    told = {
        "probability": probability,
        "logit": 0.0,
        "level": CARD.level(probability),
        "peak": (30.5, 41.0, 2.0),
        "overlay_file": str(overlay),
    }
    return replace(made, **told | fields)


def made_picture(path: Path) -> None:
    Image.fromarray(np.full((130, 80, 3), 60, np.uint8)).save(path)


def written(folder: Path, *films: FilmPrediction) -> Written:
    study: Prediction = study_prediction("a study", films, CARD)
    return write_results([study], {film.film: film.film for film in films}, ORIGIN, folder)
