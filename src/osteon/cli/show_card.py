"""A model's card for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from osteon.cli.results import WIDE

if TYPE_CHECKING:
    from osteon.card import Calibration, Card, Decision, Metric


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
    console.print(_metrics(card) if card.metrics else Text("It carries no measured figures.", "yellow"))


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
