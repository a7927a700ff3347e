"""Evaluations, comparisons and calibrations on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import polars as pl

    from osteon.card import Metric
    from osteon.lab.calibration.calibrate import Calibrated
    from osteon.lab.evaluation.comparison import Comparison
    from osteon.lab.evaluation.evaluation import Evaluation, Level

_IN_SUBGROUPS = ("kappa", "auroc", "sensitivity", "specificity")
_NAMED = 10  # refusals and disagreements that the terminal names


def show_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Print an evaluation: counts, all figures, study types beside the MURA paper's readers, subgroups, localisation, refusals, notes."""
    console = _console()
    counts, origin = evaluation.counts, evaluation.origin
    console.print(Text(f"\n{origin.model or 'predictions'} on {evaluation.plan.split!r}", "bold"))
    console.print(
        f"{counts.studies:,} studies of {counts.patients:,} patients, {counts.films:,} films; measured: {counts.measured_studies:,} "
        f"studies ({counts.abnormal_studies:,} abnormal), {counts.measured_films:,} films ({counts.abnormal_films:,} abnormal)"
    )
    _count(console, counts.refused_films, "films were refused and take no part")
    _count(console, counts.unlabelled_films, "films have no label and take no part")
    console.print(_overall(evaluation))
    _paper_interval(console, evaluation)
    groups = list(dict.fromkeys(m.group for m in evaluation.metrics if "=" in m.group))
    tables = _study_types(evaluation, groups), _beside_paper(evaluation, groups), _subgroups(evaluation, groups), _localisation(evaluation)
    for table in tables:
        if table.row_count:
            console.print(table)
    for refusal in evaluation.refused[:_NAMED]:
        console.print(Text(f"refused: {refusal.reason}", "yellow"))
    _count(console, max(0, len(evaluation.refused) - _NAMED), f"more refused films are named in {folder}/evaluation.json")
    _notes(console, evaluation.notes)
    console.print(f"{folder}: evaluation.json and figures ({evaluation.seconds:.1f} s)")


def show_comparison(comparison: Comparison, apart: pl.DataFrame, folder: Path) -> None:
    """Print a comparison: each figure's difference, study types, McNemar's test, the studies that are furthest apart."""
    from osteon.lab.evaluation.folds import FOLDS

    console = _console()
    names = comparison.a.model or "A", comparison.b.model or "B"
    console.print(Text(f"\nA {names[0]}, B {names[1]} on {comparison.split!r}", "bold"))
    console.print(
        f"{comparison.studies:,} studies, {comparison.films:,} films that both answered; "
        f"films of A alone: {comparison.only_a:,}, of B alone: {comparison.only_b:,}"
    )
    table = _table("", "A", "B", "B - A", "95 % interval", title="Paired differences")
    levels = {"study"} if comparison.studies == comparison.films else {"study", "film"}
    for d in comparison.differences:
        folds = d.group == FOLDS and not d.note.startswith("no fold")
        if d.level not in levels and not folds:
            continue
        if d.group == "all" or folds or (d.level == "study" and d.name in {"kappa", "auroc"}):
            where = f"{d.level}, " + (d.name if d.group == "all" else f"{_short(d.group)}: {d.name}")
            digits = 4 if folds else 3  # one setting may be worth a few thousandths
            interval = f"{d.low:+.{digits}f}, {d.high:+.{digits}f}" if d.low is not None and d.high is not None else d.note
            clear = d.low is not None and d.high is not None and (d.low > 0 or d.high < 0)
            table.add_row(
                where,
                _plain(d.a, digits),
                _plain(d.b, digits),
                "" if d.value is None else f"{d.value:+.{digits}f}",
                interval,
                style="bold" if clear else "",
            )
    console.print(table)
    for test in comparison.mcnemar[: len(levels)]:
        kind = "exact" if test.exact else "chi-square"
        console.print(
            f"{test.level}: both right {test.both_right:,}, only A {test.only_a_right:,}, only B {test.only_b_right:,}, "
            f"both wrong {test.both_wrong:,}; McNemar ({kind}) p = {test.p:.3g}, {test.level} figures taken as independent"
        )
    _disagreements(console, apart, folder)
    _notes(console, comparison.notes)


