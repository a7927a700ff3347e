"""The demo: the whole chain on a few synthetic films, stopped and gone on with, and its report."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from osteon.errors import UsageError
from osteon.lab.data.index import read_index
from osteon.lab.demo.run import STAGES, DemoPlan, DemoRecord, run_demo
from osteon.lab.evaluation.evaluation import ALL, Evaluation
from osteon.lab.evaluation.folder import read_evaluation
from osteon.lab.progress import Progress
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import has_ended
from osteon.lab.training.start.first_model import recipe_from
from tiny_training import osteon

PLAN = DemoPlan(studies=5, sizes=(128, 140), settings=("init=packaged", "frame.size=64", "epochs=2", "keep=1", "freeze=8", "batch=8"))


class Stop(Exception):
    """What stops a demo in the middle."""


@dataclass
class Ran:
    folder: Path
    stopped: DemoRecord
    evaluations: tuple[Evaluation, Evaluation]
    told: list[tuple[str, str]] = field(default_factory=list)


def record_of(folder: Path) -> DemoRecord:
    return msgspec.json.decode((folder / "demo.json").read_bytes(), type=DemoRecord)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("demo") / "demo"

    def stop(progress: Progress) -> None:
        if progress.stage == "train" and "epoch 2 (train)" in progress.note:
            raise Stop

    with pytest.raises(Stop):
        run_demo(folder, PLAN, 0, stop)
    stopped = record_of(folder)
    assert not has_ended(folder / "run")
    told: list[tuple[str, str]] = []
    evaluations = run_demo(folder, PLAN, 0, lambda progress: told.append((progress.stage, progress.note)))
    return Ran(folder, stopped, evaluations, told)


def test_a_stopped_demo_goes_on_where_it_was(ran: Ran) -> None:
    assert ran.stopped.finished == ("films", "index")
    assert record_of(ran.folder).finished == tuple(STAGES)
    assert {stage for stage, note in ran.told if note == "finished before"} == {"films", "index"}
    assert list(dict.fromkeys(stage for stage, _ in ran.told)) == list(STAGES)
    assert not any("epoch 1 (train)" in note for _, note in ran.told)
    assert [row.epoch for row in RunFolder(ran.folder / "run").history()] == [0, 1]


def test_a_finished_demo_has_nothing_to_do(ran: Ran) -> None:
    page, told = (ran.folder / "report.html").stat().st_mtime_ns, list[str]()
    run_demo(ran.folder, PLAN, 0, lambda progress: told.append(progress.note))
    assert told == ["finished before"] * len(STAGES)
    assert (ran.folder / "report.html").stat().st_mtime_ns == page


def test_a_report_that_is_gone_is_written_again(ran: Ran) -> None:
    (ran.folder / "report.html").unlink()
    told: list[tuple[str, str]] = []
    run_demo(ran.folder, PLAN, 0, lambda progress: told.append((progress.stage, progress.note)))
    assert {stage for stage, note in told if note != "finished before"} == {"report"}
    assert (ran.folder / "report.html").is_file()


def test_the_films_are_fractured_or_normal_and_patients_stay_apart(ran: Ran) -> None:
    films = read_index(ran.folder / "index.parquet")
    assert set(films["split"]) == {"train", "tune", "valid"}
    assert set(films["study_type"]) == set(PLAN.study_types)
    assert set(films["finding"]) == {"fracture", "none"}
    assert all((label == 1) == bool(boxes) for label, boxes in films.select("label", "boxes").iter_rows())
    held, learned = (set(films.filter((films["split"] == "valid") == side)["patient"]) for side in (True, False))
    assert not held & learned


def test_both_models_are_measured_on_the_same_films(ran: Ran) -> None:
    trained, packaged = ran.evaluations
    assert trained == read_evaluation(ran.folder / "evaluation")
    assert trained.origin.model == "demo@1"
    assert packaged.origin.model.startswith("fracture@")
    assert trained.counts.films == packaged.counts.films
    assert trained.find("film", ALL, "auroc")


def test_the_report_says_that_the_films_are_synthetic_and_shows_both_models(ran: Ran) -> None:
    text = (ran.folder / "report.html").read_text(encoding="utf-8")
    assert "synthetic: computed, not taken" in text
    assert f"Beside {ran.evaluations[1].origin.model}" in text
    assert "This training began with it" in text
    assert "AUROC, films" in text
    assert 'src="http' not in text and "<script" not in text


def test_the_demo_s_own_plan_is_a_recipe_that_begins_with_the_packaged_model() -> None:
    made = recipe_from("osteon", DemoPlan().settings)
    assert made.init.startswith("fracture@")
    assert made.epochs <= 6


def test_another_plan_or_a_foreign_folder_is_refused(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another studies"):
        run_demo(ran.folder, msgspec.structs.replace(PLAN, studies=6), 0, lambda *_: None)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="no demo"):
        run_demo(tmp_path, PLAN, 0, lambda *_: None)


def test_the_terminal_s_last_lines_say_how_good_it_is_and_where_the_page_is(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.lab.demo.run.DemoPlan", lambda: PLAN)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    answer = osteon("demo", "-o", ran.folder)
    assert answer.status == 0
    *_, trained, packaged, last = answer.out.splitlines()
    assert re.search(r"the trained model: +AUROC \d\.\d{3}", trained)
    assert "the packaged model, which it began with: AUROC" in packaged
    assert re.fullmatch(r".*report\.html: open it in a browser\. Total time 0 min \d+ s\.", last)
