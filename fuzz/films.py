"""Fuzz the readers of films: any bytes are a film or a refusal, in seconds and bounded memory.

python fuzz/films.py fuzz/corpus/films -runs=200000 -timeout=10 -rss_limit_mb=2048

atheris follows which lines of osteon and pydicom an input reaches and keeps what reaches new ones. What it finds beyond the corpus
goes into the first folder that is named, so name a scratch folder before the corpus to keep that as it is.
"""

from __future__ import annotations

import logging
import sys
import warnings

import atheris
import numpy as np

with atheris.instrument_imports(include=["osteon", "pydicom"]):
    from osteon.dicom import is_dicom, read_dicom
    from osteon.errors import FilmError
    from osteon.raster import read_raster


def one(content: bytes) -> None:
    """Read one input; anything but a film or a refusal is a finding."""
    try:
        film = read_dicom(content, "film") if is_dicom(content) else read_raster(content, "film")
    except FilmError:
        return
    if not np.isfinite(film.pixels).all() or film.pixels.ndim != 2:
        raise AssertionError("pixels that are none")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
