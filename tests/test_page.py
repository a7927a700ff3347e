"""The page for a person, in a real browser: what is shown first, what is hidden, and nothing that axe-core objects to."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_model import made_card, make_model
from osteon.batch import PICTURE, pictures_in
from osteon.card import Decision, Metric
from osteon.explanation import HEAT_LONGER
from osteon.film import Film
from osteon.model import Model
from osteon.opening import load_model
from osteon.page import as_page
from osteon.prediction import FilmPrediction, study_prediction
from osteon.results import Predictions

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
BREAKS_OUT = "</script><script>document.title='broken'</script>&<b>.png"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    share = Metric(split="valid", level="film", group="all", name="share of yes among abnormal", value=0.81, low=0.7, high=0.9)
    card = made_card(128, decision=Decision(doubt_from=0.2, doubt_to=0.6), limits="It knows <nothing> of casts.", metrics=(share,))
    return load_model(make_model(tmp_path_factory.mktemp("model") / "m.onnx", card, "brightness"))


def film(name: str, bright: float, shape: tuple[int, int] = (150, 100)) -> Film:
    pixels = np.full(shape, 0.2, np.float32)
    pixels[shape[0] // 5 : shape[0] // 2, shape[1] // 5 : shape[1] // 2] = bright
    pixels[: shape[0] // 8] = 0.1
    return Film(pixels, name, "PNG", False)


def written(path: Path, model: Model, films: list[Film], silent: tuple[FilmPrediction, ...] = ()) -> Path:
    told = [model.predict_film(one) for one in films]
    pictures = pictures_in(path.with_suffix(".pictures"), len(films))
    for one, prediction in zip(films, told, strict=True):
        pictures.write(one, prediction)
    studies = Predictions([study_prediction(one.film, [one], model.card) for one in (*told, *silent)], model.card, {})
    path.write_text("".join(as_page(studies, path.parent, datetime(2026, 1, 2, 3, 4, tzinfo=UTC), pictures)), encoding="utf-8")
    return path


def opened(page: Path) -> str:
    """Return the page as it stands in the browser, once its program has run."""
    assert CHROMIUM is not None
    profile = page.with_suffix(".profile")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--virtual-time-budget=8000"]
    return subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_picture_is_small_and_its_heat_covers_what_is_hot(model: Model) -> None:
    large = film("a.png", 1.0, (3000, 2000))
    told = json.loads(model.predict_film(large).picture(large, PICTURE))
    grey, heat = (Image.open(io.BytesIO(base64.b64decode(told[kind]))) for kind in ("film", "heat"))
    assert (grey.size, heat.size) == ((round(PICTURE * 2 / 3), PICTURE), (round(HEAT_LONGER * 2 / 3), HEAT_LONGER))
    assert (told["width"], told["height"]) == (2000, 3000)
    assert np.asarray(heat)[..., 3].max() > 128
    cool = film("b.png", 0.2)
    quiet = np.asarray(Image.open(io.BytesIO(base64.b64decode(json.loads(model.predict_film(cool).picture(cool, PICTURE))["heat"]))))
    assert quiet[..., 3].max() == 0


def test_a_film_without_an_answer_has_no_heat(model: Model) -> None:
    plain = film("a.png", 1.0)
    assert "heat" not in json.loads(FilmPrediction("a.png", reason="blank", card=model.card).picture(plain, PICTURE))


def test_nothing_comes_from_outside(tmp_path: Path, model: Model) -> None:
    text = written(tmp_path / "answers.html", model, [film("a.png", 1.0)]).read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)=[\"']?(?!data:|\$)[^\s>]+", text.replace("${", "$")) == []
    assert set(re.findall(r"https?://[^\"']+", text)) == {"http://www.w3.org/2000/svg"}


@in_a_browser
def test_the_most_suspicious_stands_first_and_a_name_breaks_nothing(tmp_path: Path, model: Model) -> None:
    silent = FilmPrediction("z.png", level="out of scope", reason="it is blank", card=model.card)
    films = [film("no.png", 0.3), film(BREAKS_OUT, 1.0), film("b.png", 0.62)]
    shown = opened(written(tmp_path / "answers.html", model, films, (silent,)))
    titles = re.findall(r"<h2>.*?</span>(.*?)</h2>", shown)
    answers = re.findall(r'<h2><span class="answer \S+?">([a-z ]+)', shown)
    assert (html.unescape(titles[0]), titles[-1]) == (BREAKS_OUT, "z.png")
    assert [answer.strip() for answer in answers] == ["yes", *sorted((a.strip() for a in answers[1:-1]), reverse=True), "out of scope"]
    assert "<title>abnormality: answers of made@1.0.0</title>" in shown
    assert shown.count("<svg") == 2 * len(films)
    assert "It knows &lt;nothing&gt; of casts." in shown
    assert 'Of 100 abnormal films 81 (70 to 90) are "yes".' in shown
    assert "Page 1 of 1: 4 of 4 studies" in shown


@in_a_browser
def test_axe_finds_nothing(tmp_path: Path, model: Model) -> None:
    page = written(tmp_path / "answers.html", model, [film("a.png", 1.0), film("b.png", 0.3)])
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    told = "document.title = JSON.stringify(found.violations.map(rule => rule.id))"
    run = f"document.querySelector('details').open = true; axe.run().then(found => {{ {told}; }});"
    page.write_text(f"{page.read_text(encoding='utf-8')}<script>{axe}</script><script>{run}</script>", encoding="utf-8")
    assert "<title>[]</title>" in opened(page)


@in_a_browser
def test_thousands_of_studies_are_a_page_at_a_time(tmp_path: Path, model: Model) -> None:
    told = model.predict_film(film("a.png", 1.0))
    films = [replace(told, film=f"{n}.png") for n in range(5000)]
    studies = Predictions([study_prediction(one.film, [one], model.card) for one in films], model.card, {})
    page = tmp_path / "answers.html"
    page.write_text("".join(as_page(studies, tmp_path, datetime.now(UTC))), encoding="utf-8")
    shown = opened(page)
    assert shown.count("<article") == 20
    assert "Page 1 of 250: 5000 of 5000 studies" in shown


def test_only_the_most_suspicious_have_a_picture_among_very_many(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.page.MOST", 1)
    text = written(tmp_path / "answers.html", model, [film("no.png", 0.3), film("yes.png", 1.0)]).read_text(encoding="utf-8")
    studies = json.loads(text.partition('id="told">')[2].partition("</script>")[0])
    assert {s["name"]: s["films"][0]["picture"] for s in studies} == {"no.png": None, "yes.png": 0}


def test_a_disk_that_is_full_costs_the_pictures_alone(tmp_path: Path, model: Model) -> None:
    (tmp_path / "answers.pictures").write_text("no folder")
    text = written(tmp_path / "answers.html", model, [film("yes.png", 1.0)]).read_text(encoding="utf-8")
    assert '<script type="text/plain"' not in text and '"yes.png"' in text
