"""The MURA paper's table and its interval."""

from __future__ import annotations

import math

import pytest

from osteon.lab.evaluation.published import PAPER_KAPPA, READERS, paper_interval
from osteon.regions import MURA_STUDY_TYPES

PRINTED = {0.731: (0.726, 0.735), 0.763: (0.759, 0.767), 0.778: (0.774, 0.782), 0.705: (0.700, 0.710)}
BY_TYPE = {"HUMERUS": ((0.867, 0.850, 0.883), (0.733, 0.703, 0.764)), "WRIST": ((0.791, 0.766, 0.817), (0.931, 0.922, 0.940))}


def test_the_table_has_every_study_type_and_reader() -> None:
    assert set(PAPER_KAPPA) == {*MURA_STUDY_TYPES, "all"}
    assert {len(row) for row in PAPER_KAPPA.values()} == {len(READERS)}


@pytest.mark.parametrize("kappa", PRINTED)
def test_the_formula_gives_the_printed_overall_widths(kappa: float) -> None:
    assert kappa in PAPER_KAPPA["all"]
    low, high = paper_interval(kappa, observed=(1 + kappa) / 2, chance=0.5, n=207)
    printed = PRINTED[kappa]
    assert (high - low) / 2 == pytest.approx((printed[1] - printed[0]) / 2, abs=5.5e-4)  # three digits were printed


@pytest.mark.parametrize("study_type", BY_TYPE)
def test_the_formula_gives_the_printed_widths_of_thirty_studies(study_type: str) -> None:
    for kappa, printed_low, printed_high in BY_TYPE[study_type]:
        low, high = paper_interval(kappa, observed=(1 + kappa) / 2, chance=0.5, n=29.5)
        assert (low, high) == pytest.approx((printed_low, printed_high), abs=1.5e-3)


def test_one_class_has_no_interval() -> None:
    low, high = paper_interval(0.0, 1.0, 1.0, 10)
    assert math.isnan(low)
    assert math.isnan(high)
