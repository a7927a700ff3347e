"""An ablation study as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from osteon.card import Metric
from osteon.lab.evaluation.comparison import Difference
from osteon.lab.evaluation.folds import AT_SPECIFICITY, POINTING
from osteon.lab.experiments.ablation.ablations import BASE, Ablation, AblationStudy

FIGURES = {"auroc": "AUROC of films", "kappa": "kappa", AT_SPECIFICITY: "sens. at 90 % spec.", POINTING: "peak in a box"}
"""What the table shows; each ablation's folder has the rest."""

BY_CHANCE = (
    "Of differences with 95 % intervals one in twenty leaves zero out by chance; another seed's trainings are not in these intervals."
)
"""What a reader of many differences should know."""


def markdown(study: AblationStudy) -> str:
    """Return the table for a page."""
    names = [name for name in FIGURES if any(name in ablation.figures for ablation in study.ablations)]
    head = ["ablation", "change", *(part for name in names for part in (FIGURES[name], "difference")), "minutes"]
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'--:|' * (len(head) - 2)}"]
    for ablation in study.ablations:
        changes = " ".join(f"`--set {change}`" for change in ablation.changes)
        row = [ablation.name, changes, *cells(ablation, names), f"{ablation.seconds / 60:.1f}"]
        lines.append(f"| {' | '.join(map(_escaped, row))} |")
    told = [f"- {text}" for text in remarks(study)]
    return "\n".join([*lines, "", BY_CHANCE, *(["", *told] if told else [])]) + "\n"


def remarks(study: AblationStudy) -> Iterator[str]:
    """Yield what a reader should know: of the base, and of each ablation what is not said of the base."""
    base = next((ablation.notes for ablation in study.ablations if ablation.name == BASE), ())
    for ablation in study.ablations:
        known = () if ablation.name == BASE else base
        for text in [ablation.error] if ablation.error else ablation.notes:
            if text not in known:
                yield f"{ablation.name}: {text}"


def cells(ablation: Ablation, names: Sequence[str]) -> Iterator[str]:
    """Yield an ablation's figures as people read them: each with its interval, and its difference to the base with that."""
    for name in names:
        yield _shown(ablation.figures.get(name), ".3f")
        yield _shown(ablation.differences.get(name), "+.3f")


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _shown(figure: Metric | Difference | None, form: str) -> str:
    if figure is None or figure.value is None:
        return ""
    ends = f" ({figure.low:{form}}, {figure.high:{form}})" if figure.low is not None and figure.high is not None else ""
    return f"{figure.value:{form}}{ends}"
