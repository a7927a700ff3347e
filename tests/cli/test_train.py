"""`osteon train` as a person types it: killed, stopped, out of disk, over two processes; one line and the right status each time."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from made_index import made_index
from osteon.lab.training import checkpoint
from osteon.lab.training.run import RunFolder
from tiny_training import full_disk, osteon, own_stores, same_bits, settings, started, weights

LONGER = settings("epochs=6", "freeze=13")
"""Some seconds of training, with blocks that learn and statistics that move."""
OFTEN = ("--save-every", 0.002)
PATIENCE = 500  # seconds; the machine may have other things to do
pytestmark = pytest.mark.timeout(2000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_stores(tmp_path_factory.mktemp("cli")) as made:
        made_index(made)
        yield made


@pytest.fixture(scope="module")
def index(folder: Path) -> Path:
    return folder / "index.parquet"


@pytest.fixture(scope="module")
def whole(index: Path, folder: Path) -> Path:
    """A training that nothing interrupted."""
    answer = osteon("train", index, "-o", folder / "whole", *LONGER)
    assert answer.status == 0
    worth, ended = answer.out.splitlines()
    assert worth.startswith("Too few patients or groups to tell from chance: AUROC 1.000 on 3 studies (2 abnormal) of split 'tune'")
    assert ended == f"6 epochs in {folder}/whole. Next: osteon export {folder}/whole -o model.onnx"
    assert "Findings are boxed in 8 films: --recipe boxed also trains on parts of films around them.\n" in answer.error
    return folder / "whole"


def wait_for(process: subprocess.Popen[str], path: Path, before: int = 0) -> None:
    """Wait until a process has written a file anew."""
    end = time.monotonic() + PATIENCE
    while written(path) == before:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        time.sleep(0.002)


def written(path: Path) -> int:
    """When a file was written; 0 before."""
    return path.stat().st_mtime_ns if path.exists() else 0


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; returns its status and what it wrote to the terminal's error side."""
    error = process.communicate(timeout=PATIENCE)[1]
    assert "Traceback" not in error
    return process.returncode, error


def told(error: str) -> list[str]:
    """What osteon itself said, between the bars."""
    return [line for line in error.splitlines() if line.startswith("osteon:")]


# Killed and stopped


def test_killed_and_stopped_it_comes_to_the_same_bits(index: Path, folder: Path, whole: Path) -> None:
    run, chance = folder / "killed", random.Random(1)
    process = started("train", index, "-o", run, *LONGER, *OFTEN)
    wait_for(process, run / "recipe.json")  # from here on it can be resumed
    time.sleep(chance.uniform(0, 0.5))
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL

    for end in (signal.SIGKILL, signal.SIGINT):
        before = written(run / "checkpoint.pt")
        process = started("train", "--resume", "-o", run)
        wait_for(process, run / "checkpoint.pt", before)
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(end)
        status, error = ended(process)
        if end == signal.SIGKILL:
            assert status == -signal.SIGKILL
        else:
            assert (status, told(error)) == (130, [f"osteon: stopped. Continue with: osteon train --resume -o {run}"])

    answer = osteon("train", "--resume", "-o", run)
    assert answer.out.splitlines()[1:] == [f"6 epochs in {run}. Next: osteon export {run} -o model.onnx"]
    assert same_bits(weights(run), weights(whole))


@pytest.mark.long
def test_kills_at_random_moments_of_its_life(index: Path, tmp_path: Path) -> None:
    # With torch's own threads; the others of this page have one. A start takes four seconds, and there are five.
    long, chance, begin = settings("epochs=10", "freeze=0"), random.Random(2), time.monotonic()
    process = started("train", index, "-o", tmp_path / "whole", *long, *OFTEN, threads=None)
    wait_for(process, tmp_path / "whole" / "recipe.json")
    to_start = time.monotonic() - begin
    assert ended(process)[0] == 0
    in_training = time.monotonic() - begin - to_start

    run, moments, killed = tmp_path / "run", [], 0
    for _ in range(3):
        resumable = (run / "recipe.json").exists()
        process = started(*(["train", "--resume"] if resumable else ["train", index, *long, *OFTEN]), "-o", run, threads=None)
        moments.append(chance.uniform(0, to_start + in_training / 3))
        time.sleep(moments[-1])
        process.kill()
        killed += ended(process)[0] == -signal.SIGKILL  # on a machine that is less busy by now it may have ended
    assert killed
    process = started("train", "--resume", "-o", run, threads=None)
    assert ended(process)[0] == 0
    assert same_bits(weights(run), weights(tmp_path / "whole")), moments


