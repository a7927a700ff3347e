"""Each film is scored by a model that has never met it; interrupted anywhere, nothing is done twice and the result is the same."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from sklearn.metrics import roc_auc_score

from made_crossvalidation import COMMAND, EXPORT, Made, exported_at_once, mark, quiet, stage_of, stages, with_folds
from osteon.atomic import hold
from osteon.errors import LeakySplit, UsageError
from osteon.lab.data.index import fingerprint, read_index, read_report
from osteon.lab.data.store import open_store
from osteon.lab.evaluation.folder import predictions_of, read_evaluation
from osteon.lab.evaluation.scoring import score_index
from osteon.lab.experiments.crossvalidation.first_weights import first_weights, recipe_for, recipe_of_fold
from osteon.lab.experiments.crossvalidation.folder import CrossValidation, CrossValidationPlan
from osteon.lab.experiments.crossvalidation.result import CrossValidated
from osteon.lab.experiments.crossvalidation.stages import Request, cross_validate
from osteon.lab.progress import Progress, Watch
from osteon.lab.training import checkpoint
from osteon.lab.training.export import export_run
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord
from osteon.lab.training.session import TrainingRequest, start_training
from osteon.lab.training.start.lineage import unknown_past
from osteon.opening import load_model
from tiny_training import SETTINGS, own_stores, same_bits, tiny, weights

FOLDS = (0, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("crossvalidation")
    with own_stores(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXPORT, exported_at_once)
        yield Made(folder, with_folds(folder))


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    """What `whole` told."""
    return []


@pytest.fixture(scope="module")
def found(made: Made, told: list[Progress]) -> CrossValidated:
    """A cross-validation that nothing interrupted."""
    return made.run("whole", told.append)


@pytest.fixture
def whole(made: Made, found: CrossValidated) -> CrossValidation:
    """Its folder."""
    return made.at("whole")


def copied(whole: CrossValidation, to: Path) -> CrossValidation:
    """A cross-validation's folder that a test may change."""
    shutil.copytree(whole.folder, to)
    return CrossValidation(to)


def finished(here: CrossValidation) -> dict[Path, int]:
    """When each file was written that an ended training, its export and its scoring leave; a fold's index is written in every call."""
    ended = [here.run(n).folder for n in FOLDS if len(here.run(n).history()) == tiny().epochs]
    files = [*(file for run in ended for file in run.rglob("*")), *(file for n in FOLDS for file in (here.model(n), here.scored(n)))]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def written(here: CrossValidation) -> dict[Path, int]:
    """When each file of a cross-validation was written; that of the lock is touched by everybody."""
    return {file: file.stat().st_mtime_ns for file in here.folder.rglob("*") if file.name != "lock"}


# Never met


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_s_training_is_that_of_an_index_without_its_films(made: Made, whole: CrossValidation, tmp_path: Path, fold: int) -> None:
    rest = read_index(made.index).filter(pl.col("fold") != fold).with_columns(split=pl.lit("learn"))
    rest.write_parquet(tmp_path / "rest.parquet")
    start_training(TrainingRequest(tiny(), tmp_path / "rest.parquet", "learn", ""), tmp_path / "run")
    assert same_bits(weights(whole.run(fold).folder), weights(tmp_path / "run"))
    record = whole.run(fold).record()
    assert (record.plan.train, record.plan.select, record.plan.index) == ("learn", "", str(whole.index(fold)))
    assert [p.select_loss for p in whole.run(fold).history()] == [None, None]


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_s_films_have_the_scores_of_its_own_model(made: Made, whole: CrossValidation, fold: int) -> None:
    index = read_index(made.index)
    card = load_model(whole.model(fold)).card
    assert (card.name, card.pooling.bias) == (f"made-{fold}", pytest.approx(mark(whole.run(fold).folder)))
    scored = predictions_of(whole.folder).films.filter(split=f"fold-{fold}")
    assert scored["path"].equals(index.filter(fold=fold)["path"])
    for number in FOLDS:
        answers = score_index(str(whole.model(number)), whole.index(fold), ["held"]).films["logit"].to_numpy()
        apart = np.abs(scored["logit"].to_numpy() - answers)
        assert (apart.max() < 1e-6) if number == fold else (apart.min() > 1e-3)


