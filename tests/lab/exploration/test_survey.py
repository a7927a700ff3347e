"""What is measured of any index, and what is said of it: nothing drawn."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from made_exploration import mixture, mura_table, table
from made_trees import small_fracatlas
from osteon.lab.data.build import build_index
from osteon.lab.data.index import Report
from osteon.lab.data.layouts import Problem
from osteon.lab.exploration import counts
from osteon.lab.exploration.count_figures import size_columns
from osteon.lab.exploration.folder import charts
from osteon.lab.exploration.notes import notes
from osteon.lab.exploration.page import tables
from osteon.lab.exploration.records import Exploration, Opened, Origin, Tally
from osteon.lab.exploration.samples import with_greys
from osteon.lab.exploration.survey import problems_of, survey, troubles

ORIGIN = Origin(command="osteon explore index.parquet", fingerprint="f" * 64, osteon="0", dataset="made")

MIXTURES = {
    "no label": [{"label": None, "width": 100 + k} for k in range(30)],
    "no patient, no split": [{"label": k % 2, "width": 100 + k} for k in range(30)],
    "one class": [{"label": 1, "patient": f"SMITH{k}"} for k in range(30)],
    "one study type": [{"label": k % 2, "study_type": "HAND"} for k in range(30)],
    "200 study types": [{"label": k % 2, "study_type": f"TYPE{k % 200}", "split": "train"} for k in range(800)],
    "12 splits": [{"label": k % 2, "split": f"part {k % 12}"} for k in range(120)],
    "one film": [{"label": 1}],
    "no size, no format": [{"label": k % 2, "width": None, "height": None, "format": ""} for k in range(9)],
    "all unreadable": [{"label": k % 2, "status": "unreadable", "width": None, "height": None} for k in range(9)],
    "no type at all": [{"label": k % 2, "study_type": ""} for k in range(9)],
    "half of the patients": [{"label": k % 3 % 2, "patient": f"SMITH{k}" if k % 2 else ""} for k in range(30)],
    "a study of 60 films": [{"label": 1, "study": "MRN4711"} for _ in range(60)],
}


def surveyed(films: pl.DataFrame, problems: list[Problem] | None = None, origin: Origin = ORIGIN) -> Exploration:
    return survey(counts.named(films), problems or [], origin, films.clear(), None)


def texts(e: Exploration) -> list[str]:
    return [note.text for note in notes(e)]


@pytest.mark.parametrize("name", MIXTURES)
def test_any_mixture_has_words(name: str) -> None:
    films = table(MIXTURES[name])
    e = surveyed(films)
    figures = [figure for figure, _ in charts(e, films)]
    said = [*texts(e), *(f.caption for f in figures), *(f.alt for f in figures)]
    assert all(text.endswith((".", ")", "shown.")) for text in said)
    assert [text for text in said if "nan" in text.lower().split() or "None" in text] == []
    for section in tables(e).values():
        for found in section:
            assert {len(row) for row in found.rows} == {len(found.header)}


def test_what_is_said_of_labels() -> None:
    assert "No film has a label: shortcuts cannot be measured." in texts(surveyed(table(MIXTURES["no label"])))
    assert "All labelled films have the same label: shortcuts cannot be measured." in texts(surveyed(table(MIXTURES["one class"])))
    few = [{"label": int(k < 3), "width": 100 + k} for k in range(20)]
    assert "Too few groups of one label: shortcuts cannot be measured." in texts(surveyed(table(few)))


def test_a_shortcut_is_warned_of() -> None:
    films = mixture(300).with_columns(hardware=pl.col("label") == 1)
    first = notes(surveyed(films))[0]
    assert first.warns
    assert "hardware alone predicts the label: AUROC 1.000" in first.text
    quiet = texts(surveyed(mixture(300)))
    assert any(text.startswith("No attribute of 4 alone predicts the label") for text in quiet)


def test_patients_who_are_not_named_are_said() -> None:
    e = surveyed(table(MIXTURES["half of the patients"]))
    assert (e.patients, e.films_without_patient, e.who) == (15, 15, "patient")
    assert surveyed(table([{}] * 3)).who == "group"


def test_troubles_by_label_and_leaks_of_the_splits() -> None:
    rows = [{"status": "truncated", "label": 0}, {"status": "truncated", "label": 1}, {"status": "unreadable"}]
    leaky = [{"split": split, "group": "g"} for split in ("train", "valid", "")]
    found = troubles(counts.named(table([*rows, *leaky])), [Problem("missing", ("x",), ""), Problem("leak", ("of another time",), "")])
    assert [(t.kind, t.count, t.normal, t.abnormal) for t in found] == [
        ("unreadable", 1, 0, 0), ("truncated", 2, 1, 1), ("leak", 1, None, None), ("missing", 1, None, None),
    ]  # fmt: skip


def test_without_a_report_the_hashes_tell_duplicates() -> None:
    films = table([{"sha256": mark, "label": k % 2} for k, mark in enumerate(["x", "x", "y", "z", "z", "", ""])])
    assert [(f.kind, len(f.names)) for f in problems_of(films, None)] == [
        ("exact-duplicate", 2), ("label-conflict", 2), ("exact-duplicate", 2), ("label-conflict", 2),
    ]  # fmt: skip
    assert problems_of(films, Report(dataset="", layout="", decoded=True)) == []


def test_what_is_said_of_the_report() -> None:
    for told, words in (
        ({}, "No report stands beside the index"),
        ({"layout": "manifest", "report_fits": False}, "made of another state"),
        ({"layout": "manifest", "decoded": False}, "made without decoding"),
    ):
        origin = Origin(command="", fingerprint="", osteon="", dataset="", **told)  # type: ignore[arg-type]
        assert any(words in text for text in texts(surveyed(table([{}]), origin=origin)))


def test_what_is_said_of_films_that_cannot_be_opened() -> None:
    films = counts.named(table([{}]))
    found = texts(survey(films, [], ORIGIN, with_greys(films.clear(), {}), Opened(asked=9, opened=6, missing=2, refused=1)))
    assert found[:2] == [
        "2 of the 9 films to be opened are not where the index says. Index the dataset again, where it stands now.",
        "1 of the 9 films to be opened cannot be read. Index the dataset again, where it stands now.",
    ]


def test_fracatlas(tmp_path: Path) -> None:
    films, report = build_index(small_fracatlas(tmp_path / "FracAtlas"))
    e = surveyed(films, report.findings)
    assert (e.patients, e.hardware_known, e.compared) == (None, True, [])
    assert {t.kind: t.count for t in e.troubles}["exact-duplicate"] == 1
    assert "2 contradictory labels: folder against table, or duplicates." in texts(e)


def test_mura_beside_its_published_counts() -> None:
    films = mura_table()
    assert "All 58 counts are those of MURA as published." in texts(surveyed(films))
    less = surveyed(films[1:])
    said = "1 of 58 counts are not those of MURA as published, the first: train Elbow, normal films 2,924 instead of 2,925."
    assert said in texts(less)
    rows = next(t for t in tables(less)["counts"] if t.title == "Beside MURA's published counts").rows
    assert len(rows) == 14
    assert rows[0] == ("train", "ELBOW", "1,094 / 1,094", "660 / 660", "2,924 / 2,925 (-1)", "2,006 / 2,006")


@pytest.mark.parametrize("sizes", [[1], [1, 2, 3], [1, 8], [9], [1, 200], [3, 30, 300]])
def test_columns_hold_every_size_once(sizes: list[int]) -> None:
    columns = size_columns([Tally("train", size, 1) for size in sizes])
    assert len(columns) <= 8
    assert all(sum(low <= size <= high for low, high in columns) == 1 for size in sizes)
    assert [low for low, _ in columns] == [1, *(high + 1 for _, high in columns[:-1])]