@pytest.mark.long
def test_a_termination_signal_is_answered_like_ctrl_c(index: Path, tmp_path: Path) -> None:
    process = started("train", index, "-o", tmp_path / "run", *LONGER, *OFTEN)
    wait_for(process, tmp_path / "run" / "checkpoint.pt")
    process.terminate()
    status, error = ended(process)
    assert (status, told(error)) == (130, [f"osteon: stopped. Continue with: osteon train --resume -o {tmp_path}/run"])


def test_a_full_disk_is_one_line_and_loses_nothing(index: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with full_disk(2_000_000):  # room for the record and the curves, not for weights
        answer = osteon("train", index, "-o", run, *settings("epochs=1"), "--save-every", 0)
    assert answer.status == 74
    assert told(answer.error) == [
        f"osteon: {run}/checkpoint.pt: cannot be written (File too large). The last one is kept: make room and go on with --resume."
    ]
    assert "Traceback" not in answer.error and sorted(f.name for f in run.iterdir()) == ["best", "recipe.json", "tensorboard"]
    answer = osteon("train", "--resume", "-o", run)
    assert answer.status == 0 and (run / "checkpoint.pt").exists()


def test_a_full_disk_is_one_line_where_the_curves_meet_it_first(index: Path, tmp_path: Path, whole: Path) -> None:
    run = tmp_path / "run"
    with full_disk(3_000):  # the films were prepared for `whole`; the curves of some fifty steps have no room
        answer = osteon("train", index, "-o", run, *settings("epochs=1", "batch=1", "abnormal_repeat=11"))
    assert answer.status == 74
    assert told(answer.error) == [
        f"osteon: {run}/tensorboard: curves cannot be written (File too large). Make room and go on with --resume."
    ]
    assert "Traceback" not in answer.error


def test_a_loss_that_is_no_number_is_one_line(index: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = osteon("train", index, "-o", run, *settings("learning_rate=1e30", "head_learning_rate=1e30"), "--save-every", 0)
    assert answer.status == 70
    [line] = told(answer.error)
    assert "the loss became" in line and "Lower learning_rate with --set" in line and f"{run}/checkpoint.pt is from before" in line
    assert checkpoint.load(run / "checkpoint.pt")["position"]["done"] >= 1


# Two processes


def test_two_processes_give_the_loss_curve_of_one(index: Path, folder: Path) -> None:
    # All 49 norms learn, and take their statistics over both processes. Without that the first loss would be 2 % off, the epochs' 0.7 %,
    # the variances 11 %; Adam makes what float32 sums differ in (1e-7) into the tolerances below. Each process draws its own dropout.
    chosen = settings("freeze=0", "dropout=0", "epochs=3", "learning_rate=1e-4", "head_learning_rate=1e-4")
    two = "--standalone", "--nproc-per-node", 2, "-m", "osteon"
    process = started(*two, "train", index, "-o", folder / "two", *chosen, module="torch.distributed.run")
    status, error = ended(process)
    assert status == 0, error
    assert error.count("epoch 3: ") == 1  # of the two one speaks
    assert osteon("train", index, "-o", folder / "one", *chosen).status == 0
    one, both = (RunFolder(folder / name) for name in ("one", "two"))
    assert (both.record().processes, one.record().processes) == (2, 1)
    np.testing.assert_allclose(first_loss(both), first_loss(one), rtol=1e-5)
    for field in ("loss", "select_loss", "rate"):
        curves = [[getattr(row, field) for row in run.history()] for run in (one, both)]
        np.testing.assert_allclose(curves[1], curves[0], rtol=3e-3)
    network = {run.folder.name: checkpoint.load(run.checkpoint)["network"] for run in (one, both)}
    for key, value in network["one"].items():
        if key.endswith("running_var"):
            assert (network["two"][key] - value).norm() < 0.03 * value.norm()
    answer = osteon("train", "--resume", "-o", folder / "two")
    assert answer.status == 0 and "has ended" in answer.out


def first_loss(run: RunFolder) -> float:
    """Of the first step, from the curves."""
    value: float = EventAccumulator(str(run.tensorboard)).Reload().Scalars("train/loss")[0].value
    return value


# What is said


def test_a_training_that_has_ended_says_so_and_does_nothing(whole: Path) -> None:
    before = {file: written(file) for file in whole.rglob("*")}
    answer = osteon("train", "--resume", "-o", whole)
    assert answer.status == 0
    assert answer.out == f"{whole}: this training has ended, there was nothing to do. Next: osteon export {whole} -o model.onnx\n"
    assert {file: written(file) for file in whole.rglob("*")} == before


def test_films_that_were_left_out_are_counted(folder: Path, tmp_path: Path) -> None:
    gone = pl.when(pl.col("path").str.contains("train-.*image7")).then(pl.lit("gone.png")).otherwise("path")
    films = pl.read_parquet(folder / "index.parquet").with_columns(path=gone)
    films.write_parquet(tmp_path / "index.parquet")
    answer = osteon("train", tmp_path / "index.parquet", "-o", tmp_path / "run", *settings("epochs=1"))
    assert answer.status == 0
    assert f"1 films could not be read and were left out; {tmp_path}/run/recipe.json lists them with the reasons." in answer.error


def test_bars_say_loss_speed_and_time_left(whole: Path, index: Path, tmp_path: Path) -> None:
    error = osteon("train", index, "-o", tmp_path / "run", *settings("epochs=1")).error
    row = RunFolder(tmp_path / "run").history()[0]
    assert f"epoch 1: loss {row.loss:.4f}, selection loss {row.select_loss:.4f}, AUROC {row.select_auroc:.3f}" in error


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_OFFLINE", "1")


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["train"], 64, "name the index to train on"),
        (["train", "INDEX", "-o", "WHOLE"], 64, "already holds a training"),
        (["train", "--resume", "-o", "EMPTY"], 64, "holds no training"),
        (["train", "--resume", "-o", "WHOLE", "--set", "epochs=9"], 64, "epochs=9 cannot be changed"),
        (["train", "--resume", "-o", "WHOLE", "--init", "random"], 64, "init=random cannot be changed"),
        (["train", "INDEX", "-o", "EMPTY", "--recipe", "none"], 64, "no recipe 'none'"),
        (["train", "INDEX", "-o", "EMPTY", "--set", "epoch=9"], 64, "--set epoch=9: no such setting"),
        (["train", "INDEX", "-o", "EMPTY", "--set", "freeze=99"], 64, "freeze=99"),
        (["train", "INDEX", "-o", "EMPTY", "--device", "gpu"], 64, "--device gpu"),
        (["train", "EMPTY/none.parquet", "-o", "EMPTY"], 65, "no such index"),
        (["train", "INDEX", "-o", "EMPTY", "--select", "test", *settings()], 66, "no split 'test'"),
        (["train", "INDEX", "-o", "EMPTY", "--train", "all", *settings()], 64, "'tune' is both learned from and selected on"),
        (["train", "INDEX", "-o", "EMPTY", "--select", "none", "--recipe", "paper"], 64, "--set schedule=cosine --set patience=0"),
        (["train", "INDEX", "-o", "EMPTY", "--recipe", "paper"], 66, "densenet169-b2777c0a.pth is not at hand, and OSTEON_OFFLINE"),
    ],
)
@pytest.mark.usefixtures("offline")
def test_what_does_not_fit_is_one_line(index: Path, whole: Path, tmp_path: Path, arguments: list[str], status: int, line: str) -> None:
    places = {"INDEX": str(index), "WHOLE": str(whole), "EMPTY": str(tmp_path)}
    answer = osteon(*(places.get(part, part.replace("EMPTY", str(tmp_path))) for part in arguments))
    assert answer.status == status
    [said] = told(answer.error)
    assert line in said and "Traceback" not in answer.error and not list(tmp_path.iterdir())
