"""The model card in the report: facts, figures, the guard's and the INT8 form's costs."""

from __future__ import annotations

import dataclasses
from copy import copy
from pathlib import Path

from msgspec.structs import replace

from made_run import made_run
from osteon.card import Int8, Int8Cost, Metric, Refusals, Scope
from osteon.lab.reporting.document import Gap, Table
from osteon.lab.reporting.model_card import card_section


def test_facts_and_metrics(tmp_path: Path) -> None:
    figure = Metric(split="valid", level="film", group="all", name="auroc", value=0.9, low=0.8, high=0.95, n=36, positives=12)
    told = made_run(tmp_path, metrics=(figure,), limits="Made films alone.").material(tmp_path / "out")
    [facts, figures] = [block for block in card_section(told).blocks if isinstance(block, Table)]
    assert ("limits", "Made films alone.") in facts.rows
    assert ("licence", "not stated") in facts.rows
    assert ("calibration", "none: the network's own probability") in facts.rows
    assert list(figures.rows) == [("AUROC", "valid", "film", "0.900 (0.800, 0.950)", "36", "12")]


def test_a_card_without_metrics_says_how_to_get_them(tmp_path: Path) -> None:
    section = card_section(made_run(tmp_path).material(tmp_path / "out"))
    [gap] = [block for block in section.blocks if isinstance(block, Gap)]
    assert "osteon evaluate --model" in gap.words
    assert "--card-into FILE" in gap.words


def test_guard_and_8_bits_with_their_costs(tmp_path: Path) -> None:
    told = made_run(tmp_path).material(tmp_path / "out")
    refusals = (
        Refusals(kind="chest films", films=20, refused=19, foreign=True),
        Refusals(kind="valid", films=36, refused=0, foreign=False, low=0, high=0.1),
    )
    scope = Scope(threshold=1.5, split="tune", rule="2 % of tune", measured=refusals)
    cost = Int8Cost(split="valid", films=36, changed=1, pointed=10, lost=0, auroc_float32=0.91, auroc=0.9)
    eight = Int8(calibrated_on="train", films=12, held="tune", layers=40, kept=2, costs=(cost,))
    model = copy(told.model)
    model.card = replace(told.card, scope=scope, int8=eight)
    tables = {block.title: block for block in card_section(dataclasses.replace(told, model=model)).blocks if isinstance(block, Table)}
    facts = {row[0]: row[1] for row in tables["made@1.0.0"].rows}
    assert "novelty above 1.5" in facts["guard"]
    assert "40 layers" in facts["INT8"]
    assert tables["What the guard refuses"].rows[0] == ("chest films", "20", "19", "0.950", "", "")
    assert list(tables["Cost of INT8"].rows) == [("valid", "36", "0", "0.9100", "0.9000", "1 (2.78%)", "10", "0", "0.000")]
