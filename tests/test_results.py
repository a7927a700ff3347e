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
from osteon.results import as_csv, as_json, cell, group, uncell
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
    assert list(told) == ["model", "finding", "study_pooling", "decision", "ignored", "studies"]
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
    uids = ("1.2 a", "1.2 b", "1.2 a")
    films = [FilmPrediction(f"{n}.dcm", probability=0.5, level="no", study_uid=uid) for n, uid in enumerate(uids)]
    sources = Sources([Source(f.film, f.film, f.film, f.film, ask_file=True) for f in films])
    assert [[f.film for f in study.films] for study in group(films, sources, made_card())] == [["0.dcm", "2.dcm"], ["1.dcm"]]