def test_every_film_is_scored_once(made: Made, whole: CrossValidation) -> None:
    films = predictions_of(whole.folder).films
    index = read_index(made.index).sort("fold", maintain_order=True)
    assert_frame_equal(films.select(index.columns).drop("split"), index.drop("split"))
    assert films["split"].equals(index.select(split=pl.format("fold-{}", "fold"))["split"])


def test_a_fold_s_index_says_what_is_held(whole: CrossValidation) -> None:
    for fold in FOLDS:
        films = read_index(whole.index(fold))
        assert (films["split"] == "held").equals(films["fold"] == fold) and set(films["split"]) == {"learn", "held"}
        report = read_report(whole.index(fold))
        assert report is not None and (report.split, report.decoded) == (f"held is fold {fold}", True)


# What it found


def test_each_fold_is_measured_and_the_mean_is_of_folds(whole: CrossValidation, found: CrossValidated) -> None:
    assert msgspec.json.decode(whole.result.read_bytes(), type=CrossValidated) == found
    films = predictions_of(whole.folder).films
    for fold in found.folds:
        mine, history = films.filter(split=f"fold-{fold.fold}"), whole.run(fold.fold).history()
        assert (fold.films, fold.abnormal, fold.refused, fold.epochs) == (12, mine["label"].sum(), 0, 2)
        assert fold.metrics["auroc"] == pytest.approx(roc_auc_score(mine["label"], mine["probability"]))
        assert fold.seconds == pytest.approx(sum(p.seconds for p in history))
        low, high = (f(p.films_per_second for p in history) for f in (min, max))
        assert low - 1e-9 <= fold.films_per_second <= high + 1e-9 and fold.weights == "random"
    mean = found.find("all", "auroc")
    assert mean is not None and (mean.n, mean.positives) == (24, 8) and mean.low is not None and mean.high is not None
    assert mean.value == pytest.approx(np.mean([fold.metrics["auroc"] for fold in found.folds])) and mean.low < mean.value < mean.high
    assert {"pointing", "ece", "kappa", "sensitivity at specificity 0.9"} <= {m.name for m in found.metrics}
    assert found.find("study_type=HAND", "auroc") is not None and found.find("study_type=HAND", "none") is None
    assert (found.notes, found.command, found.device, found.threads, found.threshold) == ((), COMMAND, ("cpu",), (1,), 0.5)
    assert found.seconds == pytest.approx(sum(fold.seconds for fold in found.folds))


def test_the_folder_is_an_evaluation_s_as_well(whole: CrossValidation, found: CrossValidated) -> None:
    evaluation = read_evaluation(whole.folder)
    assert (evaluation.plan.split, evaluation.counts.films, evaluation.command) == ("all", 24, COMMAND)
    origin = predictions_of(whole.folder).origin
    assert (origin.model, origin.fingerprint, origin.model_sha256) == ("made, 2 folds", found.plan.films, "")
    assert origin.card is not None and (origin.card.name, origin.card.data) == ("made", ())
    assert list(whole.folder.glob("*.png"))
    asked = whole.asked()
    assert asked is not None and (asked.plan, asked.index, asked.command) == (found.plan, str(Path(asked.index).resolve()), COMMAND)


def test_progress_is_told(told: list[Progress], found: CrossValidated) -> None:
    order = list(dict.fromkeys(map(stage_of, told)))
    made_in_turn = [(fold, stage) for fold in FOLDS for stage in ("prepare", "train", "export", "score")] + [(-1, "measure")]
    assert [step for step in made_in_turn if step in order] == order and set(made_in_turn) - set(order) <= {(1, "prepare")}
    assert {step.part for step in told} == {"fold 0 (1 of 2)", "fold 1 (2 of 2)", "all folds"}
    assert all(0 <= step.done <= step.total for step in told)
    first, second = ([s for s in told if stage_of(s) == (fold, "train") and s.left is not None] for fold in FOLDS)
    assert all(step.films_per_second > 0 and math.isfinite(step.left or 0) for step in (*first, *second))
    assert (first[-1].left or 0) > 0 and second[-1].left == 0  # after the first fold's last step there is the second
    assert [len(step.history) for step in told if stage_of(step) == (0, "train")][-1] == 2


