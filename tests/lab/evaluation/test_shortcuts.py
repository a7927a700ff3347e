"""What attributes of the file alone reach, and what is left of a model among films that are alike in them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from made_predictions import made_films, made_predictions
from osteon.lab.evaluation.comparison import compare
from osteon.lab.evaluation.evaluation import Plan, measure
from osteon.lab.evaluation.shortcuts import Shortcut, shortcuts

PLAN = Plan(resamples=200)


def from_two_machines(films: int = 900, seed: int = 0) -> pl.DataFrame:
    """Films of which the width alone has an AUROC of .92; `probability` is the width's, `probability_b` also knows the finding."""
    rng = np.random.default_rng(seed)
    made = made_films(studies=films, seed=seed).unique("study", keep="first", maintain_order=True)
    label = made["label"].to_numpy() == 1
    wide = rng.random(len(label)) < np.where(label, 0.92, 0.08)
    logit = 4.0 * wide + 0.3 * rng.normal(size=len(label))
    width = np.where(wide, 454, 373)
    named = made.with_columns(
        pl.Series("width", width, dtype=pl.Int32), logit=pl.Series(logit), probability=pl.Series(1 / (1 + np.exp(-logit)))
    )
    finding = logit + 4 * label
    return named.with_columns(probability_b=pl.Series(1 / (1 + np.exp(-finding))))


def of(found: list[Shortcut] | tuple[Shortcut, ...], name: str) -> Shortcut:
    [one] = [s for s in found if s.name == name]
    return one


def test_a_width_that_tells_the_label_is_said_with_what_is_left_of_the_model() -> None:
    evaluation = measure(made_predictions(from_two_machines()), PLAN)
    strongest = evaluation.shortcuts[0]
    assert strongest.name == "width"
    assert strongest.alone.value == pytest.approx(0.92, abs=0.02)
    assert strongest.within[0] is not None
    assert strongest.within[0].low is not None
    assert strongest.within[0].low < 0.5 < (strongest.within[0].high or 0)  # the model is the width and noise
    [warning] = [note for note in evaluation.notes if "width alone has AUROC" in note]
    assert "in place of the finding" in warning


def test_a_model_that_knows_more_keeps_it_among_films_that_are_alike() -> None:
    films = from_two_machines()
    width = of(shortcuts(films, ("probability_b",)), "width")
    assert width.within[0] is not None
    assert width.within[0].value > 0.98
    parts = [films.filter(pl.col("width") == w) for w in (373, 454)]
    pairs = [int((p["label"] == 1).sum()) * int((p["label"] == 0).sum()) for p in parts]
    areas = [roc_auc_score(p["label"], p["probability_b"]) for p in parts]
    assert width.within[0].value == pytest.approx(np.average(areas, weights=pairs))


def test_a_column_of_many_values_does_not_win_by_chance() -> None:
    films = from_two_machines()
    rng = np.random.default_rng(1)
    found = shortcuts(
        films.with_columns(number=pl.Series(rng.random(len(films))), clerk=pl.Series(rng.integers(0, 40, len(films)).astype(str)))
    )
    for name in ("number", "clerk", "height"):
        alone = of(found, name).alone
        assert alone.low is not None
        assert alone.low < 0.5 < (alone.high or 0), name


def test_a_gain_that_is_the_width_s_is_said() -> None:
    films = from_two_machines()
    rng = np.random.default_rng(2)
    weak = 1 / (1 + np.exp(-(films["label"].to_numpy() + rng.normal(size=len(films)))))
    a = made_predictions(films.drop("probability_b").with_columns(probability=pl.Series(weak)))
    b = made_predictions(films.drop("probability_b"))
    compared = compare(a, b, (PLAN, PLAN))
    assert any(note.startswith("width explains most of the gain: +0.1") for note in compared.notes)
    gain = of(compared.shortcuts, "width").gain
    assert gain is not None
    assert gain.value < 0


def test_a_column_that_is_the_label_is_named_and_the_next_one_is_warned_of() -> None:
    films = from_two_machines().drop("probability_b").with_columns(fractures=pl.col("label") * 2)
    notes = measure(made_predictions(films), PLAN).notes
    assert any(note.startswith("the column fractures alone tells the label (AUROC 1.000") for note in notes)
    assert any(note.startswith("width alone") for note in notes)


def test_an_honest_model_is_not_warned_of() -> None:
    evaluation = measure(made_predictions(made_films(studies=300)), PLAN)
    assert not any("alone" in note for note in evaluation.notes)
    assert {s.name for s in evaluation.shortcuts} == {"width", "height", "aspect", "films in the study", "study type", "view", "hardware"}


def test_a_handful_of_patients_measures_none() -> None:
    assert shortcuts(made_films(studies=4)) == []
