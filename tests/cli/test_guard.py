"""How `osteon predict` tells of films that are out of the model's scope."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import Run
from made_model import made_card, make_model

BLANK = "blank: it has hardly any contrast"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx", made_card(study_types=("HAND", "LEG")), "brightness")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of a film and a blank one, and a loose blank one."""
    ramp = np.linspace(0, 1, 90)[None].repeat(70, 0)
    for name, grey in {"study1/a.png": ramp, "study1/b.png": 0.5 + 0.02 * ramp, "loose.png": 0.3 + 0.02 * ramp}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(grey * 255)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def test_a_table_gives_the_reason_and_the_status_is_none_of_failure(run: Run, model: Path, study: Path) -> None:
    status, out, err = run("predict", study, "--model", model)
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert (status, err) == (0, "")
    assert "out of scope" in rows[f"{study}/loose.png"]
    assert BLANK in rows[f"{study}/loose.png"]
    assert "2 films, 1 out of scope" in rows[f"{study}/study1"]
    assert "2 studies, 3 films: " in out
    assert "1 out of scope; 2 films out of scope." in out


def test_a_film_of_one_grey_is_out_of_scope_with_or_without_the_guard(run: Run, model: Path, tmp_path: Path) -> None:
    Image.new("L", (90, 70), 128).save(tmp_path / "flat.png")
    for options in ((), ("--no-guard",)):
        status, out, err = run("predict", tmp_path / "flat.png", "--model", model, *options)
        assert (status, err) == (0, "")
        assert "out of scope" in out
        assert "blank, all its pixels have one grey" in out


def test_csv_and_json_keep_reason_and_error_apart(run: Run, model: Path, study: Path) -> None:
    (study / "study1/c.png").touch()
    status, out, _ = run("predict", study, "--model", model, "--csv", "-")
    rows = {r["film"].rpartition("/")[2] or f"study {Path(r['study']).name}": r for r in csv.DictReader(io.StringIO(out))}
    assert status == 1
    whole = rows["study study1"]
    assert (whole["films"], whole["refused"], whole["out_of_scope"]) == ("3", "1", "1")
    assert whole["probability"] == rows["a.png"]["probability"] != ""
    outside = rows["b.png"]
    assert (outside["level"], outside["probability"], outside["reason"], outside["error"]) == ("out of scope", "", BLANK, "")
    assert (rows["c.png"]["level"], rows["c.png"]["reason"]) == ("", "")
    assert rows["c.png"]["error"] != ""
    assert (rows["study loose.png"]["level"], rows["study loose.png"]["probability"]) == ("out of scope", "")
    told = json.loads(run("predict", study / "loose.png", "--model", model, "--json", "-")[1])["studies"][0]
    assert (told["level"], told["probability"]) == ("out of scope", None)
    assert (told["films"][0]["reason"], told["films"][0]["error"], told["films"][0]["logit"]) == (BLANK, "", None)
    assert "peak" not in told["films"][0]


def test_without_the_guard_every_film_has_its_number(run: Run, model: Path, study: Path) -> None:
    told = json.loads(run("predict", study, "--model", model, "--json", "-", "--no-guard")[1])
    films = [film for s in told["studies"] for film in s["films"]]
    assert all(film["probability"] is not None and not film["reason"] for film in films)


def test_the_competition_gets_a_number_of_each_study(run: Run, model: Path, study: Path, tmp_path: Path) -> None:
    (tmp_path / "paths.csv").write_text("in/study1/b.png\n")
    status, _, err = run("predict", "--model", model, "--mura-csv", tmp_path / "paths.csv", tmp_path / "o.csv", "-q")
    assert (status, err) == (0, "")
    assert (tmp_path / "o.csv").read_text().startswith("in/study1/,")


def test_an_overlay_shows_the_film_and_the_reason_and_no_heat(run: Run, model: Path, study: Path, tmp_path: Path) -> None:
    assert run("predict", study / "loose.png", "--model", model, "--overlay", tmp_path / "out")[0] == 0
    drawn = np.asarray(Image.open(tmp_path / "out/loose.overlay.png"))
    film = np.asarray(Image.open(study / "loose.png"))
    assert (np.abs(drawn[:70, :90].astype(int) - film[..., None]) <= 1).all()
    assert drawn[70:].max() > 150


def test_a_declared_body_part_that_the_model_never_learned(run: Run, model: Path, shared_data: Path) -> None:
    status, out, _ = run("predict", shared_data / "dicom", "--model", model, "--json", "-")
    films = {f["film"].rpartition("/")[2]: f for s in json.loads(out)["studies"] for f in s["films"]}
    assert status == 0
    assert films["RG1_J2KI.dcm"]["reason"] == "it declares the body part CHEST, which made@1.0.0 was not trained on"
    assert "THORAX" in films["DX_MONOCHROME1_thorax.dcm"]["reason"]
    assert films["RG3_J2KR.dcm"]["reason"] == ""  # EXTREMITY
