"""Calibration in the report: before and after on the reported films, or how to get there."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_run import made_run
from osteon.card import Calibration
from osteon.lab.reporting.document import Table
from osteon.lab.reporting.reliability import calibration_section


@pytest.mark.parametrize(("split", "rows"), [("", ["not calibrated"]), ("tune", ["before calibration", "after calibration"])])
def test_before_and_after(tmp_path: Path, split: str, rows: list[str]) -> None:
    made = made_run(tmp_path, calibration=Calibration(slope=0.5, intercept=1.0, split=split))
    section = calibration_section(made.material(tmp_path / "out"), tmp_path / "out" / "figures")
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[0] for row in table.rows] == rows
    assert len({row[2] for row in table.rows}) == len(rows)
    assert (tmp_path / "out" / "figures" / "reliability.png").is_file()


def test_calibrated_on_what_is_reported(tmp_path: Path) -> None:
    made = made_run(tmp_path, calibration=Calibration(slope=0.5, split="valid"))
    section = calibration_section(made.material(tmp_path / "out"), tmp_path / "out" / "figures")
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert "it looks too good" in table.note
