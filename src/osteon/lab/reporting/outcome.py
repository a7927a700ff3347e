"""The sections on what was measured: all figures, study types, subgroups, and where the evidence lies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from osteon.card import Metric
from osteon.lab.evaluation import published
from osteon.lab.evaluation.evaluation import ALL, CALLED, MACRO, Evaluation, Level
from osteon.lab.evaluation.measurement import PAPER_INTERVAL
from osteon.lab.reporting.document import Block, Figure, Gap, Picture, Row, Section, Table, Text
from osteon.lab.reporting.material import Material

IN_SUBGROUPS = ("kappa", "auroc", "sensitivity", "specificity")
HEADLINE = ("auroc", "kappa", "sensitivity", "specificity")
CURVES = {
    "roc.png": ("ROC", "Sensitivity against 1 - specificity, with the pointwise 95 % band and the operating point."),
    "precision-recall.png": ("Precision and recall", "PPV against sensitivity; the dotted line is the prevalence, which chance gives."),
    "kappa.png": ("Kappa by study type", "Cohen's kappa of the studies with its 95 % interval."),
}
_NAMES = {"auroc": "AUROC", "ppv": "PPV", "npv": "NPV", "f1": "F1", "brier": "Brier score", "ece": "calibration error (ECE)"}
_PLACES = {"pointing": "peak in a box", "inside": "share of positive evidence in boxes", "iou": "intersection over union"}
_TYPE = "study_type="


def figure_name(name: str) -> str:
    """Return what a figure is called in a table.

    >>> figure_name("ppv at 0.1"), figure_name("kappa")
    ('PPV at prevalence 0.1', 'kappa')
    """
    figure, at, prevalence = name.partition(" at ")
    return _NAMES.get(figure, figure) + (f" at prevalence {prevalence}" if at else "")


def cell(metric: Metric | None) -> str:
    """Return a figure with its 95 % interval, or the reason why there is none.

    >>> cell(None)
    'not measured'
    """
    if metric is None:
        return "not measured"
    if metric.value is None:
        return metric.note or "not measured"
    return f"{metric.value:.3f} {interval(metric)}"


def interval(metric: Metric) -> str:
    """Return the interval of a figure in brackets, or why it has none."""
    if metric.low is None or metric.high is None:
        return f"({metric.note or 'no interval'})"
    return f"({metric.low:.3f}, {metric.high:.3f})"


def single_films(evaluation: Evaluation) -> bool:
    """Return whether each study is one film, so that both levels say the same."""
    return evaluation.counts.measured_films == evaluation.counts.measured_studies


def headline(evaluation: Evaluation) -> list[Figure]:
    """Return the figures of the studies that a reader wants first."""
    found = [evaluation.find("study", ALL, name) for name in HEADLINE]
    values = [f"{m.value:.3f}" if m and m.value is not None else "-" for m in found]
    ends = [interval(m) if m and m.value is not None else cell(m) for m in found]
    return [Figure(figure_name(name), value, end) for name, value, end in zip(HEADLINE, values, ends, strict=True)]


def evaluation_section(m: Material, figures: Path) -> Section:
    """Return the section with every figure of the split, copying the evaluation's curves into a folder."""
    evaluation = m.measured.evaluation
    blocks: list[Block] = [_counted(m), *_notes(m), _overall(m), *_paper_interval(m), *_curves(m, figures)]
    types = [group for group in _groups(evaluation) if group.startswith(_TYPE)]
    if types:
        level = "films, each a study" if single_films(evaluation) else "studies"
        blocks.append(_grouped(m, f"By study type ({level})", "study", types))
    else:
        blocks.append(Gap("There are no figures by study type: all films are of one, or the index knows none."))
    return Section("evaluation", f"Evaluation on split {evaluation.plan.split!r}", [*blocks, *_beside_paper(m, types)])


def subgroup_section(m: Material) -> Section:
    """Return the section with the films' figures by subgroup, and where the evidence lies."""
    evaluation = m.measured.evaluation
    level: Level = "film" if evaluation.counts.measured_films else "study"
    groups = [group for group in _groups(evaluation) if not group.startswith(_TYPE)]
    blocks: list[Block] = [_grouped(m, "Films by subgroup", level, groups)] if groups else []
    if not groups:
        blocks.append(
            Gap("There are no subgroups: the index has no column that parts the films. Name one with osteon evaluate --by COLUMN")
        )
    elif not any(group.startswith("hardware=") for group in groups):
        blocks.append(Gap("Whether films with hardware are read differently is not known: the index has no column `hardware`."))
    return Section("subgroups", "Subgroups", [*blocks, _localisation(m)])


def _groups(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(m.group for m in evaluation.metrics if "=" in m.group))


