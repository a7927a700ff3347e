"""osteon finds abnormality in radiographs of bones and joints.

>>> import osteon
>>> model = osteon.load_model()                          # the packaged model, or a path       # doctest: +SKIP
>>> film = osteon.read_film("wrist.dcm")                 # PNG, JPEG, TIFF or DICOM            # doctest: +SKIP
>>> prediction = model.predict([film])                   # probability, level, evidence        # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["__version__", "load_model", "read_film"]

from osteon.version import __version__

if TYPE_CHECKING:
    from osteon.film import read_film
    from osteon.opening import load_model


def __getattr__(name: str) -> object:
    # Loaded on first use: `import osteon` costs nothing, and the card's tools need neither pydicom nor OpenVINO.
    if name == "read_film":
        from osteon.film import read_film

        return read_film
    if name == "load_model":
        from osteon.opening import load_model

        return load_model
    raise AttributeError(f"module 'osteon' has no attribute {name!r}")
