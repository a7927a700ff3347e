"""What a notebook asks for, and what it gets for what is nothing to ask for."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import osteon
from command_line import Run
from made_model import make_model
from osteon import EmptyDataset, Film, Model, UsageError
from osteon.pipeline import MOST_MAPS

PIXELS = np.random.default_rng(3).integers(0, 256, (90, 120), dtype=np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx")


@pytest.fixture(scope="module")
def model(file: Path) -> Model:
    return osteon.load_model(file)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "in/a.png")
    return tmp_path / "in/a.png"


def test_one_film_in_every_form_has_one_answer(film: Path, model: Model, file: Path) -> None:
    (film.parent / "list.csv").write_text("path\na.png\n")
    forms = [
        film, str(film), [film], (p for p in [film]), film.parent, str(film.parent / "list.csv"), film.read_bytes(),
        io.BytesIO(film.read_bytes()), osteon.read_film(film),
    ]  # fmt: skip
    told = [osteon.predict(form, model) for form in forms]
    told += [osteon.predict(film, file), osteon.predict(film, str(file))]
    told += [osteon.predict(PIXELS, model, bone="bright"), osteon.predict([255 - PIXELS], model, bone="dark")]
    told += [osteon.predict(PIXELS / np.float64(255), model, bone="bright"), osteon.predict(PIXELS * np.uint16(257), model, bone="bright")]
    assert {len(studies) for studies in told} == {1}
    logits = [studies[0].films[0].logit for studies in told]
    assert logits == pytest.approx([model.predict(osteon.read_film(film)).films[0].logit] * len(told), abs=1e-3)
    assert len(set(logits[:11])) == 1


def test_files_and_arrays_in_one_list(film: Path, model: Model) -> None:
    by_file, by_array = osteon.predict([film, PIXELS], model, bone="bright")
    assert by_file.films[0].logit == pytest.approx(by_array.films[0].logit, abs=1e-3)
    with pytest.raises(UsageError, match="bone='bright'"):
        osteon.predict([film, PIXELS], model)
    with pytest.raises(UsageError, match="Leave it out"):
        osteon.predict([film], model, bone="bright")


@pytest.mark.parametrize("pixels", [PIXELS * np.nan, PIXELS * 1.0, PIXELS / 255 - 1])
def test_a_film_of_what_is_no_grey_is_refused(film: Path, model: Model, pixels: NDArray[np.float64]) -> None:
    bad = replace(osteon.read_film(film), path="bad", pixels=pixels.astype(np.float32))
    refused, well = osteon.predict([bad, film], model)
    assert "no numbers from 0 to 1" in refused.films[0].error and well.probability is not None
    with pytest.raises(osteon.UnsupportedFilm, match="no numbers from 0 to 1"):
        model.predict(bad)


def test_a_model_travels_to_another_process(file: Path, model: Model, film: Path) -> None:
    for first in (model, osteon.load_model(file, "float32", side_by_side=True)):
        again = pickle.loads(pickle.dumps(first))
        assert (again.card, again.precision) == (first.card, first.precision)
        assert again.predict(osteon.read_film(film)).films[0].logit == first.predict(osteon.read_film(film)).films[0].logit


def test_films_without_a_path_get_names_of_their_own(film: Path, model: Model) -> None:
    content = film.read_bytes()
    with film.open("rb") as opened:
        studies = osteon.predict([content, content, opened, osteon.read_film(content, "left")], model)
    assert [s.study for s in studies] == ["film", "film-2", str(film), "left"]
    assert [s.study for s in osteon.predict([PIXELS, PIXELS], model, bone="bright")] == ["film", "film-2"]


def test_dicom_in_memory_is_a_study_by_its_uid(model: Model, shared_data: Path) -> None:
    content = [(shared_data / f"dicom/{name}.dcm").read_bytes() for name in ("RG3_J2KI", "RG3_J2KR", "RG1_J2KI")]
    assert [(s.study, len(s.films)) for s in osteon.predict(content, model)] == [("film and 1 more", 2), ("film-3", 1)]
    assert len(osteon.predict(content, model, study_by="film")) == 3


def test_it_says_what_the_command_line_says(film: Path, file: Path, run: Run) -> None:
    (film.parent / "b.dcm").write_text("no film")
    (film.parent / "notes.txt").touch()
    studies = osteon.predict(film.parent, file)
    told = run("predict", film.parent, "--model", file, "--json", "-")[1]
    assert studies.to_dict() == json.loads(told)
    assert [study.to_dict() for study in studies] == json.loads(told)["studies"]
    assert studies.ignored == {"other files": 1}
    assert studies.card.reference == "made@1.0.0"


def test_maps_are_kept_for_few_films_and_where_they_are_asked_for(film: Path, model: Model) -> None:
    many = [film.read_bytes()] * (MOST_MAPS + 1)
    assert osteon.predict(many[1:], model)[0].films[0].evidence is not None
    assert osteon.predict(many, model)[0].films[0].evidence is None
    assert osteon.predict(many, model, maps=True)[0].films[0].evidence is not None
    [study] = osteon.predict(film, model, maps=False)
    assert study.films[0].evidence is None
    with pytest.raises(UsageError, match="was not kept"):
        study.overlay()


def test_an_overlay_of_the_film_and_of_what_was_seen(film: Path, model: Model) -> None:
    [study] = osteon.predict(film, model)
    assert study.overlay().size[0] == study.films[0].overlay().size[0] == 390
    assert study.overlay(osteon.read_film(film)).size == study.films[0].overlay(osteon.read_film(film)).size
    with pytest.raises(UsageError, match="2 films"):
        model.predict([osteon.read_film(film)] * 2).overlay()
    pixels = osteon.read_film(film).pixels
    assert study.overlay(osteon.Film(pixels, "copy.png", "PNG")).size == study.overlay(osteon.read_film(film)).size
    with pytest.raises(UsageError, match="is another one"):
        study.overlay(osteon.Film(1 - pixels, "other.png", "PNG"))


def test_a_notebook_shows_film_and_heat_map(film: Path, model: Model) -> None:
    studies = osteon.predict([film, b"no film", np.zeros((40, 40), np.uint8).tobytes()], model)
    shown = studies._repr_html_()
    assert shown.count('<img src="data:image/png;base64,') == 2
    assert "http" not in shown
    assert "refused: neither PNG" in shown
    assert "&lt;b&gt;.png" in osteon.predict(osteon.read_film(film, "<b>.png"), model)._repr_html_()
    with Image.open(io.BytesIO(osteon.read_film(film)._repr_png_())) as image:
        assert image.size == (120, 90)
    many = osteon.predict([film.read_bytes()] * 23, model)
    assert many._repr_html_().endswith("<p>... and 3 more studies.</p>")


def test_each_thing_is_one_line(film: Path, model: Model) -> None:
    assert repr(model) == "<Model made@1.0.0: finds abnormality, float32, films of 64 pixels>"
    assert repr(model.card) == "<Card made@1.0.0: finds abnormality, network unknown, films of 64 pixels>"
    assert repr(osteon.read_film(film)) == f"<Film {film}: PNG, 120 x 90 pixels>"
    assert repr(osteon.predict(film, model)).startswith(f"[<Prediction {film}: ")


FLOATS = PIXELS / np.float32(255)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda m: osteon.predict(3, m), "not from int"),
        (lambda m: osteon.predict(None, m), "not from NoneType"),
        (lambda m: osteon.predict([3.5], m), "not from float"),
        (lambda m: osteon.predict([], m), "an empty list"),
        (lambda m: osteon.predict(io.StringIO("text"), m), "not from a file opened as text"),
        (lambda m: osteon.predict(PIXELS, m), "Add bone='bright'"),
        (lambda m: osteon.predict(PIXELS, m, bone="grey"), "Add bone='bright'"),
        (lambda m: osteon.predict(PIXELS[None], m, bone="bright"), r"shape \(1, 90, 120\) is no film"),
        (lambda m: osteon.predict(PIXELS.astype(int), m, bone="bright"), "int64 have no known white"),
        (lambda m: osteon.predict(PIXELS > 9, m, bone="bright"), "bool have no known white"),
        (lambda m: osteon.predict(np.ma.masked_less(PIXELS, 9), m, bone="bright"), "of its pixels are masked"),
        (lambda m: osteon.predict(FLOATS * 255, m, bone="bright"), "from 0 to 1"),
        (lambda m: osteon.predict(np.where(PIXELS > 9, FLOATS, np.nan), m, bone="bright"), "from 0 to 1"),
        (lambda m: osteon.predict(b"content", m, bone="bright"), "said of arrays"),
        (lambda m: osteon.predict(["a.png"], m, bone="bright"), "said of arrays"),
        (lambda m: osteon.predict(b"content", m, study_by="patient"), "none of auto, folder, film"),
        (lambda m: osteon.predict(b"content", 3.5), "not by float"),
        (lambda m: osteon.read_film(42), "not from int"),
        (lambda m: osteon.read_film(PIXELS), "Add bone='bright'"),
        (lambda m: osteon.read_film(b"content", bone="dark"), "said of arrays"),
        (lambda m: osteon.Film(PIXELS, "a", "array"), "float32 pixels"),
        (lambda m: osteon.load_model(3.5), "not by float"),
        (lambda m: osteon.load_model(precision="int4"), "none of auto, float32, int8"),
        (lambda m: m.predict(3), "not int"),
        (lambda m: m.predict("a.png"), "not str"),
        (lambda m: m.predict([PIXELS]), "not ndarray"),
        (lambda m: m.predict([]), "at least one film"),
        (lambda m: m.predict(osteon.read_film(PIXELS, bone="bright")).overlay("a.png"), "not over str"),
    ],
)
def test_what_is_nothing_to_ask_for_gets_a_sentence(model: Model, asked: Callable[[Model], object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        asked(model)
    assert "\n" not in str(refusal.value)


def test_a_path_that_does_not_exist_is_named(model: Model) -> None:
    with pytest.raises(EmptyDataset, match=r"none\.png: there is no such file or folder"):
        osteon.predict("none.png", model)


@pytest.mark.parametrize("content", [b"no film", b""])
def test_bytes_that_are_no_film(model: Model, content: bytes) -> None:
    with pytest.raises(osteon.UnreadableFilm, match=r"^film: "):
        osteon.read_film(content)
    [study] = osteon.predict(content, model)
    assert study.level is None
    assert study.refused[0].error


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_array_is_out_of_scope(model: Model, level: int) -> None:
    blank: NDArray[np.uint8] = np.full((50, 50), level, np.uint8)
    [study] = osteon.predict(blank, model, bone="dark")
    assert (study.level, study.films[0].reason[:5]) == ("out of scope", "blank")
    assert isinstance(osteon.read_film(PIXELS, bone="dark"), Film)
