"""A training's curves: loss on both splits and AUROC on the selection split, if there was one, by epoch, with the epochs that were kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from osteon.lab.drawing import BLUE, GREEN, GREY, ORANGE, PAGE, drawn
from osteon.lab.progress import Epoch


def draw_curves(history: Sequence[Epoch], kept: Sequence[int], path: Path) -> Path:
    """Draw the epochs of a training (PNG, 183 mm wide).

    Args:
        history: At least one epoch.
        kept: The epochs (from 0) whose weights are kept, best first.
        path: PNG.
    """
    epochs = [p.epoch + 1 for p in history]
    with drawn(path, (PAGE, 2.5), layout="constrained", paper=True) as figure:
        selected = any(p.select_loss is not None for p in history)
        loss, rate, *others = figure.subplots(1, 3 if selected else 2)
        loss.plot(epochs, [p.loss for p in history], "o-", color=BLUE, label="training films, augmented")
        loss.set(ylabel="loss")
        rate.plot(epochs, [p.rate for p in history], "o-", color=GREY)
        rate.set(ylabel="learning rate at the epoch's end", ylim=(0, None))
        for area in others:
            loss.plot(epochs, _numbers(p.select_loss for p in history), "s--", color=ORANGE, label="selection split")
            area.plot(epochs, _numbers(p.select_auroc for p in history), "s--", color=ORANGE)
            area.set(ylabel="AUROC, selection split")
            _mark_kept(area, history, kept)
        for axes in (loss, rate, *others):
            axes.set_xlabel("epoch")
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)  # or a single epoch has ticks at fractions
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(axis="y", linewidth=0.3)
        loss.set_ylim(0, None)  # when all is drawn: it ends the limits' fitting
        loss.legend(loc="best")
    return path


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _mark_kept(axes: Axes, history: Sequence[Epoch], kept: Sequence[int]) -> None:
    """Ring the kept epochs, the best one filled."""
    found = {p.epoch: p.select_auroc for p in history if p.select_auroc is not None}
    rings = [(epoch + 1, found[epoch]) for epoch in kept if epoch in found]
    if rings:
        axes.plot(*zip(*rings, strict=True), "o", color=GREEN, markerfacecolor="none", markersize=8, label="kept")
        axes.plot(*rings[0], "o", color=GREEN, markersize=5, label="best, in the model")
        axes.legend(loc="best")
