"""The section on failures: how many there are, and the most confident wrong answers with the model's heat maps over the films."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from osteon.lab.reporting.document import Block, Gap, Section, Table, Text
from osteon.lab.reporting.material import Material
from osteon.lab.reporting.pictured import BESIDE, MOST, Shown, pictures, reported_films


def failure_section(m: Material, figures: Path) -> Section:
    """Return the section; its pictures and `failures.csv`, which names the files, are written into folders of the report."""
    films = reported_films(m)
    if isinstance(films, Gap):
        return Section("failures", "Failures", [films])
    wrong = _wrong(films, m.measured.evaluation.plan.threshold)
    wrong.select("number", "kind", "path", "study_type", "label", "probability").write_csv(figures.parent / "failures.csv")
    blocks: list[Block] = [_confusion(m, films), _by_type(m, films, wrong), *_shown(m, wrong, figures)]
    return Section("failures", "Failures", blocks)


def _wrong(films: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the wrongly answered films, the most confident first: the missed ones, then the false alarms."""
    answered = films.filter(pl.col("label").is_not_null() & pl.col("probability").is_not_null())
    called = pl.col("probability") >= threshold
    missed = answered.filter((pl.col("label") == 1) & ~called).sort("probability", "path").with_columns(kind=pl.lit("missed"))
    alarms = answered.filter((pl.col("label") == 0) & called).sort("probability", "path", descending=[True, False])
    return pl.concat([missed, alarms.with_columns(kind=pl.lit("false alarm"))]).with_row_index("number", offset=1)


def _confusion(m: Material, films: pl.DataFrame) -> Table:
    called = pl.col("probability") >= m.measured.evaluation.plan.threshold
    answered = films.filter(pl.col("label").is_not_null() & pl.col("probability").is_not_null())
    rows = []
    for label, word in ((1, "abnormal films"), (0, "normal films")):
        part = answered.filter(pl.col("label") == label)
        yes = part.filter(called).height
        rows.append((word, f"{part.height:,}", f"{yes:,}", f"{part.height - yes:,}"))
    header = ("", "films", "called abnormal", "called normal")
    return Table("Right and wrong", header, rows, m.origins.report, "Counted at the evaluation's threshold, on films.")


def _by_type(m: Material, films: pl.DataFrame, wrong: pl.DataFrame) -> Table:
    rows = []
    for kind in sorted(films["study_type"].unique().to_list()):
        part, failed = films.filter(pl.col("study_type") == kind), wrong.filter(pl.col("study_type") == kind)
        missed = failed.filter(pl.col("kind") == "missed").height
        abnormal, normal = (int((part["label"] == label).sum()) for label in (1, 0))
        rows.append((kind.lower() or "unknown", f"{missed:,} of {abnormal:,}", f"{failed.height - missed:,} of {normal:,}"))
    return Table("Failures by study type", ("study type", "missed, of abnormal", "false alarms, of normal"), rows, m.origins.report)


def _shown(m: Material, wrong: pl.DataFrame, figures: Path) -> Iterator[Block]:
    words = f"The {MOST} most confident of each kind. {BESIDE} The numbers stand in failures.csv, which names the files; no picture does."
    yield Text(words, m.origins.report)
    shown = []
    for kind in ("missed", "false alarm"):
        rows = wrong.filter(pl.col("kind") == kind)
        if rows.is_empty():
            yield Gap(f"Not one {'abnormal film was missed' if kind == 'missed' else 'normal film raised a false alarm'}.")
        shown += [Shown(row, row["number"], kind) for row in rows.head(MOST).to_dicts()]
    yield from pictures(m, shown, figures)
