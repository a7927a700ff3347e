"""Where a probability becomes a yes: the threshold by a stated rule, and where an answer is uncertain around it.

All on studies, with their pooled and calibrated probabilities. A threshold lies halfway between two neighbouring scores, so that it
hangs on no single study's last digit.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
import numpy as np

from osteon.card import Decision
from osteon.errors import MeasurementError, UsageError
from osteon.lab.evaluation import metrics
from osteon.lab.evaluation.metrics import Confusion, Floats, Sample

RULE_WORDS = "max-kappa, sensitivity>=0.9, specificity>=0.9, or a threshold such as 0.5"


class Rule(msgspec.Struct, frozen=True):
    """How a threshold is chosen.

    "max-kappa": the highest Cohen's kappa. "sensitivity": the highest threshold whose sensitivity is at least `target`, and so the highest
    specificity that goes with it. "specificity": the lowest whose specificity is at least `target`. "fixed": `target` itself.
    """

    kind: Literal["max-kappa", "sensitivity", "specificity", "fixed"]
    target: float = 0.0

    @property
    def option(self) -> str:
        """The rule as `read_rule` reads it."""
        return {"max-kappa": "max-kappa", "fixed": f"{self.target:g}"}.get(self.kind, f"{self.kind}>={self.target:g}")

    @property
    def words(self) -> str:
        """The rule as the card states it."""
        return {"max-kappa": "maximum kappa", "fixed": f"fixed at {self.target:g}"}.get(
            self.kind, f"{self.kind} of at least {self.target:g}"
        )


def read_rule(text: str) -> Rule:
    """Read a rule as the command line gives it.

    >>> read_rule("sensitivity>=0.9")
    Rule(kind='sensitivity', target=0.9)

    Raises:
        UsageError: it is none.
    """
    if text == "max-kappa":
        return Rule("max-kappa")
    match = re.fullmatch(r"(?:(sensitivity|specificity)>=)?(\d*\.?\d+)", text.replace(" ", ""))
    if match is None or not 0 < float(match[2]) < 1:
        raise UsageError(f"{text!r} is no rule for a threshold. Give {RULE_WORDS}.")
    return Rule("fixed" if match[1] is None else "sensitivity" if match[1] == "sensitivity" else "specificity", float(match[2]))


def read_band(text: str) -> tuple[float, float] | None:
    """Read the targets of the uncertain answers as the command line gives them.

    >>> read_band("0.95,0.9"), read_band("none")
    ((0.95, 0.9), None)

    Raises:
        UsageError: it is none.
    """
    if text == "none":
        return None
    match = re.fullmatch(r"(0?\.\d+),(0?\.\d+)", text.replace(" ", ""))
    if match is None:
        raise UsageError(f"{text!r} says nothing of --uncertain. Give sensitivity and specificity, such as 0.95,0.92, or none.")
    return float(match[1]), float(match[2])


def decide(studies: Sample, rule: Rule, doubt: tuple[float, float] | None, split: str) -> Decision:
    """Choose the threshold, and from where to where an answer is uncertain.

    Args:
        studies: Labels and calibrated probabilities of the split.
        rule: How the threshold is chosen.
        doubt: Below the uncertain answers sensitivity is at least the first, above them specificity at least the second; None: no answer
            is uncertain. Where the two targets leave none, both limits are the threshold.
        split: Name of the split, for the card.

    Raises:
        MeasurementError: all studies have one label.
    """
    if studies.label.all() or not studies.label.any():
        raise MeasurementError("a threshold cannot be chosen: all studies of the split have one label.")
    threshold = choose(studies, rule)
    if doubt is None:
        return Decision(threshold=threshold, doubt_from=threshold, doubt_to=threshold, rule=rule.words, split=split)
    low, high = choose(studies, Rule("sensitivity", doubt[0])), choose(studies, Rule("specificity", doubt[1]))
    words = f"{rule.words}; uncertain from sensitivity {doubt[0]:g} to specificity {doubt[1]:g}"
    return Decision(threshold=threshold, doubt_from=min(low, threshold), doubt_to=max(high, threshold), rule=words, split=split)


def choose(studies: Sample, rule: Rule) -> float:
    """Return the threshold that a rule chooses, in [0, 1]; of several equally good ones the middle."""
    if rule.kind == "fixed":
        return rule.target
    thresholds = cuts(studies.probability)
    c = confusions(studies, thresholds)
    if rule.kind == "sensitivity":
        return float(thresholds[metrics.sensitivity(c) >= rule.target - 1e-12].max())
    if rule.kind == "specificity":
        return float(thresholds[metrics.specificity(c) >= rule.target - 1e-12].min(initial=1.0))
    kappa = np.nan_to_num(metrics.kappa(c))
    best = np.flatnonzero(kappa >= kappa.max() - 1e-12)
    return float(thresholds[best[len(best) // 2]])


def cuts(probability: Floats) -> Floats:
    """Return every threshold that separates scores differently, ascending: 0, halfway between neighbours, and the last above all scores.

    The last is halfway to 1; scores of exactly 1 are always called abnormal.
    """
    distinct = np.unique(probability)
    return np.unique(np.r_[0.0, (distinct[:-1] + distinct[1:]) / 2, (distinct[-1] + 1) / 2])


def confusions(studies: Sample, thresholds: Floats) -> Confusion:
    """Return the counts (T,) at each threshold."""
    abnormal, normal = (np.sort(studies.probability[rows]) for rows in (studies.label, ~studies.label))
    fn, tn = (np.searchsorted(scores, thresholds, side="left").astype(np.float64) for scores in (abnormal, normal))
    return Confusion(len(abnormal) - fn, len(normal) - tn, fn, tn)
