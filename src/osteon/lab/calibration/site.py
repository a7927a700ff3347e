"""A hospital's own edges of the answers, moved by its labelled films, or by normal films alone, which every hospital has.

Weights and calibration stay. What another machine changes first is where the scores of normal films lie. How many films it takes, by
simulation: docs/experiments/another-machine.md (`scripts/site_sizes.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from scipy import special

from osteon.card import Card, Decision
from osteon.errors import MeasurementError
from osteon.lab.calibration.decision import Rule, choose
from osteon.lab.evaluation.metrics import Floats, Sample
from osteon.site import Answer, Site

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

TARGETS = (0.95, 0.92)
"""Sensitivity below the uncertain answers and specificity above them, where the site's films have labels of both kinds."""

DRAWS = 1000
"""Of the site's patients, for the intervals."""

NO_NORMAL = "normal: no"
"""The share of the normal films that get "no": what a hospital wants to be high."""

SURE = 0.05
"""Half of an interval that is narrow enough: five of a hundred films."""


_SAID = ("share of no among normal", "specificity", "share of yes among normal")  # of a card


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


def site_of(films: pl.DataFrame, card: Card, named: Site) -> Site:
    """Return a site file: edges moved by the site's films, and what these films get with and without them.

    Args:
        films: With `probability`, `label` and `group`; those without a number or a label take no part.
        card: Of the model that scored them.
        named: Name, model and date; the rest is filled in.

    Raises:
        MeasurementError: too few normal films, or a card that does not say how often normal films get each answer.
    """
    used = films.filter(pl.col("probability").is_finite() & pl.col("label").is_not_null())
    if used.is_empty():
        raise MeasurementError("none of these films has a label and a number. Give each normal film the label 0.")
    clusters = np.unique(used["group"].to_numpy(), return_inverse=True)[1]
    sample = Sample(used["label"].to_numpy() == 1, used["probability"].to_numpy(), clusters)
    shares = card_shares(card)
    moved = _fit(card.decision, shares, sample)
    drawn = _redrawn(sample, lambda part: _fit(card.decision, shares, part))
    answers = []
    for name, share in _shares(sample, card.decision).items():
        ends = _ends(drawn.get(name))
        answers.append(Answer(name=name, before=share, after=_shares(sample, moved)[name], low=ends[0], high=ends[1]))
    edges = {"doubt_from": moved.doubt_from, "threshold": moved.threshold, "doubt_to": moved.doubt_to, "rule": moved.rule}
    counts = {"normal": int((~sample.label).sum()), "abnormal": int(sample.label.sum()), "groups": len(np.unique(clusters))}
    return msgspec.structs.replace(named, **edges, **counts, answers=tuple(answers))


def card_shares(card: Card) -> Shares:
    """Return which share of the normal films lies below each edge, as the card says of the films that it reports.

    Raises:
        MeasurementError: it says nothing of them.
    """
    found = {(m.level, m.name): m.value for m in card.metrics if m.group == "all"}
    wanted = [found.get(("film", name), found.get(("study", name))) for name in _SAID]
    no, specificity, yes = wanted
    if no is None or specificity is None or yes is None:
        what = f"the card of {card.reference} does not say how often normal films get each answer"
        raise MeasurementError(f"{what}. Write it with `osteon evaluate --card-into`.")
    return Shares(no, specificity, 1 - yes)


def more_films(site: Site) -> int:
    """Return about how many more normal films make the share of "no" among them as sure as `SURE`; 0 where it is."""
    [no] = [answer for answer in site.answers if answer.name == NO_NORMAL]
    if no.low is None or no.high is None:
        return 0
    wide = (no.high - no.low) / 2
    return max(round(site.normal * ((wide / SURE) ** 2 - 1)), 0)


def _fit(decision: Decision, shares: Shares, films: Sample) -> Decision:
    return edges_by_labels(decision, shares, films, TARGETS)


def _shares(films: Sample, decision: Decision) -> dict[str, float]:
    """Return the shares of the answers among the normal and, where there are any, the abnormal films."""
    told: dict[str, float] = {}
    for kind, rows in (("normal", ~films.label), ("abnormal", films.label)):
        if rows.any():
            p = films.probability[rows]
            no, yes = float((p < decision.doubt_from).mean()), float((p >= decision.doubt_to).mean())
            told |= {f"{kind}: no": no, f"{kind}: uncertain": 1 - no - yes, f"{kind}: yes": yes}
    return told


def _redrawn(films: Sample, fit: Callable[[Sample], Decision]) -> dict[str, list[float]]:
    """Return the shares of the site's films under edges moved by patients drawn from them anew: what other such films would have given."""
    rng, found = np.random.default_rng(0), dict[str, list[float]]()
    members = [np.flatnonzero(films.cluster == group) for group in np.unique(films.cluster)]
    for _ in range(DRAWS if len(members) > 1 else 0):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        try:
            decision = fit(Sample(films.label[rows], films.probability[rows], films.cluster[rows]))
        except MeasurementError:  # too few normal films among those drawn
            continue
        for name, share in _shares(films, decision).items():
            found.setdefault(name, []).append(share)
    return found


def _ends(draws: list[float] | None) -> tuple[float | None, float | None]:
    if draws is None or len(draws) < DRAWS // 2:
        return None, None
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return low, high