# Killed


class Killed(BaseException):
    """What stands for the end of a process: nothing handles it."""


def killing(kill: tuple[int, str, int], told: list[Progress]) -> Watch:
    """Return a watch that notes all steps, and vanishes at the so-many-th of a fold's stage."""

    def watch(step: Progress) -> None:
        told.append(step)
        if sum(stage_of(earlier) == kill[:2] for earlier in told) == kill[2]:
            raise Killed

    return watch


KILLS = (
    (0, "prepare", 5),
    (0, "train", 1),  # before its first checkpoint
    (0, "train", 3),
    (0, "train", 4),
    (0, "export", 1),
    (0, "score", 1),
    (0, "score", 13),
    (1, "train", 2),
    (1, "train", 8),
    (1, "export", 1),
    (1, "score", 1),
    (-1, "measure", 1),
)
"""Fold, stage, and at which word about it the process ends."""


def test_killed_in_every_stage_nothing_is_done_twice_and_the_result_is_the_same(
    made: Made, whole: CrossValidation, found: CrossValidated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_CACHE", str(tmp_path / "cache"))
    here, calls, before = made.at("killed"), list[list[Progress]](), dict[Path, int]()
    for kill in KILLS:
        told: list[Progress] = []
        with pytest.raises(Killed):
            made.run("killed", killing(kill, told), save_every=0.0)
        calls.append(told)
        after = finished(here)
        assert {file: after[file] for file in before} == before, f"made again before {kill}"
        before = after
    for (fold, stage, _), later in zip(KILLS, calls[1:], strict=False):
        assert stage_of(later[0]) == (fold, stage), "it did not go on where it was killed"
    # Killed in its first step, the first training begins anew; killed in the third and in the fifth, it makes only these again.
    resumed = [told[0].done + 4 * len(told[0].history) for told in calls if stage_of(told[0]) == (0, "train")]
    assert resumed == [1, 3, 5]

    again = list[tuple[int, str]]()
    result = made.run("killed", stages(again))
    assert again == [(-1, "measure")] and finished(here) == before
    for fold in FOLDS:
        assert same_bits(weights(here.run(fold).folder), weights(whole.run(fold).folder))
        assert here.model(fold).read_bytes() == whole.model(fold).read_bytes()
    assert_frame_equal(predictions_of(here.folder).films, predictions_of(whole.folder).films)
    assert without_cost(result) == without_cost(found)
    assert not [file for file in here.folder.rglob("*") if ".part" in file.name]


def without_cost(result: CrossValidated) -> CrossValidated:
    """A result as any machine comes to it."""
    folds = tuple(msgspec.structs.replace(fold, seconds=0, films_per_second=0) for fold in result.folds)
    return msgspec.structs.replace(result, folds=folds)


def test_a_training_that_is_gone_is_made_again_with_all_after_it(made: Made, whole: CrossValidation) -> None:
    here = copied(whole, made.folder / "gone")
    shutil.rmtree(here.run(1).folder)
    before, told = finished(here), list[tuple[int, str]]()
    made.run("gone", stages(told))
    assert [step for step in told if step[1] != "prepare"] == [(1, "train"), (1, "export"), (1, "score"), (-1, "measure")]
    after = finished(here)
    changed = {file for file, time in before.items() if after[file] != time}
    assert changed == {here.model(1), here.scored(1)}
    assert same_bits(weights(here.run(1).folder), weights(whole.run(1).folder))


# The folds that are asked for


def test_only_some_folds_are_made_and_the_others_later(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "first.pth"
    torch.manual_seed(7)
    torch.save(Detector(tiny()).backbone.state_dict(), file)
    here, asked = made.at("only"), tiny("epochs=1", f"init={file}")
    some = made.run("only", recipe=asked, only=(1,))
    assert [fold.fold for fold in some.folds] == [1] and set(predictions_of(here.folder).films["split"]) == {"fold-1"}
    assert some.notes[0] == "1 of 2 folds: the mean is of these, and the others may be easier or harder"
    assert some.notes[1].startswith(f"the trainings started from {file}: if that has learned from held films")
    assert some.folds[0].weights.startswith("first.pth, SHA-256") and not here.fold(0).exists()
    before = finished(here)
    both = made.run("only", recipe=asked)
    assert [fold.fold for fold in both.folds] == [0, 1] and both.notes == some.notes[1:]
    assert {path: time for path, time in finished(here).items() if path in before} == before
    assert both.folds[1] == some.folds[0]
    with pytest.raises(UsageError, match="has no fold 7; it has 0, 1"):
        made.run("only", recipe=asked, only=(0, 7))


def test_a_column_that_came_later_makes_subgroups(made: Made, whole: CrossValidation, tmp_path: Path) -> None:
    here = copied(whole, made.folder / "by")
    index = tmp_path / "index.parquet"
    read_index(made.index).with_columns(cast=pl.int_range(pl.len()) // 2 % 2).write_parquet(index)
    before, told = finished(here), list[tuple[int, str]]()
    result = made.run("by", stages(told), index=index, by=("cast",))
    assert {m.group for m in result.metrics} >= {"cast=0", "cast=1"} and told == [(-1, "measure")] and finished(here) == before
    assert read_evaluation(here.folder).find("film", "cast=1", "auroc") is not None
    with pytest.raises(UsageError, match="no column 'scanner'"):
        made.run("by", index=index, by=("scanner",))


# What is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": tiny("dropout=0.3")}, "another dropout: 0.2, and not 0.3"),
        ({"recipe": tiny("frame.size=96")}, "another frame.size: 64, and not 96"),
        ({"recipe": tiny("init=imagenet")}, "another init: 'random', and not 'imagenet'"),
        ({"budget": 2.0}, "another budget: 0.0, and not 2.0"),
        ({"name": "other"}, "another name: 'made', and not 'other'"),
        ({"index": "labels"}, "other films, labels or folds"),
        ({"index": "folds"}, "other films, labels or folds"),
        ({"index": "fewer"}, "another folds|other films, labels or folds"),
    ],
)
def test_changed_settings_are_refused(made: Made, whole: CrossValidation, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    films = read_index(made.index)
    others = {
        "labels": films.with_columns(label=(1 - pl.col("label")).cast(pl.Int8)),
        "folds": films.with_columns(fold=1 - pl.col("fold")),
        "fewer": films.head(20),
    }
    if "index" in changes:
        others[str(changes["index"])].write_parquet(tmp_path / "index.parquet")
        changes = {"index": tmp_path / "index.parquet"}
    before = written(whole)
    with pytest.raises(UsageError, match=f"holds a cross-validation with ({said}).*Give the same command, or name another folder with -o"):
        made.run("whole", **changes)
    assert written(whole) == before


def test_how_a_departure_is_worded_does_not_matter(made: Made, whole: CrossValidation) -> None:
    asked = whole.asked()
    assert asked is not None
    worded = msgspec.structs.replace(asked.plan.recipe, departures=("something else",))
    whole.begin(msgspec.structs.replace(asked.plan, recipe=worded), made.index, "another command")
    assert whole.asked() == asked


def test_a_plan_of_which_no_training_has_begun_gives_way(tmp_path: Path) -> None:
    here, plan = CrossValidation(tmp_path / "out"), CrossValidationPlan(recipe=tiny(), films="f00d", folds=FOLDS, name="made")
    here.begin(plan, tmp_path / "index.parquet", "one")
    here.fold(1).mkdir()
    here.index(1).write_text("")
    other = msgspec.structs.replace(plan, recipe=tiny("epochs=3"))
    here.begin(other, tmp_path / "index.parquet", "two")
    asked = here.asked()
    assert asked is not None and (asked.plan, asked.command) == (other, "two") and not here.fold(1).exists()
    lock = hold(here.fold(1) / "lock")
    assert lock is not None
    with lock, pytest.raises(UsageError, match="with another epochs: 3"):  # another process is about to begin one
        here.begin(plan, tmp_path / "index.parquet", "three")
    assert here.asked() == asked


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(made: Made, tmp_path: Path) -> None:
    def refused(folder: Path, said: str) -> None:
        with pytest.raises(UsageError, match=said):
            cross_validate(folder, Request(recipe=tiny(), index=made.index), quiet)

    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("")
    refused(tmp_path / "letters", "holds something that is no cross-validation")
    assert [file.name for file in (tmp_path / "letters").iterdir()] == ["letter.txt"]
    refused(tmp_path / "letters" / "letter.txt" / "out", "Name another folder with -o")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "plan.json").write_text("{")
    refused(tmp_path / "broken", "no record of a cross-validation")


# Several processes


def test_a_fold_that_another_process_makes_is_left_to_it_and_waited_for(made: Made, whole: CrossValidation) -> None:
    def stop(step: Progress) -> None:
        if step.stage == "export":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.run("two", stop, only=(1,))
    lock, told = hold(made.at("two").fold(0) / "lock"), []
    assert lock is not None

    def watch(step: Progress) -> None:
        told.append(stage_of(step))
        if step.stage == "wait":  # the other one was killed before it had made anything
            assert made.at("two").scored(1).exists()
            lock.lock.release()

    made.run("two", watch)
    assert [stage for _, stage in dict.fromkeys(told)][-1] == "measure"
    assert [fold for fold, _ in dict.fromkeys((fold, stage == "wait") for fold, stage in told)] == [1, 0, 0, -1]
    for fold in FOLDS:
        assert same_bits(weights(made.at("two").run(fold).folder), weights(whole.run(fold).folder))


def test_an_index_without_folds_that_can_be_trusted_is_refused(made: Made, tmp_path: Path) -> None:
    films, index = read_index(made.index), tmp_path / "index.parquet"

    def refused(kind: type[Exception], said: str, changed: pl.DataFrame) -> None:
        changed.write_parquet(index)
        with pytest.raises(kind, match=said):
            cross_validate(tmp_path / "out", Request(recipe=tiny(), index=index), quiet)
        assert not (tmp_path / "out").exists()

    refused(UsageError, "no column `fold`.*osteon split", films.drop("fold"))
    refused(UsageError, "no column `fold`", films.with_columns(fold=pl.lit("one")))
    first = pl.int_range(pl.len()) == 0
    refused(UsageError, "films without a fold", films.with_columns(fold=pl.when(~first).then("fold")))
    refused(UsageError, "films without a fold", films.with_columns(fold=pl.when(~first).then("fold").otherwise(-1)))
    refused(UsageError, "one fold alone", films.with_columns(fold=3))
    crossing = films.with_columns(fold=pl.when(first).then(1 - pl.col("fold")).otherwise("fold"))
    refused(LeakySplit, r"more than one fold: .* \(fold 0\) and .* \(fold 1\)\. Split the films again", crossing)


def test_a_recipe_that_needs_a_selection_split_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--set schedule=cosine --set patience=0"):
        cross_validate(tmp_path / "out", Request(recipe=recipe("paper"), index=made.index), quiet)
    assert not (tmp_path / "out").exists()


# First weights


def a_run(folder: Path, films: pl.DataFrame, init: str = "imagenet", **plan: str) -> Path:
    """The record of a training on these films; none was made."""
    folder.mkdir(parents=True)
    films.write_parquet(folder / "index.parquet")
    learned = Plan(**{"index": str(folder / "index.parquet"), "fingerprint": fingerprint(films), "select": ""} | plan)
    RunFolder(folder / "run").start(RunRecord(recipe=tiny(f"init={init}"), plan=learned, weights=init))
    return folder / "run"


@pytest.fixture
def films(made: Made) -> pl.DataFrame:
    return read_index(made.index)


@pytest.fixture
def held(films: pl.DataFrame) -> pl.DataFrame:
    return films.filter(fold=1)


def strange(films: pl.DataFrame) -> pl.DataFrame:
    """As many films of another data set."""
    return films.with_columns(root=pl.lit("/elsewhere"), sha256=pl.format("{}0", pl.col("sha256")))


def test_weights_that_have_seen_no_held_film_are_taken(films: pl.DataFrame, held: pl.DataFrame, tmp_path: Path) -> None:
    assert [first_weights(init, 1, held) for init in ("imagenet", "random", "packaged")] == ["imagenet", "random", "packaged"]
    unhashed = strange(films).with_columns(sha256=pl.lit(""))
    for name, learned in (("others", films.filter(fold=0)), ("elsewhere", strange(films)), ("unhashed", unhashed)):
        run = str(a_run(tmp_path / name, learned))
        assert first_weights(run, 1, held) == run


def chosen_on(films: pl.DataFrame) -> pl.DataFrame:
    """The first fold to learn from, the second to choose passes on."""
    return films.with_columns(split=pl.when(pl.col("fold") == 0).then(pl.lit("train")).otherwise(pl.lit("tune")))


def elsewhere(films: pl.DataFrame) -> pl.DataFrame:
    """The same files in other places."""
    return films.with_columns(root=pl.lit("/elsewhere"), path=pl.format("x/{}", "path"), group=pl.lit("?"))


def of_a_patient(films: pl.DataFrame) -> pl.DataFrame:
    """The first fold, and a new film of a patient of the second."""
    new = films.filter(fold=1).head(1).with_columns(path=pl.lit("new.png"), sha256=pl.lit("new"))
    return pl.concat([films.filter(fold=0), new])


@pytest.mark.parametrize(
    ("learned", "splits", "count"),
    [
        (pl.DataFrame.clone, {}, 12),
        (elsewhere, {}, 12),
        (of_a_patient, {}, 2),
        (chosen_on, {"train": "train", "select": "tune"}, 12),
        (chosen_on, {"train": "train, tune", "select": ""}, 12),
        (chosen_on, {"train": "all", "select": ""}, 12),
    ],
)
def test_weights_that_have_seen_held_films_are_refused(
    films: pl.DataFrame, tmp_path: Path, learned: Callable[[pl.DataFrame], pl.DataFrame], splits: dict[str, str], count: int
) -> None:
    run, held = a_run(tmp_path / "one", learned(films), **splits), films.filter(fold=1)
    with pytest.raises(UsageError, match=f"{run} has seen {count} of the 12 films of fold 1.*such as {held['path'].sort()[0]}"):
        first_weights(str(run), 1, held)


def test_what_a_training_was_started_from_counts_as_well(films: pl.DataFrame, held: pl.DataFrame, tmp_path: Path) -> None:
    first = a_run(tmp_path / "first", films)
    second = a_run(tmp_path / "second", strange(films), init=str(first))
    third = a_run(tmp_path / "third", strange(films), init=str(second))
    with pytest.raises(UsageError, match=f"{first} has seen 12 of the 12 films of fold 1"):
        first_weights(str(third), 1, held)
    for joined in (f"{first}", f"first,{third}"):
        with pytest.raises(UsageError, match=f"{first} has seen 12 of the 12 films of fold 1"):
            recipe_of_fold(tiny(f"average_with={joined}"), 1, held)


def test_a_training_that_cannot_tell_what_it_has_seen_is_refused(films: pl.DataFrame, held: pl.DataFrame, tmp_path: Path) -> None:
    run = a_run(tmp_path / "one", strange(films))
    strange(films).with_columns(label=(1 - pl.col("label")).cast(pl.Int8)).write_parquet(tmp_path / "one" / "index.parquet")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"index\.parquet is gone or has changed"):
            first_weights(str(run), 1, held)
        (tmp_path / "one" / "index.parquet").unlink(missing_ok=True)


