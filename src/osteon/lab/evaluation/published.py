"""What the MURA paper printed (Rajpurkar et al., arXiv 1712.06957v4, table 2 and section 4), to stand beside our own metrics.

Its readers and model read the 207 hidden test studies; no one else can, so ours stand beside and not under the same conditions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

READERS = ("radiologist 1", "radiologist 2", "radiologist 3", "paper's model")

PAPER_KAPPA: dict[str, tuple[float, float, float, float]] = {
    "ELBOW": (0.850, 0.710, 0.719, 0.710),
    "FINGER": (0.304, 0.403, 0.410, 0.389),
    "FOREARM": (0.796, 0.802, 0.798, 0.737),
    "HAND": (0.661, 0.927, 0.789, 0.851),
    "HUMERUS": (0.867, 0.733, 0.933, 0.600),
    "SHOULDER": (0.864, 0.791, 0.864, 0.729),
    "WRIST": (0.791, 0.931, 0.931, 0.931),
    "all": (0.731, 0.763, 0.778, 0.705),
}
"""Cohen's kappa of the three radiologists and of the paper's model by study type, in the order of `READERS`."""

PAPER_AUROC, PAPER_SENSITIVITY, PAPER_SPECIFICITY = 0.929, 0.815, 0.887
"""The paper's model over all study types, at threshold 0.5."""


@dataclass(frozen=True, slots=True)
class LaterFigure:
    """What others measured on MURA's public validation split, as they printed it; `auroc` "" where they did not."""

    name: str
    kappa: str
    auroc: str = ""


LATER = (
    LaterFigure("one DenseNet-169 each, three open repositories", ".63 to .66"),
    LaterFigure("two models, best open repository; macro over study types, maximum over a study's films", ".680"),
    LaterFigure("the same two models, mean over a study's films", ".662"),
    LaterFigure("calibrated ensemble, best paper (Sci Rep 2021, doi 10.1038/s41598-021-88578-w)", ".74", ".93"),
)
"""Metrics printed since, on the split that everyone has; none came with an interval."""


def is_mura(datasets: Sequence[str]) -> bool:
    """Return whether films come from MURA alone, by the names of their folders: `MURA-v1.1`.

    >>> is_mura(["MURA-v1.1"]), is_mura(["MURA-v1.1", "clinic"]), is_mura([])
    (True, False, False)
    """
    return bool(datasets) and all(name.upper().startswith("MURA") for name in datasets)


def paper_interval(kappa: float, observed: float, chance: float, n: int) -> tuple[float, float]:
    """Return the interval that the paper would print beside a kappa. It is not a 95 % interval: at n = 207 it is 20 times too narrow.

    The large-sample standard error of kappa is SE = sqrt(p (1 - p) / n) / (1 - e), with p the observed and e the chance agreement (Cohen
    1960; McHugh, Biochemia Medica 22, 2012). The printed widths are those of kappa +- 1.96 SE^2: the variance stands where its root
    belongs. So computed with e = 0.5, all four overall intervals of table 2 come out to the printed digit; the widths by study type give
    25 to 33 studies a type, which 207 studies of seven types are. The intended interval is kappa +- 1.96 SE, and even that takes
    the studies of one patient as independent.

    >>> [round(end, 3) for end in paper_interval(0.705, observed=0.8525, chance=0.5, n=207)]  # printed: .700, .710
    [0.7, 0.71]
    """
    variance = observed * (1 - observed) / (n * (1 - chance) ** 2) if chance < 1 else math.nan
    return kappa - 1.96 * variance, kappa + 1.96 * variance
