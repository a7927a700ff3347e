"""Counts of an index, by hand and against what MURA was published with."""

from __future__ import annotations

import polars as pl
import pytest

from made_exploration import mixture, mura_table, table
from osteon.lab.exploration import counts
from osteon.lab.exploration.records import ALL, Compared, Tally

FILMS = table(
    [
        {"split": "train", "study": "a", "patient": "p", "group": "p", "label": 1},
        {"split": "train", "study": "a", "patient": "p", "group": "p", "label": 0},
        {"split": "train", "study": "b", "patient": "p", "group": "p", "label": 0, "study_type": "WRIST"},
        {"split": "valid", "study": "c", "patient": "q", "group": "q", "label": None},
        {"split": "valid", "study": "d", "patient": "", "group": "r", "label": 0},
    ]
)


def test_cells_count_patients_studies_and_films() -> None:
    cells = {(c.split, c.study_type): c for c in counts.cells(FILMS)}
    assert list(cells) == [
        ("train", "HAND"), ("train", "WRIST"), ("train", ALL), ("valid", "HAND"), ("valid", ALL),
        (ALL, "HAND"), (ALL, "WRIST"), (ALL, ALL),
    ]  # fmt: skip
    hand, valid, whole = cells["train", "HAND"], cells["valid", ALL], cells[ALL, ALL]
    assert (hand.patients, hand.studies, hand.normal_studies, hand.abnormal_studies, hand.films) == (1, 1, 0, 1, 2)
    assert (valid.patients, valid.groups, valid.studies, valid.unlabelled_studies, valid.abnormal_share) == (1, 2, 2, 1, 0)
    assert (whole.people, whole.studies, whole.films, whole.normal_films, whole.abnormal_films) == (2, 4, 5, 3, 1)


def test_a_study_with_an_unlabelled_film_is_normal_only_if_all_are() -> None:
    films = table([{"study": "a", "label": 0}, {"study": "a", "label": None}, {"study": "b", "label": 1}, {"study": "b", "label": None}])
    assert counts.studies_of(films)["label"].to_list() == [None, 1]


def test_without_patients_groups_are_counted() -> None:
    whole = counts.cells(table([{"group": "g"}, {"group": "g"}, {"group": "h"}]))[-1]
    assert (whole.patients, whole.people) == (None, 2)


def test_splits_stand_in_the_order_of_a_training() -> None:
    films = counts.named(table([{"split": s} for s in ("", "zoo", "test", "valid", "abc", "tune", "train")]))
    found = [c.split for c in counts.cells(films) if c.study_type == ALL]
    assert found == ["train", "tune", "valid", "test", "abc", "zoo", counts.UNSPLIT, ALL]


def test_tally() -> None:
    assert counts.tally(FILMS, "patient", "study") == [Tally("train", 2, 1), Tally("valid", 1, 1)]
    assert counts.tally(FILMS, "study", "path") == [Tally("train", 1, 1), Tally("train", 2, 1), Tally("valid", 1, 2)]


def test_spreads_agree_with_numpy_and_leave_out_what_has_no_size() -> None:
    films = pl.concat([mixture(40), table([{"width": None, "height": None, "label": 0}])])
    found = next(s for s in counts.spreads(films) if (s.name, s.label) == ("aspect", "abnormal"))
    aspect = films.filter(pl.col("label") == 1).select(pl.col("width") / pl.col("height")).to_series()
    assert found.films == len(aspect)
    assert [found.least, found.p5, found.median, found.p95, found.most] == pytest.approx(
        [aspect.min(), *(aspect.quantile(q, "linear") for q in (0.05, 0.5, 0.95)), aspect.max()]
    )
    assert sum(s.films for s in counts.spreads(films) if s.name == "width") == 40


def test_sizes_and_formats() -> None:
    films = table([{"width": 10}, {"width": 10}, {"width": 20, "format": "DICOM"}, {"width": None, "format": ""}])
    assert [(s.width, s.films) for s in counts.sizes(films)] == [(10, 2), (20, 1)]
    assert counts.formats(films) == {"PNG": 2, "DICOM": 1}


def test_flags_are_the_further_columns_that_are_yes_or_no() -> None:
    films = table(
        [{}] * 3,
        truth=[True, False, None],
        number=[0, 1, 1],
        real=[1.0, 0.0, None],
        word=["Yes", "", "no"],
        count=[0, 1, 2],
        text=["a", "b", "c"],
        nothing=[None, None, None],
        fold=[0, 1, 0],
        lists=[[1], [0], [1]],
    )
    found = {name: values.to_list() for name, values in counts.flags(films).items()}
    assert found == {
        "truth": [True, False, None],
        "number": [False, True, True],
        "real": [True, False, None],
        "word": [True, None, False],
    }


def test_hardware_where_it_is_known() -> None:
    films = table([{"label": k % 2, "study_type": "HAND" if k < 8 else ""} for k in range(12)], Hardware=[1, 0] * 3 + [0] * 6)
    rows = {(s.study_type, s.label): (s.count, s.films) for s in counts.hardware(counts.named(films))}
    assert rows == {
        (ALL, "abnormal"): (0, 6), (ALL, "normal"): (3, 6), ("HAND", "abnormal"): (0, 4), ("HAND", "normal"): (3, 4),
        (counts.UNKNOWN, "abnormal"): (0, 2), (counts.UNKNOWN, "normal"): (0, 2),
    }  # fmt: skip
    assert counts.hardware(films.drop("Hardware")) == []


def test_an_interval_needs_groups() -> None:
    assert counts.interval(0.5, 4) is None
    low, high = counts.interval(0.0, 30) or (None, None)
    assert low == 0
    assert high == pytest.approx(0.12, abs=0.01)


def test_full_mura_is_as_published_and_one_film_less_is_not() -> None:
    films = mura_table()
    assert films.height == 40_005
    assert len(counts.compared(films)) == 58
    assert [c for c in counts.compared(films) if c.here != c.published] == []
    dealt_out = films[1:].with_columns(split=pl.lit("train"))
    assert [c for c in counts.compared(dealt_out) if c.here != c.published] == [Compared("train", "ELBOW", "normal films", 2924, 2925)]
