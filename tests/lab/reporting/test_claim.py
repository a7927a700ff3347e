"""The checklist: all 44 items once, filled where the record knows, blank where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from made_run import made_run
from osteon.lab.reporting.claim import claim
from osteon.lab.reporting.claim_items import ITEMS
from osteon.lab.reporting.document import Checklist, Entry

AUTHORS = {2, 4, 5, 11, 15, 17, 18, 34, 44}
"""What no record can know."""


def checklist(folder: Path, **card: Any) -> Checklist:
    return claim(made_run(folder, **card).material(folder / "out"))


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Entry]:
    found = checklist(tmp_path_factory.mktemp("claim"), intended_use="Tests.", limits="Made films.", licence="CC0")
    return {entry.number: entry for entry in found.entries}


def test_all_items_stand_in_order(entries: dict[int, Entry]) -> None:
    assert list(entries) == list(ITEMS) == list(range(1, 45))
    assert all(item.asks and item.left for item in ITEMS.values())


def test_what_only_the_author_knows_is_blank(entries: dict[int, Entry]) -> None:
    assert {number for number, entry in entries.items() if entry.state == "blank"} == AUTHORS | {33}
    assert all(entry.left for entry in entries.values() if entry.state != "from the record")


def test_what_the_record_knows_is_filled(entries: dict[int, Entry]) -> None:
    assert "64 x 64 pixels" in entries[9].said
    assert "valid 36, tune 12, train 12" in entries[19].said or "valid 36, train 12, tune 12" in entries[19].said
    assert "0 groups" in entries[20].said
    assert "3,698,434 weights" in entries[22].said
    assert "torch" in entries[23].said
    assert "100 bootstrap resamples" in entries[29].said
    assert "split 'valid'" in entries[32].said
    assert "AUROC" in entries[37].said
    assert "sensitivity" in entries[38].said
    assert entries[40].said == "Made films."


def test_an_item_is_blank_without_its_fact(tmp_path: Path) -> None:
    bare = {entry.number: entry.state for entry in checklist(tmp_path).entries}
    assert [bare[number] for number in (3, 40, 41, 43)] == ["blank"] * 4