def test_of_files_nothing_tells_what_they_have_seen(films: pl.DataFrame, tmp_path: Path) -> None:
    def unknown(*changes: object) -> bool:
        return unknown_past(recipe("osteon", [str(change) for change in changes]))

    one, file = a_run(tmp_path / "one", films), a_run(tmp_path / "file", films, init="first.pth")
    assert not any(unknown(f"init={init}") for init in ("imagenet", "random", one))
    assert all(unknown(f"init={init}") for init in ("packaged", "model.onnx", "fracture@0.1.0", file))
    assert unknown(f"init={a_run(tmp_path / 'two', films, init=str(file))}")
    assert unknown(f"average_with={one},{file}") and not unknown(f"average_with=first,{one}")


def test_a_fold_that_cannot_be_started_is_told_before_anything_is_done(made: Made, films: pl.DataFrame, tmp_path: Path) -> None:
    run = a_run(tmp_path / "one", films.filter(fold=1))  # the first fold could begin
    with pytest.raises(UsageError, match="has seen 12 of the 12 films of fold 1"):
        cross_validate(tmp_path / "out", Request(recipe=tiny(f"init={run}"), index=made.index), quiet)
    assert not (tmp_path / "out").exists()


def test_a_fold_goes_on_from_the_same_fold_of_another_cross_validation(made: Made, whole: CrossValidation) -> None:
    asked = recipe_for("osteon", [*SETTINGS, "epochs=1", f"init={whole.folder}"])
    assert asked.init == str(whole.folder) and asked.learning_rate == asked.head_learning_rate == 1e-4
    assert f"init: imagenet -> {whole.folder}" in asked.departures and "fold-" not in " ".join(asked.departures)
    result = made.run("later", recipe=asked, only=(1,))
    record = made.at("later").run(1).record()
    assert record.recipe.init == str(whole.run(1).folder) and record.weights.startswith("epoch-001.pt of run, SHA-256")
    assert result.notes == ("1 of 2 folds: the mean is of these, and the others may be easier or harder",)
    assert result.folds[0].weights == record.weights


