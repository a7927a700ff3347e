from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

import osteon
from made_model import Fault, made_card, make_model
from osteon import opening as opening_module
from osteon.card import Pooling
from osteon.errors import ModelFileError, UsageError
from osteon.film import prepare
from osteon.model import Model
from osteon.opening import load_model
from osteon.prediction import pool_evidence

NAMED = {
    "no card": "carries no card",
    "card is no JSON": "card does not fit",
    "card with an escape sequence": "control characters",
    "card of another frame": r"image u8\[\?,64,64\], where the card wants image u8\[\?,128,128\]",
    "card of another pooling": "not what mean pooling makes of the evidence",
    "input name": "the input is film",
    "input dtype": "the input is image f32",
    "input rank": r"the input is image u8\[\?,64,64,1\]",
    "batch fixed": r"the input is image u8\[1,64,64\]",
    "no evidence": "no output evidence, only logit",
    "evidence name": "no output evidence, only logit, heat",
    "logit rank": r"logit f32\[1,1\]",
    "logit dtype": r"logit f64\[1\]",
    "evidence rank": r"evidence f32\[1,1,4,4\]",
    "not finite": "no number",
    "half a file": "no ONNX model",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "made.onnx")


@pytest.fixture(scope="module")
def made(file: Path) -> Model:
    return load_model(file)


@pytest.fixture
def films() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)


