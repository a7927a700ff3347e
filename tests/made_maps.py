"""Small maps of evidence and where their films stand, for figures that can be counted by hand."""

from __future__ import annotations

import numpy as np

from osteon.film import Placement

SIZE = 64
WHOLE = Placement(left=0, top=0, width=64, height=64, scale_x=1, scale_y=1, offset_x=0, offset_y=0)


def one_cell(row: int, column: int, value: float = 3.0, rest: float = -1.0) -> np.ndarray:
    """A map (8, 8) of which one cell has another value than the rest."""
    evidence = np.full((8, 8), rest, np.float32)
    evidence[row, column] = value
    return evidence
