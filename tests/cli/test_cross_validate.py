"""`osteon cross-validate` as a person types it: the table, going on, refusals in a line, Ctrl-C and kill -9 in every stage."""

from __future__ import annotations

import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from polars.testing import assert_frame_equal

from command_line import Typed
from made_crossvalidation import EXPORT, exported_at_once, with_folds
from osteon.atomic import LOCK, hold
from osteon.card import Metric
from osteon.cli.cross_validate import _cell
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.evaluation.folder import predictions_of
from osteon.lab.experiments.crossvalidation.folder import CrossValidation
from osteon.lab.experiments.crossvalidation.result import CrossValidated
from tiny_training import one_thread, same_bits, settings, started, weights

ON_CPU = ("--device", "cpu")
FINE = ("index.parquet", "-o", "cv", *settings("epochs=1"), *ON_CPU)


@pytest.fixture
def ready(osteon: Typed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """The command line in a folder with an index that has two folds, exporting at once."""
    monkeypatch.setenv("OSTEON_CACHE", str(osteon.folder / "cache"))
    monkeypatch.setattr(EXPORT, exported_at_once)
    with_folds(osteon.folder)
    with one_thread():
        yield osteon


def test_from_the_index_to_the_table_and_on(ready: Typed) -> None:
    status, out, err = ready("cross-validate", *FINE, "--only", "1", "--by", "format")
    assert status == 0, err
    assert "cv: recipe osteon, 1 folds, films" in out and "note: 1 of 2 folds" in out
    assert [line for line in err.splitlines() if line.startswith("fold 1")] == [
        f"fold 1 (1 of 1): {stage}" for stage in ("prepare films", "train", "export", "score")
    ]
    status, out, err = ready("cross-validate", *FINE)
    assert status == 0 and "fold 0 (1 of 2): train" in err and "fold 1" not in err and "all folds: measure" in err
    assert re.search(r"epoch 1: loss \d\.\d{4}, \d+\.\d films/s", err)
    found = msgspec.json.decode(Path("cv/cross-validation.json").read_bytes(), type=CrossValidated)
    assert found.command.startswith("osteon cross-validate index.parquet -o cv --set init=random")
    for fold in found.folds:
        row = next(line for line in out.splitlines() if re.match(rf"{fold.fold} +12 \({fold.abnormal}\)", line))
        assert f" {fold.metrics['auroc']:.4f} " in row
    mean = found.find("all", "auroc")
    assert mean is not None and mean.low is not None and mean.high is not None
    [row] = [line for line in out.splitlines() if line.startswith("mean ")]
    assert re.match(rf"mean +24 \(8\) +{mean.value:.3f} \({mean.low:.3f}, {mean.high:.3f}\) ", row)
    assert "means over folds with 95 % intervals over groups; kappa at the threshold 0.5" in out and "HAND" in out
    assert ready("cross-validate", *FINE)[2].splitlines()[0] == "all folds: measure"  # nothing is left to do

    assert ready("compare", "cv", "cv", "--split", "all", "-o", "c")[0] == 0
    compared = msgspec.json.decode(Path("c/comparison.json").read_bytes(), type=Comparison)
    assert (compared.differences[0].group, compared.differences[0].value, compared.films) == ("mean over folds", 0, 24)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--only", "1,x"), 64, "--only '1,x': write the numbers of folds with commas between"),
        (("--only", "5"), 64, "has no fold 5; it has 0, 1"),
        (("--recipe", "paper"), 64, "--set schedule=cosine --set patience=0"),
        (("--set", "epoch=3"), 64, "--set epoch=3: no such setting"),
        (("--init", "absent.pth"), 66, "absent.pth: the weights cannot be read"),
        (("-o", "films"), 64, "films holds something that is no cross-validation"),
        (("-o", "broken"), 64, "no record of a cross-validation"),
    ],
)
def test_what_does_not_fit_is_one_line(ready: Typed, words: tuple[str, ...], status: int, said: str) -> None:
    Path("broken").mkdir()
    Path("broken/plan.json").write_text("{")
    code, _, err = ready("cross-validate", *FINE, *words)
    [line] = [line for line in err.splitlines() if line.startswith("osteon: ")]
    assert code == status and said in line and "Traceback" not in err


