"""An evaluation as tables of words, the same on the terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from osteon.card_text import LEVELS, OF_AN_ANSWER, level_in_words, metric_name, metric_value
from osteon.lab.evaluation import published
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.evaluation.evaluation import ALL, CALLED, MACRO, Evaluation, Level
from osteon.lab.evaluation.localisation import METRICS
from osteon.lab.evaluation.measurement import PAPER_INTERVAL

SHOWN = 5
"""Attributes of the file that a table has, the strongest first."""
IN_SUBGROUPS = ("kappa", "auroc", "sensitivity", "specificity")
TYPE = "study_type="
"""How the name of a study type's group begins."""

OF_ANSWER = ("share of {}", "share of {} among normal", "share of {} among abnormal", "share of abnormal among {}")

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: its title, a name a column, rows of cells of which the first names the row, and what a reader has to know of it."""

    title: str
    header: Row
    rows: list[Row]
    note: str = ""


def finest(evaluation: Evaluation) -> Level:
    """Return "film" where films were measured, else "study"."""
    return "film" if evaluation.counts.measured_films else "study"


def single_films(evaluation: Evaluation) -> bool:
    """Return whether each study is one film, so that both levels say the same."""
    return evaluation.counts.measured_films == evaluation.counts.measured_studies


def all_metrics(evaluation: Evaluation) -> Rows:
    """Return every metric of the studies, of the mean over study types, and of the films."""
    columns: dict[str, tuple[Level, str]] = {
        "studies": ("study", ALL),
        "studies, mean over study types": ("study", MACRO),
        "films": ("film", ALL),
    }
    if single_films(evaluation):
        columns = {"films, each a study": ("study", ALL), "mean over study types": ("study", MACRO)}
    columns = {head: where for head, where in columns.items() if evaluation.find(*where, "kappa")}
    whole = [m.name for m in evaluation.metrics if (m.level, m.group) == ("study", ALL) and m.name != PAPER_INTERVAL]
    names = [name for name in whole if not name.startswith(OF_AN_ANSWER)]
    rows = [(metric_name(name), *(metric_value(evaluation.find(*where, name)) for where in columns.values())) for name in names]
    return Rows("All metrics", ("metric (95 % interval)", *columns), rows)


def answers(evaluation: Evaluation) -> Rows:
    """Return how often each of the three answers is given and is right, on the whole and by study type; no row without answers."""
    level = finest(evaluation)
    rows: list[Row] = []
    for group in (ALL, *(group for group in _groups(evaluation) if group.startswith(TYPE))):
        for answer in LEVELS[::-1]:
            found = [evaluation.find(level, group, name.format(answer)) for name in OF_ANSWER]
            if found[0]:
                where = "" if group == ALL else f"{group.removeprefix(TYPE).lower()}: "
                rows.append((f'{where}"{level_in_words(answer)}"', f"{found[0].n:,} ({found[0].positives:,})", *map(metric_value, found)))
    films = "films" if level == "film" else "studies"
    header = ("answer", f"{films} (abnormal)", "given to, of all", "of the normal", "of the abnormal", "abnormal among them")
    return Rows("The answers that people see", header, rows)


def predictive_values(evaluation: Evaluation) -> Rows:
    """Return how often "yes" and "no" are right where abnormality is as frequent as stated; no row without answers."""
    level = finest(evaluation)
    found = [m for m in evaluation.metrics if (m.level, m.group) == (level, ALL) and m.name.startswith("ppv of yes at ")]
    rows: list[Row] = []
    for yes in found:
        prevalence = yes.name.rpartition(" ")[2]
        rows.append((prevalence, metric_value(yes), metric_value(evaluation.find(level, ALL, f"npv of no at {prevalence}"))))
    return Rows("How often they are right, by prevalence", ("prevalence", '"yes": abnormal', '"no": normal'), rows)


def shortcuts(evaluation: Evaluation | Comparison) -> Rows:
    """Return what attributes of the file reach alone, and each model among films that are alike in them; no row where none shows."""
    pair = isinstance(evaluation, Comparison)
    rows = [
        (s.name, s.alone.words, *(area.words if area else "-" for area in (*s.within, *([s.gain] if pair else []))))
        for s in [s for s in evaluation.shortcuts if s.shows][:SHOWN]
    ]
    header = ("A among films alike in it", "B", "B - A") if pair else ("the model among films alike in it",)
    note = "Each attribute's AUROC is cross-fitted over groups. What the model keeps among films that are alike in it is not owed to it."
    return Rows("What attributes of the file alone reach: AUROC of films (95 % interval)", ("", "alone", *header), rows, note)


def by_study_type(evaluation: Evaluation) -> Rows:
    """Return the studies' metrics by study type; no row where there are not two."""
    groups = [group for group in _groups(evaluation) if group.startswith(TYPE)]
    return _grouped(evaluation, f"By study type ({'films, each a study' if single_films(evaluation) else 'studies'})", "study", groups)


