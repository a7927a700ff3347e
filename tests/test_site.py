"""A hospital's own edges of the answers, from the file to each answer."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from PIL import Image

import osteon as hall
from command_line import Typed
from made_index import made_index
from made_model import made_card, make_model
from osteon.card import Decision, Metric
from osteon.errors import ModelFileError
from osteon.opening import load_model
from osteon.site import Site, read_site, with_site

MEASURED = tuple(
    Metric(split="valid", level="film", group="all", name=name, value=value)
    for name, value in (("share of no among normal", 0.5), ("specificity", 0.8), ("share of yes among normal", 0.1))
)
EDGES = Decision(threshold=0.5, doubt_from=0.3, doubt_to=0.7)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "m.onnx", made_card(64, decision=EDGES, metrics=MEASURED), "brightness")


def site(model: Path, **changes: object) -> Site:
    opened = load_model(model)
    told = {"name": "north", "model": opened.card.reference, "sha256": opened.sha256, "made": "2026-12-01", "normal": 100}
    return msgspec.convert({**told, "doubt_from": 0.2, "threshold": 0.4, "doubt_to": 0.6, **changes}, Site)


def written(path: Path, made: Site) -> Path:
    path.write_bytes(made.to_json())
    return path


def test_only_the_edges_move_and_the_reference_names_the_site(tmp_path: Path, model: Path) -> None:
    file = written(tmp_path / "north.site.json", site(model))
    plain, moved = load_model(model).card, load_model(model, site=file).card
    assert (moved.decision.doubt_from, moved.decision.threshold, moved.decision.doubt_to) == (0.2, 0.4, 0.6)
    assert msgspec.structs.replace(moved, decision=plain.decision, site="") == plain
    assert moved.reference == f"{plain.reference}+{site(model).mark}"
    assert moved.level(0.25) == "doubt" and plain.level(0.25) == "no"


def test_a_site_is_found_by_its_name_in_the_folder_of_models(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_MODELS", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    written(tmp_path / "kept/north.site.json", site(model))
    assert load_model(model, site="north").card.site.startswith("north-")
    with pytest.raises(ModelFileError, match="south: this site file cannot be read"):
        load_model(model, site="south")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no site file"),
        (b"[" * 100_001, "too large"),
        (b"[" * 50_000, "no site file"),
        (b"\xff\xfe", "no site file"),
        (b"{}", "missing required field"),
    ],
)
def test_what_is_no_site_file_is_refused_in_a_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.site.json").write_bytes(content)
    with pytest.raises(ModelFileError, match=words) as refusal:
        read_site(tmp_path / "x.site.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "change", [{"doubt_from": 0.5}, {"doubt_to": 1.5}, {"doubt_from": 0.0}, {"name": "../x"}, {"made": "today"}, {"schema": 2}, {"more": 1}]
)
def test_values_that_do_not_fit_are_refused(tmp_path: Path, model: Path, change: dict[str, object]) -> None:
    told = json.loads(site(model).to_json()) | change
    (tmp_path / "x.site.json").write_text(json.dumps(told))
    with pytest.raises(ModelFileError, match="it is no site file"):
        read_site(tmp_path / "x.site.json")


def test_another_models_site_file_is_refused_by_name(model: Path) -> None:
    card, made = load_model(model).card, site(model)
    with pytest.raises(ModelFileError, match="was made for another file of"):
        with_site(card, made, "0" * 64, "north")
    with pytest.raises(ModelFileError, match=r"was made for wrist@9, and the model here is"):
        with_site(card, msgspec.structs.replace(made, model="wrist@9"), "0" * 64, "north")


def films(folder: Path, count: int) -> Path:
    folder.mkdir()
    rng, rows = np.random.default_rng(0), ["path,label,patient"]
    for i in range(count):
        grey = rng.integers(0, 90 + 2 * i, (64, 64), np.uint8)
        Image.fromarray(grey).save(folder / f"{i}.png")
        rows.append(f"{i}.png,0,p{i}")
    (folder / "films.csv").write_text("\n".join(rows) + "\n")
    return folder / "films.csv"


def test_from_normal_films_to_answers_that_name_the_site(osteon: Typed, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hospital's way: a table of normal films, its own limits, answers by them."""
    table = films(osteon.folder / "films", 40)
    status, out, _ = osteon("calibrate", "--model", model, "--site", table, "-o", "north.site.json")
    assert status == 0
    assert "at north: 40 normal and 0 abnormal films of 40 patients" in out
    assert "Normal films say nothing of the abnormal" in out
    made = read_site(osteon.folder / "north.site.json")
    assert [answer.name for answer in made.answers] == ["normal: no", "normal: uncertain", "normal: yes"]
    assert all(answer.low is not None and answer.low <= answer.after <= answer.high for answer in made.answers if answer.high is not None)
    assert sum(answer.after for answer in made.answers) == pytest.approx(1)
    assert ".png" not in (osteon.folder / "north.site.json").read_text()  # no name of a film
    status, out, _ = osteon(
        "predict", "films/0.png", "--model", model, "--site-file", "north.site.json", "--json", "a.json", "--page", "a.html"
    )
    assert status == 0
    told = json.loads((osteon.folder / "a.json").read_text())
    assert told["site"] == made.mark and told["model"].endswith(f"+{made.mark}")
    assert told["made_by"]["model_sha256"] == made.sha256
    assert told["decision"]["doubt_from"] == made.doubt_from
    assert f"+{made.mark}: probability of" in out
    assert made.mark in (osteon.folder / "a.html").read_text()
    assert hall.predict(osteon.folder / "films/0.png", load_model(model, site="north.site.json")).to_dict()["site"] == made.mark


def test_another_site_file_does_not_go_on_with_a_folder_of_answers(osteon: Typed, model: Path) -> None:
    films(osteon.folder / "films", 3)
    for name, low in (("north", 0.2), ("south", 0.1)):
        written(osteon.folder / f"{name}.site.json", site(model, name=name, doubt_from=low))
    words = ("predict", "films", "--model", model, "-o", "answers", "--site-file")
    assert osteon(*words, "north.site.json")[0] == 0
    status, _, err = osteon(*words, "south.site.json")
    assert status != 0 and "south" in err


def test_too_few_films_and_a_card_without_answers_are_refused(osteon: Typed, model: Path) -> None:
    table = films(osteon.folder / "films", 29)
    status, _, err = osteon("calibrate", "--model", model, "--site", table, "-o", "north.site.json")
    assert status != 0 and "29 normal films cannot move the edges of the answers: it takes 30" in err
    bare = make_model(osteon.folder / "bare.onnx", made_card(64, decision=EDGES), "brightness")
    made_index(osteon.folder, {"tune": 40})
    words = ("calibrate", "--model", bare, "--site", osteon.folder / "index.parquet", "-o")
    assert "does not say how often normal films get each answer" in osteon(*words, "north.site.json")[2]
    assert "a site file is called NAME.site.json" in osteon(*words, "north.onnx")[2]
    assert pl.read_parquet(osteon.folder / "index.parquet").height == 40
