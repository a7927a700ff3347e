"""A search as one figure: what each trial reached, and how much each setting matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from osteon.lab.drawing import BLUE, COLUMN, GREY, ORANGE, RED, panels
from osteon.lab.experiments.tuning.results import Tuned

_LOOKS = {
    "finished": (BLUE, "o", "finished"),
    "pruned": (ORANGE, "x", "pruned, last epoch"),
    "diverged": (RED, "v", "diverged, last epoch"),
}


def draw_tuning(tuned: Tuned, path: Path) -> Path | None:
    """Draw trials and importance as PNG; None where no trial has an AUROC yet."""
    if all(trial.auroc is None for trial in tuned.trials):
        return None
    bars = len(tuned.importance)
    heights = [2.2, 0.5 + 0.17 * bars] if bars else [2.2]
    with panels(path, (COLUMN, sum(heights)), heights) as axes:
        _trials(axes[0], tuned)
        if bars:
            _importance(axes[1], tuned)
    return path


def _trials(axes: Axes, tuned: Tuned) -> None:
    for state, (colour, mark, name) in _LOOKS.items():
        points = [(t.number, t.auroc) for t in tuned.trials if t.state == state and t.auroc is not None]
        if points:
            axes.plot(*zip(*points, strict=True), mark, color=colour, markersize=4, label=name)
    finished = [t for t in tuned.trials if t.state == "finished" and t.auroc is not None]
    if finished:
        numbers = [t.number for t in finished]
        best = np.maximum.accumulate([t.auroc or 0.0 for t in finished])
        axes.step(numbers, best, where="post", color=GREY, linewidth=0.8, label="best so far")
    if tuned.base is not None and (own := tuned.trial(tuned.base).auroc) is not None:
        axes.axhline(own, color=GREY, linewidth=0.6, linestyle=":", label="unchanged recipe")
    axes.set(xlabel="trial", ylabel=f"AUROC of films, split {tuned.plan.select}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")


def _importance(axes: Axes, tuned: Tuned) -> None:
    shares = sorted(tuned.importance.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in shares], [share for _, share in shares], height=0.65, color=BLUE)
    for row, (_, share) in enumerate(shares):
        axes.text(share, row, f" {share:.2f}", va="center", fontsize=6.5)
    axes.set(xlabel="share of the AUROC's variance (fANOVA)", xlim=(0, max(share for _, share in shares) * 1.15))