@pytest.mark.parametrize(
    ("low", "note", "cell"),
    [
        (0.7, "", "0.800 (0.700, 0.900)"),
        (0.7, "mean of 2 of 3 folds: the others do not define it", "0.800 (0.700, 0.900) *"),
        (None, "no interval: too few groups inform it; mean of 2 of 3 folds: the others do not define it", "0.800 *"),
        (None, "no interval: too few groups inform it", "0.800"),
    ],
)
def test_a_mean_of_some_folds_is_marked(low: float | None, note: str, cell: str) -> None:
    assert _cell(Metric(split="all", level="film", group="all", name="auroc", value=0.8, low=low, high=low and 0.9, n=9, note=note)) == cell


def test_an_index_without_folds_is_one_line(ready: Typed) -> None:
    code, _, err = ready("cross-validate", "absent.parquet", "-o", "cv")
    assert code == 65 and "there is no such index" in err
    assert not Path("cv").exists()


# As processes of their own, with the real export


def signalled(line: str, number: signal.Signals, command: list[object]) -> tuple[int, str]:
    """Start the command and send it a signal as soon as it has said that; returns its status and what it said from then on."""
    with started(*command) as process:
        assert process.stderr is not None
        for part in process.stderr:
            if part.strip().startswith(line):
                process.send_signal(number)
                break
        else:
            pytest.fail(f"it never said {line!r}")
        said = process.stderr.read()
    return process.returncode, said


def test_the_same_command_twice_at_once_shares_the_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    command = ("cross-validate", with_folds(tmp_path), "-o", tmp_path / "cv", *settings("epochs=1"), *ON_CPU)
    said = []
    for process in [started(*command), started(*command)]:
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        said.append((out, {line for line in error.splitlines() if line.endswith(("): train", "): score"))}))
    (one, first), (two, second) = said
    assert first | second == {f"fold {n} ({n + 1} of 2): {stage}" for n in (0, 1) for stage in ("train", "score")} and not first & second
    assert "2 folds, films" in one and one == two


def test_jobs_share_the_folds_and_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    here = CrossValidation(tmp_path / "cv")
    command = ("cross-validate", with_folds(tmp_path), "-o", here.folder, *settings("epochs=2000"), *ON_CPU, "--jobs", 2)
    with started(*command, threads=2) as process:
        assert process.stderr is not None
        ends = time.monotonic() + 120
        while not all(here.run(fold).checkpoint.exists() for fold in (0, 1)):  # as one process alone would not have it
            assert time.monotonic() < ends and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 130 and "osteon: stopped." in said and "Traceback" not in said
    asked = here.asked()
    assert asked is not None and asked.command == shlex.join(["osteon", *map(str, command)])
    for fold in (0, 1):
        assert here.run(fold).record().threads == 1
        lock = hold(here.fold(fold) / LOCK, wait=False)
        assert lock is not None  # nobody works in it any more
        lock.lock.release()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_and_stopped_it_comes_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    index = with_folds(tmp_path)
    whole, other = CrossValidation(tmp_path / "whole" / "cv"), CrossValidation(tmp_path / "killed" / "cv")

    def command(here: CrossValidation) -> list[object]:
        return [
            "cross-validate",
            index,
            "-o",
            here.folder,
            "--save-every",
            0,
            *settings("epochs=4"),
            *ON_CPU,
        ]

    for stage in ("fold 0 (1 of 2): train", "fold 1 (2 of 2): score"):  # one stage runner for all: `tests/lab/test_stages.py`
        status, _ = signalled(stage, signal.SIGKILL, command(other))
        assert status == -signal.SIGKILL
    status, said = signalled("epoch 2:", signal.SIGINT, command(whole))
    assert status == 130 and "osteon: stopped. The same command goes on where it stopped." in said and "Traceback" not in said

    for here in (whole, other):
        process = started(*command(here))
        _, error = process.communicate(timeout=900)
        assert process.returncode == 0, error
    for fold in (0, 1):
        assert same_bits(weights(whole.run(fold).folder), weights(other.run(fold).folder))
        assert whole.model(fold).read_bytes() == other.model(fold).read_bytes()
    assert_frame_equal(predictions_of(whole.folder).films, predictions_of(other.folder).films)
    one, two = (msgspec.json.decode(here.result.read_bytes(), type=CrossValidated) for here in (whole, other))
    assert one.metrics == two.metrics and [f.metrics for f in one.folds] == [f.metrics for f in two.folds]
    assert not [file for file in other.folder.rglob("*") if ".part" in file.name]
