"""What the edges of the answers cost each other: fewer missed and fewer false answers are more uncertain ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteon.card import Decision
from osteon.lab.calibration.decision import Rule, choose
from osteon.lab.drawing import BLUE, COLUMN, GREEN, GREY, ORANGE, PURPLE, RED, panels
from osteon.lab.evaluation.metrics import Floats, Sample

AIM = 0.2
"""Share of uncertain answers at most: a person stops reading them otherwise."""

MISSED = np.linspace(0, 0.2, 41)
"""Shares of the abnormal that may be "no"."""

FALSE = (0.02, 0.05, 0.08, 0.12, 0.2)
"""Shares of the normal that may be "yes"."""

_LOOKS = tuple(zip((BLUE, ORANGE, GREEN, PURPLE, RED), ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))), strict=True))


def uncertain_share(studies: Sample, missed: Floats, false: float) -> Floats:
    """Return the share of studies that lies between the edges, for each share of the abnormal that may be "no".

    Args:
        studies: Labels and calibrated probabilities.
        missed: (n,), at most 1.
        false: Share of the normal that may be "yes".

    Returns:
        (n,).
    """
    high = choose(studies, Rule("specificity", 1 - false))
    low = np.array([choose(studies, Rule("sensitivity", 1 - float(share))) for share in missed])
    below = (studies.probability < np.append(low, high)[:, None]).mean(axis=1, dtype=np.float64)
    share: Floats = np.maximum(below[-1] - below[:-1], 0)
    return share


def draw_trade(studies: Sample, decision: Decision, path: Path) -> Path:
    """Draw how many answers are uncertain, against how many abnormal studies are missed, for some shares of false "yes".

    Args:
        studies: Of the split that chose the edges.
        decision: The edges; they are the point.
        path: PNG.
    """
    at = studies.probability
    missed = float((at[studies.label] < decision.doubt_from).mean())
    chosen = float(((at >= decision.doubt_from) & (at < decision.doubt_to)).mean())
    with panels(path, (COLUMN, 3.2)) as [axes]:
        for false, (colour, dashes) in zip(FALSE, _LOOKS, strict=True):
            share = uncertain_share(studies, MISSED, false)
            axes.plot(
                100 * MISSED, 100 * share, color=colour, linestyle=dashes, linewidth=1, label=f'{100 * false:g} % of the normal "yes"'
            )
        axes.axhline(100 * AIM, color=GREY, linewidth=0.6, linestyle=":")
        axes.plot(100 * missed, 100 * chosen, "o", color="black", markersize=4, label="chosen")
        axes.set(xlabel='% of the abnormal "no"', ylabel='% of all "uncertain"', xlim=(0, 100 * MISSED[-1]), ylim=(0, None))
        axes.legend(loc="upper right")
    return path
