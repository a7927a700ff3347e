"""A ladder for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from osteon.card import Metric
from osteon.lab.evaluation.comparison import Difference
from osteon.lab.evaluation.folds import AT_SPECIFICITY, POINTING
from osteon.lab.experiments.ablation.rungs import BASE, Ladder, Rung

FIGURES = {"auroc": "AUROC of films", "kappa": "kappa", AT_SPECIFICITY: "sens. at 90 % spec.", POINTING: "peak in a box"}
"""What the table shows; each rung's folder has the rest."""

BY_CHANCE = (
    "Of differences with 95 % intervals one in twenty leaves zero out by chance; another seed's trainings are not in these intervals."
)
"""What a reader of many differences should know."""


def markdown(ladder: Ladder) -> str:
    """Return the table for a page."""
    names = [name for name in FIGURES if any(name in rung.figures for rung in ladder.rungs)]
    head = ["rung", "change", *(part for name in names for part in (FIGURES[name], "difference")), "minutes"]
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'--:|' * (len(head) - 2)}"]
    for rung in ladder.rungs:
        changes = " ".join(f"`--set {change}`" for change in rung.changes)
        row = [rung.name, changes, *cells(rung, names), f"{rung.seconds / 60:.1f}"]
        lines.append(f"| {' | '.join(map(_escaped, row))} |")
    told = [f"- {text}" for text in remarks(ladder)]
    return "\n".join([*lines, "", BY_CHANCE, *(["", *told] if told else [])]) + "\n"


def remarks(ladder: Ladder) -> Iterator[str]:
    """Yield what a reader should know: of the base, and of each rung what is not said of the base."""
    base = next((rung.notes for rung in ladder.rungs if rung.name == BASE), ())
    for rung in ladder.rungs:
        known = () if rung.name == BASE else base
        for text in [rung.error] if rung.error else rung.notes:
            if text not in known:
                yield f"{rung.name}: {text}"


def cells(rung: Rung, names: Sequence[str]) -> Iterator[str]:
    """Yield a rung's figures as people read them: each with its interval, and its difference to the base with that."""
    for name in names:
        yield _shown(rung.figures.get(name), ".3f")
        yield _shown(rung.differences.get(name), "+.3f")


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _shown(figure: Metric | Difference | None, form: str) -> str:
    if figure is None or figure.value is None:
        return ""
    ends = f" ({figure.low:{form}}, {figure.high:{form}})" if figure.low is not None and figure.high is not None else ""
    return f"{figure.value:{form}}{ends}"
