"""Evaluations, comparisons and calibrations as folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from made_model import made_card
from made_predictions import made_predictions
from osteon.atomic import write_json
from osteon.errors import MeasurementError, UsageError
from osteon.lab.calibration.calibrate import Calibrated, CalibrationPlan, calibrate
from osteon.lab.calibration.folder import calibrate_into
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folder import compare_into, evaluate, plan_for, predictions_of, read_evaluation
from osteon.lab.evaluation.scoring import Predictions, write_predictions

PLAN = Plan(resamples=150)


def test_an_evaluation_is_written_and_read(tmp_path: Path) -> None:
    evaluation = evaluate(made_predictions(studies=40), PLAN, tmp_path / "e")
    assert {file.name for file in (tmp_path / "e").iterdir()} >= {"evaluation.json", "roc.png", "kappa.png"}
    assert read_evaluation(tmp_path / "e") == read_evaluation(tmp_path / "e" / "evaluation.json") == evaluation
    assert evaluation.seconds > 0


def test_predictions_are_found_by_table_folder_and_evaluation(tmp_path: Path) -> None:
    made = made_predictions(studies=10)
    write_predictions(made, tmp_path / "predictions.parquet")
    evaluate(made, PLAN, tmp_path)
    for place in (tmp_path, tmp_path / "predictions.parquet", tmp_path / "evaluation.json"):
        assert predictions_of(place).films.equals(made.films.select(predictions_of(place).films.columns))
    with pytest.raises(MeasurementError, match="there is no such table"):
        predictions_of(tmp_path / "elsewhere")


def test_what_is_no_evaluation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(MeasurementError, match="no evaluation can be read"):
        read_evaluation(tmp_path)
    with pytest.raises(MeasurementError, match="no evaluation can be read"):
        read_evaluation(tmp_path / "absent.json")


def test_the_card_decides_unless_told() -> None:
    made = made_predictions(studies=5)
    card = msgspec.structs.replace(made_card(), study_pooling="max")
    card = msgspec.structs.replace(card, decision=msgspec.structs.replace(card.decision, threshold=0.3, doubt_from=0.3))
    carded = Predictions(made.films, msgspec.structs.replace(made.origin, card=card))
    assert plan_for(made, PLAN) == PLAN
    assert (plan_for(carded, PLAN).threshold, plan_for(carded, PLAN).study_pooling) == (0.3, "max")
    assert plan_for(carded, PLAN, 0.0).threshold == 0


def test_a_comparison_is_written_with_its_disagreements(tmp_path: Path) -> None:
    a = made_predictions(studies=40)
    noisy = pl.Series(np.clip(a.films["probability"].to_numpy() + np.random.default_rng(0).normal(0, 0.4, len(a.films)), 0, 1))
    comparison, apart = compare_into(a, replace(a, films=a.films.with_columns(probability=noisy)), (PLAN, PLAN), tmp_path)
    assert msgspec.json.decode((tmp_path / "comparison.json").read_bytes(), type=Comparison) == comparison
    table = pl.read_csv(tmp_path / "disagreements.csv")
    assert table["number"].to_list() == list(range(1, len(apart) + 1))
    assert (tmp_path / "disagreements.png").stat().st_size > 5000


def test_two_alike_leave_an_empty_list_and_no_gallery(tmp_path: Path) -> None:
    a = made_predictions(studies=10)
    compare_into(a, a, (PLAN, PLAN), tmp_path)
    assert pl.read_csv(tmp_path / "disagreements.csv").is_empty()
    assert not (tmp_path / "disagreements.png").exists()


def test_a_calibration_is_written_with_its_figure(tmp_path: Path) -> None:
    made = made_predictions(studies=80)
    result, crossed = calibrate(made, made_card(), CalibrationPlan(split="valid", resamples=150))
    calibrate_into(result, made, crossed, tmp_path)
    assert msgspec.json.decode((tmp_path / "calibration.json").read_bytes(), type=Calibrated) == result
    assert (tmp_path / "calibration.png").stat().st_size > 10_000


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_json(PLAN, tmp_path / "file" / "plan.json")
