"""Figures of folds: measured in each, averaged, and their intervals against a bootstrap that is written out plainly."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score, roc_curve

from made_predictions import made_films
from osteon.card import Metric
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folds import AT_SPECIFICITY, POINTING, Folds, fold_metrics, fold_names, fold_parts, folds_of
from osteon.lab.evaluation.metrics import Floats

COUNT = 3
PLAN = Plan(split="all", resamples=400)


def folded(studies: int = 90, seed: int = 0) -> pl.DataFrame:
    """A made table whose patients were dealt out to folds, each with scores on a scale of its own, and a peak in a box or beside it."""
    fold = pl.col("group").rank("dense").cast(pl.Int64) % COUNT
    films = made_films(studies, seed, separation=1.5).with_columns(split=pl.format("fold-{}", fold), logit=pl.col("logit") + 2 * (fold - 1))
    drawn = pl.Series(np.random.default_rng(seed).integers(0, 2, len(films)).astype(np.float64))
    return films.with_columns(probability=1 / (1 + (-pl.col("logit")).exp()), pointing=pl.when(pl.col("label") == 1).then(drawn))


@pytest.fixture(scope="module")
def films() -> pl.DataFrame:
    return folded()


@pytest.fixture(scope="module")
def folds(films: pl.DataFrame) -> Folds:
    return folds_of(films, PLAN.resamples, PLAN.seed)


def mean_over_folds(films: pl.DataFrame, group: str, name: str, columns: tuple[str, ...] = ()) -> Metric:
    metrics = fold_metrics(folds_of(films, PLAN.resamples, PLAN.seed), columns, PLAN)
    return next(m for m in metrics if (m.group, m.name) == (group, name))


def area(films: pl.DataFrame) -> float:
    return float(roc_auc_score(films["label"], films["probability"]))


def plain_bootstrap(films: pl.DataFrame, resamples: int, seed: int) -> list[float]:
    """Patients drawn again with replacement within each fold, as many as the fold has; the mean of the folds' AUROCs each time."""
    draw, means = np.random.default_rng(seed), []
    abnormal, score, fold, patient = films["label"].to_numpy() == 1, *(films[name].to_numpy() for name in ("probability", "split", "group"))
    films_of = [[np.flatnonzero(patient == name) for name in np.unique(patient[fold == one])] for one in np.unique(fold)]
    for _ in range(resamples):
        drawn = [np.concatenate([mine[k] for k in draw.integers(0, len(mine), len(mine))]) for mine in films_of]
        means.append(float(np.mean([wins(score[rows][abnormal[rows]], score[rows][~abnormal[rows]]) for rows in drawn])))
    return means


def wins(abnormal: Floats, normal: Floats) -> float:
    """How often an abnormal film has the higher score: AUROC."""
    return float((abnormal[:, None] > normal).mean() + (abnormal[:, None] == normal).mean() / 2)


def test_folds_are_known_by_their_names() -> None:
    assert fold_names(pl.DataFrame({"split": ["fold-10", "fold-2", "fold-2"]})) == ("fold-2", "fold-10")
    for other in ([], ["valid"], ["fold-1", "valid"], ["fold-1", ""], ["fold-x"]):
        assert fold_names(pl.DataFrame({"split": pl.Series(other, dtype=pl.String)})) == ()


def test_a_film_is_ranked_against_those_of_its_own_fold(films: pl.DataFrame) -> None:
    found = mean_over_folds(films, "all", "auroc")
    assert found.value == pytest.approx(np.mean([area(fold) for _, fold in films.group_by("split")]))
    assert found.value > area(films) + 0.05  # the folds' scales lie apart
    assert (found.split, found.level, found.n, found.positives, found.note) == ("all", "film", len(films), films["label"].sum(), "")


def test_the_interval_is_that_of_a_plain_bootstrap(films: pl.DataFrame, folds: Folds) -> None:
    spread = np.std(plain_bootstrap(films, 400, seed=11), ddof=1)
    ours = np.mean([part.resampled["auroc"] for part in fold_parts(folds, films, 0.5)], axis=0)
    assert ours.std(ddof=1) == pytest.approx(spread, rel=0.12)  # each of the two is known to 3.5 %
    abnormal = films.filter(pl.col("label") == 1)["group"].n_unique()
    found, patients = mean_over_folds(films, "all", "auroc"), min(abnormal, films.filter(pl.col("label") == 0)["group"].n_unique())
    quantile = stats.t.ppf(0.975, patients - 1) * np.sqrt(patients / (patients - 1))
    middle, half = logit(found.value), quantile * spread / (found.value * (1 - found.value))  # in log-odds
    assert (found.low, found.high) == (pytest.approx(expit(middle - half), abs=0.01), pytest.approx(expit(middle + half), abs=0.01))