def test_another_cross_validation_must_have_the_same_folds_and_have_ended(
    whole: CrossValidation, films: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{whole.run(1).folder} has seen 12 of the 12 films of fold 1"):
        first_weights(str(whole.folder), 1, films.filter(fold=0))
    here = copied(whole, tmp_path / "other")
    here.model(1).unlink()
    assert first_weights(str(here.folder), 0, films.filter(fold=0)) == str(here.run(0).folder)
    with pytest.raises(UsageError, match="its training of fold 1 has not ended"):
        first_weights(str(here.folder), 1, films.filter(fold=1))
    for fold in FOLDS:
        shutil.rmtree(here.run(fold).folder)
    with pytest.raises(UsageError, match="no fold of that cross-validation has finished an epoch"):
        recipe_for("osteon", [*SETTINGS, f"init={here.folder}"])
    assert recipe_for("osteon", SETTINGS) == tiny()


# With the real export


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_files_answer_for_held_films_as_their_trainings_do(made: Made, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXPORT, export_run)
        cross_validate(tmp_path / "out", Request(recipe=tiny(), index=made.index), quiet)
    here = CrossValidation(tmp_path / "out")
    for fold in FOLDS:
        run, scored = here.run(fold), predictions_of(here.folder).films.filter(split=f"fold-{fold}")
        network = Detector(tiny())
        network.load_state_dict(checkpoint.load(run.best_file(1))["weights"])
        store = open_store(read_index(here.index(fold)).filter(split="held"), tiny().frame)
        with torch.no_grad():
            logit, _ = network.eval()(torch.from_numpy(np.array(store.pixels)))
        np.testing.assert_allclose(scored["logit"].to_numpy(), logit.numpy(), atol=1e-3)
        [source] = load_model(here.model(fold)).card.data
        assert (source.split, source.films) == ("learn", 12)