def show_calibration(calibrated: Calibrated, out: Path, folder: Path) -> None:
    """Print a calibration: reliability before and after, poolings, the decision and its figures."""
    console, card = _console(), calibrated.card
    console.print(Text(f"\n{card.reference} calibrated on {calibrated.plan.split!r}", "bold"))
    console.print(f"{calibrated.films:,} films, {calibrated.studies:,} studies")
    table = _table("films", "log loss", "Brier", "ECE", title="Reliability, after calibration cross-fitted over patients")
    for r in calibrated.reliability:
        chosen = r.method == calibrated.plan.method
        table.add_row(
            f"{r.method}{' (chosen)' if chosen else ''}",
            f"{r.log_loss:.4f}",
            f"{r.brier:.4f}",
            f"{r.ece:.4f}",
            style="bold" if chosen else "",
        )
    console.print(table)
    table = _table("pooled by", "AUROC", "best kappa", "AUROC's gain over the mean", "95 % interval", title="A study's films")
    for p in calibrated.poolings:
        interval = f"{p.low:+.4f}, {p.high:+.4f}" if p.low is not None and p.high is not None and p.pooling != "mean" else ""
        chosen = p.pooling == calibrated.plan.pooling
        table.add_row(
            f"{p.pooling}{' (chosen)' if chosen else ''}",
            f"{p.auroc:.4f}",
            f"{p.best_kappa:.3f}",
            f"{p.gain:+.4f}",
            interval,
            style="bold" if chosen else "",
        )
    console.print(table)
    names = list(dict.fromkeys(m.name for m in calibrated.operating_point))
    table = _table("studies", *names, title=f"Decision: {card.decision.rule}")
    for group in dict.fromkeys(m.group for m in calibrated.operating_point):
        table.add_row(group, *(_cell(next(m for m in calibrated.operating_point if (m.group, m.name) == (group, name))) for name in names))
    console.print(table)
    _notes(console, calibrated.notes)
    console.print(f"{out}: the model with its new card, without the figures that were measured before; {folder}: the report")


def _overall(evaluation: Evaluation) -> Table:
    heads = ["studies", "studies, mean over study types", "films"]
    columns: list[tuple[Level, str]] = [("study", "all"), ("study", "macro over study types"), ("film", "all")]
    shown = [i for i, (level, group) in enumerate(columns) if evaluation.find(level, group, "kappa")]
    if evaluation.counts.measured_films == evaluation.counts.measured_studies:  # each study is one film
        shown, heads[0] = [i for i in shown if i < len(columns) - 1], "films, each a study"
    table = _table("", *(heads[i] for i in shown), title="Figures with their 95 % intervals over patients")
    plain = [m.name for m in evaluation.metrics if (m.level, m.group) == ("study", "all") and "interval as" not in m.name]
    for name in plain:
        table.add_row(_label(name), *(_cell(evaluation.find(*columns[i], name)) for i in shown))
    return table


def _study_types(evaluation: Evaluation, groups: list[str]) -> Table:
    table = _table("", "n (abnormal)", *map(_label, _IN_SUBGROUPS), title="Studies by study type")
    for group in groups:
        if group.startswith("study_type="):
            table.add_row(_short(group), *_group_cells(evaluation, "study", group))
    return table


def _beside_paper(evaluation: Evaluation, groups: list[str]) -> Table:
    """Return the studies' kappa beside the MURA paper's readers, where the study types are MURA's."""
    from osteon.lab.evaluation.published import PAPER_KAPPA, READERS

    types = [g for g in groups if g.startswith("study_type=")]
    table = _table("", "this model", *READERS, title="Kappa of the studies, beside the MURA paper's readers on its 207 test studies")
    for group in [*types, "all"] if types and all(_short(g) in PAPER_KAPPA for g in types) else []:
        paper = (f"{kappa:.3f}" for kappa in PAPER_KAPPA[_short(group)])
        table.add_row(_short(group), _cell(evaluation.find("study", group, "kappa")), *paper)
    return table


