"""The curves of an evaluation, for a paper's column of 86 mm.

Each line has a dash or a mark of its own. No figure names a patient or a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from osteon.card import Metric
from osteon.lab.drawing import BLUE, COLUMN, GREEN, GREY, ORANGE, PURPLE, RED, panels
from osteon.lab.evaluation import bootstrap, metrics, published
from osteon.lab.evaluation.evaluation import ALL, Evaluation, Table
from osteon.lab.evaluation.metrics import Floats, Sample

_SIZE = (COLUMN, 3.2)
_TYPE = "study_type="  # how the name of a subgroup begins
_CURVES = 400  # resamples that a band is drawn from
_GRID = np.linspace(0, 1, 201)


def draw_evaluation(evaluation: Evaluation, tables: Sequence[Table], folder: Path) -> list[Path]:
    """Draw all figures of an evaluation into a folder; returns the files. Curves are left out where a class is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(tables) == 2 and len(tables[0].rows) == len(tables[1].rows):  # each study is one film: one curve says both
        tables = tables[1:]
    files = [draw_reliability({_level(t): t.sample for t in tables[:1]}, folder / "reliability.png")]
    if 0 < tables[0].sample.label.sum() < len(tables[0].sample):
        files += [
            draw_roc(evaluation, tables, folder / "roc.png"),
            draw_precision_recall(evaluation, tables, folder / "precision-recall.png"),
        ]
    if any(m.name == "kappa" and m.value is not None for m in evaluation.metrics):
        files.append(draw_kappa(evaluation, folder / "kappa.png"))
    return files


def draw_roc(evaluation: Evaluation, tables: Sequence[Table], path: Path) -> Path:
    """Draw sensitivity against false-positive rate, with the studies' pointwise 95 % band and the operating point."""
    with panels(path, _SIZE) as [axes]:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
        for table, look in zip(tables, _LOOKS, strict=False):
            false, true, _ = _curve(table.sample, np.ones((1, len(table.sample))))
            axes.plot(false[0], true[0], label=_labelled(evaluation, table, "auroc", "AUROC"), **look)
        _roc_band(axes, tables[0])
        sensitivity, specificity = (evaluation.find("study", ALL, name) for name in ("sensitivity", "specificity"))
        if sensitivity and specificity and sensitivity.value is not None and specificity.value is not None:
            point = _mark(axes, 1 - specificity.value, sensitivity.value, BLUE, "o", f"threshold {evaluation.plan.threshold:.2f}")
            point.set_zorder(5)
        if published.is_mura(evaluation.datasets):
            _mark(axes, 1 - published.PAPER_SPECIFICITY, published.PAPER_SENSITIVITY, RED, "D", "MURA paper's model (other studies)")
        _square(axes, "1 - specificity", "sensitivity")
        axes.legend(loc="lower right")
    return path


def draw_precision_recall(evaluation: Evaluation, tables: Sequence[Table], path: Path) -> Path:
    """Draw PPV against sensitivity, as steps, with the prevalence as the line that chance gives."""
    with panels(path, _SIZE) as [axes]:
        for table, look in zip(tables, _LOOKS, strict=False):
            _, recall, precision = _curve(table.sample, np.ones((1, len(table.sample))))
            label = _labelled(evaluation, table, "average precision", "AP")
            axes.step(recall[0, 1:], precision[0, 1:], where="pre", label=label, **look)
        prevalence = float(tables[0].sample.label.mean())
        axes.axhline(prevalence, color=GREY, linewidth=0.6, linestyle=":", label=f"prevalence {prevalence:.2f}")
        _square(axes, "sensitivity (recall)", "PPV (precision)")
        axes.legend(loc="lower left")
    return path


def draw_reliability(samples: dict[str, Sample], path: Path) -> Path:
    """Draw the abnormal share against the mean probability of each bin, with score intervals on the bin's patients, over a histogram.

    Args:
        samples: By name, at most three: one, or before and after calibration.
        path: PNG.
    """
    with panels(path, (COLUMN, 4.3), (4, 1)) as (axes, below):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":", label="perfectly calibrated")
        for i, ((name, sample), look) in enumerate(zip(samples.items(), _LOOKS, strict=False)):
            bins = _reliability_bins(sample)
            ece = float(metrics.calibration_error(sample.label, sample.probability, np.ones((1, len(sample))))[0])
            spread = np.abs(np.stack([bins.low, bins.high]) - bins.share)
            marks: dict[str, Any] = {"marker": "os^"[i], "markersize": 3.5, "capsize": 1.5, "elinewidth": 0.7}
            axes.errorbar(bins.mean, bins.share, spread, label=f"{name}: ECE {ece:.3f}", **marks, **look)
            below.hist(sample.probability, bins=np.linspace(0, 1, metrics.BINS * 2 + 1).tolist(), histtype="step", **look)
        _square(axes, "", "share abnormal")
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0))
        below.set(xlabel="probability", ylabel="count", xlim=(-0.02, 1.02))
    return path


