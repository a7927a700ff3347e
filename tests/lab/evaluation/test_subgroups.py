"""Films -> studies, and subgroups of both."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_model import made_card
from made_predictions import made_films
from osteon.errors import UsageError
from osteon.lab.evaluation import subgroups
from osteon.prediction import pool_study


def study(labels: list[int | None], probabilities: list[float | None], **columns: list[object]) -> pl.DataFrame:
    films = {"study": ["s"] * len(labels), "group": ["g"] * len(labels), "label": labels, "probability": probabilities, **columns}
    return pl.DataFrame(films, schema_overrides={"label": pl.Int8, "probability": pl.Float64})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.sampled_from(["mean", "max", "noisy-or", "top-k"]))
def test_pooling_is_the_halls(probabilities: list[float], pooling: subgroups.StudyPooling) -> None:
    card = msgspec.structs.replace(made_card(), study_pooling=pooling)
    pooled = subgroups.studies(study([1] * len(probabilities), [*probabilities]), pooling)["probability"].item()
    assert pooled == pytest.approx(pool_study(probabilities, card), abs=1e-12)


def test_refused_films_take_no_part_in_a_studys_number() -> None:
    assert subgroups.studies(study([1, 1], [0.4, None]), "noisy-or")["probability"].item() == pytest.approx(0.4)
    assert subgroups.studies(study([1, 1], [None, None]), "mean")["probability"].item() is None


@pytest.mark.parametrize(("labels", "label"), [([0, 1], 1), ([0, 0], 0), ([None, 1], 1), ([None, 0], None), ([None, None], None)])
def test_a_study_is_abnormal_if_a_film_is_and_normal_if_all_are(labels: list[int | None], label: int | None) -> None:
    assert subgroups.studies(study(labels, [0.5, 0.5]), "mean")["label"].item() == label


def test_what_differs_within_a_study_is_mixed() -> None:
    films = study([1, 1], [0.1, 0.2], view=["AP", "LATERAL"], hardware=[1, 1])
    row = subgroups.studies(films, "mean", ("view", "hardware")).row(0, named=True)
    assert (row["view"], row["hardware"]) == ("mixed", "1")


def test_classes_of_size_and_film_count() -> None:
    films = made_films(studies=40).with_columns(width=pl.lit(100), height=pl.Series([256, 257] * 100).head(len(made_films(studies=40))))
    classed = subgroups.with_classes(films)
    assert set(classed["size"]) == {"1 to 256", "257 to 512"}
    for name, count in classed.select("films", pl.len().over("study")).iter_rows():
        assert name == ("4 or more" if count >= 4 else str(count))


def test_usual_subgroups_need_their_column() -> None:
    films = subgroups.with_classes(made_films(studies=20).drop("width", "hardware"))
    assert subgroups.dimensions(films, ()) == ("study_type", "view", "films")


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no column 'scanner'"):
        subgroups.dimensions(made_films(studies=5), ("scanner",))


@pytest.mark.parametrize("column", ["path", "boxes"])
def test_a_column_that_no_table_can_show_is_refused(column: str) -> None:
    films = made_films(studies=60).with_columns(boxes=pl.lit([[1.0]]))
    with pytest.raises(UsageError, match="more than 50 values"):
        subgroups.dimensions(films, (column,))


def test_empty_values_are_unknown_and_one_value_makes_no_subgroup() -> None:
    rows = pl.DataFrame({"view": ["AP", "", None, "AP"], "same": ["x"] * 4})
    groups = {name: chosen.tolist() for name, chosen in subgroups.subgroups(rows, "view")}
    assert groups == {"view=AP": [True, False, False, True], "view=unknown": [False, True, True, False]}
    assert not list(subgroups.subgroups(rows, "same"))


def test_numbers_of_many_values_become_quarters() -> None:
    rows = pl.DataFrame({"age": [*range(100), None]})
    groups = dict(subgroups.subgroups(rows, "age"))
    quarters = ["0 to 24.75", "24.75 to 49.5", "49.5 to 74.25", "74.25 to 99"]
    assert list(groups) == ["age=unknown", *(f"age=quarter {i}: {ends}" for i, ends in enumerate(quarters, 1))]
    assert sum(chosen.sum() for chosen in groups.values()) == 101


def test_a_sample_numbers_its_patients() -> None:
    films = made_films(studies=10)
    codes = {group: code for code, group in enumerate(films["group"].unique().to_list())}
    sample = subgroups.sample(films, codes)
    assert [codes[group] for group in films["group"]] == sample.cluster.tolist()
