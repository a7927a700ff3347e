"""A network as a picture that a person can follow from the film down to the logit.

A row is a stage: a square for the size of its maps, a bar for how many they are (to scale), what it does, and its share of the weights and
of the work. A dense block's bar is made of what came in and of what each layer added: the concatenation. Below, one block from inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from osteon.lab.drawing import BLUE, GREEN, ORANGE, PURPLE, RED, plain
from osteon.lab.drawing import PAGE as WIDE
from osteon.lab.training.networks.summary import Stage, Summary

ROW, HEAD, INSIDE = 0.56, 0.5, 2.75  # inches

_SQUARE, _BAR, _NUMBERS = 0.42, 1.25, 6.25  # where the squares are centred, the bars begin, and the numbers end
_BAR_WIDE = 3.1
_INK, _SOFT, _PALE = "#1d2329", "#55606b", "#c9d1d8"
_COLOURS = {
    "film": "#9aa5af",
    "convolution": "#56B4E9",
    "dense block": BLUE,
    "transition": ORANGE,
    "bottlenecks": BLUE,
    "norm": "#9aa5af",
    "pyramid": GREEN,
    "evidence": RED,
    "logit": RED,
}
_ADDED = ("#56B4E9", GREEN, ORANGE, PURPLE, "#8c6d1f")
"""What each layer added, in turn (Okabe and Ito's colours)."""


def draw_network(network: Summary, path: Path) -> Path:
    """Draw a network into a PNG of 183 mm, two columns of a paper."""
    typical = _typical(network.stages)
    high = HEAD + ROW * len(network.stages) + (INSIDE if typical else 0.1)
    with plain(path, (WIDE, high)) as axes:
        _heading(axes, network)
        for i, stage in enumerate(network.stages):
            _row(axes, network, stage, HEAD + ROW * i)
        _skips(axes, network.stages)
        if typical:
            _inside(axes, typical, HEAD + ROW * len(network.stages) + 0.1)
    return path


def described(network: Summary) -> str:
    """Return the picture in words, for those who do not see it."""
    rows = (f"{s.name}: {s.does} ({s.outputs.maps} x {s.outputs.height} x {s.outputs.width})" for s in network.stages)
    return f"{network.network}, from the film to the logit. " + "; ".join(rows) + "."


def _typical(stages: Sequence[Stage]) -> Stage | None:
    """Return the stage that is shown from inside: the first dense block, or the first bottlenecks that add their input."""
    inner = [s for s in stages if s.kind == "dense block" or (s.kind == "bottlenecks" and s.residual)]
    return inner[0] if inner else None


def _heading(axes: Axes, network: Summary) -> None:
    words = f"{network.network}: {network.parameters / 1e6:.2f} million weights, {network.flops / 1e9:.2f} GFLOP a film"
    axes.text(0.1, 0.17, words, fontsize=9, weight="bold", color=_INK, va="center")
    for x, text, align in ((_SQUARE, "side", "center"), (_BAR, "maps, to scale", "left"), (_NUMBERS, "share of weights", "right")):
        axes.text(x, 0.4, text, fontsize=6.5, color=_SOFT, va="center", ha=align)
    axes.text(WIDE - 0.3, 0.4, "of work", fontsize=6.5, color=_SOFT, va="center", ha="right")


def _row(axes: Axes, network: Summary, stage: Stage, top: float) -> None:
    shape, colour = stage.outputs, _COLOURS[stage.kind]
    side = max(0.04, 0.36 * (shape.height / network.size) ** 0.5)
    axes.add_patch(Rectangle((_SQUARE - side / 2, top + 0.27 - side / 2), side, side, facecolor=colour, edgecolor="none", alpha=0.85))
    size = f"{shape.height} x {shape.width}" if shape.height > 1 else "one number"
    axes.text(_SQUARE + 0.23, top + 0.27, size, fontsize=6.2, color=_SOFT, va="center")
    if stage.kind != "logit":
        _arrow(axes, (_SQUARE, top + 0.48), (_SQUARE, top + ROW + 0.05))
    kept = {0: "", stage.layers: "   (frozen)"}.get(stage.frozen, f"   ({stage.frozen} of {stage.layers} frozen)")
    words = axes.annotate(stage.name, (_BAR, top + 0.1), fontsize=7.5, weight="bold", color=_INK, va="center")
    axes.annotate(
        stage.does + kept, (1, 0.5), xycoords=words, xytext=(5, 0), textcoords="offset points", color=_SOFT, fontsize=7, va="center"
    )
    end = _bar(axes, stage, top + 0.24, _BAR_WIDE / max(s.outputs.maps for s in network.stages))
    came = f" = {stage.pieces[0]} + {len(stage.pieces) - 1} x {stage.pieces[1]}" if len(stage.pieces) > 1 else ""
    maps = "number" if stage.kind == "logit" else "map" if shape.maps == 1 else "maps"
    axes.text(end + 0.06, top + 0.33, f"{shape.maps:,} {maps}{came}", fontsize=6.8, color=_INK, va="center")
    if stage.parameters:
        for x, share in ((_NUMBERS, stage.parameters / network.parameters), (WIDE - 0.3, stage.flops / network.flops)):
            axes.text(x, top + 0.33, _percent(share), fontsize=6.8, color=_INK, va="center", ha="right")


def _bar(axes: Axes, stage: Stage, top: float, scale: float) -> float:
    """Draw a stage's maps side by side; returns where the bar ends."""
    left, high = _BAR, 0.18
    for i, piece in enumerate(stage.pieces):
        colour = _COLOURS[stage.kind] if i == 0 and len(stage.pieces) == 1 else _PALE if i == 0 else _added(i)
        wide = max(piece * scale, 0.012)
        axes.add_patch(Rectangle((left, top), wide, high, facecolor=colour, edgecolor="white", linewidth=0.25))
        left += wide
    return left


def _skips(axes: Axes, stages: Sequence[Stage]) -> None:
    """Draw what a stage reads besides the one before it, as a line on the right."""
    place = {stage.name: i for i, stage in enumerate(stages)}
    jumps = sorted({(place[source], i) for i, stage in enumerate(stages) for source in stage.reads if place[source] != i - 1})
    for lane, (source, reader) in enumerate(jumps):
        x = WIDE - 0.22 + 0.09 * lane
        start, end = HEAD + ROW * source + 0.4, HEAD + ROW * reader + 0.27
        axes.plot([WIDE - 0.27, x, x], [start, start, end], color=_COLOURS["pyramid"], linewidth=1.1)
        _arrow(axes, (x, end), (WIDE - 0.28, end), _COLOURS["pyramid"])


def _inside(axes: Axes, stage: Stage, top: float) -> None:
    axes.plot([0.1, WIDE - 0.1], [top, top], color=_PALE, linewidth=0.8)
    if stage.kind == "dense block":
        axes.text(0.1, top + 0.17, f"Inside {stage.name}: nothing is thrown away", fontsize=9, weight="bold", color=_INK, va="center")
        _concatenation(axes, stage, top + 0.35)
    else:
        axes.text(0.1, top + 0.17, f"Inside {stage.name}: one inverted bottleneck", fontsize=9, weight="bold", color=_INK, va="center")
        _bottleneck(axes, stage, top + 0.35)


def _concatenation(axes: Axes, stage: Stage, top: float) -> None:
    """Draw the pile of maps after each layer: what is there is handed on, and the layer's own maps are put on top."""
    growth, shown = stage.pieces[1], min(4, stage.layers)
    wide, high, gap = 0.42, 1.55, 1.29
    scale = high / sum(stage.pieces[: shown + 1])
    floor = top + high + 0.12
    for layer in range(shown + 1):
        left = 0.2 + gap * layer
        for i, (piece, end) in enumerate(zip(stage.pieces[: layer + 1], accumulate(stage.pieces[: layer + 1]), strict=True)):
            colour = _PALE if i == 0 else _added(i)
            where = (left, floor - end * scale)
            axes.add_patch(Rectangle(where, wide, piece * scale, facecolor=colour, edgecolor="white", linewidth=0.6))
            label = "came in" if i == 0 else f"layer {i}"
            axes.text(left + wide / 2, where[1] + piece * scale / 2, label, fontsize=5.6, color=_INK, va="center", ha="center")
        maps = sum(stage.pieces[: layer + 1])
        axes.text(left + wide / 2, floor + 0.1, f"{maps} maps", fontsize=6.8, color=_INK, va="center", ha="center")
        if layer < shown:
            _handed_on(axes, (left + wide, left + gap), (floor - maps * scale, floor))
            middle = (left + wide + left + gap) / 2
            _layer(axes, stage, layer + 1, (middle, floor - maps * scale / 2))
            start, new = (middle, floor - maps * scale / 2 - 0.18), (left + gap - 0.02, floor - (maps + growth / 2) * scale)
            _arrow(axes, start, new, _added(layer + 1), bend=-0.3)
    left = 0.2 + gap * shown + wide + 0.1
    if stage.layers > shown:
        more = f"... and so on\nto layer {stage.layers}:\n{sum(stage.pieces)} maps"
        axes.text(left, floor - 0.6, more, fontsize=7, color=_INK, va="center")
    _, narrow, new_maps = stage.steps
    words = (
        f"Each layer reads the whole pile: norm, ReLU, {narrow.does} to {narrow.maps} maps; norm, ReLU, {new_maps.does} to {new_maps.maps} "
        "new maps, which are put\non the pile (concatenation). So every layer sees all that were made before it, and the last still sees "
        "what came in."
    )
    axes.text(0.1, floor + 0.42, words, fontsize=7, color=_SOFT, va="center", linespacing=1.4)


def _layer(axes: Axes, stage: Stage, number: int, at: tuple[float, float]) -> None:
    x, y = at
    _, narrow, _ = stage.steps
    wide, high = 0.66, 0.36
    axes.add_patch(Rectangle((x - wide / 2, y - high / 2), wide, high, facecolor="white", edgecolor=_added(number), linewidth=1.2))
    axes.text(x, y - 0.08, f"layer {number}", fontsize=6.4, weight="bold", color=_INK, va="center", ha="center")
    axes.text(x, y + 0.08, f"1x1 to {narrow.maps}, 3x3", fontsize=5.2, color=_SOFT, va="center", ha="center")


def _handed_on(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.add_patch(Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], facecolor=_PALE, edgecolor="none", alpha=0.3, zorder=0))