def draw_kappa(evaluation: Evaluation, path: Path) -> Path:
    """Draw the studies' kappa by study type with its interval; of MURA's films beside the paper's radiologists and model."""
    found = [m for m in evaluation.metrics if m.name == "kappa" and m.level == "study" and m.value is not None]
    rows = [m for m in found if m.group == ALL or m.group.startswith(_TYPE)][::-1]
    names = [m.group.removeprefix(_TYPE) for m in rows]
    beside = published.is_mura(evaluation.datasets) and set(names) <= set(published.PAPER_KAPPA) and len(names) > 1
    with panels(path, (COLUMN, 0.9 + 0.3 * len(rows) + (0.35 if beside else 0))) as [axes]:
        axes.plot([], [], "o-", color=BLUE, markersize=4, label="this model, 95 % interval")
        for y, metric in enumerate(rows):
            _kappa_bar(axes, y, metric)
        for reader, (colour, marker) in enumerate(zip((ORANGE, GREEN, PURPLE, RED), "s^vD", strict=True)) if beside else ():
            kappas = [published.PAPER_KAPPA[name][reader] for name in names]
            places = [y - 0.3 for y in range(len(names))]
            axes.plot(kappas, places, marker, color=colour, markersize=3.5, label=published.READERS[reader])
        if beside:
            axes.plot([], [], " ", label="(207 other studies)")
        axes.set_yticks(range(len(names)), [name if name == ALL else name.capitalize() for name in names])
        axes.set(xlabel="Cohen's kappa, studies", ylim=(-0.7, len(names) - 0.4))
        axes.grid(axis="x", linewidth=0.3)
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, handletextpad=0.2, columnspacing=1)
    return path


_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": GREEN, "linestyle": "-."},
)


def _curve(sample: Sample, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return false-positive rate, sensitivity and PPV (B, U + 1) at every distinct score, from none called to all."""
    order = np.argsort(-sample.probability, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(sample.probability[order]) != 0, True])
    positive, negative = (np.cumsum(weights[:, order] * rows[order], axis=1)[:, last] for rows in (sample.label, ~sample.label))
    none = np.zeros((len(weights), 1))
    true, false = np.hstack([none, positive]), np.hstack([none, negative])
    precision = np.divide(true, true + false, out=np.ones_like(true), where=true + false > 0)
    return false / np.maximum(false[:, -1:], 1e-12), true / np.maximum(true[:, -1:], 1e-12), precision


def _roc_band(axes: Axes, table: Table) -> None:
    curves = []
    for weights in bootstrap.film_weights(table.sample, table.weights[:_CURVES]):
        false, true, _ = _curve(table.sample, weights)
        curves += [np.interp(_GRID, f, t) for f, t in zip(false, true, strict=True) if f[-1] > 0 and t[-1] > 0]
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    axes.fill_between(_GRID, low, high, color=BLUE, alpha=0.15, linewidth=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Bins:
    mean: Floats
    share: Floats
    low: Floats
    high: Floats


def _reliability_bins(sample: Sample) -> _Bins:
    place = metrics.bin_of(sample.probability)
    found = []
    for k in np.unique(place):
        rows = place == k
        share, patients = float(sample.label[rows].mean()), len(np.unique(sample.cluster[rows]))
        found.append((float(sample.probability[rows].mean()), share, *bootstrap.wilson(share, patients, 1.96)))
    return _Bins(*(np.array(column) for column in zip(*found, strict=True)))


def _kappa_bar(axes: Axes, y: int, metric: Metric) -> None:
    if metric.value is None:
        return
    if metric.low is not None and metric.high is not None:
        axes.plot([metric.low, metric.high], [y, y], color=BLUE, linewidth=1.6, solid_capstyle="butt", zorder=3)
    axes.plot(metric.value, y, "o", color=BLUE, markersize=4, zorder=4)


def _labelled(evaluation: Evaluation, table: Table, name: str, short: str) -> str:
    metric = evaluation.find(table.level, ALL, name)
    if metric is None or metric.value is None:
        return _level(table)
    interval = f" ({metric.low:.3f}, {metric.high:.3f})" if metric.low is not None and metric.high is not None else ""
    return f"{_level(table)}: {short} {metric.value:.3f}{interval}"


def _level(table: Table) -> str:
    return "studies" if table.level == "study" else "films"


def _mark(axes: Axes, x: float, y: float, colour: str, marker: str, label: str) -> Line2D:
    [line] = axes.plot([x], [y], marker, color=colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6, label=label)
    return line


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
