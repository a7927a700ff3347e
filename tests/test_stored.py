"""`osteon predict -o`: answers are on disk when they are made, and a stopped run goes on to the same bits."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from command_line import Run
from made_dicom import content, radiograph
from made_model import make_model
from osteon.atomic import alone

FILMS = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 films, some of them studies by folder, some without an answer."""
    top = tmp_path_factory.mktemp("films")
    for number in range(FILMS):
        film = top / (f"p/study{number // 6}/{number}.png" if number % 3 else f"{number:03d}.png")
        film.parent.mkdir(parents=True, exist_ok=True)
        made = np.random.default_rng(number).integers(0, 255, (40, 50), np.uint8)
        Image.fromarray(made if number % 50 else np.zeros_like(made)).save(film)
    (top / "broken.png").write_text("text")
    return top


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "osteon", "predict", *map(str, words)]


def answered(out: Path) -> Counter[str]:
    """How often each film stands in the parts."""
    lines = [line for part in (out / "parts").glob("*.jsonl") if part.stem.isdigit() for line in part.read_text().splitlines()]
    return Counter(json.loads(line)["film"] for line in lines)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stopped_at_random_moments_it_goes_on_to_the_same_bits(
    run: Run, model: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    monkeypatch.setattr("osteon.stored.FILMS", 7)
    assert run("predict", films, "--model", model, "-o", tmp_path / "whole", "-q")[0] == 1
    small = "import sys, osteon.stored as s; s.FILMS = 7; from osteon.cli import main; main()"
    words = command(films, "--model", model, "-o", tmp_path / "out", "-q")[3:]
    draw = random.Random(stop)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", small, *words], stderr=subprocess.PIPE, text=True) as process:
            before = len(list(tmp_path.glob("out/parts/*.jsonl")))
            while process.poll() is None and len(list(tmp_path.glob("out/parts/*.jsonl"))) < before + 3:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.05))
            process.send_signal(stop)
            assert process.stderr is not None
            told = process.stderr.read()
        if process.returncode in (129, 130, 143):
            assert f"films are answered and safe in {tmp_path}/out; the same command goes on" in told
    assert run("predict", films, "--model", model, "-o", tmp_path / "out", "-q")[0] == 1
    assert set(answered(tmp_path / "out").values()) == {1}
    assert len(answered(tmp_path / "out")) == FILMS + 1
    for suffix in ("csv", "json", "parquet"):
        assert (tmp_path / f"out/answers.{suffix}").read_bytes() == (tmp_path / f"whole/answers.{suffix}").read_bytes()


def test_the_folder_says_what_the_files_say(run: Run, model: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("predict", films, "--model", model, "--csv", tmp_path / "o.csv", "--json", tmp_path / "o.json")
    table = run(*asked, "--overlay", tmp_path / "overlays")[1]
    assert run(*asked, "-o", out, "--overlay", tmp_path / "overlays")[1] == table
    for kind in ("csv", "json"):
        assert (out / f"answers.{kind}").read_bytes() == (tmp_path / f"o.{kind}").read_bytes()
    rows = [row for row in csv.DictReader((out / "answers.csv").read_text().splitlines()) if row["row"] == "film"]
    parquet = pl.read_parquet(out / "answers.parquet")
    assert parquet["film"].to_list() == [row["film"] for row in rows]
    assert [str(number or "") for number in parquet["logit"]] == [row["logit"] for row in rows]
    page = (out / "answers.html").read_text()
    assert all(f'"../overlays/{number:03d}.overlay.png"' in page for number in (3, 6, 9))


def test_without_polars_there_is_no_parquet(model: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)).save(tmp_path / "a.png")
    code = "import sys; sys.modules['polars'] = None; from osteon.cli import main; main()"
    words = command(tmp_path / "a.png", "--model", model, "-o", tmp_path / "out", "-q")[3:]
    subprocess.run([sys.executable, "-c", code, *words], check=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("answers*")) == ["answers.csv", "answers.html", "answers.json"]


def test_the_folder_may_have_any_name(run: Run, model: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\x1b[31m \xff*")
    (tmp_path / name).mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)).save(tmp_path / "a.png")
    status, _, err = run("predict", tmp_path / "a.png", "--model", model, "-o", tmp_path / name / "out", "-q")
    assert (status, err) == (0, "")
    assert (tmp_path / name / "out/answers.parquet").stat().st_size > 0


def test_what_changed_or_came_is_answered_and_nothing_else(run: Run, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)).save(tmp_path / f"{name}.png")
    asked = ("predict", tmp_path, "--model", model, "-o", tmp_path / "out", "-q")
    assert run(*asked)[0] == 0
    for name in ("b", "c"):
        Image.fromarray(np.random.default_rng(2).integers(0, 255, (41, 50), np.uint8)).save(tmp_path / f"{name}.png")
    assert run(*asked)[0] == 0
    films = [study["films"][0] for study in json.loads((tmp_path / "out/answers.json").read_text())["studies"]]
    assert [Path(film["film"]).name for film in films] == ["a.png", "b.png", "c.png"]
    assert films[0]["logit"] != films[1]["logit"] == films[2]["logit"]
    assert {Path(film).name: times for film, times in answered(tmp_path / "out").items()} == {"a.png": 1, "b.png": 2, "c.png": 1}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("--no-guard",), "another guard: True, and not False"),
        (("--model", "other"), "another model's SHA-256"),
        (("--overlay", "o"), "another overlay"),
        (("also.png",), "another films"),
    ],
)
def test_another_question_is_refused(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "also.png"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)).save(name)
    asked = ["predict", "a.png", "-o", "out", "-q", "--model", model]
    assert run(*asked)[0] == 0
    kept = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    other = make_model(tmp_path / "other.onnx", kind="brightness")
    status, _, err = run(*asked[: -2 if "other" in change else None], *(other if word == "other" else word for word in change))
    assert (status, err.count("\n")) == (64, 1)
    assert named in err
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == kept


