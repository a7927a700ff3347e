"""What a model is worth, in a sentence or two, and what to do where it is no good."""

from __future__ import annotations

from osteon.card import Metric
from osteon.card_text import interval, number
from osteon.lab.evaluation.evaluation import ALL, Evaluation

CLEAR = 0.7
"""AUROC that the whole interval has to reach to be called good at telling films apart."""
ADVICE = (
    "What may help: labels that fit the films (the failures in osteon report), no shortcut in the data (osteon explore), more films or "
    "epochs, a start from the packaged model (osteon train --init packaged)."
)
"""What to do with a model that is no better than chance."""


def verdict(evaluation: Evaluation) -> str:
    """Return what a model is worth on the studies that were measured."""
    area, sensitivity, specificity = (evaluation.find("study", ALL, name) for name in ("auroc", "sensitivity", "specificity"))
    if area is None or area.value is None:
        return f"Whether it tells abnormal from normal could not be measured: {(area and area.note) or 'not measured'}."
    counts = evaluation.counts
    films = f"{counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal) of split {evaluation.plan.split!r}"
    words = f"{worth(area)} on {films}, where 1 is perfect and 0.5 is chance."
    if no_better(area):
        return f"{words} {ADVICE}"
    if sensitivity and specificity and sensitivity.value is not None and specificity.value is not None:
        found, alarms = f"{sensitivity.value:.0%}", f"{1 - specificity.value:.0%}"
        words += f" At its threshold it finds {found} of the abnormal studies; {alarms} of the normal ones raise a false alarm."
    return words.replace("%", " %")


def worth(area: Metric) -> str:
    """Return what a measured AUROC says.

    >>> from functools import partial
    >>> area = partial(Metric, split="valid", level="study", group="all", name="auroc")
    >>> worth(area(value=0.52, low=0.44, high=0.6))
    'No better than chance: AUROC 0.520 (0.440, 0.600)'
    """
    if area.high is not None and area.high < 0.5:
        how = "Worse than chance, as if labels were the wrong way round"
    elif area.low is None:
        how = "Too few patients or groups to tell from chance"
    elif no_better(area):
        how = "No better than chance"
    else:
        how = "Good at telling abnormal from normal" if area.low >= CLEAR else "Better than chance, but not good"
    return f"{how}: AUROC {number(area.value)} {interval(area.low, area.high)}".rstrip()


def no_better(area: Metric) -> bool:
    """Return whether an AUROC has not been shown to be better than chance."""
    return area.low is not None and area.low <= 0.5