def _bottleneck(axes: Axes, stage: Stage, top: float) -> None:
    """Draw the maps of one inverted bottleneck, widened and narrowed again, and the input that is added to its output."""
    most, high = max(step.maps for step in stage.steps), 1.25
    middle, gap = top + 0.2 + high / 2, 1.75
    for i, step in enumerate(stage.steps):
        left, tall = 0.45 + gap * i, max(0.1, high * step.maps / most)
        axes.add_patch(Rectangle((left, middle - tall / 2), 0.3, tall, facecolor=_COLOURS["bottlenecks"], edgecolor="none", alpha=0.85))
        axes.text(left + 0.15, middle + tall / 2 + 0.1, f"{step.maps} maps", fontsize=6.8, color=_INK, va="center", ha="center")
        if i:
            _arrow(axes, (left - gap + 0.36, middle), (left - 0.05, middle))
            axes.text(left - gap / 2 + 0.15, middle - 0.11, step.does, fontsize=6.4, color=_INK, va="center", ha="center")
    first, last = 0.6, 0.6 + gap * (len(stage.steps) - 1)
    narrow = max(0.1, high * stage.steps[-1].maps / most) / 2
    axes.plot([first, first, last], [middle - narrow, top + 0.05, top + 0.05], color=_COLOURS["transition"], linewidth=1.3)
    _arrow(axes, (last, top + 0.05), (last, middle - narrow - 0.02), _COLOURS["transition"])
    axes.text((first + last) / 2, top - 0.03, "the input is added", fontsize=6.6, color=_SOFT, va="center", ha="center")
    words = (
        "Few maps travel from layer to layer; inside, a 1 x 1 convolution widens them, each wide map is filtered alone (which is cheap), "
        "and another\n1 x 1 convolution narrows them again. Norm and ReLU6 follow the first two; the last has no ReLU6: little is lost."
    )
    axes.text(0.1, middle + high / 2 + 0.55, words, fontsize=7, color=_SOFT, va="center", linespacing=1.4)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = _SOFT, bend: float = 0) -> None:
    style: dict[str, Any] = {"connectionstyle": f"arc3,rad={bend}", "arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color=colour, linewidth=0.9, **style))


def _added(layer: int) -> str:
    return _ADDED[(layer - 1) % len(_ADDED)]


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