def _counted(m: Material) -> Text:
    counts, plan = m.measured.evaluation.counts, m.measured.evaluation.plan
    levels = f"{counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal)"
    words = (
        f"{counts.films:,} films of {counts.studies:,} studies and {counts.patients:,} patients or groups. Measured: {levels}, "
        f"{counts.measured_films:,} films ({counts.abnormal_films:,} abnormal). Left out: {counts.refused_films:,} films that were "
        f"refused, {counts.unlabelled_films:,} without a label. A study's probability is the {plan.study_pooling} over its films; from "
        f"{plan.threshold:.3g} it counts as abnormal. Intervals hold 95 %, by {plan.resamples:,} resamples of the patients or groups."
    )
    return Text(words, m.origins.evaluation)


def _notes(m: Material) -> Iterator[Text]:
    for note in m.measured.evaluation.notes:
        yield Text(note[0].upper() + note[1:] + ".", m.origins.evaluation, warns=True)


def _overall(m: Material) -> Table:
    evaluation = m.measured.evaluation
    columns: dict[str, tuple[Level, str]] = {
        "studies": ("study", ALL),
        "studies, mean over study types": ("study", MACRO),
        "films": ("film", ALL),
    }
    if single_films(evaluation):
        columns = {"films, each a study": ("study", ALL), "mean over study types": ("study", MACRO)}
    columns = {head: where for head, where in columns.items() if evaluation.find(*where, "kappa")}
    names = [x.name for x in evaluation.metrics if (x.level, x.group) == ("study", ALL) and x.name != PAPER_INTERVAL]
    rows = [(figure_name(name), *(cell(evaluation.find(*where, name)) for where in columns.values())) for name in names]
    return Table("All figures", ("figure, with its 95 % interval", *columns), rows, m.origins.evaluation)


def _paper_interval(m: Material) -> Iterator[Text]:
    metric = m.measured.evaluation.find("study", ALL, PAPER_INTERVAL)
    if metric and metric.value is not None:
        words = f"The MURA paper's own formula would print kappa's interval as {interval(metric)}, which is far too narrow."
        yield Text(words, m.origins.evaluation)


def _curves(m: Material, figures: Path) -> Iterator[Block]:
    for name, (title, caption) in CURVES.items():
        source = m.measured.folder / name
        if source.is_file():
            file = Path(shutil.copy(source, figures / name))
            yield Picture(file, title, caption, f"{title}: {caption}", m.origins.evaluation)
        else:
            yield Gap(f"{title}: there is no {name} beside the evaluation. It is drawn by osteon evaluate where both labels occur.")


def _grouped(m: Material, title: str, level: Level, groups: list[str]) -> Table:
    evaluation = m.measured.evaluation
    rows: list[Row] = []
    for group in groups:
        found = [evaluation.find(level, group, name) for name in IN_SUBGROUPS]
        first = next((x for x in found if x), None)
        count = f"{first.n:,} ({first.positives:,})" if first else ""
        rows.append((group.removeprefix(_TYPE).lower().replace("=", ": "), count, *map(cell, found)))
    return Table(title, ("", "n (abnormal)", *map(figure_name, IN_SUBGROUPS)), rows, m.origins.evaluation)


def _beside_paper(m: Material, types: list[str]) -> Iterator[Table]:
    """Yield kappa beside the MURA paper's readers, where the study types are MURA's."""
    evaluation = m.measured.evaluation
    names = [group.removeprefix(_TYPE) for group in types]
    if len(names) < 2 or not set(names) <= set(published.PAPER_KAPPA):
        return
    rows = []
    for group in [*types, ALL]:
        name = group.removeprefix(_TYPE)
        paper = (f"{kappa:.3f}" for kappa in published.PAPER_KAPPA[name])
        rows.append((name.lower(), cell(evaluation.find("study", group, "kappa")), *paper))
    note = "The four columns on the right are of the paper's 207 hidden test studies (arXiv 1712.06957, Table 2): others than these."
    yield Table("Kappa beside the MURA paper's readers", ("", "this model", *published.READERS), rows, m.origins.evaluation, note)


def _localisation(m: Material) -> Block:
    evaluation = m.measured.evaluation
    rows: list[Row] = []
    for metric in evaluation.metrics:
        if metric.name in _PLACES:
            moved = (evaluation.find("film", metric.group, f"{metric.name}, {where}") for where in ("centre", "random"))
            which = {ALL: "all abnormal films", CALLED: "those called abnormal"}.get(metric.group, metric.group.removeprefix(_TYPE).lower())
            rows.append((f"{which}: {_PLACES[metric.name]}", f"{metric.n:,}", cell(metric), *map(cell, moved)))
    if not rows:
        return Gap("Whether the evidence lies where the finding is cannot be measured: no film of the split has a marked finding.")
    note = "The same map moved to the film's centre, and to everywhere, shows what chance gives."
    header = ("abnormal films with boxes", "n", "the evidence", "moved to the centre", "moved anywhere")
    return Table("Does the evidence lie where the finding is?", header, rows, m.origins.evaluation, note)
