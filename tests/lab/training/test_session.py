"""A run folder: what it records, what it refuses, and that it goes on with the same data, weights and processes or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from made_index import made_index
from osteon.errors import CheckpointError, DatasetError, EmptyDataset, MissingWeights, UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.progress import Epoch, Progress
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord
from osteon.lab.training.session import TrainingRequest, has_ended, resume_training, start_training
from osteon.version import __version__
from tiny_training import own_stores, same_bits, tiny, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an index, and stores of its own."""
    with own_stores(tmp_path_factory.mktemp("session")) as made:
        made_index(made)
        yield made


@pytest.fixture(scope="module")
def request_(folder: Path) -> TrainingRequest:
    return TrainingRequest(tiny(), folder / "index.parquet", save_every=0.0)


@pytest.fixture(scope="module")
def run(folder: Path, request_: TrainingRequest) -> Path:
    """A training that has ended."""
    start_training(request_, folder / "run")
    return folder / "run"


def copied(index: Path, to: Path, change: pl.Expr | None = None) -> Path:
    films = pl.read_parquet(index)
    (films if change is None else films.with_columns(change)).write_parquet(to)
    return to


# What it records


def test_recipe_json_is_enough_to_do_it_again(run: Path, folder: Path) -> None:
    record = msgspec.json.decode((run / "recipe.json").read_bytes(), type=RunRecord)
    assert record.recipe == tiny()
    assert {"epochs: 12 -> 2", "frame.size: 384 -> 64", "init: imagenet -> random"} <= set(record.recipe.departures)
    films = read_index(folder / "index.parquet")
    assert record.plan == Plan(index=str(folder / "index.parquet"), fingerprint=fingerprint(films), save_every=0.0)
    assert (record.weights, record.version, record.torch) == ("random", __version__, torch.__version__)
    assert (record.processes, record.device, record.threads) == (1, "cpu", torch.get_num_threads())
    assert record.refused == {}
    assert all(c in "0123456789abcdef" for c in record.code_commit)


def test_history_json_has_a_row_an_epoch(run: Path) -> None:
    rows = json.loads((run / "history.json").read_text())
    assert [row["epoch"] for row in rows] == [0, 1]
    assert all(row.keys() == set(Epoch.__struct_fields__) for row in rows)
    assert {file.name for file in (run / "best").iterdir()} == {"epoch-000.pt", "epoch-001.pt"}


