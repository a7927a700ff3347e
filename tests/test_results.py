"""What other programs read of `osteon predict`: the keys of the JSON and the columns of the CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from made_model import made_card
from osteon.page import as_page
from osteon.prediction import FilmPrediction
from osteon.results import as_csv, as_json, cell, group, grouped, uncell
from osteon.sources import Source, Sources

FILMS = (
    FilmPrediction(
        "s/a.png", logit=0.5, probability=0.25, level="no", study_type="HAND", remarks=("R",), peak=(1.0, 2.0, 3.0), overlay_file="o.png"
    ),
    FilmPrediction("s/b.png", level="out of scope", reason="blank"),
    FilmPrediction("s/c.png", error="empty"),
)
SOURCES = Sources([Source(f.film, f.film, f.film, "s") for f in FILMS])


def test_the_json() -> None:
    studies = group(FILMS, SOURCES, made_card())
    told = json.loads("".join(as_json(studies)))
    assert told == studies.to_dict()
    assert list(told) == ["model", "site", "made_by", "finding", "study_pooling", "decision", "ignored", "studies"]
    assert list(told["decision"]) == ["threshold", "doubt_from", "doubt_to"]
    [study] = told["studies"]
    assert list(study) == ["study", "level", "probability", "films"]
    a, b, c = study["films"]
    assert a == {
        "film": "s/a.png", "level": "no", "probability": 0.25, "logit": 0.5, "study_type": "HAND", "truncated": False,
        "peak": {"x": 1.0, "y": 2.0, "evidence": 3.0}, "overlay": "o.png", "remarks": ["R"], "reason": "", "error": "",
    }  # fmt: skip
    assert (b["level"], b["reason"], c["level"], c["error"]) == ("out of scope", "blank", None, "empty")
    assert list(b) == ["film", "level", "probability", "logit", "study_type", "truncated", "remarks", "reason", "error"]


def test_the_csv() -> None:
    rows = list(csv.reader(io.StringIO("".join(as_csv(group(FILMS, SOURCES, made_card()))))))
    assert rows == [
        [
            "row",
            "study",
            "film",
            "level",
            "probability",
            "logit",
            "films",
            "refused",
            "out_of_scope",
            "study_type",
            "truncated",
            "overlay",
            "reason",
            "error",
            "remarks",
        ],
        ["study", "s", "", "no", "0.25", "", "3", "1", "1", "", "", "", "", "", ""],
        ["film", "s", "s/a.png", "no", "0.25", "0.5", "", "", "", "HAND", "False", "o.png", "", "", "R"],
        ["film", "s", "s/b.png", "out of scope", "", "", "", "", "", "", "False", "", "blank", "", ""],
        ["film", "s", "s/c.png", "", "", "", "", "", "", "", "False", "", "", "empty", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1.png", "-1.png", "@sum", "'=1", "''-x", " =1", "\uff1d1", "a=1.png", "'quoted", "plain", ""])
def test_no_cell_is_a_formula_and_each_is_read_back(text: str) -> None:
    assert cell(text)[:1] not in ("=", "+", "-", "@", "\uff1d", " ")
    assert uncell(cell(text)) == text


def test_tables_and_page_show_names_without_their_power() -> None:
    name = "=cmd()\x1b[31m\n\u202egnp.\udcff<b>.png"
    films = (FilmPrediction(name, error="empty"), FilmPrediction("-1.png", logit=-2.0, probability=0.25, level="no"))
    studies = group(films, Sources([Source(f.film, f.film, f.film, f.film) for f in films]), made_card())
    rows = list(csv.DictReader(io.StringIO("".join(as_csv(studies)))))
    assert [row["study"] for row in rows[::2]] == [r"'=cmd()\x1b[31m\n\u202egnp.\udcff<b>.png", "'-1.png"]
    assert rows[3]["logit"] == "-2.0"
    page = "".join(as_page(studies, Path(), datetime.now(UTC)))
    assert r"=cmd()\\x1b[31m\\n\\u202egnp.\\udcff\u003cb>.png" in page
    told = "".join(as_json(studies))
    assert told.replace("\n", "").isprintable()
    assert json.loads(told)["studies"][0]["study"] == name


def test_one_uid_over_several_patients_is_not_one_study() -> None:
    patients = ("a", "b", "a")
    films = [
        FilmPrediction(f"{n}.dcm", probability=0.5, level="no", study_uid="1.2", patient=patient) for n, patient in enumerate(patients)
    ]
    sources = Sources([Source(f.film, f.film, f.film, f.film, ask_file=True) for f in films])
    assert [[f.film for f in study.films] for study in group(films, sources, made_card())] == [["0.dcm", "2.dcm"], ["1.dcm"]]


def studies_of(told: dict[str, tuple[str, str]], **source: object) -> list[tuple[str, list[str]]]:
    """The name and films of each study of a folder `study1`; `told` is the UID and the patient that each film's file names."""
    sources = [Source(name, name, name, "study1", **source) for name in told]  # type: ignore[arg-type]
    return [(name, [list(told)[i] for i in members]) for name, members in grouped(Sources(sources), list(told.values()))]


def test_films_of_two_patients_without_a_uid_are_two_studies_of_their_folder() -> None:
    told = {"a.dcm": ("", "a"), "b.dcm": ("", "b"), "c.dcm": ("", "a"), "broken.dcm": ("", "")}
    assert studies_of(told, ask_file=True) == [
        ("study1", ["a.dcm", "c.dcm"]),
        ("study1 (2)", ["b.dcm"]),
        ("study1 (3)", ["broken.dcm"]),
    ]


def test_a_film_that_names_no_patient_is_of_the_one_patient_of_its_folder() -> None:
    told = {"a.dcm": ("", "a"), "broken.dcm": ("", ""), "b.png": ("", "")}
    assert studies_of(told, ask_file=True) == [("study1", ["a.dcm", "broken.dcm", "b.png"])]


def test_what_a_person_says_of_a_study_stands_against_the_files() -> None:
    assert studies_of({"a.dcm": ("1.2", "a"), "b.dcm": ("1.3", "b")}, ask_file=False) == [("study1", ["a.dcm", "b.dcm"])]


def test_studies_of_one_name_are_told_apart_and_take_no_other_s_name() -> None:
    films = [("1", "m\np1"), ("1", "m\np2"), ("1 (2)", "m\np1"), ("1", "n\n")]
    sources = Sources([Source(f"{i}.png", f"{i}.png", f"{i}.png", study, apart=apart) for i, (study, apart) in enumerate(films)])
    assert [name for name, _ in grouped(sources, [("", "")] * 4)] == ["1", "1 (3)", "1 (2)", "1 (4)"]
