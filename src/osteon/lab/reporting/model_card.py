"""The section with the model's card in words."""

from __future__ import annotations

from collections.abc import Iterator

from osteon.card_text import GUARD_HEADER, INT8_HEADER, facts, guard_rows, int8_rows, metric_name, metric_value
from osteon.lab.reporting.document import Block, Gap, Section, Table
from osteon.lab.reporting.material import Material


def card_section(m: Material) -> Section:
    """Return the section: facts, and the metrics that travel in the card."""
    rows = [(name, value or "not stated") for name, value in ({"finds": m.card.finding} | facts(m.card)).items()]
    note = "What stands in the model file, and so in every copy of it. What no measurement says is set with osteon card --facts."
    blocks: list[Block] = [Table(m.card.reference, ("", "the card"), rows, m.origins.model, note, (1,)), _metrics(m)]
    return Section("model-card", "Model card", [*blocks, *_guard_metrics(m), *_int8_metrics(m)])


def _guard_metrics(m: Material) -> Iterator[Table]:
    if m.card.scope and m.card.scope.measured:
        yield Table("What the guard refuses", GUARD_HEADER, guard_rows(m.card.scope), m.origins.model, words=(5,))


def _int8_metrics(m: Material) -> Iterator[Table]:
    if m.card.int8 and m.card.int8.costs:
        yield Table("Cost of INT8", INT8_HEADER, int8_rows(m.card.int8), m.origins.model)


def _metrics(m: Material) -> Block:
    shown = [x for x in m.card.metrics if x.group == "all" and not x.note.startswith("not a 95 %")]
    if not shown:
        return Gap(
            "The card carries no metrics. Write those of this report into it with: osteon evaluate --model "
            f"{m.model_file} --index {m.request.index_path(m.record)} --split {m.measured.evaluation.plan.split} --card-into FILE"
        )
    rows = [(metric_name(x.name), x.split, x.level, metric_value(x), f"{x.n:,}", f"{x.positives:,}") for x in shown]
    more = f"Those of all films and studies, out of {len(m.card.metrics):,}; osteon card --model {m.model_file} shows all."
    header = ("metric", "split", "level", "value (95 % interval)", "n", "abnormal")
    return Table("Metrics in the card", header, rows, m.origins.model, more, (1, 2))
