"""Evaluations, comparisons and calibrations on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osteon.card_text import interval, levels_measured, metric_name, metric_value, number
from osteon.cli.terminal import show, show_notes, show_table

if TYPE_CHECKING:
    from pathlib import Path

    from osteon.lab.calibration.calibrate import Calibrated
    from osteon.lab.evaluation.comparison import Comparison, Difference
    from osteon.lab.evaluation.evaluation import Evaluation
    from osteon.site import Site

_NAMED = 10  # refusals and disagreements that the terminal names


def show_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Print an evaluation: counts, what the answers are worth, all metrics, study types, subgroups, localisation, refusals, notes."""
    from osteon.lab.evaluation import tables
    from osteon.lab.evaluation.verdict import verdict

    counts, origin = evaluation.counts, evaluation.origin
    show(f"\n{origin.model or 'predictions'} on {evaluation.plan.split!r}", "bold")
    show(verdict(evaluation), "bold")
    show(
        f"{counts.studies:,} studies of {counts.patients:,} groups (patients, where they are named), {counts.films:,} films; measured: "
        f"{counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal), {counts.measured_films:,} films "
        f"({counts.abnormal_films:,} abnormal)"
    )
    _count(counts.refused_films, "films were refused and take no part")
    _count(counts.unlabelled_films, "films have no label and take no part")
    for sentence in levels_measured(evaluation.metrics, tables.finest(evaluation)):
        show(sentence)
    for make in (
        tables.answers,
        tables.predictive_values,
        tables.all_metrics,
        tables.by_study_type,
        tables.beside_paper,
        tables.by_subgroup,
        tables.localisation,
    ):
        table = make(evaluation)
        show_table(table.header, table.rows, table.title)
    show_shortcuts(evaluation)
    if words := tables.paper_interval(evaluation):
        show(words, "dim")
    for refusal in evaluation.refused[:_NAMED]:
        show(f"refused: {refusal.reason}", "yellow")
    _count(max(0, len(evaluation.refused) - _NAMED), f"more refused films are named in {folder}/evaluation.json")
    show_notes(evaluation.notes)
    show(f"{folder}: evaluation.json, tables (CSV, LaTeX) and figures (PNG, SVG, PDF; {evaluation.seconds:.1f} s)")


def show_comparison(comparison: Comparison) -> None:
    """Print a comparison: each metric's difference, study types, McNemar's test, the studies that are furthest apart."""
    from osteon.lab.evaluation.folder import read_disagreements

    apart = read_disagreements(comparison.folder)
    names = comparison.a.model or "A", comparison.b.model or "B"
    show(f"\nA {names[0]}, B {names[1]} on {comparison.split!r}", "bold")
    show(
        f"{comparison.studies:,} studies, {comparison.films:,} films that both answered; "
        f"films of A alone: {comparison.only_a:,}, of B alone: {comparison.only_b:,}"
    )
    levels = {"study"} if comparison.studies == comparison.films else {"study", "film"}
    shown = [d for d in comparison.differences if _is_shown(d, levels)]
    rows = [(_where(d), number(d.a), number(d.b), d.words) for d in shown]
    bold = [place for place, d in enumerate(shown) if d.clear]
    show_table(("", "A", "B", "B - A (95 % interval)"), rows, "Paired differences; bold: beyond chance", bold)
    show_shortcuts(comparison)
    for test in comparison.mcnemar[: len(levels)]:
        kind = "exact" if test.exact else "chi-square"
        show(
            f"{test.level}: both right {test.both_right:,}, only A {test.only_a_right:,}, only B {test.only_b_right:,}, "
            f"both wrong {test.both_wrong:,}; McNemar ({kind}) p = {test.p:.3g}, as if each {test.level} were independent"
        )
    show(f"They disagree on {len(apart):,} studies: {comparison.folder}/disagreements.csv" + (" and .png" if len(apart) else ""))
    show_table(("study", "label", "A", "B", "right"), [_disagreement(row) for row in apart.head(_NAMED).to_dicts()])
    show_notes(comparison.notes)


def show_shortcuts(measured: Evaluation | Comparison) -> None:
    """Print what attributes of the file alone reach on the same films, and what is left of the models among films alike in them."""
    from osteon.lab.evaluation import tables

    table = tables.shortcuts(measured)
    show_table(table.header, table.rows, table.title)
    if measured.shortcuts and not table.rows:
        show("No attribute of the file (size, format, grey, columns of the index) alone tells abnormal from normal films beyond chance.")