def test_tensorboard_shows_the_curves(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    history = RunFolder(run).history()
    assert [e.step for e in events.Scalars("train/loss")] == list(range(1, 9))  # two epochs of four batches
    shown = [(e.step, e.value) for e in events.Scalars("select/loss")]
    assert shown == [(p.epoch, pytest.approx(p.select_loss)) for p in history]
    assert len(events.Scalars("select/auroc")) == 2 and len(events.Scalars("train/films_per_second")) == 8


def test_films_that_cannot_be_prepared_are_named(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    index = copied(folder / "index.parquet", tmp_path / "index.parquet", pl.lit(str(tmp_path)).alias("root"))
    films = pl.read_parquet(index)
    for row, path in enumerate(films["path"]):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"broken" if row in (1, 13) else (folder / "films" / path).read_bytes())
    start_training(replace(request_, index=index, recipe=tiny("epochs=1")), tmp_path / "run")
    refused = RunFolder(tmp_path / "run").record().refused
    assert list(refused) == [str(tmp_path / films["path"][row]) for row in (1, 13)]
    assert all("neither PNG" in reason for reason in refused.values())


def test_preparing_is_told(request_: TrainingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    told: list[Progress] = []
    start_training(replace(request_, recipe=tiny("epochs=1")), tmp_path / "run", callbacks=[told.append])
    assert [(p.done, p.total) for p in told if p.stage == "prepare"] == [*((i, 12) for i in range(1, 13)), *((i, 6) for i in range(1, 7))]


def test_each_callback_is_told_of_every_step_in_turn(request_: TrainingRequest, tmp_path: Path) -> None:
    told: list[tuple[str, Progress]] = []
    callbacks = [lambda progress: told.append(("first", progress)), lambda progress: told.append(("second", progress))]
    history = start_training(replace(request_, recipe=tiny("epochs=1")), tmp_path / "run", callbacks=callbacks)
    assert [who for who, _ in told] == ["first", "second"] * (len(told) // 2)
    assert [progress for _, progress in told[::2]] == [progress for _, progress in told[1::2]]
    assert [p.done for _, p in told[::2] if p.stage == "train"] == [1, 2, 3, 4] and told[-1][1].history == tuple(history)


def test_a_callback_that_raises_ends_the_training_and_it_goes_on(request_: TrainingRequest, tmp_path: Path) -> None:
    def end(progress: Progress) -> None:
        if progress.stage == "train" and progress.done == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        start_training(replace(request_, recipe=tiny("epochs=1")), tmp_path / "run", callbacks=[end])
    assert len(resume_training(tmp_path / "run")) == 1


def test_after_a_training_small_numbers_count_again(run: Path) -> None:
    # While training they count as zero, which is quicker; whoever called may need them.
    assert np.float64(5e-324) * np.float64(1) > 0 and torch.tensor(1e-40) * 1 > 0


# What it refuses


def test_a_used_folder_is_refused_before_anything_is_done(run: Path, request_: TrainingRequest) -> None:
    before = weights(run)
    with pytest.raises(UsageError, match=r"already holds a training.*--resume.*-o"):
        start_training(replace(request_, index=Path("nowhere.parquet")), run)
    assert same_bits(weights(run), before)


def test_a_folder_that_cannot_be_made_is_refused(request_: TrainingRequest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"the folder cannot be made \(Not a directory\).*-o"):
        start_training(request_, tmp_path / "file" / "run")


@pytest.mark.parametrize("given", [{"learn": "training"}, {"select": "test"}])
def test_a_split_that_is_not_there_is_refused(request_: TrainingRequest, tmp_path: Path, given: dict[str, str]) -> None:
    [name] = given.values()
    with pytest.raises(EmptyDataset, match=rf"no split '{name}' \(it has: train, tune, valid\).*--train and --select"):
        start_training(replace(request_, **given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_films_without_labels_are_refused(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    index = copied(folder / "index.parquet", tmp_path / "index.parquet", pl.lit(None, pl.Int8).alias("label"))
    with pytest.raises(DatasetError, match="without a label"):
        start_training(replace(request_, index=index), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_training_no_resuming(tmp_path: Path) -> None:
    for call in (resume_training, has_ended):
        with pytest.raises(UsageError, match=r"holds no training \(no recipe\.json\)"):
            call(tmp_path)


def test_another_index_is_refused(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    index = copied(folder / "index.parquet", tmp_path / "index.parquet")
    start_training(replace(request_, index=index, recipe=tiny("epochs=1")), tmp_path / "run")
    copied(index, index, (1 - pl.col("label")).alias("label"))
    with pytest.raises(DatasetError, match=r"index\.parquet has changed since"):
        resume_training(tmp_path / "run")
    index.unlink()
    with pytest.raises(DatasetError, match=r"index\.parquet: there is no such index"):
        resume_training(tmp_path / "run")


def test_another_number_of_processes_is_refused(run: Path, tmp_path: Path) -> None:
    edited(run, tmp_path / "run", processes=2)
    with pytest.raises(UsageError, match="started with 2 processes, not 1"):
        resume_training(tmp_path / "run")


def edited(run: Path, to: Path, **changes: object) -> None:
    """The record of a run, without its checkpoint."""
    record = msgspec.structs.replace(RunFolder(run).record(), **changes)
    RunFolder(to).start(record)


# Which films are learned from, and which are selected on


def test_without_a_selection_split_all_may_be_learned_from(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    history = start_training(replace(request_, learn="all", select="", recipe=tiny("epochs=1")), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert (run.record().plan.train, run.record().plan.select) == ("all", "")
    assert [p.select_loss for p in history] == [None] and [f.name for f in run.best.iterdir()] == ["epoch-000.pt"]
    events = EventAccumulator(str(run.tensorboard)).Reload()
    assert "select/loss" not in events.Tags()["scalars"]
    films = read_index(folder / "index.parquet")
    shown = len(films) + int((films["label"] == 1).sum())  # each abnormal film twice
    assert len(events.Scalars("train/loss")) == shown // tiny().batch
    assert has_ended(run.folder)


def test_several_splits_are_learned_from_as_if_they_were_one(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    one = pl.when(pl.col("split") == "tune").then(pl.lit("tune")).otherwise(pl.lit("train")).alias("split")
    index = copied(folder / "index.parquet", tmp_path / "index.parquet", one)
    recipe = tiny("epochs=1")
    start_training(replace(request_, recipe=recipe, learn="valid, train"), tmp_path / "several")
    start_training(replace(request_, recipe=recipe, index=index), tmp_path / "one")
    assert same_bits(weights(tmp_path / "several"), weights(tmp_path / "one"))
    edited(tmp_path / "several", tmp_path / "again")
    resume_training(tmp_path / "again")
    assert same_bits(weights(tmp_path / "again"), weights(tmp_path / "one"))


def test_windows_need_boxes_to_learn_from(folder: Path, tmp_path: Path, request_: TrainingRequest) -> None:
    recipe = msgspec.structs.replace(request_.recipe, window=0.5)
    start_training(replace(request_, recipe=recipe), tmp_path / "boxed")
    index = copied(folder / "index.parquet", tmp_path / "index.parquet", pl.lit(None, pl.List(pl.List(pl.Float32))).alias("boxes"))
    with pytest.raises(UsageError, match=r"window: no abnormal film has a box.*--set window=0"):
        start_training(replace(request_, recipe=recipe, index=index), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("learn", ["all", "tune", "train, tune"])
def test_a_split_that_is_learned_from_is_not_selected_on(request_: TrainingRequest, tmp_path: Path, learn: str) -> None:
    with pytest.raises(UsageError, match="split 'tune' is both learned from and selected on"):
        start_training(replace(request_, learn=learn), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("schedule=plateau",), "--set schedule=cosine$"),
        (("patience=2",), "--set patience=0$"),
        (("schedule=plateau", "patience=2"), "--set schedule=cosine --set patience=0$"),
    ],
)
def test_a_recipe_that_watches_the_selection_needs_one(
    request_: TrainingRequest, tmp_path: Path, changes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=f"watches the loss on a selection split, and there is none.*{said}"):
        start_training(replace(request_, select="", recipe=tiny(*changes)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Before the first checkpoint


def test_killed_before_the_first_checkpoint_it_starts_from_the_first_weights(run: Path, tmp_path: Path) -> None:
    edited(run, tmp_path / "run")
    assert not has_ended(tmp_path / "run")
    resume_training(tmp_path / "run")
    assert same_bits(weights(tmp_path / "run"), weights(run))


def saved_backbone(recipe: Recipe, seed: int, path: Path) -> None:
    torch.manual_seed(seed)
    torch.save(Detector(recipe).backbone.state_dict(), path)


def test_first_weights_from_a_file_and_only_the_same_again(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "first.pth"
    recipe = tiny("epochs=1", f"init={file}")
    saved_backbone(recipe, 7, file)
    start_training(TrainingRequest(recipe, Path(RunFolder(run).record().plan.index)), tmp_path / "run")
    kept = weights(tmp_path / "run")
    assert torch.equal(kept["network backbone._conv_stem.weight"], torch.load(file, weights_only=True)["_conv_stem.weight"])
    assert "first.pth, SHA-256" in RunFolder(tmp_path / "run").record().weights

    edited(tmp_path / "run", tmp_path / "again")
    resume_training(tmp_path / "again")
    assert same_bits(weights(tmp_path / "again"), kept)

    edited(tmp_path / "run", tmp_path / "other")
    saved_backbone(recipe, 8, file)
    with pytest.raises(MissingWeights, match=r"was started from first\.pth.*Put the old file back"):
        resume_training(tmp_path / "other")


# Once it has ended


def test_a_training_that_has_ended_is_left_as_it_is(run: Path) -> None:
    assert has_ended(run)
    before = weights(run)
    assert [p.epoch for p in resume_training(run)] == [0, 1]
    assert same_bits(weights(run), before)


def test_a_broken_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    edited(run, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").write_bytes((run / "checkpoint.pt").read_bytes()[:-1000])
    for call in (resume_training, has_ended):
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt: no readable checkpoint"):
            call(tmp_path / "run")


def test_a_broken_record_is_refused(run: Path, tmp_path: Path) -> None:
    edited(run, tmp_path / "run")
    for content in (b"", b"{", b'{"recipe": 3}'):
        (tmp_path / "run" / "recipe.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"recipe\.json: no record of a training"):
            resume_training(tmp_path / "run")
