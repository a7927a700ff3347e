"""A model's card for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from osteon.cli.results import WIDE

if TYPE_CHECKING:
    from osteon.card import Calibration, Card, Decision, Int8, Metric, Scope


def show_card(card: Card) -> None:
    """Print a card: the facts, the data it learned from, its figures with their intervals, its limits."""
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    console.print(Text(f"{card.reference}: finds {card.finding}", "bold"))
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(card).items():
        if value:
            facts.add_row(Text(name, "dim"), Text(value))
    console.print(facts)
    if card.data:
        console.print(_data(card))
    if card.int8 and card.int8.costs:
        console.print(int8_costs(card.int8))
    if card.scope:
        console.print(_refusals(card.scope))
    console.print(_metrics(card) if card.metrics else Text("It carries no measured figures.", "yellow"))


def show_scope(card: Card) -> None:
    """Print what a card says of its guard."""
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    console.print(Text(_guard(card)))
    if card.scope:
        console.print(_refusals(card.scope))


def _facts(card: Card) -> dict[str, str]:
    frame, pooling = card.frame, card.pooling
    sharpness = f", sharpness {pooling.sharpness:g}" if pooling.kind == "logsumexp" else ""
    cut = "cut to the exposed part, " if frame.crop == "exposed" else ""
    shape = "shape kept" if frame.aspect == "pad" else "stretched to a square"
    return {
        "network": card.network,
        "recipe": card.recipe,
        "input": f"{frame.size} x {frame.size} pixels, {cut}{shape}, {frame.interpolation}",
        "study types": ", ".join(card.study_types),
        "evidence pooled by": f"{pooling.kind}{sharpness}, bias {pooling.bias:.4g}",
        "films pooled by": card.study_pooling,
        "calibration": _calibration(card.calibration),
        "decision": _decision(card.decision),
        "guard": _guard(card),
        "8 bits": int8_summary(card.int8) if card.int8 else "",
        "made": " ".join(p for p in (card.created, f"from commit {card.code_commit}" if card.code_commit else "") if p),
        "licence": card.licence,
        "intended use": card.intended_use,
        "limits": card.limits,
    }


def _calibration(c: Calibration) -> str:
    if c.kind == "isotonic":
        return f"isotonic, {len(c.logits)} knots, fitted on {c.split}"
    return f"slope {c.slope:.4g}, intercept {c.intercept:.4g}, fitted on {c.split}" if c.split else "none: the network's own probability"


def _decision(d: Decision) -> str:
    levels = f"yes from {d.doubt_to:.3g}, no below {d.doubt_from:.3g}; abnormal from {d.threshold:.3g}"
    return f"{levels} ({d.rule}{f', on {d.split}' if d.split else ''})"


def _guard(card: Card) -> str:
    s = card.scope
    if s is None:
        return "none: of a film unlike those it was trained on the model gives a number all the same"
    return f"novelty above {s.threshold:.3g} is out of scope ({s.rule}, on {s.split}); it knows {', '.join(card.body_parts)}"


def int8_summary(int8: Int8) -> str:
    """Return how the 8-bit form was made, and whether it is the default, in a line."""
    kept = f", {int8.kept} left in float32 for their cost on {int8.held}" if int8.kept else ""
    default = "the default" if int8.fits else "taken only with --precision int8"
    return f"{default}: {int8.layers} layers{kept}; ranges from {int8.films} films of {int8.calibrated_on} ({int8.made_with})"


def int8_costs(int8: Int8) -> Table:
    """Return what 8 bits cost on each split."""
    heads = (
        "8 bits, measured on",
        "films",
        "AUROC float32",
        "AUROC 8 bits",
        "decisions changed",
        "peaks in a box",
        "lost",
        "logit rms",
    )
    table = Table(*heads, box=None, pad_edge=False)
    for c in int8.costs:
        areas = ("-" if area is None else f"{area:.4f}" for area in (c.auroc_float32, c.auroc))
        changed = f"{c.changed:,} ({c.changed / c.films:.2%})"
        table.add_row(c.split, f"{c.films:,}", *areas, changed, f"{c.pointed:,}", f"{c.lost:,}", f"{c.shift:.3f}")
    return table


def _refusals(scope: Scope) -> Table:
    table = Table("guard, measured on", "films", "out of scope", "share", "95 % interval", "remark", box=None, pad_edge=False)
    for r in scope.measured:
        interval = "" if r.low is None or r.high is None else f"{r.low:.3f} to {r.high:.3f}"
        remark = "; ".join(part for part in ("" if r.foreign else "these are false refusals", r.note) if part)
        cells = (r.kind, f"{r.films:,}", f"{r.refused:,}", f"{r.refused / r.films:.3f}", interval, remark)
        table.add_row(*(Text(c) for c in cells))
    return table


def _data(card: Card) -> Table:
    table = Table("trained on", "split", "films", "abnormal", "studies", "licence", "fingerprint", box=None, pad_edge=False)
    for d in card.data:
        name = f"{d.name} ({d.source})" if d.source else d.name
        cells = (name, d.split, f"{d.films:,}", f"{d.abnormal_films:,}", f"{d.studies:,}", d.licence, d.fingerprint[:12])
        table.add_row(*(Text(c) for c in cells))
    return table


def _metrics(card: Card) -> Table:
    table = Table("split", "level", "group", "figure", "value", "95 % interval", "n", "abnormal", "remark", box=None, pad_edge=False)
    for m in card.metrics:
        cells = (m.split, m.level, m.group, m.name, *_value(m), f"{m.n:,}", f"{m.positives:,}", m.note)
        table.add_row(*(Text(c) for c in cells))
    return table


def _value(m: Metric) -> tuple[str, str]:
    value = "-" if m.value is None else f"{m.value:.3f}"
    return value, "" if m.low is None or m.high is None else f"{m.low:.3f} to {m.high:.3f}"