def show_gain(comparison: Comparison) -> None:
    """Print the difference of the AUROC, of studies and of films, as a sentence each."""
    for d in comparison.differences:
        if (d.group, d.name) == ("all", "auroc") and d.value is not None:
            higher = d.value >= 0
            ends = (d.low, d.high) if higher else (d.high and -d.high, d.low and -d.low)
            spread = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends[0] is not None and ends[1] is not None else f" ({d.note})"
            clear = "." if d.clear else ": no difference beyond chance."
            show(f"{d.level.capitalize()} {metric_name(d.name)} is {abs(d.value):.3f} {'higher' if higher else 'lower'}{spread}{clear}")


def show_calibration(calibrated: Calibrated, out: Path, folder: Path) -> None:
    """Print a calibration: reliability before and after, poolings, the decision and its metrics."""
    from osteon.lab.evaluation.verdict import worth

    card, plan = calibrated.card, calibrated.plan
    show(f"\n{card.reference} calibrated on {plan.told or repr(plan.split)}", "bold")
    if calibrated.area:
        show(f"{worth(calibrated.area)} on these films, before and after: a calibration changes no order.", "bold")
    show(f"{calibrated.films:,} films, {calibrated.studies:,} studies")
    rows = [(_chosen(r.method, plan.method), f"{r.log_loss:.4f}", f"{r.brier:.4f}", f"{r.ece:.4f}") for r in calibrated.reliability]
    chosen = [place for place, r in enumerate(calibrated.reliability) if r.method == plan.method]
    show_table(("films", "log loss", "Brier", "ECE"), rows, "Reliability, after calibration cross-fitted over groups", chosen)
    rows = [
        (_chosen(p.pooling, plan.pooling), number(p.auroc), number(p.best_kappa), f"{p.gain:+.4f} {interval(p.low, p.high, '+.4f')}")
        for p in calibrated.poolings
    ]
    chosen = [place for place, p in enumerate(calibrated.poolings) if p.pooling == plan.pooling]
    show_table(("pooled by", "AUROC", "best kappa", "AUROC above the mean's (95 % interval)"), rows, "A study's films", chosen)
    found = {(m.group, m.name): m for m in calibrated.operating_point}
    names, groups = (list(dict.fromkeys(key[place] for key in found)) for place in (1, 0))
    cells = [(group, *(metric_value(found[group, name]) for name in names)) for group in groups]
    show_table(("studies (95 % interval)", *map(metric_name, names)), cells, f"Decision: {card.decision.rule}")
    show_notes(calibrated.notes)
    show(f"{out}: the model with its new card, without its earlier metrics; {folder}: the report")


def _is_shown(d: Difference, levels: set[str]) -> bool:
    from osteon.lab.evaluation.folds import FOLDS

    if d.group == FOLDS:
        return not d.note.startswith("no fold")
    return d.level in levels and (d.group == "all" or (d.level == "study" and d.name in {"kappa", "auroc"}))


def _where(d: Difference) -> str:
    return f"{d.level}, " + ("" if d.group == "all" else f"{d.group.removeprefix('study_type=').lower()}: ") + metric_name(d.name)


def _disagreement(row: dict[str, object]) -> tuple[str, ...]:
    label = "abnormal" if row["label"] == 1 else "normal"
    return str(row["study"]), label, f"{row['probability_a']:.3f}", f"{row['probability_b']:.3f}", str(row["right"])


def _chosen(name: str, chosen: str) -> str:
    return f"{name} (chosen)" if name == chosen else name


def _count(count: int, words: str) -> None:
    if count:
        show(f"{count:,} {words}", "yellow")


def show_site(site: Site, out: Path) -> None:
    """Print what a site file holds: the films, the edges, and what normal films get, before and with it."""
    from osteon.lab.calibration.site import NO_NORMAL, more_films

    show(f"\n{site.model} at {site.name}: {site.normal:,} normal and {site.abnormal:,} abnormal films of {site.groups:,} patients", "bold")
    [no] = [answer for answer in site.answers if answer.name == NO_NORMAL]
    show(f'Of 100 normal films {100 * no.before:.0f} were "no" with the card\'s limits, {100 * no.after:.0f} are with these.', "bold")
    rows = [(a.name, f"{a.before:.3f}", f"{a.after:.3f}", interval(a.low, a.high)) for a in site.answers]
    show_table(("share of the films", "before", "now", "95 % interval, by other films of the site"), rows, site.rule)
    show(f"no below {site.doubt_from:.3g}, yes from {site.doubt_to:.3g}, uncertain between")
    if more := more_films(site):
        show(f'About {more:,} more normal films would say how many are "no" within 5 of 100.')
    if not site.abnormal:
        show("Normal films say nothing of the abnormal: how many are missed is not measured here.")
    show(f"{out}: osteon predict films/ --site-file {out}")
