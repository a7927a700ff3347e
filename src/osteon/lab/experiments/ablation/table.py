"""An ablation study as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from osteon.card import Metric
from osteon.card_text import interval
from osteon.lab.evaluation.comparison import Difference
from osteon.lab.evaluation.folds import AT_SPECIFICITY, POINTING
from osteon.lab.experiments.ablation.ablations import BASE, Ablation, AblationStudy
from osteon.lab.pages import markdown_table

METRICS = {"auroc": "AUROC of films", "kappa": "kappa", AT_SPECIFICITY: "sens. at 90 % spec.", POINTING: "pointing accuracy"}
"""What the table shows; each ablation's folder has the rest."""

BY_CHANCE = (
    "Of differences with 95 % intervals one in twenty leaves zero out by chance; another seed's trainings are not in these intervals."
)
"""What a reader of many differences should know."""


def markdown(study: AblationStudy) -> str:
    """Return the table for a page."""
    names = [name for name in METRICS if any(name in ablation.metrics for ablation in study.ablations)]
    head = ["ablation", "change", *(part for name in names for part in (METRICS[name], "difference")), "minutes"]
    rows = []
    for ablation in study.ablations:
        changes = " ".join(f"`--set {change}`" for change in ablation.changes)
        rows.append((ablation.name, changes, *cells(ablation, names), f"{ablation.seconds / 60:.1f}"))
    told = [f"- {text}" for text in remarks(study)]
    return "\n".join([*markdown_table(head, rows, words=(1,)), "", BY_CHANCE, *(["", *told] if told else [])]) + "\n"


def remarks(study: AblationStudy) -> Iterator[str]:
    """Yield what a reader should know: of the base, and of each ablation what is not said of the base."""
    base = next((ablation.notes for ablation in study.ablations if ablation.name == BASE), ())
    for ablation in study.ablations:
        known = () if ablation.name == BASE else base
        for text in [ablation.error] if ablation.error else ablation.notes:
            if text not in known:
                yield f"{ablation.name}: {text}"


def cells(ablation: Ablation, names: Sequence[str]) -> Iterator[str]:
    """Yield an ablation's metrics as people read them: each with its interval, and its difference to the base with that."""
    for name in names:
        yield _shown(ablation.metrics.get(name), ".3f")
        yield _shown(ablation.differences.get(name), "+.3f")


def _shown(metric: Metric | Difference | None, form: str) -> str:
    if metric is None or metric.value is None:
        return ""
    return f"{metric.value:{form}} {interval(metric.low, metric.high, form)}".strip()