def test_a_folder_of_something_else_and_one_at_work_are_refused(run: Run, model: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").touch()
    status, _, err = run("predict", films, "--model", model, "-o", tmp_path / "notes", "-q")
    assert (status, "holds something that is no answers" in err) == (64, True)
    with alone(tmp_path / "out"):
        code = command(films, "--model", model, "-o", tmp_path / "out", "-q")
        told = subprocess.run(code, capture_output=True, text=True, check=False)
    assert (told.returncode, "another process works in" in told.stderr) == (64, True)


def test_a_full_disk_is_one_line_and_costs_nothing_that_is_safe(run: Run, model: Path, films: Path, tmp_path: Path) -> None:
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (38_000, 38_000))  # no part is larger, the tables are

    asked = (films, "--model", model, "-o", tmp_path / "out", "-q")
    environment = os.environ | {"OSTEON_CACHE": ""}
    told = subprocess.run(command(*asked), capture_output=True, text=True, check=False, preexec_fn=small, env=environment)
    assert told.returncode == 64
    assert told.stderr.count("\n") == 1
    assert f"cannot be written (File too large). {FILMS + 1} of {FILMS + 1} films are answered and safe: make room" in told.stderr
    assert not list((tmp_path / "out").glob("answers*"))
    assert run("predict", *asked)[0] == 1
    assert set(answered(tmp_path / "out").values()) == {1}


def test_studies_of_a_uid_are_found_again_and_the_uid_is_not_there(run: Run, model: Path, tmp_path: Path) -> None:
    for name, patient in {"a": "4711", "b": "4711", "c": "4712"}.items():
        (tmp_path / f"{name}.dcm").write_bytes(content(radiograph(PatientID=patient, StudyInstanceUID="1.2.826.0.1.77")))
    asked = ("predict", tmp_path, "--model", model, "-o", tmp_path / "out", "--no-guard")
    for _ in range(2):
        _, _, err = run(*asked)
        told = json.loads((tmp_path / "out/answers.json").read_text())["studies"]
        assert [len(study["films"]) for study in told] == [2, 1]
        assert "study of its own" not in err
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"1.2.826.0.1.77" not in written
    assert b"DOE" not in written


def test_patients_without_a_uid_are_found_again(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "study1").mkdir()
    for name, patient in {"a": "4711", "b": "4712", "c": "4711"}.items():
        (tmp_path / f"study1/{name}.dcm").write_bytes(content(radiograph(PatientID=patient, StudyInstanceUID=None)))
    for _ in range(2):
        run("predict", tmp_path / "study1", "--model", model, "-o", tmp_path / "out", "--no-guard")
        told = json.loads((tmp_path / "out/answers.json").read_text())["studies"]
        assert [(study["study"], len(study["films"])) for study in told] == [
            (f"{tmp_path}/study1", 2),
            (f"{tmp_path}/study1 (2)", 1),
        ]


def overlays(out: Path) -> dict[str, str]:
    with (out / "answers.csv").open() as table:
        return {Path(row["film"]).name: row["overlay"] for row in csv.DictReader(table) if row["row"] == "film"}


def test_a_heat_map_stays_its_film_s_when_films_come_and_when_it_is_lost(run: Run, model: Path, tmp_path: Path) -> None:
    top = tmp_path / "films"
    top.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)).save(top / "x.png")
    (top / "m.dcm").write_bytes(content(radiograph()))
    words = ("predict", top, "--model", model, "-o", tmp_path / "out", "--overlay", tmp_path / "drawn", "-q", "--no-guard")
    assert run(*words)[0] == 0
    first = overlays(tmp_path / "out")
    before = {film: Path(file).read_bytes() for film, file in first.items()}
    Image.fromarray(np.random.default_rng(2).integers(0, 255, (60, 50), np.uint8)).save(top / "x.jpg")
    (top / "a.dcm").write_bytes(content(radiograph()))
    assert run(*words)[0] == 0
    now = overlays(tmp_path / "out")
    assert len(set(now.values())) == 4
    assert {film: (now[film], Path(now[film]).read_bytes()) for film in first} == {film: (first[film], before[film]) for film in first}
    Path(now["x.png"]).unlink()
    assert run(*words)[0] == 0
    assert Path(overlays(tmp_path / "out")["x.png"]).read_bytes() == before["x.png"]


@pytest.mark.parametrize(("old", "new"), [('"probability": 0.', '"probability": 7.'), ('"uid": ""', '"uid": 3'), ("}\n", "}")])
def test_a_changed_part_is_found(run: Run, model: Path, films: Path, tmp_path: Path, old: str, new: str) -> None:
    words = ("predict", films / "p", "--model", model, "-o", tmp_path / "out", "-q", "--no-guard")
    run(*words)
    part = next((tmp_path / "out/parts").glob("*.jsonl"))
    text = part.read_text()
    part.write_text(text.replace(old, new, 1) if new != "}" else text.removesuffix("\n"))
    status, _, err = run(*words)
    assert status == 64 and "this part is damaged. Delete it" in err


@pytest.mark.parametrize("told", ["[]", "null", '{"salt": 3}'])
def test_a_record_that_is_none_is_refused(run: Run, model: Path, films: Path, tmp_path: Path, told: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/asked.json").write_text(told)
    status, _, err = run("predict", films, "--model", model, "-o", tmp_path / "out", "-q")
    assert status == 64 and "no record of answers" in err
