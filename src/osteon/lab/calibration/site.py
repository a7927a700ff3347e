"""The edges of the answers at another hospital, moved by its own films; weights and calibration stay.

What another machine changes first is where the scores of normal films lie, and normal films are what every hospital has.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from scipy import special

from osteon.card import Decision
from osteon.errors import MeasurementError
from osteon.lab.calibration.decision import Rule, choose
from osteon.lab.evaluation.metrics import Floats, Sample

LEAST_NORMAL = 30
"""Normal films; with fewer, the share of a tenth that lies above an edge is two or three films."""

LEAST_ABNORMAL = 20
"""Abnormal films; with fewer, a sensitivity of 0.95 hangs on less than one film."""

CARD_COUNTS = 30
"""How many films the card's own edge counts as, beside those of the site.

Chosen before anything was measured: at `LEAST_NORMAL` films the card and the site count the same, at 300 the card is a tenth of it. It
holds the edge of "yes" above all, which n films place by their highest few alone.
"""

_INSIDE = 1e-6
"""Probabilities are kept so far from 0 and 1 before their log-odds are taken."""


class Shares(NamedTuple):
    """Which share of the normal films lies below each edge of the answers, and below the threshold."""

    below_doubt: float
    below_threshold: float
    below_yes: float


def normal_shares(decision: Decision, normal: Floats) -> Shares:
    """Return the shares of the normal films, of calibrated probabilities (n,), that lie below a decision's edges."""
    below = [float(np.mean(normal < edge)) for edge in (decision.doubt_from, decision.threshold, decision.doubt_to)]
    return Shares(*below)


def edges_by_normal(decision: Decision, shares: Shares, normal: Floats) -> Decision:
    """Put the edges at the same quantiles of the site's normal films as they have among the normal films that the card was measured on.

    Each edge is the mean of the site's quantile and the card's edge in log-odds, the site's weighing n films and the card's `CARD_COUNTS`.

    Args:
        decision: The card's.
        shares: Below its edges, on films of the card's kind.
        normal: Calibrated probabilities (n,) of the site's normal films.

    Raises:
        MeasurementError: there are fewer than `LEAST_NORMAL`.
    """
    if len(normal) < LEAST_NORMAL:
        raise MeasurementError(f"{len(normal)} normal films cannot move the edges of the answers: it takes {LEAST_NORMAL}.")
    quantiles, card = np.quantile(normal, shares), np.array([decision.doubt_from, decision.threshold, decision.doubt_to])
    site, own = (special.logit(np.clip(edges, _INSIDE, 1 - _INSIDE)) for edges in (quantiles, card))
    doubt_from, threshold, doubt_to = special.expit((len(normal) * site + CARD_COUNTS * own) / (len(normal) + CARD_COUNTS)).tolist()
    rule = f"the card's shares of normal films, by {len(normal)} normal films of the site"
    return Decision(threshold=threshold, doubt_from=doubt_from, doubt_to=doubt_to, rule=rule)


def edges_by_labels(decision: Decision, shares: Shares, films: Sample, targets: tuple[float, float]) -> Decision:
    """Put the edges where the site's labelled films reach the targets, or by its normal films where abnormal ones are few.

    Args:
        decision: The card's.
        shares: Below its edges, on films of the card's kind.
        films: Labels and calibrated probabilities of the site's films.
        targets: Sensitivity below the uncertain answers, specificity above them, which is the threshold's, too.

    Raises:
        MeasurementError: there are fewer than `LEAST_NORMAL` normal films.
    """
    normal = films.probability[~films.label]
    if films.label.sum() < LEAST_ABNORMAL or len(normal) < LEAST_NORMAL:
        return edges_by_normal(decision, shares, normal)
    low, high = choose(films, Rule("sensitivity", targets[0])), choose(films, Rule("specificity", targets[1]))
    rule = f"uncertain from sensitivity {targets[0]:g} to specificity {targets[1]:g}, by {len(films)} labelled films of the site"
    return msgspec.structs.replace(decision, threshold=high, doubt_from=min(low, high), doubt_to=high, rule=rule, split="")
