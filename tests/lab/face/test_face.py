"""The lab's face: names and signatures, the way from a dataset to a report, rows as well as files, sentences for what does not fit."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from made_index import made_films
from made_model import make_model
from osteon import lab
from osteon.errors import MeasurementError, OsteonError, UsageError
from osteon.lab.training.export import Exported
from osteon.opening import load_model
from tiny_training import SETTINGS, own_stores

SIGNATURES = {
    "calibrate": "(model, index, out='calibrated.onnx', *, split='', predictions=None, progress=None) -> Calibrated",
    "calibrate_site": "(model, films, out, *, progress=None) -> Site",
    "compare": "(a, b, out='comparison', *, index=None, split='valid', progress=None) -> Comparison",
    "evaluate": "(model, index=None, out='evaluation', *, split='valid', threshold=None, progress=None) -> Evaluation",
    "explore": "(index, out='exploration', *, sample=400, seed=0, progress=None) -> Exploration",
    "export": "(runs, out='model.onnx', *, name='', version='0.1.0', members=1, progress=None) -> Exported",
    "index": "(dataset, out='index.parquet', *, decode=True, count_check=True, allow_leaks=False, progress=None) -> Index",
    "report": "(run, out=None, *, model=None, evaluation='valid', index=None, progress=None) -> Report",
    "split": "(index, out=None, *, into={'train': 0.75, 'tune': 0.1, 'valid': 0.15}, of=None, seed=0, progress=None) -> Index",
    "train": "(index, out='run', *, recipe='osteon', settings=None, plan=None, callbacks=()) -> RunFolder",
}
VALUES = ["Apart", "CalibrationPlan", "EvaluationPlan", "Folds", "Index", "Named", "Progress", "RunFolder", "TrainingPlan"]


def test_the_face_has_these_names() -> None:
    assert dir(lab) == sorted(lab.__all__) == sorted([*VALUES, *SIGNATURES])
    assert all(inspect.isclass(getattr(lab, name)) for name in VALUES)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = lab.trian


@pytest.mark.parametrize("name", SIGNATURES)
def test_its_functions_have_these_signatures(name: str) -> None:
    signature = inspect.signature(getattr(lab, name))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert (
        f"{signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)} -> {signature.return_annotation}"
        == SIGNATURES[name]
    )


def test_to_import_it_needs_nothing_and_to_index_no_torch() -> None:
    code = "import sys; from osteon import lab; assert 'polars' not in sys.modules; lab.index; lab.split; print('torch' in sys.modules)"
    assert in_python(code) == "False\n"


def test_without_the_extra_it_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom osteon import lab\ntry: lab.train('i.parquet')\nexcept Exception as e: print(e)"
    assert in_python(code) == "osteon.lab.train needs torch, which is not installed. Install it with: pip install 'osteon[lab]'\n"


@dataclass
class Way:
    """What each step of the way returned, and what was told of it."""

    folder: Path
    index: lab.Index
    run: lab.RunFolder
    model: Exported
    told: list[lab.Progress] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with own_stores(tmp_path_factory.mktemp("face")) as folder:
        told: list[lab.Progress] = []
        stages: list[str] = []
        films = made_films(folder / "films", {"train": 24, "valid": 80})
        films.select("path", "label", "patient", "study", "split").write_csv(folder / "films/films.csv")
        index = lab.index(folder / "films/films.csv", folder / "index.parquet", progress=told.append)
        index = lab.split(index, into={"valid": 0.1, "tune": 0.9}, of="valid", progress=told.append)
        settings = dict(setting.split("=") for setting in SETTINGS) | {"batch": 4, "freeze": 16}
        run = lab.train(index, folder / "run", settings=settings, callbacks=[lambda progress: stages.append(progress.stage)])
        yield Way(folder, index, run, lab.export(run, folder / "model.onnx", name="made", progress=told.append), told, stages)


def test_each_step_says_what_it_made_and_where(way: Way) -> None:
    assert repr(way.index).startswith("<Index 104 films (") and repr(way.index).endswith(f"in {way.folder / 'index.parquet'}>")
    assert repr(way.run).startswith("<RunFolder recipe osteon, 2 of 2 epochs") and repr(way.run).endswith(f"in {way.folder / 'run'}>")
    assert repr(way.model).startswith("<Exported made@0.1.0, ") and Path(way.model).is_file()
    assert way.told[0] == lab.Progress("look at films", way.told[0].done, 104) and {p.stage for p in way.told} == {
        "look at films",
        "split",
        "export",
    }
    assert set(way.stages) == {"prepare", "train", "select"} and list((way.folder / "run/tensorboard").iterdir())
    assert way.run.record().recipe.batch == 4


def test_a_training_that_has_ended_is_not_done_again(way: Way) -> None:
    before = way.run.history()
    assert lab.train(None, way.run).history() == before
    with pytest.raises(UsageError, match="its own settings: epochs=3 cannot be changed"):
        lab.train(None, way.run, settings={"epochs": 3})
    with pytest.raises(UsageError, match="already holds a training"):
        lab.train(way.index.films, way.run)


def test_a_model_is_evaluated_compared_and_reported(way: Way, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[lab.Progress] = []
    plan = lab.EvaluationPlan(split="valid", resamples=100)
    evaluation = lab.evaluate(way.model, way.index, tmp_path / "evaluation", split=plan, progress=told.append)
    assert repr(evaluation).startswith("<Evaluation made@0.1.0 on 'valid': ") and repr(evaluation).endswith(f"{evaluation.folder}>")
    words = ("--model", way.model.path, "--index", way.index.path, "--split", "valid", "-o", tmp_path / "evaluation", "--resamples", 100)
    assert evaluation.command == f"osteon evaluate {' '.join(map(str, words))}"
    bright = make_model(tmp_path / "bright.onnx", kind="brightness")
    compared = lab.compare(bright, evaluation, tmp_path / "comparison", index=way.index, split=plan, progress=told.append)
    assert (
        repr(compared).startswith("<Comparison made@0.1.0 against made@1.0.0 on 'valid': ")
        and Path(compared, "disagreements.csv").is_file()
    )
    report = lab.report(way.run, tmp_path / "report", model=way.model, evaluation=evaluation, progress=told.append)
    assert Path(report, "report.html").is_file() and repr(report).endswith(f"In {tmp_path / 'report'}>")
    assert [progress.stage for progress in told][-1] == "write the report" and "read films" in {progress.stage for progress in told}
    assert capsys.readouterr() == ("", "")


def test_a_model_is_calibrated(way: Way, tmp_path: Path) -> None:
    bright, plan = make_model(tmp_path / "bright.onnx", kind="brightness"), lab.CalibrationPlan(doubt=None, resamples=100)
    made = lab.calibrate(bright, way.index, tmp_path / "calibrated.onnx", split=plan)
    assert repr(made).startswith("<Calibrated made@1.0.0 on 'tune', 72 films: abnormal from ") and repr(made).endswith(f"in {made.path}>")
    assert load_model(made.path).card == made.card and (tmp_path / "calibrated.calibration/calibration.json").is_file()
    with pytest.raises(MeasurementError, match="was trained on split 'train'"):
        lab.calibrate(way.model, way.index, tmp_path / "calibrated.onnx", split="train")


def test_predictions_take_the_place_of_a_model(way: Way, tmp_path: Path) -> None:
    plan = lab.EvaluationPlan(split="valid", resamples=100)
    first = lab.evaluate(way.model, way.index, tmp_path / "first", split=plan)
    again = lab.evaluate(first, out=tmp_path / "again", split=plan, threshold=0.25)
    assert (again.plan.threshold, again.counts) == (0.25, first.counts) and again.origin == first.origin
    assert lab.compare(first, again, tmp_path / "comparison", split=plan).thresholds == (first.plan.threshold, 0.25)
    with pytest.raises(UsageError, match="name the index"):
        lab.evaluate(way.model, out=tmp_path / "none")


def test_rows_are_written_where_the_result_stands(way: Way, tmp_path: Path) -> None:
    rows = way.index.films.filter(pl.col("split") == "valid")
    exploration = lab.explore(rows, tmp_path / "exploration", sample=0)
    assert repr(exploration) == f"<Exploration rows: {len(rows)} films, {rows['study'].n_unique()} studies, in {tmp_path / 'exploration'}>"
    assert pl.read_parquet(tmp_path / "exploration/index.parquet").equals(rows)
    parted = lab.split(rows, tmp_path / "folds.csv", into=lab.Folds(2))
    assert sorted(parted.films["fold"].unique()) == [0, 1] and parted.report.split == "2 folds, seed 0"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lab.explore([1]), "a path, what osteon.lab.index returned, or a polars DataFrame; this is a list"),
        (lambda: lab.split(pl.DataFrame()), "rows have no file of their own"),
        (lambda: lab.index("films", "index.txt"), "ends in .parquet or .csv"),
        (lambda: lab.split("index.parquet", into={"train": 0.5}), "no such index"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(call: object, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=sentence):
        call()  # type: ignore[operator]


def in_python(code: str) -> str:
    """What a fresh Python prints for a piece of code."""
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lab.index(None), "a dataset is given as a path; this is a NoneType"),  # type: ignore[arg-type]
        (lambda: lab.split(3), "an index is a path"),  # type: ignore[arg-type]
        (lambda: lab.split(pl.DataFrame({"a": [1]}), "o.parquet"), "the column path is missing"),
        (lambda: lab.explore(pl.DataFrame({"a": [1]})), "the column path is missing"),
        (lambda: lab.export(None), "a training is given as a path"),  # type: ignore[arg-type]
        (lambda: lab.export([]), "empty list"),
        (lambda: lab.train("i.parquet", settings=["x"]), "settings are a dict"),  # type: ignore[arg-type]
        (lambda: lab.report(3), "a training is given as a path"),  # type: ignore[arg-type]
        (lambda: lab.index(".", progress=3), "progress is a function"),  # type: ignore[arg-type]
    ],
)
def test_the_wrong_type_gets_a_sentence(call: Callable[[], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OsteonError, match=said):
        call()


def test_an_index_is_not_written_over_the_table_that_it_is_made_of(tmp_path: Path) -> None:
    table = tmp_path / "films.csv"
    table.write_text("path,label\na.png,1\n")
    with pytest.raises(UsageError, match="would be written over"):
        lab.index(table, table)
    assert table.read_text() == "path,label\na.png,1\n"
