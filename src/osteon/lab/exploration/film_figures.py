"""Figures of what was measured of films: sizes, shapes, grey levels, and possible shortcuts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from osteon.lab.drawing import GREY
from osteon.lab.exploration.count_figures import shown_types, title
from osteon.lab.exploration.counts import measured
from osteon.lab.exploration.records import ABNORMAL, ALL, NORMAL, UNLABELLED, WORDS, Exploration
from osteon.lab.exploration.sheet import LABEL_COLOURS, MARKERS, SPLIT_COLOURS, Mark, add_legend, draw_mark, name_rows, place, sheet

MOST_ATTRIBUTES = 20
"""How many attributes a figure shows."""

_ASPECTS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 6, 10)
_SIDES = (30, 100, 300, 1000, 3000, 10_000)
_DASHES = {0: "-", 1: "--", None: ":"}
_ALONE, _WITHIN = Mark(LABEL_COLOURS[NORMAL]), Mark(SPLIT_COLOURS[3], "s", hollow=True)


def draw_sizes(e: Exploration, films: pl.DataFrame, path: Path) -> None:
    """Draw width against height of every size by label; the area of a mark is the share of the label's films."""
    table = films.drop_nulls(["width", "height"]).group_by("label", "width", "height").len()
    labels = [label for label in _DASHES if table["label"].eq_missing(label).any()]
    sides = np.concatenate([table["width"].to_numpy(), table["height"].to_numpy()])
    low, high = 0.9 * float(sides.min()), 1.1 * float(sides.max())
    scale = "log" if high > 10 * low else "linear"
    ticks = [tick for tick in _SIDES if low <= tick <= high]
    with sheet(path, e.origin, 2.15 if len(labels) > 1 else 3.2, (1,) * len(labels)) as panels:
        for axes, label in zip(panels, labels, strict=True):
            part = table.filter(pl.col("label").eq_missing(label))
            axes.plot([low, high], [low, high], color=GREY, linewidth=0.5, linestyle=":")
            area = 1 + 300 * part["len"].to_numpy() / part["len"].sum()
            axes.scatter(part["width"], part["height"], area, color=LABEL_COLOURS[WORDS[label]], alpha=0.45, linewidth=0)
            axes.set(xscale=scale, yscale=scale, xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="width, pixels")
            if scale == "log":
                axes.set(xticks=ticks, yticks=ticks, xticklabels=ticks, yticklabels=ticks)
                axes.minorticks_off()
            axes.set_title(f"{WORDS[label]} ({part['len'].sum():,})")
        panels[0].set(ylabel="height, pixels")


def draw_aspects(e: Exploration, films: pl.DataFrame, path: Path) -> None:
    """Draw the distribution of width / height by label."""
    aspects = measured(films).select("label", "aspect").drop_nulls("aspect")
    values = aspects["aspect"].to_numpy()
    low, high = 0.95 * float(values.min()), 1.05 * float(values.max())
    with sheet(path, e.origin, 2.0) as [axes]:
        for label, dash in _DASHES.items():
            mine = values[aspects["label"].eq_missing(label).to_numpy()]
            if len(mine):
                word, share = WORDS[label], np.full(len(mine), 100 / len(mine))
                axes.hist(
                    mine,
                    np.geomspace(low, high, 41).tolist(),
                    weights=share,
                    histtype="step",
                    color=LABEL_COLOURS[word],
                    linestyle=dash,
                    linewidth=1.2,
                    label=f"{word} ({len(mine):,})",
                )
        axes.set_xscale("log")
        axes.set_xticks([tick for tick in _ASPECTS if 0.9 * low <= tick <= 1.1 * high])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set(xlabel="width / height (above 1: wider than high)", ylabel="share of films, %")
        add_legend(axes, 3)


def draw_greys(e: Exploration, path: Path) -> None:
    """Draw the grey levels of sampled films by study type and label: 1 to 99 %, 25 to 75 %, median."""
    types = [ALL, *[t for t in shown_types(e) if any(r.study_type == t for r in e.ranges)]]
    labels = [word for word in (NORMAL, ABNORMAL, UNLABELLED) if any(r.label == word for r in e.ranges)]
    with sheet(path, e.origin, 0.85 + 0.24 * len(types)) as [axes]:
        for found in (r for r in e.ranges if r.study_type in types):
            y, colour = types.index(found.study_type) + place(labels.index(found.label), len(labels), 0.64), LABEL_COLOURS[found.label]
            axes.plot([found.p1, found.p99], [y, y], color=colour, linewidth=0.8)
            axes.plot([found.p25, found.p75], [y, y], color=colour, linewidth=3, solid_capstyle="butt")
            axes.plot(found.p50, y, "|", color="black", markersize=5)
        for word in labels:
            axes.plot([], [], color=LABEL_COLOURS[word], linewidth=3, label=word)
        name_rows(axes, [title(t) for t in types])
        axes.set(xlabel="grey level, 0 black to 1 white", xlim=(-0.02, 1.02))
        add_legend(axes, len(labels))


def draw_shortcuts(e: Exploration, path: Path) -> None:
    """Draw the AUROC of each attribute alone with its interval, over all films and within study types."""
    rows = [a for a in e.attributes if a.auroc is not None][:MOST_ATTRIBUTES]
    ends = [end for a in rows for end in (a.auroc, a.low, a.high, a.within, a.within_low, a.within_high) if end is not None]
    edge = min(0.52, max(0.1, *(abs(end - 0.5) for end in ends)) + 0.02)
    with sheet(path, e.origin, 1.1 + 0.2 * len(rows)) as [axes]:
        axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        for y, a in enumerate(rows):
            draw_mark(axes, y - 0.15, (a.auroc, a.low, a.high), _ALONE)
            draw_mark(axes, y + 0.15, (a.within, a.within_low, a.within_high), _WITHIN)
        for mark, word in ((_ALONE, "all films"), (_WITHIN, "within study types")):
            axes.plot([], [], linestyle="", label=word, **mark.look)
        name_rows(axes, [a.name + (" *" if a.sampled else "") for a in rows])
        axes.set(xlim=(0.5 - edge, 0.5 + edge), xlabel="AUROC alone\n← more in normal | more in abnormal →")
        axes.grid(axis="x", linewidth=0.3)
        add_legend(axes, 2)


def draw_hardware(e: Exploration, path: Path) -> None:
    """Draw the share of films with metal implants by study type and label, with its interval."""
    types = [ALL, *[t for t in shown_types(e) if any(s.study_type == t for s in e.hardware)]]
    labels = [word for word in (NORMAL, ABNORMAL, UNLABELLED) if any(s.label == word for s in e.hardware)]
    marks = {word: Mark(LABEL_COLOURS[word], MARKERS[k]) for k, word in enumerate(labels)}
    with sheet(path, e.origin, 0.85 + 0.24 * len(types)) as [axes]:
        for s in (s for s in e.hardware if s.study_type in types):
            y = types.index(s.study_type) + place(labels.index(s.label), len(labels), 0.5)
            low, high = (None if end is None else 100 * end for end in (s.low, s.high))
            draw_mark(axes, y, (100 * s.share, low, high), marks[s.label])
        for word, mark in marks.items():
            axes.plot([], [], linestyle="", label=word, **mark.look)
        name_rows(axes, [title(t) for t in types])
        axes.set(xlabel="films with metal implants, %")
        axes.set_xlim(left=-1)
        axes.grid(axis="x", linewidth=0.3)
        add_legend(axes, len(labels))
