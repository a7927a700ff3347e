"""Ask for answers: what a person gives -> films -> predictions -> studies, in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from osteon.batch import answers
from osteon.errors import UsageError
from osteon.model import Model
from osteon.opening import load_model
from osteon.results import group
from osteon.sources import MANY, StudyBy, find_sources

if TYPE_CHECKING:
    from osteon.film import Polarity
    from osteon.results import Predictions
    from osteon.sources import Given

MOST_MAPS = 100
"""Films up to which heat maps are kept unasked, a quarter of a megabyte each."""


def predict(
    what: Given | Iterable[Given],
    model: Model | str | Path | None = None,
    *,
    study_by: Literal["auto", "folder", "film"] = "auto",
    bone: Polarity | None = None,
    guard: bool = True,
    maps: bool | None = None,
) -> Predictions:
    """Find films, ask a model for each, and return the studies that they make.

    A film that cannot be used, or is out of the model's scope, stays in its study and says why. Who has very many films and wants each
    answer as it comes takes `osteon.batch.answers`.

    Args:
        what: A path of a film, a folder or a manifest (CSV); a film's bytes, an opened file, an array (H, W) or a `Film`; or several.
        model: What `load_model` returned, or what it takes; None means the packaged model.
        study_by: What makes films one study. "auto": DICOM's StudyInstanceUID, a folder named study..., or a manifest's column.
        bone: Only for arrays, and needed there: whether bone is "bright" or "dark" in them.
        guard: Whether films out of the model's scope get the reason in the place of a number.
        maps: Whether heat maps stay in the predictions, which `overlay` draws; None means for up to 100 films.

    Raises:
        UsageError: `what` holds no films, or the array does not fit.
        EmptyDataset: a path does not exist, or there is no film in it.
        BadManifest: a manifest has no column `path`.
        ModelFileError: the model is not there, or breaks the contract.
    """
    given = _listed(what)
    if not given:
        raise UsageError("there is no film in an empty list. Give paths, folders, bytes, arrays or films.")
    if study_by not in tuple(StudyBy):
        raise UsageError(f"study_by={study_by!r} is none of {', '.join(StudyBy)}.")
    sources = find_sources(given, StudyBy(study_by), bone)
    many = len(sources.films)
    opened = model if isinstance(model, Model) else load_model(model, side_by_side=many >= MANY)
    predictions = answers(sources.films, opened, guard=guard, maps=many <= MOST_MAPS if maps is None else maps)
    made = group(predictions, sources, opened.card)
    made.made_by = opened.made_by
    return made


def _listed(what: Given | Iterable[Given]) -> list[Given]:
    """Return what is given one by one; text, bytes, an opened file and an array could be gone through, and are one film."""
    one = (
        isinstance(what, str | bytes | bytearray | memoryview | os.PathLike | np.ndarray)
        or hasattr(what, "read")
        or not isinstance(what, Iterable)
    )
    return [cast("Given", what)] if one else list(cast("Iterable[Given]", what))
