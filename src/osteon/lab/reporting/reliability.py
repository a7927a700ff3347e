"""The section on calibration: what the card's calibration does to the probabilities of the reported films, before and after."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from osteon.card import Metric
from osteon.card_text import levels_in_words, metric_name, metric_value
from osteon.lab.evaluation.evaluation import Table as Scores
from osteon.lab.evaluation.evaluation import level_tables
from osteon.lab.evaluation.measurement import measure_part, part_metrics
from osteon.lab.evaluation.plots import draw_reliability
from osteon.lab.evaluation.scoring import of_split
from osteon.lab.reporting.document import Block, Gap, Picture, Section, Table, Text
from osteon.lab.reporting.material import Material

METRICS = ("brier", "ece")


def calibration_section(m: Material, figures: Path) -> Section:
    """Return the section, its reliability diagram drawn into a folder."""
    card, blocks = m.card, list[Block]()
    if card.calibration.split:
        words = f"The model's probabilities were calibrated on split {card.calibration.split!r} ({card.calibration.kind})."
        blocks.append(Text(words, m.origins.model))
    else:
        tune = m.record.plan.select or "SPLIT"
        blocks.append(
            Gap(
                "The model is not calibrated: its probabilities are the network's own. Calibrate it with: osteon calibrate --model "
                f"{m.model_file} --index {m.request.index_path(m.record)} --split {tune} -o calibrated.onnx, then name it with --model."
            )
        )
    decided = f" (rule: {card.decision.rule}{f', on split {card.decision.split!r}' if card.decision.split else ''})"
    levels = levels_in_words(card.decision)
    blocks.append(
        Text(f"Answers: {levels}. Metrics count a film as abnormal from {card.decision.threshold:.3g}{decided}.", m.origins.model)
    )
    return Section("calibration", "Calibration and decision", [*blocks, *_reliability(m, figures)])


def _reliability(m: Material, figures: Path) -> list[Block]:
    predictions, plan = m.measured.predictions, m.measured.evaluation.plan
    if predictions is None:
        return [Gap("Reliability cannot be measured: no predictions.parquet stands beside the evaluation. Make it again: osteon evaluate")]
    films = of_split(predictions, plan.split).films
    tables = {"after calibration" if m.card.calibration.split else "not calibrated": films}
    if m.card.calibration.split:
        tables = {"before calibration": _uncalibrated(films), **tables}
    plan = msgspec.structs.replace(plan, by=())
    scores = {name: list(level_tables(part, plan))[-1] for name, part in tables.items()}
    file = draw_reliability({name: table.sample for name, table in scores.items()}, figures / "reliability.png")
    caption = (
        f"Films of split {plan.split!r}: the share that is abnormal against the mean probability of each bin, with 95 % intervals. Below: "
        "how many films have which probability."
    )
    picture = Picture(file, "Reliability", caption, f"Reliability diagram of {' and '.join(scores)}", m.origins.report)
    return [_table(m, scores), picture]


def _uncalibrated(films: pl.DataFrame) -> pl.DataFrame:
    own = 1 / (1 + (-pl.col("logit")).exp())
    return films.with_columns(probability=pl.when(pl.col("probability").is_not_null()).then(own))


def _table(m: Material, scores: dict[str, Scores]) -> Table:
    plan = m.measured.evaluation.plan
    rows = []
    for name, table in scores.items():
        part = measure_part(table.sample, plan.threshold, table.weights)
        row = partial(Metric, split=plan.split, level=table.level, group=name, n=len(table.sample), positives=int(table.sample.label.sum()))
        found = {metric.name: metric for metric in part_metrics(part, row)}
        rows.append((name, f"{len(table.sample):,}", *(metric_value(found.get(metric)) for metric in METRICS)))
    same = m.card.calibration.split == plan.split
    note = "Zero is best." + (" The calibration was fitted on a split of this name: on the same films it looks too good." if same else "")
    return Table("How well the probabilities fit", ("", "films", *map(metric_name, METRICS)), rows, m.origins.report, note)