def reference(file: Path, films: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(["logit", "evidence"], {"image": films})


@pytest.mark.parametrize("kind", ["mean", "logsumexp"])
@pytest.mark.parametrize("size", [32, 100])
def test_it_answers_as_onnx_runtime_does(tmp_path: Path, kind: str, size: int) -> None:
    pooling = Pooling(kind=kind, sharpness=1.5, bias=-0.25)  # type: ignore[arg-type]
    file = make_model(tmp_path / "m.onnx", made_card(size, pooling=pooling))
    films = np.random.default_rng(1).integers(0, 256, (3, size, size), dtype=np.uint8)
    logit, evidence = load_model(file).run(films)
    assert (logit.dtype, evidence.dtype, logit.shape, evidence.shape) == (np.float32, np.float32, (3,), (3, size // 16, size // 16))
    for ours, theirs in zip((logit, evidence), reference(file, films), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(pool_evidence(evidence, pooling), logit, atol=1e-5)


def test_the_same_film_gives_the_same_bits_in_any_batch(made: Model, films: NDArray[np.uint8]) -> None:
    together = made.run(films)
    for i in range(len(films)):
        for whole, alone in zip(together, made.run(films[i : i + 1]), strict=True):
            np.testing.assert_array_equal(whole[i], alone[0])
    for first, again in zip(together, made.run(films), strict=True):
        np.testing.assert_array_equal(first, again)


def test_no_film_gives_nothing(made: Model) -> None:
    logit, evidence = made.run(np.empty((0, 64, 64), np.uint8))
    assert (logit.shape, evidence.shape) == ((0,), (0, 4, 4))


def test_threads_get_their_own_answers(made: Model, films: NDArray[np.uint8]) -> None:
    expected, told = made.run(films)[0], dict[int, float]()
    threads = [threading.Thread(target=lambda i=i: told.update({i: made.run(films[i : i + 1])[0][0]})) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [told[i] for i in range(5)] == list(expected)


@pytest.mark.parametrize("batch", [np.zeros((64, 64), np.uint8), np.zeros((1, 32, 64), np.uint8), np.zeros((1, 64, 64), np.float32)])
def test_another_shape_or_type_is_refused(made: Model, batch: NDArray[np.generic]) -> None:
    with pytest.raises(UsageError, match=r"uint8 films \(n, 64, 64\)"):
        made.run(batch)


@pytest.mark.parametrize("fault", get_args(Fault))
def test_a_file_that_breaks_the_contract_is_refused(tmp_path: Path, fault: Fault) -> None:
    file = make_model(tmp_path / "broken.onnx", fault=fault)
    with pytest.raises(ModelFileError, match=NAMED[fault]) as refusal:
        load_model(file)
    assert str(refusal.value).startswith(f"{file}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"no model at all", bytes(5000)])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match="no ONNX model"):
        load_model(tmp_path / "m.onnx")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="cannot be opened"):
        load_model(tmp_path)


def test_side_by_side_threads_get_the_same_bits(file: Path, films: NDArray[np.uint8]) -> None:
    alone = load_model(file)
    beside = load_model(file, side_by_side=True)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(beside.run, [films] * 12))
    for logits, evidence in told:
        np.testing.assert_array_equal(logits, alone.run(films)[0])
        np.testing.assert_array_equal(evidence, alone.run(films)[1])


FIRST_AT_ONCE = """
import sys, threading
import numpy as np
from osteon.opening import load_model
model, together = load_model(sys.argv[1], side_by_side=True), threading.Barrier(8)
sys.setswitchinterval(1e-6)
def answer():
    together.wait()
    model.run(np.zeros((1, 64, 64), np.uint8))
threads = [threading.Thread(target=answer) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_threads_may_ask_for_the_first_answers_at_once(file: Path) -> None:
    # Where each thread made its arrays itself, two of three such processes waited for ever.
    for _ in range(4):
        subprocess.run([sys.executable, "-c", FIRST_AT_ONCE, str(file)], check=True, timeout=60)


def test_the_packaged_model_side_by_side_gives_the_same_bits() -> None:
    films = np.random.default_rng(0).integers(0, 256, (2, *2 * [load_model().card.frame.size]), dtype=np.uint8)
    for alone, beside in zip(load_model().run(films), load_model(side_by_side=True).run(films), strict=True):
        np.testing.assert_array_equal(alone, beside)


INTERRUPTED = """
import faulthandler, gc, os, signal, sys
from osteon.opening import load_model
faulthandler.enable()
told = []
signal.signal(signal.SIGINT, lambda number, frame: told.append(number))
first, second = load_model(sys.argv[1]), load_model(sys.argv[2])
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGINT)
assert told == [signal.SIGINT]
"""


def test_ctrl_c_is_heard_after_models_were_closed(tmp_path: Path) -> None:
    files = [str(make_model(tmp_path / f"{version}.onnx", made_card(version=version))) for version in ("1.0.0", "2.0.0")]
    subprocess.run([sys.executable, "-c", INTERRUPTED, *files], check=True, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)})


class TestCache:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache"

    def test_the_second_start_compiles_nothing_and_answers_the_same(
        self, file: Path, films: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = load_model(file)
        monkeypatch.setattr(opening_module, "compile_network", None)
        second = load_model(file)
        assert second.card == first.card
        for ours, theirs in zip(second.run(films), first.run(films), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize("damage", [lambda e: b"", lambda e: e[:-9], lambda e: e[:200] + bytes(len(e) - 200)])
    def test_a_damaged_entry_is_built_anew(self, file: Path, folder: Path, damage: object) -> None:
        load_model(file)
        [entry] = folder.iterdir()
        whole = entry.read_bytes()
        entry.write_bytes(damage(whole))  # type: ignore[operator]
        load_model(file)
        assert entry.read_bytes() != damage(whole)  # type: ignore[operator]

    @pytest.mark.parametrize("content", [b"", bytes(8), b"\xff" * 50, len(b"{}").to_bytes(8) + b"{}"])
    def test_an_entry_of_something_else_is_built_anew(self, file: Path, folder: Path, content: bytes, films: NDArray[np.uint8]) -> None:
        expected = load_model(file).run(films)[0]
        [entry] = folder.iterdir()
        opening_module.write_entry(entry.name, content)
        np.testing.assert_array_equal(load_model(file).run(films)[0], expected)
        assert opening_module.read_entry(entry.name) != content

    def test_another_file_is_another_entry(self, file: Path, folder: Path, tmp_path: Path) -> None:
        load_model(file)
        load_model(make_model(tmp_path / "b.onnx", made_card(version="2.0.0")))
        assert len(list(folder.iterdir())) == 2

    def test_a_refused_file_leaves_no_entry(self, tmp_path: Path, folder: Path) -> None:
        with pytest.raises(ModelFileError):
            load_model(make_model(tmp_path / "b.onnx", fault="not finite"))
        assert not folder.exists()


class TestPredict:
    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        pixels = np.random.default_rng(2).integers(0, 256, (90, 120), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "film.png")
        return tmp_path / "film.png"

    def test_a_study_is_the_mean_of_its_films(self, made: Model, film: Path, shared_data: Path) -> None:
        others = sorted((shared_data / "fracatlas/images/Fractured").iterdir())[:2]
        told = made.predict((osteon.read_film(path) for path in [film, *others]), study="study1")
        assert [f.film for f in told.films] == [str(p) for p in [film, *others]]
        assert told.probability == pytest.approx(np.mean([f.probability for f in told.films]))  # type: ignore[arg-type]
        assert (told.study, told.model) == ("study1", "made@1.0.0")

    def test_the_film_is_the_prepared_film(self, made: Model, film: Path, file: Path) -> None:
        read = osteon.read_film(film)
        told = made.predict_film(read)
        assert told.logit == pytest.approx(float(reference(file, prepare(read, made.card.frame)[None])[0][0]), abs=1e-4)
        assert told.evidence is not None
        assert told.placement is not None

    def test_a_study_without_films_is_refused(self, made: Model) -> None:
        with pytest.raises(UsageError, match="at least one film"):
            made.predict([])


def test_nothing_is_sent_anywhere(tmp_path: Path, file: Path) -> None:
    code = f"""
import sys
sent, outward = [], ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork")
sys.addaudithook(lambda event, args: sent.append(event) if event in outward else None)
import osteon
osteon.load_model({str(file)!r})
print(sent, [m for m in sys.modules if "telemetry" in m])
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "HOME")} | {"HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert told.stdout == "[] []\n"
    assert list(tmp_path.iterdir()) == []
