"""What a prepared film shows beside the finding: grey, contrast, and how much of it is border or air."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteon.film import Placement

SEEN = {"grey": "mean grey", "contrast": "contrast", "cut": "share cut off around the limb"}
"""By its column, and its name: mean grey and the distance of the 1st and the 99th percentile (0 to 255), and the share of the film that is
border or air.
"""


def seen(pixels: NDArray[np.uint8], placement: Placement, film: dict[str, Any]) -> dict[str, float]:
    """Return a film's values by the columns of `SEEN`.

    Args:
        pixels: Its frame (S, S), which is looked at where the film stands in it.
        placement: Where that is.
        film: Its `width` and `height`; `cut` is left out where they are not known.
    """
    (left, top), (right, bottom) = (
        placement.to_frame(placement.left + share * placement.width, placement.top + share * placement.height) for share in (0, 1)
    )
    inside = pixels[max(round(top), 0) : max(round(bottom), 1), max(round(left), 0) : max(round(right), 1)]
    low, high = np.percentile(inside, [1, 99]).tolist()
    whole = float(film["width"] or 0) * float(film["height"] or 0)
    kept = {"cut": 1 - placement.width * placement.height / whole} if whole else {}
    return {"grey": float(inside.mean()), "contrast": high - low, **kept}