def by_subgroup(evaluation: Evaluation) -> Rows:
    """Return the films' metrics by every other column that parts them."""
    level = finest(evaluation)
    groups = [group for group in _groups(evaluation) if not group.startswith(TYPE)]
    return _grouped(evaluation, "Films by subgroup", level, groups)


def beside_paper(evaluation: Evaluation) -> Rows:
    """Return the studies' kappa beside the MURA paper's readers; no row where the films are not MURA's."""
    names = [group.removeprefix(TYPE) for group in _groups(evaluation) if group.startswith(TYPE)]
    rows: list[Row] = []
    beside = len(names) > 1 and set(names) <= set(published.PAPER_KAPPA) and published.is_mura(evaluation.datasets)
    for name in [*names, ALL] if beside else []:
        kappa = evaluation.find("study", ALL if name == ALL else f"{TYPE}{name}", "kappa")
        rows.append((name.lower(), metric_value(kappa), *(f"{paper:.3f}" for paper in published.PAPER_KAPPA[name])))
    note = "The four columns on the right are of the paper's 207 hidden test studies (arXiv 1712.06957, Table 2): others than these."
    return Rows("Kappa beside the MURA paper's readers", ("", "this model", *published.READERS), rows, note)


def paper_interval(evaluation: Evaluation) -> str:
    """Return what the MURA paper's formula makes of kappa's interval, "" where kappa was not measured, or the films are not MURA's."""
    metric = evaluation.find("study", ALL, PAPER_INTERVAL)
    if metric is None or metric.low is None or metric.high is None or not published.is_mura(evaluation.datasets):
        return ""
    return f"The MURA paper's own formula would print kappa's interval as ({metric.low:.3f}, {metric.high:.3f}), which is far too narrow."


def localisation(evaluation: Evaluation) -> Rows:
    """Return whether the heat map lies where the finding is; no row where no film has a box."""
    words = {ALL: "all abnormal films", CALLED: "those called abnormal"}
    rows: list[Row] = []
    for m in evaluation.metrics:
        if m.name in METRICS:
            moved = (evaluation.find("film", m.group, f"{m.name}, {where}") for where in ("centre", "random"))
            group = words.get(m.group, m.group.removeprefix(TYPE).lower())
            rows.append((f"{group}: {metric_name(m.name)}", f"{m.n:,}", metric_value(m), *map(metric_value, moved)))
    header = ("abnormal films with boxes", "n", "heat map", "moved to the centre", "moved anywhere")
    return Rows(
        "Is the heat where the finding is?", header, rows, "The same map moved to the film's centre, and anywhere, shows what chance gives."
    )


def _groups(evaluation: Evaluation) -> Iterator[str]:
    yield from dict.fromkeys(m.group for m in evaluation.metrics if "=" in m.group)


def _grouped(evaluation: Evaluation, title: str, level: Level, groups: list[str]) -> Rows:
    rows: list[Row] = []
    for group in groups:
        found = [evaluation.find(level, group, name) for name in IN_SUBGROUPS]
        if first := next((m for m in found if m), None):
            name = group.removeprefix(TYPE).lower().replace("=", ": ")
            rows.append((name, f"{first.n:,} ({first.positives:,})", *map(metric_value, found)))
    return Rows(title, ("", "n (abnormal)", *map(metric_name, IN_SUBGROUPS)), rows)
