"""Films stream: in order, few at a time, and one that fails costs the others nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import made_dicom
import osteon
from made_model import make_model
from osteon.batch import AHEAD, answers
from osteon.bounds import MOST_PIXELS, USUAL_PIXELS, promised, turn
from osteon.film import Film, read_film
from osteon.network import _quota
from osteon.results import group
from osteon.sources import Source, find_sources


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> osteon.Model:
    return osteon.load_model(make_model(tmp_path_factory.mktemp("model") / "made.onnx"))


def source(number: int) -> Source:
    film = Film(np.random.default_rng(number).uniform(0, 1, (40, 50)).astype(np.float32), "made", "array")
    return Source(f"{number}", f"{number}", f"{number}", f"{number}", held=film)


def test_answers_come_in_order_and_only_few_films_are_under_way(model: osteon.Model) -> None:
    asked: list[int] = []

    class Watched(list[Source]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for number in range(len(self)):
                asked.append(number)
                yield self[number]

    streaming = answers(Watched([source(number) for number in range(3 * AHEAD)]), model)
    first = next(streaming)
    assert len(asked) <= AHEAD + 1
    told = [first, *streaming]
    assert [p.film for p in told] == [str(number) for number in range(3 * AHEAD)]
    assert {p.evidence is None and p.seen is None for p in told} == {True}
    assert [p.logit for p in told] == [model.predict_film(s.held).logit for s in map(source, range(3 * AHEAD))]  # type: ignore[arg-type]


def test_dicom_of_two_patients_is_never_one_study(model: osteon.Model, tmp_path: Path) -> None:
    (tmp_path / "study1").mkdir()
    for name, patient in {"a": "A", "b": "B", "c": "A"}.items():
        ds = made_dicom.radiograph(StudyInstanceUID=None, PatientID=patient, PatientName=None)
        (tmp_path / "study1" / f"{name}.dcm").write_bytes(made_dicom.content(ds))
    sources = find_sources([tmp_path])
    assert [[Path(f.film).stem for f in study.films] for study in group(answers(sources.films, model), sources, model.card)] == [
        ["a", "c"],
        ["b"],
    ]


def test_maps_stay_where_they_are_asked_for(model: osteon.Model) -> None:
    [told] = answers([source(0)], model, maps=True)
    assert told.evidence is not None
    assert told.seen is not None


def test_an_unforeseen_fault_costs_one_film(model: osteon.Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(file: str, name: str) -> Film:
        return read_film(file, name) if name != "b" else 1 / 0  # type: ignore[return-value]

    monkeypatch.setattr("osteon.batch.read_film", broken)
    (tmp_path / "a").touch()
    names = {"a": str(tmp_path / "a"), "b": "b", "c": str(tmp_path / "none")}
    errors = {p.film: p.error for p in answers([Source(file, name, name, name) for name, file in names.items()], model)}
    assert errors["a"] == "the file is empty. Copy it again."
    assert errors["b"].startswith("reading it failed in an unforeseen way (ZeroDivisionError)")
    assert errors["c"] == "there is no such file."


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_threads_go_by_the_cores_that_the_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from osteon import batch; print(batch.THREADS)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "2\n"


@pytest.mark.parametrize(("side", "most"), [(9_900, 1), (2_000, 8)])
def test_films_are_in_memory_together_as_far_as_their_pixels_allow(side: int, most: int) -> None:
    """A film of 98 megapixels alone, of 4 as many as there are threads: whatever a header promises, decoding waits for room."""
    lock, gate, together = threading.Lock(), threading.Barrier(most), [0, 0]

    def read(number: int) -> None:
        with turn():
            promised(side, side, f"{number}")
            with lock:
                together[0] += 1
                together[1] = max(together)
            gate.wait(10)
            promised(side, side, f"{number}")  # a reader may look twice
            with lock:
                together[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(16)))
    assert together == [0, most]
    assert 8 * side * side <= 8 * USUAL_PIXELS or 2 * side * side > MOST_PIXELS


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_container_s_quota_is_read(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert _quota(tmp_path) == cores


def test_a_model_without_a_number_for_one_film_costs_that_film(model: osteon.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = type(model).predict_film

    def told(self: osteon.Model, film: Film, *rest: object, **more: object) -> object:
        if film.path == "1":
            raise osteon.ModelFileError("the model answers this film with what is no number.")
        return whole(self, film, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model), "predict_film", told)
    films = [Film(np.random.default_rng(n).uniform(0, 1, (40, 50)).astype(np.float32), str(n), "array") for n in range(3)]
    predictions = list(answers([Source(film.path, film.path, film.path, film.path, held=film) for film in films], model))
    assert [p.error != "" for p in predictions] == [False, True, False]
    assert "no number" in predictions[1].error