def _subgroups(evaluation: Evaluation, groups: list[str]) -> Table:
    table = _table("", "n (abnormal)", *map(_label, _IN_SUBGROUPS), title="Films by subgroup")
    level: Level = "film" if any(m.level == "film" for m in evaluation.metrics) else "study"
    for group in groups:
        if not group.startswith("study_type=") and evaluation.find(level, group, "kappa"):
            table.add_row(group.replace("=", " "), *_group_cells(evaluation, level, group))
    return table


def _localisation(evaluation: Evaluation) -> Table:
    table = _table(
        "", "n", "the evidence", "moved to the film's centre", "moved anywhere", title="Evidence and finding boxes, abnormal films"
    )
    for m in evaluation.metrics:
        if m.name in {"pointing", "inside", "iou"}:
            moved = (evaluation.find("film", m.group, f"{m.name}, {baseline}") for baseline in ("centre", "random"))
            words = {"pointing": "peak in a box", "inside": "positive evidence inside", "iou": "intersection over union"}
            table.add_row(f"{_short(m.group)}: {words[m.name]}", f"{m.n:,}", _cell(m), *map(_cell, moved))
    return table


def _group_cells(evaluation: Evaluation, level: Level, group: str) -> list[str]:
    found = [evaluation.find(level, group, name) for name in _IN_SUBGROUPS]
    first = found[0]
    count = f"{first.n:,} ({first.positives:,})" if first else ""
    return [count, *map(_cell, found)]


def _paper_interval(console: Console, evaluation: Evaluation) -> None:
    name = next((m.name for m in evaluation.metrics if "interval as" in m.name), "")
    if (m := evaluation.find("study", "all", name)) and m.low is not None and m.high is not None:
        console.print(
            Text(f"The MURA paper's own formula would print kappa's interval as ({m.low:.3f}, {m.high:.3f}), far too narrow.", "dim")
        )


def _disagreements(console: Console, apart: pl.DataFrame, folder: Path) -> None:
    console.print(f"They disagree on {len(apart):,} studies: {folder}/disagreements.csv" + (" and .png" if len(apart) else ""))
    table = _table("study", "label", "A", "B", "right")
    for row in apart.head(_NAMED).iter_rows(named=True):
        label = "abnormal" if row["label"] == 1 else "normal"
        table.add_row(row["study"], label, _plain(row["probability_a"]), _plain(row["probability_b"]), row["right"])
    if table.row_count:
        console.print(table)


def _cell(metric: Metric | None) -> str:
    if metric is None:
        return ""
    if metric.value is None:
        return metric.note
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f} {metric.note}"
    return f"{metric.value:.3f} ({metric.low:.3f}, {metric.high:.3f})"


def _plain(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _label(name: str) -> str:
    figure, at, prevalence = name.partition(" at ")
    word = {"auroc": "AUROC", "ppv": "PPV", "npv": "NPV", "f1": "F1", "brier": "Brier score", "ece": "calibration error"}.get(
        figure, figure
    )
    return f"{word}{at and ' at prevalence '}{prevalence}"


def _short(group: str) -> str:
    return group.removeprefix("study_type=")


def _table(*columns: str, title: str = "") -> Table:
    table = Table(*columns, box=None, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.min_width = max(map(len, str(column.header).split()), default=0)
    return table


def _count(console: Console, count: int, words: str) -> None:
    if count:
        console.print(Text(f"{count:,} {words}", "yellow"))


def _notes(console: Console, notes: Iterable[str]) -> None:
    for note in notes:
        console.print(Text(f"note: {note}", "yellow"))


def _console() -> Console:
    return Console(highlight=False, markup=False)
