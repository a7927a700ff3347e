"""Attributes that go with the label: against scikit-learn, a bootstrap over groups, and made populations."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from made_exploration import mixture, table
from osteon.lab.evaluation import bootstrap
from osteon.lab.evaluation.metrics import Sample, ranking
from osteon.lab.exploration import shortcuts


def one_stratum(n: int) -> np.ndarray:
    return np.zeros(n, np.int64)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auroc_is_scikit_learns_with_ties(rows: list[tuple[bool, int]]) -> None:
    label, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    area, error = shortcuts.auroc(label, score, np.arange(len(rows)), one_stratum(len(rows)))
    if label.all() or not label.any():
        assert np.isnan(area)
        assert np.isnan(error)
    else:
        assert area == pytest.approx(roc_auc_score(label, score))


@given(st.integers(0, 1000))
def test_within_strata_it_is_the_mean_of_the_strata_weighted_by_their_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    label, score, stratum = draw.random(60) < 0.4, draw.integers(0, 9, 60).astype(float), draw.integers(0, 4, 60)
    parts, pairs = [], []
    for part in (stratum == k for k in range(4)):
        if 0 < label[part].sum() < part.sum():
            parts.append(roc_auc_score(label[part], score[part]))
            pairs.append(label[part].sum() * (~label[part]).sum())
    assert shortcuts.auroc(label, score, np.arange(60), stratum)[0] == pytest.approx(np.average(parts, weights=pairs))


def test_the_standard_error_is_the_bootstraps() -> None:
    draw = np.random.default_rng(3)
    cluster = np.repeat(np.arange(150), 3)
    ill = np.repeat(draw.random(150) < 0.4, 3)
    score = np.repeat(draw.normal(0, 1, 150), 3) + draw.normal(0, 0.5, 450) + 0.8 * ill
    weights = bootstrap.cluster_weights(150, 1500)
    resampled = bootstrap.replicate(Sample(ill, score, cluster), lambda w: {"auroc": ranking(ill, score, w)[0]}, weights)["auroc"]
    _, error = shortcuts.auroc(ill, score, cluster, one_stratum(450))
    assert error == pytest.approx(resampled.std(), rel=0.07)
    assert error > 1.4 * shortcuts.auroc(ill, score, np.arange(450), one_stratum(450))[1]  # three films of a patient are not three


def test_the_interval_is_that_of_bootstrap_and_holds_the_truth() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        cluster = np.repeat(np.arange(100), 2)
        label = np.repeat(draw.random(100) < 0.3, 2)
        score = np.repeat(draw.normal(0, 1, 100), 2) + draw.normal(0, 1, 200) + label  # AUROC Phi(1 / 2)
        area, error = shortcuts.auroc(label, score, cluster, one_stratum(200))
        low, high = shortcuts.interval(area, error, len(np.unique(cluster[label]))) or (0, 0)
        held += low <= 0.6914625 <= high
    assert 0.925 <= held / 400 <= 0.98


def test_an_interval_needs_groups_and_has_a_width_where_all_is_told_apart() -> None:
    assert shortcuts.interval(0.7, 0.1, bootstrap.LEAST_CLUSTERS - 1) is None
    assert shortcuts.interval(float("nan"), float("nan"), 9) is None
    low, high = shortcuts.interval(1.0, 0.0, 20) or (0, 0)
    assert 0.7 < low < high == 1


def test_every_attribute_of_an_index() -> None:
    films = mixture(400).with_columns(
        format=pl.Series(["PNG", "DICOM"] * 200), status=pl.when(pl.col("label") == 0).then(pl.lit("truncated")).otherwise(pl.lit("ok"))
    )
    films = films.with_columns(hardware=pl.col("label") == 1, width=pl.col("width") + 150 * pl.col("label").cast(pl.Int32))
    rows = {a.name: a for a in shortcuts.attributes(films)}
    assert list(rows) == [
        "width", "height", "megapixels", "aspect", shortcuts.FILMS, shortcuts.TRUNCATED, "format DICOM", "format PNG", "hardware",
    ]  # fmt: skip
    assert rows["hardware"].auroc == 1
    assert rows[shortcuts.TRUNCATED].auroc == 0
    assert rows["width"].shows
    assert (rows["width"].within or 0) > 0.75
    assert rows[shortcuts.FILMS].note == "the same in all 400 labelled films"
    assert [a.name for a in shortcuts.strongest_first(list(rows.values()))][:3] == ["hardware", shortcuts.TRUNCATED, "width"]


def test_what_merely_tells_the_study_type_is_nothing_within_study_types() -> None:
    rows = [
        {"study_type": kind, "label": int(k % 10 < often), "width": wide}
        for kind, often, wide in (("HAND", 8, 200), ("HIP", 2, 400))
        for k in range(50)
    ]
    found = next(a for a in shortcuts.attributes(table(rows)) if a.name == "width")
    assert (found.auroc or 1) < 0.3
    assert (found.within, found.within_low, found.shows) == (None, None, False)


def test_why_an_attribute_cannot_be_measured() -> None:
    assert {a.note for a in shortcuts.attributes(table([{}] * 9))} == {"no labelled film tells it"}
    assert {a.note for a in shortcuts.attributes(table([{"label": 1, "width": k} for k in range(1, 9)]))} == {"one class only"}
    few = table([{"label": int(k < 3), "width": k + 1} for k in range(20)])
    found = next(a for a in shortcuts.attributes(few) if a.name == "width")
    assert (found.auroc, found.low, found.note) == (0, None, "no interval: the rarer label has 3 groups")
