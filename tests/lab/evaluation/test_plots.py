"""Figures are drawn, readable, the same twice, and change nothing outside themselves."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn import metrics as reference

from made_predictions import made_films, made_predictions
from osteon.lab.evaluation import plots
from osteon.lab.evaluation.evaluation import Evaluation, Plan, Table, level_tables, measure
from osteon.lab.evaluation.plots import draw_evaluation, draw_reliability
from osteon.lab.evaluation.scoring import Predictions
from osteon.lab.evaluation.subgroups import with_classes

PLAN = Plan(resamples=200)


def measured(predictions: Predictions) -> tuple[Evaluation, list[Table]]:
    return measure(predictions, PLAN), list(level_tables(with_classes(predictions.films), PLAN, ("study_type",)))


def test_every_figure_is_drawn_at_a_papers_column(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    files = draw_evaluation(*measured(made_predictions()), tmp_path / "figures")
    assert {file.name for file in files} == {"roc.png", "precision-recall.png", "reliability.png", "kappa.png"}
    for file in files:
        with Image.open(file) as image:
            assert image.width == 1020  # 86 mm at 300 dots an inch
            assert len(np.unique(np.asarray(image.convert("L")))) > 50
    assert dict(mpl.rcParams) == before


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    evaluation, tables = measured(made_predictions(studies=40))
    first, second = (draw_evaluation(evaluation, tables, tmp_path / name) for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_one_class_draws_what_it_can(tmp_path: Path) -> None:
    films = made_films(studies=20).with_columns(label=pl.lit(0, dtype=pl.Int8))
    files = draw_evaluation(*measured(made_predictions(films)), tmp_path)
    assert [file.name for file in files] == ["reliability.png"]


@pytest.mark.parametrize("studies", [2, 3])
def test_few_studies_are_drawn(tmp_path: Path, studies: int) -> None:
    films = made_films(studies=studies, seed=1).with_columns(label=pl.int_range(pl.len()).cast(pl.Int8).clip(0, 1).over("study"))
    assert draw_evaluation(*measured(made_predictions(films)), tmp_path)


def test_study_types_that_are_not_muras_stand_alone(tmp_path: Path) -> None:
    films = made_films(studies=60).with_columns(study_type=pl.col("study_type").replace({"HAND": "LEG"}))
    assert (tmp_path / "kappa.png") in draw_evaluation(*measured(made_predictions(films)), tmp_path)


@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_scikit_learns(ties: bool) -> None:
    [studies, _] = measured(made_predictions(studies=60))[1]
    sample = studies.sample
    if ties:
        sample = type(sample)(sample.label, np.round(sample.probability, 1), sample.cluster)
    false, true, precision = plots._curve(sample, np.ones((1, len(sample))))
    x, y, _ = reference.roc_curve(sample.label, sample.probability, drop_intermediate=False)
    np.testing.assert_allclose((false[0], true[0]), (x, y))
    p, r, _ = reference.precision_recall_curve(sample.label, sample.probability)
    np.testing.assert_allclose((precision[0], true[0]), (p[::-1], r[::-1]))


def test_two_reliabilities_share_a_figure(tmp_path: Path) -> None:
    [studies, films] = measured(made_predictions(studies=60))[1]
    path = draw_reliability({"before": studies.sample, "after": films.sample}, tmp_path / "both.png")
    assert path.stat().st_size > 10_000
