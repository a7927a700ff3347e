from __future__ import annotations

import csv
import gc
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import osteon
from command_line import Run
from made_model import made_card, make_model
from osteon.card import Calibration, DataSource, Decision, Metric
from osteon.film import prepare


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    card = made_card(64, calibration=Calibration(slope=0.5, intercept=-0.5), decision=Decision(threshold=0.3, doubt_from=0.2, doubt_to=0.6))
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx", card, "brightness")


def draw(path: Path, level: float = 0.5, shape: tuple[int, int] = (80, 100)) -> Path:
    """Write a film of one grey with some noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.parts)).uniform(-0.05, 0.05, shape)
    Image.fromarray(np.uint8(np.clip(level + noise, 0, 1) * 255)).save(path)
    return path


def test_api_command_line_and_onnx_runtime_give_one_number(run: Run, model: Path, tmp_path: Path, shared_data: Path) -> None:
    films = [draw(tmp_path / "made.png"), *sorted((shared_data / "fracatlas/images/Fractured").iterdir())[:3]]
    status, out, _ = run("predict", *films, "--model", model, "--json", "-")
    told = [film for study in json.loads(out)["studies"] for film in study["films"]]
    opened, session = osteon.load_model(model), onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert (status, len(told)) == (0, 4)
    for path, film in zip(films, told, strict=True):
        read = osteon.read_film(path)
        reference = session.run(["logit"], {"image": prepare(read, opened.card.frame)[None]})[0][0]
        assert film["logit"] == pytest.approx(float(reference), abs=1e-4)
        assert film["probability"] == pytest.approx(1 / (1 + np.exp(0.5 - 0.5 * float(reference))), abs=1e-4)
        assert film["logit"] == opened.predict([read]).films[0].logit


class TestTable:
    def test_a_row_a_study_and_a_line_a_film(self, run: Run, model: Path, tmp_path: Path) -> None:
        draw(tmp_path / "p1/study1/image1.png", 0.9)
        draw(tmp_path / "p1/study1/image2.png", 0.1)
        draw(tmp_path / "p1/study2/image1.png", 0.1)
        status, out, err = run("predict", tmp_path, "--model", model)
        rows = [line.rstrip() for line in out.splitlines()]
        assert (status, err) == (0, "")
        assert rows[0].split() == ["study", "/", "film", "level", "probability", "remark"]
        assert rows[1].startswith(f"{tmp_path}/p1/study1 ")
        assert rows[1].endswith("2 films")
        assert [r.split()[0] for r in rows[2:6]] == ["image1.png", "image2.png", f"{tmp_path}/p1/study2", "image1.png"]
        assert rows[2].split()[1] == "yes"
        assert rows[3].split()[1] == "no"
        assert rows[7] == "2 studies, 3 films: 1 uncertain, 1 no."
        assert rows[8] == "made@1.0.0: probability of abnormality, yes from 0.6, uncertain from 0.2. Not for diagnosis."

    def test_a_refused_film_has_its_reason_and_costs_the_others_nothing(self, run: Run, model: Path, tmp_path: Path) -> None:
        draw(tmp_path / "study1/a.png", 0.9)
        (tmp_path / "study1/b.png").write_text("text")
        (tmp_path / "study1/c.png").touch()
        (tmp_path / "study1/.hidden.png").touch()
        status, out, err = run("predict", tmp_path / "study1", "--model", model)
        assert (status, err) == (1, "")
        assert "3 films, 2 refused" in out
        words = " ".join(out.split())
        assert "b.png no answer refused: neither PNG, JPEG, TIFF nor DICOM." in words
        assert "c.png no answer refused: the file is empty." in words
        assert "1 study, 3 films: 1 yes; 2 films refused; ignored: 1 hidden files." in out

    def test_nothing_but_refused_films(self, run: Run, model: Path, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("text")
        status, out, err = run("predict", tmp_path / "a.png", "--model", model)
        assert (status, err) == (1, "")
        assert "1 study, 1 film: 1 no answer; 1 film refused." in out

    def test_loose_films_are_said_to_be_loose(self, run: Run, model: Path, tmp_path: Path) -> None:
        draw(tmp_path / "a.png")
        draw(tmp_path / "b.png")
        assert "each of 2 films was treated as a study of its own; --study-by folder" in run("predict", tmp_path, "--model", model)[2]
        status, out, err = run("predict", tmp_path, "--model", model, "--study-by", "folder")
        assert (status, err) == (0, "")
        assert "1 study, 2 films" in out

    def test_nobody_is_advised_to_average_strangers(self, run: Run, model: Path, tmp_path: Path) -> None:
        for number in range(13):
            draw(tmp_path / f"in/{number}.png")
        err = run("predict", tmp_path / "in", "--model", model)[2]
        assert err == "osteon: each of 13 films was treated as a study of its own.\n"
        assert "1 study, 13 films" in run("predict", tmp_path / "in", "--model", model, "--study-by", "folder")[1]

    def test_a_link_that_leads_out_is_followed_aloud_or_not_at_all(self, run: Run, model: Path, tmp_path: Path) -> None:
        draw(tmp_path / "in/a.png")
        (tmp_path / "in/b.png").symlink_to(draw(tmp_path / "outside/b.png"))
        (tmp_path / "in/c").symlink_to(tmp_path / "outside")
        _, out, err = run("predict", tmp_path / "in", "--model", model)
        assert "2 studies, 2 films" in out
        assert "ignored: 1 links to folders outside." in out
        assert "osteon: 1 films stand behind links that lead out of the folder." in err

    def test_a_name_in_brackets_is_a_name(self, run: Run, model: Path, tmp_path: Path) -> None:
        assert "[bold]a[/bold].png" in run("predict", draw(tmp_path / "[bold]a[" / "bold].png"), "--model", model)[1]

    def test_quiet_says_only_what_was_refused(self, run: Run, model: Path, tmp_path: Path) -> None:
        assert run("predict", draw(tmp_path / "a.png"), "--model", model, "-q") == (0, "", "")
        (tmp_path / "b.png").touch()
        status, out, err = run("predict", tmp_path, "--model", model, "-q")
        assert (status, out) == (1, "")
        assert err == f"osteon: {tmp_path}/b.png: the file is empty. Copy it again.\n"

    def test_a_long_table_is_cut_where_a_file_has_it_all(
        self, run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("osteon.cli.prediction_table.MOST_ROWS", 3)
        for number in range(7):
            draw(tmp_path / f"{number}.png")
        out = run("predict", tmp_path, "--model", model, "--csv", tmp_path / "o.csv")[1]
        assert "... and 4 more rows, in the file." in out
        assert "more rows" not in run("predict", tmp_path, "--model", model)[1]


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        draw(tmp_path / "in/study1/a.png", 0.9)
        (tmp_path / "in/study1/b.png").touch()
        draw(tmp_path / "in/c.jpg", 0.1)
        (tmp_path / "in/notes.txt").touch()
        return tmp_path / "in"

    def test_json(self, run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
        status, out, _ = run("predict", folder, "--model", model, "--json", tmp_path / "o.json")
        told = json.loads((tmp_path / "o.json").read_text())
        assert status == 1
        assert "studies" in out
        assert (told["model"], told["finding"], told["study_pooling"]) == ("made@1.0.0", "abnormality", "mean")
        assert told["decision"] == {"threshold": 0.3, "doubt_from": 0.2, "doubt_to": 0.6}
        assert told["ignored"] == {"other files": 1}
        loose, study = told["studies"]
        assert loose["study"] == loose["films"][0]["film"] == f"{folder}/c.jpg"
        a, b = study["films"]
        assert study["probability"] == a["probability"] > 0.6
        assert (study["level"], a["level"], a["error"], a["truncated"]) == ("yes", "yes", "", False)
        assert 0 <= a["peak"]["x"] <= 100
        assert (b["probability"], b["level"], b["logit"]) == (None, None, None)
        assert b["error"].startswith("the file is empty")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--csv", "one", "--json", "one"), "one: two kinds of answers would be written into one file"),
            (("--csv", "a/x.csv", "-o", "a"), "a/x.csv: -o writes its own tables into that folder"),
            (("--page", "-", "--csv", "-"), "only one of --json, --csv, --page and --mura-csv"),
            (("--csv", "made.onnx"), "made.onnx: this file is an input"),
        ],
    )
    def test_no_output_is_written_over_another(
        self, run: Run, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
    ) -> None:
        monkeypatch.chdir(folder.parent)
        shutil.copy(model, "made.onnx")
        status, _, err = run("predict", folder, "--model", "made.onnx", *words)
        assert status == 64 and said in err and Path("made.onnx").read_bytes() == model.read_bytes()

    @pytest.mark.parametrize("parts", [False, True])
    def test_page(self, run: Run, model: Path, folder: Path, tmp_path: Path, parts: bool) -> None:
        words = ["predict", folder, "--model", model, "--page", tmp_path / "o.html", *(["-o", tmp_path / "answers"] if parts else [])]
        assert run(*words)[0] == 1
        page = (tmp_path / "o.html").read_text(encoding="utf-8")
        assert page.count('<script type="text/plain" id="picture-') == 2
        if parts:  # the pictures stay, so the same command makes the same page again
            assert run(*words)[0] == 1
            assert (tmp_path / "o.html").read_text(encoding="utf-8").partition("<p>")[2].partition(". Made")[0] in page
            assert (tmp_path / "o.html").read_text(encoding="utf-8").count('id="picture-') == 2
            assert "picture-0" not in (tmp_path / "answers/answers.html").read_text(encoding="utf-8").replace("`picture-${", "")

    def test_csv(self, run: Run, model: Path, folder: Path) -> None:
        _, out, err = run("predict", folder, "--model", model, "--csv", "-")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [r["row"] for r in rows] == ["study", "film", "study", "film", "film"]
        assert (rows[2]["films"], rows[2]["refused"], rows[2]["level"]) == ("2", "1", "yes")
        assert float(rows[3]["probability"]) == float(rows[2]["probability"])
        assert rows[4]["error"].startswith("the file is empty")
        assert f"osteon: {folder}/study1/b.png: the file is empty" in err

    def test_no_film_and_both_to_the_standard_output_are_refused(self, run: Run, model: Path, folder: Path) -> None:
        assert run("predict", folder, "--model", model, "--csv", "-", "--json", "-")[0] == 64
        assert run("predict", "--model", model)[0] == 64

    @pytest.mark.parametrize("option", ["--json", "--csv"])
    def test_a_folder_that_is_not_there_is_refused_first(self, run: Run, folder: Path, tmp_path: Path, option: str) -> None:
        status, _, err = run("predict", folder, "--model", "never-opened.onnx", option, tmp_path / "none/o")
        assert status == 64
        assert "its folder does not exist" in err

    def test_a_file_that_cannot_be_written(self, run: Run, model: Path, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "o.json").mkdir()
        status, _, err = run("predict", folder, "--model", model, "--json", tmp_path / "o.json")
        assert status == 64
        assert err.startswith(f"osteon: {tmp_path}/o.json: cannot be written")


class TestOverlays:
    def test_films_of_one_name_get_an_overlay_each(self, run: Run, model: Path, tmp_path: Path) -> None:
        names = ["in/study1/image1.png", "in/study2/image1.png", "in/study2/image1.jpg", "elsewhere/image1.png"]
        for name in names:
            draw(tmp_path / name)
        status, out, _ = run(
            "predict", tmp_path / "in", tmp_path / names[3], "--model", model, "--overlay", tmp_path / "out", "--json", "-"
        )
        told = {f["film"]: f["overlay"] for s in json.loads(out)["studies"] for f in s["films"]}
        assert status == 0
        assert {os.path.relpath(k, tmp_path): os.path.relpath(v, tmp_path / "out") for k, v in told.items()} == {
            "in/study1/image1.png": "study1/image1.overlay.png",
            "in/study2/image1.jpg": "study2/image1.overlay.png",
            "in/study2/image1.png": "study2/image1-2.overlay.png",
            "elsewhere/image1.png": "image1.overlay.png",
        }
        for overlay in told.values():
            with Image.open(overlay) as image:
                assert image.size[1] > 80 + 90

    def test_films_are_never_overwritten_and_overlays_never_read(self, run: Run, model: Path, tmp_path: Path) -> None:
        film = draw(tmp_path / "a.png")
        named_like_one = draw(tmp_path / "b.overlay.png")
        draw(tmp_path / "b.png")
        before = [film.read_bytes(), named_like_one.read_bytes()]
        assert run("predict", tmp_path, named_like_one, "--model", model, "--overlay", tmp_path)[0] == 0
        assert [film.read_bytes(), named_like_one.read_bytes()] == before
        assert sorted(p.name for p in tmp_path.iterdir()) == [
            "a.overlay.png", "a.png", "b-2.overlay.png", "b.overlay.overlay.png", "b.overlay.png", "b.png",
        ]  # fmt: skip
        out = run("predict", tmp_path, "--model", model)[1]
        assert "2 studies" in out
        assert "4 other files" in out

    def test_a_manifest_cannot_lead_an_overlay_out_of_its_folder(self, run: Run, model: Path, tmp_path: Path) -> None:
        draw(tmp_path / "films/a.png")
        (tmp_path / "lists").mkdir()
        (tmp_path / "lists/m.csv").write_text("path\n../films/a.png\n")
        run("predict", tmp_path / "lists/m.csv", "--model", model, "--overlay", tmp_path / "out")
        assert (tmp_path / "out/films/a.overlay.png").is_file()

    def test_an_overlay_that_cannot_be_written_costs_no_number(self, run: Run, model: Path, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        status, out, err = run("predict", draw(tmp_path / "a.png"), "--model", model, "--overlay", tmp_path / "out")
        assert status == 64
        assert "1 study, 1 film" in out
        assert "the overlay cannot be written" in err


class TestDicom:
    def test_films_of_one_uid_are_a_study_and_the_uid_stays_inside(self, run: Run, model: Path, tmp_path: Path, shared_data: Path) -> None:
        status, out, err = run("predict", shared_data / "dicom", "--model", model, "--json", "-", "--overlay", tmp_path / "out")
        told = {s["study"].rpartition("/")[2]: [f["film"].rpartition("/")[2] for f in s["films"]] for s in json.loads(out)["studies"]}
        assert told == {
            "DX_MONOCHROME1_thorax.dcm": ["DX_MONOCHROME1_thorax.dcm"],
            "RG1_J2KI.dcm": ["RG1_J2KI.dcm"],
            "RG3_J2KI.dcm and 1 more": ["RG3_J2KI.dcm", "RG3_J2KR.dcm"],
        }
        assert status == 0
        assert "1.3.6.1" not in out + err
        assert all(re.fullmatch(r"dicom-[0-9a-f]{12}\.overlay\.png", p.name) for p in (tmp_path / "out").iterdir())

    def test_a_study_alone_in_a_folder_is_called_by_it(self, run: Run, model: Path, tmp_path: Path, shared_data: Path) -> None:
        (tmp_path / "export").mkdir()
        for name in ("RG3_J2KI.dcm", "RG3_J2KR.dcm"):
            (tmp_path / "export" / name).symlink_to(shared_data / "dicom" / name)
        out = run("predict", tmp_path, "--model", model, "--json", "-")[1]
        assert [s["study"] for s in json.loads(out)["studies"]] == [f"{tmp_path}/export"]


class TestMura:
    def test_the_competitions_contract(self, run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        films = {
            "MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/image1.png": 0.9,
            "MURA-v1.1/valid/XR_HAND/patient11186/study1/image1.png": 0.0,
            "MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/image2.png": 0.9,
            "MURA-v1.1/valid/XR_HAND/patient11187/study2/image1.png": None,
            "MURA-v1.1/valid/XR_HAND/patient11186/study1/image2.png": 0.0,
        }
        for name, level in films.items():
            if level is not None:
                draw(tmp_path / name, level)
        (tmp_path / "paths.csv").write_text("\n".join(films) + "\n")
        monkeypatch.chdir(tmp_path)
        status, _, err = run("predict", "--model", model, "--mura-csv", "paths.csv", "predictions.csv", "-q")
        assert (tmp_path / "predictions.csv").read_text() == (
            "MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/,1\n"
            "MURA-v1.1/valid/XR_HAND/patient11186/study1/,0\n"
            "MURA-v1.1/valid/XR_HAND/patient11187/study2/,0\n"
        )
        assert status == 1
        assert "patient11187/study2/image1.png: there is no such file" in err
        assert "1 studies gave no number and have 0" in err

    def test_the_threshold_is_the_cards_and_not_a_level(self, run: Run, tmp_path: Path) -> None:
        draw(tmp_path / "a/study1/image1.png", 0.5)
        (tmp_path / "paths.csv").write_text("a/study1/image1.png\n")
        decided = []
        for threshold in (0.0, 1.0):
            card = made_card(decision=Decision(threshold=threshold, doubt_from=0.5, doubt_to=0.5))
            file = make_model(tmp_path / f"{threshold}.onnx", card)
            assert run("predict", "--model", file, "--mura-csv", tmp_path / "paths.csv", tmp_path / "o.csv", "-q")[0] == 0
            decided.append((tmp_path / "o.csv").read_text())
        assert decided == ["a/study1/,1\n", "a/study1/,0\n"]

    def test_with_films_too_is_refused(self, run: Run, model: Path, tmp_path: Path) -> None:
        assert run("predict", tmp_path, "--mura-csv", "a", "b")[0] == 64


def test_garbage_is_collected_from_the_first_film_on(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collected = []

    def read(file: str, name: str) -> osteon.Film:
        collected.append(gc.isenabled())
        return osteon.read_film(file, name)

    monkeypatch.setattr("osteon.batch.read_film", read)
    assert run("predict", draw(tmp_path / "film.png"), "--model", model)[0] == 0
    assert collected == [True]


def test_a_decoders_own_fault_costs_one_film(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> object:
        raise ZeroDivisionError(path) if path.endswith("b.png") else AssertionError

    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    whole = osteon.read_film
    monkeypatch.setattr("osteon.batch.read_film", lambda p, name: broken(p) if p.endswith("b.png") else whole(p, name))
    status, out, _ = run("predict", tmp_path, "--model", model)
    assert status == 1
    assert "reading it failed in an unforeseen way (ZeroDivisionError)" in out
    assert "1 film refused" in out


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("predict", "none.png"), 66, "none.png: there is no such file or folder."),
        (("predict", "."), 66, "no film"),
        (("predict", "x.png", "--model", "none.onnx"), 65, "none.onnx: there is no such model file."),
        (("card", "x.png"), 65, "x.png: no ONNX model can be read from it."),
    ],
)
def test_bad_input_is_one_line_and_a_status(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "x.png" in arguments:
        draw(tmp_path / "x.png")
    told, out, err = run(*arguments)
    assert (told, out) == (status, "")
    assert err.startswith("osteon: ")
    assert named in err
    assert err.count("\n") == 1


class TestCard:
    def test_for_people(self, run: Run, tmp_path: Path) -> None:
        card = made_card(
            finding="fracture",
            study_types=("HAND", "LEG"),
            calibration=Calibration(slope=0.8, intercept=0.1, split="calibration"),
            decision=Decision(threshold=0.4, doubt_from=0.2, doubt_to=0.6, rule="maximum kappa", split="calibration"),
            data=(DataSource(name="FracAtlas", films=2602, abnormal_films=431, licence="CC BY 4.0", fingerprint="0123456789abcdef"),),
            metrics=(
                Metric(split="valid", level="film", group="all", name="AUROC", value=0.93, low=0.9, high=0.95, n=651, positives=102),
                Metric(split="valid", level="film", group="HIP", name="AUROC", value=None, note="one class only", n=9),
            ),
            limits="It finds fractures, not all that MURA calls abnormal [sic].",
        )
        status, out, _ = run("card", make_model(tmp_path / "m.onnx", card), "--all")
        assert status == 0
        words = " ".join(out.split())
        for text in (
            "made@1.0.0: finds fracture", "HAND, LEG", "slope 0.8, intercept 0.1, fitted on calibration", "maximum kappa, on calibration",
            "FracAtlas train 2,602 431 0 CC BY 4.0 0123456789ab", "valid film all AUROC 0.930 (0.900, 0.950) 651 102",
            "valid film HIP AUROC - 9 0 one class only", "not all that MURA calls abnormal [sic].",
        ):  # fmt: skip
            assert text in words

    def test_json_is_the_files_own(self, run: Run, model: Path) -> None:
        out = run("card", model, "--json")[1]
        assert osteon.load_model(model).card == osteon.card.Card.from_json(out)  # type: ignore[attr-defined]


def test_stopping_it_ends_it_at_once(model: Path, tmp_path: Path) -> None:
    film = draw(tmp_path / "in/0.png", shape=(600, 600))
    for number in range(1, 500):
        (tmp_path / f"in/{number}.png").hardlink_to(film)
    command = [sys.executable, "-m", "osteon", "predict", str(tmp_path / "in"), "--model", str(model), "--overlay", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "out").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert len(list((tmp_path / "out").iterdir())) < 400


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_a_film_or_a_manifest_is_never_written_over(run: Run, model: Path, tmp_path: Path, option: str) -> None:
    film = draw(tmp_path / "film.png")
    (tmp_path / "films.csv").write_text("path\nfilm.png\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for what, target in ((film, film), (tmp_path / "films.csv", film), (tmp_path / "films.csv", tmp_path / "films.csv")):
        status, _, error = run("predict", what, "--model", model, option, target)
        assert (status, "would be written over" in error) == (64, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_names_that_no_terminal_can_show_cost_no_answer(run: Run, model: Path, tmp_path: Path) -> None:
    for number, name in enumerate((b"\xff.png", b"a\nb.png", b"\x1b[31mred.png")):
        draw(tmp_path / "in" / f"{number}.png").rename(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name))
    status, out, _ = run("predict", tmp_path / "in", "--model", model, "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    assert status == 0
    assert "\x1b" not in out
    assert len(json.loads((tmp_path / "a.json").read_text())["studies"]) == 3
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))) == 6


def test_an_empty_path_is_no_folder(run: Run, model: Path) -> None:
    assert run("predict", "", "--model", model)[0] == 66