def test_the_mean_is_better_known_than_a_fold(films: pl.DataFrame, folds: Folds) -> None:
    parts = fold_parts(folds, films, 0.5)
    alone = np.mean([part.resampled["auroc"].std() for part in parts])
    together = np.mean([part.resampled["auroc"] for part in parts], axis=0).std()
    assert together == pytest.approx(alone / np.sqrt(COUNT), rel=0.2)  # folds are drawn independently


def test_a_resample_is_the_figures_of_the_films_that_were_drawn(films: pl.DataFrame, folds: Folds) -> None:
    for fold, part in zip(folds.names, fold_parts(folds, films, 0.5), strict=True):
        mine = films.filter(split=fold)
        for b in range(3):
            times = [int(folds.weights[b, folds.codes[group]]) for group in mine["group"]]
            drawn = mine.select(pl.all().repeat_by(pl.Series(times)).explode())
            assert len(drawn) == sum(times)
            false, true, _ = roc_curve(drawn["label"], drawn["probability"], drop_intermediate=False)
            assert part.resampled["auroc"][b] == pytest.approx(area(drawn))
            assert part.resampled[AT_SPECIFICITY][b] == pytest.approx(max(true[1 - false >= 0.9 - 1e-9]))
            assert part.resampled[POINTING][b] == pytest.approx(drawn["pointing"].mean())


def test_pointing_is_of_abnormal_films_with_boxes(films: pl.DataFrame) -> None:
    some = films.with_columns(pointing=pl.when(pl.int_range(pl.len()) % 3 > 0).then("pointing"))
    found = mean_over_folds(some, "all", POINTING)
    shares = [fold.filter(pl.col("label") == 1)["pointing"].mean() for _, fold in some.group_by("split")]
    assert found.value == pytest.approx(np.mean(shares)) and found.low < found.value < found.high
    normal = films.with_columns(pointing=pl.when(pl.col("label") == 0).then(1.0))
    assert mean_over_folds(normal, "all", POINTING).value is None
    assert mean_over_folds(films.with_columns(pointing=pl.lit(None, pl.Float64)), "all", POINTING).note == "0 of 3 folds define it"


def test_a_subgroup_that_a_fold_does_not_define_is_the_mean_of_the_others(films: pl.DataFrame) -> None:
    rare = pl.when((pl.col("split") == "fold-1") & (pl.col("hardware") == 1)).then(pl.lit(0)).otherwise("label").cast(pl.Int8)
    table = films.with_columns(label=rare)
    found = mean_over_folds(table, "hardware=1", "auroc", ("hardware",))
    mine = table.filter(hardware=1)
    assert found.value == pytest.approx(np.mean([area(mine.filter(split=f"fold-{k}")) for k in (0, 2)]))
    assert found.note == "mean of 2 of 3 folds: the others do not define it"
    assert (found.n, found.positives) == (len(mine), mine["label"].sum())
    gone = films.filter((pl.col("split") != "fold-1") | (pl.col("hardware") == 0))
    assert mean_over_folds(gone, "hardware=1", "accuracy", ("hardware",)).note == ""  # of the folds that have such films


def test_few_patients_that_inform_a_figure_give_no_interval(films: pl.DataFrame) -> None:
    abnormal = films.filter(pl.col("label") == 1)
    few = abnormal["group"].unique(maintain_order=True).head(4).to_list()
    table = films.filter((pl.col("label") == 0) | pl.col("group").is_in(few))
    for name in ("auroc", "sensitivity", AT_SPECIFICITY, POINTING):
        found = mean_over_folds(table, "all", name)
        assert found.value is not None and found.low is None and found.note.startswith("no interval: too few groups inform it")
    assert mean_over_folds(table, "all", "specificity").low is not None
    found = mean_over_folds(abnormal, "all", POINTING)  # no normal film is needed to point at a finding
    assert found.low is not None and found.value == pytest.approx(mean_over_folds(films, "all", POINTING).value)


def test_films_without_score_or_label_take_no_part(films: pl.DataFrame) -> None:
    rows = pl.int_range(pl.len())
    refused = films.with_columns(
        probability=pl.when(rows % 10 > 0).then("probability"), label=pl.when(rows % 10 != 5).then("label").cast(pl.Int8)
    )
    kept = films.filter((rows % 10 > 0) & (rows % 10 != 5))
    assert mean_over_folds(refused, "all", "auroc") == mean_over_folds(kept, "all", "auroc")
