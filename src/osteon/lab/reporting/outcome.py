"""The sections on what was measured: all metrics, study types, subgroups, and where the heat lies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from osteon.lab.evaluation import tables
from osteon.lab.evaluation.tables import Rows
from osteon.lab.reporting.document import Block, Gap, Origin, Picture, Section, Table, Text
from osteon.lab.reporting.material import Material

CURVES = {
    "roc.png": ("ROC curve", "Sensitivity against 1 - specificity, with the pointwise 95 % band and the operating point."),
    "precision-recall.png": ("Precision and recall", "PPV against sensitivity; the dotted line is the prevalence, which chance gives."),
    "kappa.png": ("Kappa by study type", "Cohen's kappa of the studies with its 95 % interval."),
}


def evaluation_section(m: Material, figures: Path) -> Section:
    """Return the section with every metric of the split, copying the evaluation's curves into a folder."""
    evaluation, origin = m.measured.evaluation, m.origins.evaluation
    blocks: list[Block] = [_counted(m), *_notes(m), *_table(tables.all_metrics(evaluation), origin)]
    for make in (tables.answers, tables.predictive_values):
        blocks += _table(make(evaluation), origin)
    nothing = "No attribute of the file (size, format, grey, columns of the index) alone tells abnormal from normal films beyond chance."
    blocks += _table(tables.shortcuts(evaluation), origin) or [Text(nothing, origin)]
    if words := tables.paper_interval(evaluation):
        blocks.append(Text(words, origin))
    blocks += _curves(m, figures)
    blocks += _table(tables.by_study_type(evaluation), origin) or [Gap("All films are of one study type, or the index knows none.")]
    blocks += _table(tables.beside_paper(evaluation), origin)
    return Section("evaluation", f"Evaluation on split {evaluation.plan.split!r}", blocks)


def subgroup_section(m: Material) -> Section:
    """Return the section with the films' metrics by subgroup, and where the heat lies."""
    evaluation, origin = m.measured.evaluation, m.origins.evaluation
    groups = tables.by_subgroup(evaluation)
    blocks: list[Block] = _table(groups, origin)
    if not blocks:
        blocks = [Gap("There are no subgroups: the index has no column that parts the films. Name one with osteon evaluate --by COLUMN")]
    elif not any(name.startswith("hardware: ") for name, *_ in groups.rows):
        blocks.append(Gap("Whether films with metal implants are read differently is not known: the index has no column `hardware`."))
    located = _table(tables.localisation(evaluation), origin)
    lacking = "Whether the heat lies where the finding is cannot be measured: no film of the split has a marked finding."
    return Section("subgroups", "Subgroups", [*blocks, *(located or [Gap(lacking)])])


def _table(rows: Rows, origin: Origin) -> list[Block]:
    return [Table(rows.title, rows.header, rows.rows, origin, rows.note)] if rows.rows else []


def _counted(m: Material) -> Text:
    counts, plan = m.measured.evaluation.counts, m.measured.evaluation.plan
    words = (
        f"{counts.films:,} films of {counts.studies:,} studies and {counts.patients:,} patients or groups. Measured: "
        f"{counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal), {counts.measured_films:,} films "
        f"({counts.abnormal_films:,} abnormal). Left out: {counts.refused_films:,} films that were refused, {counts.unlabelled_films:,} "
        f"without a label. A study's probability is the {plan.study_pooling} over its films; from {plan.threshold:.3f} it counts as "
        f"abnormal. In brackets: 95 % intervals, by {plan.resamples:,} bootstrap resamples of the patients or groups."
    )
    return Text(words, m.origins.evaluation)


def _notes(m: Material) -> Iterator[Text]:
    for note in m.measured.evaluation.notes:
        yield Text(note[0].upper() + note[1:] + ".", m.origins.evaluation, warns=True)


def _curves(m: Material, figures: Path) -> Iterator[Block]:
    for name, (title, caption) in CURVES.items():
        source = m.measured.folder / name
        if source.is_file():
            file = Path(shutil.copy(source, figures / name))
            yield Picture(file, title, caption, f"{title}: {caption}", m.origins.evaluation)
        else:
            yield Gap(f"{title}: there is no {name} beside the evaluation. It is drawn by osteon evaluate where both labels occur.")
