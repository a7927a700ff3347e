"""`osteon reproduce` as a person types it: `paper` and `osteon` end to end, refusals in a line, and kill -9 in every stage."""

from __future__ import annotations

import re
import shlex
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from made_index import made_film
from made_trees import png, write
from osteon.lab.data.index import read_index
from osteon.lab.evaluation.folder import read_evaluation
from osteon.lab.phantom.dataset import DatasetSpec, make_dataset
from osteon.lab.reproduction.rehearsal import Cost
from osteon.lab.reproduction.stages import STAGES
from osteon.opening import load_model
from tiny_training import QUICK_IN_BFLOAT16, osteon, same_bits, started, weights

pytestmark = pytest.mark.timeout(1200)  # an export takes ten seconds, and ten times that on a machine with other things to do

TINY = ("--set", "init=random", "--set", "network=lite0", "--set", "frame.size=64", "--set", "epochs=1", "--device", "cpu")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = DatasetSpec(studies=4, seed=3, valid_share=0.4, abnormal_share=0.5, sizes=(128, 136))
    return Path(make_dataset(tmp_path_factory.mktemp("phantoms"), spec).root)


def bars(root: Path, patients: int) -> Path:
    """A tree in MURA's layout that is quickly made and easily learned: in abnormal films a bright bar."""
    for number in range(1, patients + 1):
        split, kind, abnormal = ("valid" if number % 4 == 0 else "train"), ("HAND", "WRIST")[number // 4 % 2], number % 8 < 4
        study = root / split / f"XR_{kind}" / f"patient{number:05d}" / f"study1_{'positive' if abnormal else 'negative'}"
        write(study / "image1.png", png(made_film(number, abnormal)[0]))
    return root


def test_paper_from_the_folder_to_the_table_with_its_cost_told_first(phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "reproduction"
    answer = osteon("reproduce", "paper", phantoms, "-o", out, "--models", 1, "--rehearse", 0.01, *TINY)
    assert answer.status == 0, answer.error
    page = (out / "reproduction.md").read_text()
    assert page in answer.out
    assert "| **osteon, one model** |" in page
    assert "gains" not in page
    assert re.search(r"it will take \d+ (s|min) on cpu: one training of 1 epoch, .* an epoch", answer.error)
    cost = msgspec.json.decode((out / "cost.json").read_bytes(), type=Cost)
    assert cost.lines()[0] in page
    assert cost.train_rate > 0
    assert cost.select_rate > 0
    assert not (out / "rehearsal").exists()
    told = [line for line in answer.error.splitlines() if re.match(r"\d/8 ", line) and "━" not in line and "so far" not in line]
    assert [line[4:] for line in told] == list(STAGES.values())
    again = osteon("reproduce", "paper", phantoms, "-o", out, "--models", 1, "--rehearse", 0.01, *TINY)
    assert (again.status, again.error.count("(finished before)")) == (0, len(STAGES))
    assert page in again.out


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reproduction of `osteon` that learned what there is to learn."""
    folder = tmp_path_factory.mktemp("calibrated")
    tree, out = bars(folder / "bars", 240), folder / "reproduction"
    settings = ("frame.size=64", "frame.crop=none", "epochs=1", "warmup=0", "ema=0.9", "batch=8")
    changes = [word for setting in settings for word in ("--set", setting)]
    once = ("--models", 1, "--rehearse", 0.01, "--device", "cpu")
    answer = osteon("reproduce", "osteon", tree, "-o", out, "--tune-share", 0.5, *once, *changes)
    assert answer.status == 0, answer.error
    return out


def test_osteon_is_calibrated_on_tune_before_it_is_measured(calibrated: Path) -> None:
    out = calibrated
    card = load_model(out / "model.onnx").card
    assert (card.calibration.split, card.decision.split) == ("tune", "tune")
    assert card.name == "osteon"
    cost, films = msgspec.json.decode((out / "cost.json").read_bytes(), type=Cost), read_index(out / "split.parquet")
    assert cost.score_films == films["split"].is_in(["tune", "valid"]).sum(), "a model file reads both"
    assert cost.prepared_bytes == len(films) * 64 * 64
    assert read_evaluation(out / "evaluations" / "model").plan.threshold == card.decision.threshold
    page = (out / "reproduction.md").read_text()
    assert f"calibrated on `tune`; threshold {card.decision.threshold:.3f} by the rule: {card.decision.rule}" in page
    assert "osteon reproduce osteon " in page
    assert "- a study's probability is the mean over its films\n" in page
    assert "osteon release release.toml -o released" in page


@pytest.mark.long
def test_osteon_is_released_by_the_command_on_its_page(calibrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(calibrated)
    monkeypatch.setattr("osteon.lab.guard.fit.PICTURES", 5)
    monkeypatch.setattr("osteon.lab.quantisation.quantise.ROUNDED_ON", 4)
    [command] = re.findall(r"^osteon release .*$", Path("reproduction.md").read_text(), re.MULTILINE)
    answer = osteon(*shlex.split(command)[1:])
    assert answer.status == 0, answer.error
    card = load_model(Path("released/abnormality-0.1.0.onnx")).card
    assert (card.reference, card.finding, card.data[0].name) == ("abnormality@0.1.0", "abnormality", "bars")
    assert (card.calibration.split, {metric.split for metric in card.metrics}) == ("tune", {"valid"})
    assert card.scope is not None
    assert card.int8 is not None


def test_the_trainings_by_hand_are_told_before_they_are_made(tmp_path: Path) -> None:
    tree, out = bars(tmp_path / "bars", 20), tmp_path / "reproduction"
    answer = osteon("reproduce", "osteon", tree, "-o", out, "--models", 2, "--until", "settings", "--set", "epochs=3")
    assert answer.status == 0, answer.error
    assert "box_loss=0: no finding has a box here" in answer.error
    told = [line for line in answer.out.splitlines() if line.startswith("osteon train ")]
    settled = "--set epochs=3 --set box_loss=0 --set abnormal_repeat=1"
    if QUICK_IN_BFLOAT16:
        settled += " --set precision=bfloat16"
    assert told == [
        f"osteon train split.parquet --recipe osteon {settled} --set seed={number - 1} -o trainings/{number}" for number in (1, 2)
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("paper", "nowhere"), 66, "there is no such folder"),
        (("paper", ".", "--set", "dropout=2"), 64, "Mend that value (settings, --set)"),
        (("paper", ".", "--set", "drop=2"), 64, "no such setting"),
        (("thesis", "."), 2, "paper"),
    ],
)
def test_bad_input_is_refused_in_a_line(
    arguments: tuple[str, ...], status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = osteon("reproduce", *arguments)
    assert answer.status == status
    assert said in answer.error
    assert "Traceback" not in answer.error


def test_first_weights_that_are_missing_are_found_before_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OSTEON_OFFLINE", "1")
    tree = bars(tmp_path / "bars", 40)
    answer = osteon("reproduce", "paper", tree, "-o", tmp_path / "out", "--set", "frame.size=64")
    assert answer.status == 66
    assert "densenet169-b2777c0a.pth" in answer.error
    assert not (tmp_path / "out" / "trainings").exists()


def killed(stage: str, arguments: list[object]) -> None:
    """Start the command and kill it as soon as it comes to a stage; a short one may have ended before the last kill came."""
    begun = threading.Event()

    def read(lines: Iterable[str]) -> None:
        for line in lines:
            if STAGES[stage] in line:
                begun.set()

    with started(*arguments) as process:
        assert process.stderr is not None
        reader = threading.Thread(target=read, args=(process.stderr,))
        reader.start()
        assert begun.wait(600), f"{stage} never began"
        time.sleep(0.05)
        process.kill()
        reader.join()
    assert process.returncode in (-9, 0)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_in_its_stages_it_comes_to_the_same_result(phantoms: Path, tmp_path: Path) -> None:
    def command(out: Path) -> list[object]:
        return ["reproduce", "article", phantoms, "-o", out, "--models", 1, "--rehearse", 0.01, "--tune-share", 0.3, *TINY]

    for stage in ("train", "evaluations"):  # one stage runner for all: `tests/lab/test_stages.py`
        killed(stage, command(tmp_path / "killed"))
    for name in ("killed", "whole"):
        process = started(*command(tmp_path / name))
        _, error = process.communicate(timeout=900)
        assert process.returncode == 0, error
    one, other = tmp_path / "whole", tmp_path / "killed"
    assert same_bits(weights(one / "trainings" / "1"), weights(other / "trainings" / "1"))
    assert read_evaluation(one / "evaluations" / "model").metrics == read_evaluation(other / "evaluations" / "model").metrics
    assert (one / "model.onnx").read_bytes() == (other / "model.onnx").read_bytes()
    pages = [
        re.sub(r"- (before it started|the trainings took).*", "", (out / "reproduction.md").read_text()).replace(str(out), "OUT")
        for out in (one, other)
    ]
    assert pages[0] == pages[1]


@pytest.mark.long
def test_ctrl_c_says_how_to_go_on(phantoms: Path, tmp_path: Path) -> None:
    process = started("reproduce", "article", phantoms, "-o", tmp_path / "out", "--rehearse", 0, *TINY, "--set", "epochs=50")
    while not list((tmp_path / "out").glob("trainings/1/history.json")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "The same command goes on where it stopped" in error
