"""Predictions -> evaluation: everything is there, counted, and the same twice."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from made_model import made_card
from made_predictions import made_films, made_predictions
from osteon.card import Calibration, DataSource, Decision
from osteon.errors import MeasurementError, UsageError
from osteon.lab.evaluation.evaluation import ALL, MACRO, Evaluation, Plan, measure
from osteon.lab.evaluation.measurement import PAPER_INTERVAL
from osteon.lab.evaluation.scoring import Origin, Predictions

PLAN = Plan(resamples=200)


def test_figures_are_scikit_learns_at_both_levels() -> None:
    predictions = made_predictions()
    evaluation = measure(predictions, PLAN)
    films = predictions.films
    studies = films.group_by("study").agg(pl.col("probability").mean(), pl.col("label").first())
    for level, table in (("film", films), ("study", studies)):
        label, probability = table["label"].to_numpy(), table["probability"].to_numpy()
        found = {m.name: m.value for m in evaluation.metrics if (m.level, m.group) == (level, ALL)}
        assert found["auroc"] == pytest.approx(reference.roc_auc_score(label, probability))
        assert found["kappa"] == pytest.approx(reference.cohen_kappa_score(label, probability >= 0.5))
        assert found["accuracy"] == pytest.approx(np.mean((probability >= 0.5) == label))


def test_subgroups_are_measured_on_their_rows_alone() -> None:
    films = made_films()
    evaluation = measure(made_predictions(films), PLAN)
    lateral = films.filter(pl.col("view") == "LATERAL")
    metric = evaluation.find("film", "view=LATERAL", "auroc")
    assert metric is not None
    assert metric.value == pytest.approx(reference.roc_auc_score(lateral["label"].to_numpy(), lateral["probability"].to_numpy()))
    assert (metric.n, metric.positives) == (len(lateral), lateral["label"].sum())


def test_every_usual_subgroup_and_any_column_is_there() -> None:
    films = made_films().with_columns(scanner=pl.when(pl.col("width") < 400).then(pl.lit("A")).otherwise(pl.lit("B")))
    groups = {m.group for m in measure(made_predictions(films), msgspec.structs.replace(PLAN, by=("scanner",))).metrics}
    wanted = {ALL, MACRO, "study_type=HAND", "view=LATERAL", "view=unknown", "films=1", "films=4 or more", "hardware=1", "scanner=A"}
    assert wanted <= groups
    assert {g for g in groups if g.startswith("size=")}


def test_the_plan_decides_threshold_pooling_and_prevalence() -> None:
    predictions = made_predictions()
    plan = msgspec.structs.replace(PLAN, threshold=0.8, study_pooling="max", prevalences=(0.05,))
    found = {m.name: m.value for m in measure(predictions, plan).metrics if (m.level, m.group) == ("study", ALL)}
    studies = predictions.films.group_by("study").agg(pl.col("probability").max(), pl.col("label").first())
    label, called = studies["label"].to_numpy(), studies["probability"].to_numpy() >= 0.8
    assert found["sensitivity"] == pytest.approx(reference.recall_score(label, called))
    assert {"ppv at 0.05", "npv at 0.05"} <= set(found)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second, other = (measure(made_predictions(), msgspec.structs.replace(PLAN, seed=s)) for s in (1, 1, 2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    assert msgspec.json.encode(first) != msgspec.json.encode(other)


def test_an_evaluation_survives_json_and_holds_no_nan() -> None:
    films = made_films(studies=12).with_columns(study_type=pl.lit("HAND"))
    evaluation = measure(made_predictions(films), PLAN)
    text = msgspec.json.encode(evaluation)
    assert msgspec.json.decode(text, type=Evaluation) == evaluation
    for m in evaluation.metrics:
        assert m.value is None or np.isfinite(m.value)
        assert m.value is not None or m.note


def test_refused_and_unlabelled_films_are_counted_and_named() -> None:
    films = made_films(studies=30)
    first, second = films["path"][0], films["path"][1]
    said = pl.col("path") == first
    films = films.with_columns(
        probability=pl.when(said).then(None).otherwise("probability"),
        error=pl.when(said).then(pl.lit("cannot be read")).otherwise("error"),
        label=pl.when(pl.col("path") == second).then(None).otherwise("label"),
    )
    evaluation = measure(made_predictions(films), PLAN)
    assert evaluation.counts.refused_films == evaluation.counts.unlabelled_films == 1
    assert evaluation.counts.measured_films == len(films) - 2
    assert [(r.path, r.reason) for r in evaluation.refused] == [(first, "cannot be read")]


def test_a_split_of_two_studies_gets_values_with_a_reason_for_the_missing_intervals() -> None:
    films = made_films(studies=2, seed=3)
    evaluation = measure(made_predictions(films), PLAN)
    metric = evaluation.find("study", ALL, "accuracy")
    assert metric is not None
    assert metric.value is not None
    assert metric.note.startswith("no interval: ")


def test_one_class_and_constant_scores_crash_nothing() -> None:
    films = made_films(studies=20)
    for changed in (films.with_columns(label=pl.lit(0, dtype=pl.Int8)), films.with_columns(probability=pl.lit(0.5))):
        metric = measure(made_predictions(changed), PLAN).find("study", ALL, "auroc")
        assert metric is not None
        assert metric.value is None
        assert metric.note


@pytest.mark.parametrize("column", ["label", "probability"])
def test_nothing_to_measure_is_refused_with_counts(column: str) -> None:
    films = made_films(studies=9).with_columns(pl.lit(None).cast(pl.Float64 if column == "probability" else pl.Int8).alias(column))
    with pytest.raises(MeasurementError, match=f"of {len(films)} films"):
        measure(made_predictions(films), PLAN)


def test_a_split_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(MeasurementError, match=r"no film in split 'test'; there are: valid \(\d+ films\)"):
        measure(made_predictions(), Plan(split="test"))


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(UsageError, match="no column 'scanner'"):
        measure(made_predictions(), Plan(by=("scanner",)))


def test_predictions_of_studies_alone_are_measured_at_that_level_only() -> None:
    films = made_films().unique("study", maintain_order=True).with_columns(path=pl.lit(""))
    evaluation = measure(made_predictions(films), PLAN)
    assert {m.level for m in evaluation.metrics} == {"study"}
    assert evaluation.counts.measured_films == 0


def test_localisation_stands_beside_its_baselines() -> None:
    rng = np.random.default_rng(0)
    films = made_films()
    hit = pl.Series(rng.random(len(films)))
    abnormal = pl.col("label") == 1
    columns = ("pointing", "inside", "iou", *(f"{f}_{b}" for f in ("pointing", "inside", "iou") for b in ("centre", "random")))
    films = films.with_columns(pl.when(abnormal).then(hit).alias(column) for column in columns)
    evaluation = measure(made_predictions(films), PLAN)
    mean = evaluation.find("film", ALL, "pointing")
    assert mean is not None
    assert mean.value == pytest.approx(films.filter(abnormal)["pointing"].mean())
    assert mean.n == films["label"].sum()
    for name in ("pointing, centre", "inside, random", "iou"):
        assert evaluation.find("film", "called abnormal", name) is not None
        assert evaluation.find("film", "study_type=HAND", name) is not None


def test_the_papers_interval_stands_beside_kappa() -> None:
    paper = measure(made_predictions(), PLAN).find("study", ALL, PAPER_INTERVAL)
    assert paper is not None
    assert paper.high - paper.low < 0.05  # type: ignore[operator]


def test_notes_say_what_makes_figures_too_good() -> None:
    predictions = made_predictions()
    source = DataSource(name="made", split="valid", fingerprint="f00d")
    card = made_card(data=(source,), calibration=Calibration(split="valid"), decision=Decision(split="valid"))
    films = predictions.films.with_columns(status=pl.lit("truncated"))
    notes = measure(Predictions(films, replace_origin(predictions.origin, card=card), stray=("x",)), PLAN).notes
    assert [n for n in notes if "was trained on this split" in n]
    assert [n for n in notes if "calibrated on a split named 'valid'" in n]
    assert [n for n in notes if "given its threshold" in n]
    assert [n for n in notes if "truncated" in n]
    assert [n for n in notes if n.startswith("1 predictions are of films")]
    other = replace_origin(predictions.origin, card=card, fingerprint="beef")
    assert [n for n in measure(replace(predictions, origin=other), PLAN).notes if "a split named 'valid': if it is the same data" in n]


def replace_origin(origin: Origin, **changes: object) -> Origin:
    return msgspec.structs.replace(origin, **changes)


def test_a_report_of_muras_size_takes_less_than_half_a_minute() -> None:
    predictions = made_predictions(studies=1199)
    start = time.process_time()
    evaluation = measure(predictions, Plan(prevalences=(0.1,)))
    assert time.process_time() - start < 30
    assert evaluation.counts.measured_studies == 1199
