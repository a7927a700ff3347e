"""A tuning is searched where it was told, judged on the selection split alone, pruned cleanly, and survives being killed."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import optuna
import polars as pl
import pytest
from optuna.trial import TrialState, create_trial

from made_index import made_index
from osteon.errors import LeakySplit, MeasurementError, OsteonError, UsageError
from osteon.lab.data.index import fingerprint
from osteon.lab.experiments.tuning.results import LEAST, Tuned, best_recipe, write_results
from osteon.lab.experiments.tuning.space import SPACES, changes, distributions, own_values, search_space
from osteon.lab.experiments.tuning.study import films_of, open_study, tune
from osteon.lab.experiments.tuning.trial import BEGAN, Tuning, TuningPlan, next_trial
from osteon.lab.training.recipe import RECIPES, Recipe, recipe
from osteon.lab.training.run import RunFolder
from tiny_training import SETTINGS, Answer, osteon, settings, started

SPACE = {"learning_rate": "1e-4..1e-2:log", "dropout": "0..0.5", "batch": "4,16"}
FIXED = tuple(s for s in SETTINGS if not s.startswith("batch"))
SEARCH = [word for name, values in SPACE.items() for word in ("--search", f"{name}={values}")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_index(tmp_path_factory.mktemp("films"), {"train": 12, "tune": 10, "valid": 4})


def tuning_of(out: Path, trials: int, space: dict[str, str] | None = None, fixed: tuple[str, ...] = FIXED) -> Tuning:
    plan = TuningPlan(recipe="osteon", space=space or SPACE, fixed=fixed)
    return Tuning(plan=plan, out=out, storage=f"sqlite:///{out / 'study.db'}", study="tuning", trials=trials, device="cpu", offline=True)


def run(tuning: Tuning, index: Path) -> Tuned:
    return tune(tuning, index, lambda _: nullcontext(lambda _: None), lambda _: None)


def outcome(tuned: Tuned) -> list[tuple[object, ...]]:
    """What two searches have in common if they searched alike; how long a trial took is not in it."""
    return [(t.number, t.state, t.auroc, t.epochs, t.settings) for t in tuned.trials]


@pytest.fixture(scope="module")
def tuned(index: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path]:
    out = tmp_path_factory.mktemp("tuning") / "tuning"
    given = [word for change in FIXED for word in ("--set", change)]
    return osteon("tune", index, "-o", out, "--trials", LEAST + 1, *given, *SEARCH, "--device", "cpu"), out


# the space


def test_every_recipe_has_a_space() -> None:
    assert SPACES.keys() == RECIPES.keys()


@pytest.mark.parametrize("name", SPACES)
def test_the_own_space_of_each_recipe_holds_the_recipe(name: str) -> None:
    base = recipe(name)
    own = own_values(search_space(name), base)
    assert own.keys() == SPACES[name].keys()
    assert msgspec.structs.replace(recipe(name, changes(own)), departures=base.departures) == base


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dropout=0..0.5", optuna.distributions.FloatDistribution(0, 0.5)),
        ("learning_rate=1e-5..1e-3:log", optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True)),
        ("frame.size=256..448:32", optuna.distributions.IntDistribution(256, 448, step=32)),
        ("freeze=1..8:log", optuna.distributions.IntDistribution(1, 8, log=True)),
        ("augmentation.rotation=0..45:15", optuna.distributions.FloatDistribution(0, 45, step=15)),
        ("network=lite0, lite2", optuna.distributions.CategoricalDistribution(("lite0", "lite2"))),
    ],
)
def test_ranges_as_they_are_written(text: str, expected: optuna.distributions.BaseDistribution) -> None:
    space = search_space("osteon", [text])
    assert list(distributions(space).values()) == [expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("droput=0..1", "no such setting"),
        ("augmentation=0..1", "no such setting"),
        ("name=a,b", "no such setting"),
        ("dropout=0.3", "two choices"),
        ("dropout=0.5..0.1", "do not ascend"),
        ("dropout=0..x", "no range"),
        ("dropout=0..0.5:0", "no range"),
        ("learning_rate=0..1:log", "no range"),
        ("learning_rate=1..inf", "do not ascend"),
        ("frame.size=100..300:32", "multiple"),
        ("network=lite0..lite2", "are words"),
        ("dropout=0..2", "<= 1.0"),
        ("network=lite0,lite9", "lite9"),
        ("nowhere.toml", "neither setting=range nor a file"),
    ],
)
def test_what_is_no_range_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        search_space("osteon", [text])


def test_a_file_of_ranges(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text('learning_rate = "1e-5..1e-3:log"\nnetwork = ["lite0", "lite2"]\n[frame]\nsize = [256, 320]\n')
    expected = {"learning_rate": "1e-5..1e-3:log", "network": "lite0,lite2", "frame.size": "256,320", "dropout": "0..0.5"}
    assert search_space("osteon", [str(file), "dropout=0..0.5"]) == expected
    for text, said in (("dropout = 0.5", "no range"), ("dropout =", "no TOML")):
        file.write_text(text)
        with pytest.raises(UsageError, match=said):
            search_space("osteon", [str(file)])


def test_what_is_set_is_not_searched() -> None:
    assert "batch" not in search_space("paper", fixed=["batch=4"])
    with pytest.raises(UsageError, match="both searched"):
        search_space("paper", ["batch=4,8"], ["batch=4"])
    with pytest.raises(UsageError, match="nothing is left"):
        search_space("paper", fixed=[f"{key}={value!s}" for key, value in own_values(SPACES["paper"], recipe("paper")).items()])


# what is looked at


def test_what_cannot_be_tuned_on_is_refused(index: Path, tmp_path: Path) -> None:
    films = pl.read_parquet(index)
    plan = TuningPlan(recipe="osteon", space=SPACE)

    def refused(kind: type[OsteonError], said: str, changed: pl.DataFrame, **other: str) -> None:
        changed.write_parquet(tmp_path / "changed.parquet")
        with pytest.raises(kind, match=said):
            films_of(msgspec.structs.replace(plan, **other), tmp_path / "changed.parquet")

    refused(UsageError, "no split 'calib'", films, select="calib")
    refused(UsageError, "are both 'train'", films, select="train")
    refused(MeasurementError, "lacks normal or abnormal", films.filter((pl.col("split") != "tune") | (pl.col("label") == 0)))
    refused(LeakySplit, "more than one split", films.with_columns(group=pl.lit("one patient")))


def test_a_trial_for_each_number_and_the_best_of_them(tuned: tuple[Answer, Path]) -> None:
    answer, out = tuned
    assert answer.status == 0, answer.error
    found = msgspec.json.decode((out / "tuning.json").read_bytes(), type=Tuned)
    assert [t.number for t in found.trials] == list(range(LEAST + 1))
    finished = [t for t in found.trials if t.state == "finished"]
    assert len(finished) >= LEAST - 1
    assert found.best is not None
    assert found.trial(found.best).auroc == max(t.auroc or 0 for t in finished)
    assert found.base == 0
    assert found.trial(0).settings == ("learning_rate=0.0004", "dropout=0.2", "batch=16")


def test_the_command_at_the_end_trains_the_best_recipe(tuned: tuple[Answer, Path], index: Path) -> None:
    answer, out = tuned
    found = msgspec.json.decode((out / "tuning.json").read_bytes(), type=Tuned)
    words = shlex.split(answer.out.strip().splitlines()[-1])
    assert words[:3] == ["osteon", "train", str(index)]
    given = [words[k + 1] for k, word in enumerate(words) if word == "--set"]
    assert msgspec.json.decode((out / "best.recipe.json").read_bytes(), type=Recipe) == recipe("osteon", given) == best_recipe(found)
    assert words[words.index("--select") + 1] == "tune"


def test_a_table_a_figure_and_no_weights_are_left(tuned: tuple[Answer, Path]) -> None:
    _, out = tuned
    table = pl.read_csv(out / "trials.csv")
    assert table.columns == ["trial", "state", "auroc", "epochs", "minutes", *SPACE, "note"]
    assert len(table) == LEAST + 1
    assert (out / "tuning.png").stat().st_size > 10_000
    assert {path.name for folder in (out / "trials").iterdir() for path in folder.iterdir()} == {
        "history.json", "lock", "recipe.json", "tensorboard"
    }  # fmt: skip


def test_importance_is_a_share_of_each_setting(tuned: tuple[Answer, Path]) -> None:
    found = msgspec.json.decode((tuned[1] / "tuning.json").read_bytes(), type=Tuned)
    if len([t for t in found.trials if t.state == "finished"]) >= LEAST:
        assert found.importance.keys() == SPACE.keys()
        assert sum(found.importance.values()) == pytest.approx(1)
    else:
        assert any("no importance" in note for note in found.notes)


def test_the_reported_split_is_never_looked_at(tuned: tuple[Answer, Path], index: Path, tmp_path: Path) -> None:
    """Its labels are turned round and its films are no films: the same search, to the last digit."""
    films = pl.read_parquet(index)
    shutil.copytree(films["root"][0], tmp_path / "films")
    reported = pl.col("split") == "valid"
    for path in films.filter(reported)["path"]:
        (tmp_path / "films" / path).write_bytes(b"no film")
    films = films.with_columns(root=pl.lit(str(tmp_path / "films")), label=pl.when(reported).then(1 - pl.col("label")).otherwise("label"))
    films.write_parquet(tmp_path / "index.parquet")
    found = run(tuning_of(tmp_path / "tuning", 3), tmp_path / "index.parquet")
    before = msgspec.json.decode((tuned[1] / "tuning.json").read_bytes(), type=Tuned)
    assert outcome(found) == outcome(before)[:3]


# pruned, diverged, failed


def with_others(tuning: Tuning, index: Path, auroc: float, epochs: tuple[int, ...] = (0, 1)) -> optuna.Study:
    """A study in which others have finished with that AUROC, reported after some epochs."""
    tuning.out.mkdir(parents=True)
    plan = msgspec.structs.replace(tuning.plan, fingerprint=fingerprint(films_of(tuning.plan, index)))
    study = open_study(replace(tuning, plan=plan))
    own = {"learning_rate": 4e-4, "dropout": 0.2, "batch": "4"}
    for _ in range(4):
        done = create_trial(params=own, distributions=distributions(SPACE), value=auroc, intermediate_values=dict.fromkeys(epochs, auroc))
        done.set_user_attr(BEGAN, "elsewhere")
        study.add_trial(done)
    return study


def test_a_trial_below_the_others_is_pruned_after_an_epoch_and_leaves_no_rubbish(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 5)
    study = with_others(tuning, index, 1.1)  # which nobody reaches
    found = run(tuning, index)
    assert [t.state for t in found.trials] == ["finished"] * 4 + ["pruned"]
    assert found.trials[-1].epochs == 1
    folder = tuning.folder(study.trials[-1].number)
    assert sorted(p.name for p in folder.iterdir()) == ["history.json", "lock", "recipe.json", "tensorboard"]
    assert len(RunFolder(folder).history()) == 1


def test_a_trial_above_the_others_is_not_pruned(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 5)
    with_others(tuning, index, -0.1)
    assert run(tuning, index).trials[-1].state == "finished"


def test_a_trial_that_has_made_its_last_epoch_is_finished_however_low(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 5)
    with_others(tuning, index, 1.1, epochs=(1,))
    assert [(t.state, t.epochs) for t in run(tuning, index).trials[-1:]] == [("finished", 2)]


def test_a_trial_killed_before_its_pruning_is_pruned_when_it_goes_on(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 5)
    study = with_others(tuning, index, 1.1)
    (claim := next_trial(study, tuning)) and claim[1].lock.release()
    assert claim is not None
    claim[0].report(0.5, 0)
    found = run(tuning, index)
    assert [(t.number, t.state, t.epochs) for t in found.trials[-1:]] == [(4, "pruned", 1)]


def test_settings_that_diverge_are_pruned_and_said(index: Path, tmp_path: Path) -> None:
    found = run(tuning_of(tmp_path / "tuning", 2, {"learning_rate": "1e17..1e18:log", "head_learning_rate": "1e17..1e18:log"}), index)
    assert {t.state for t in found.trials} == {"diverged"}
    assert all("loss became" in t.note for t in found.trials)
    assert (found.best, found.command) == (None, "")
    with pytest.raises(UsageError, match="no trial has finished"):
        best_recipe(found)


def test_settings_that_never_work_stop_the_search(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 5, {"freeze": "30..40"}, tuple(s for s in FIXED if not s.startswith("freeze")))
    with pytest.raises(UsageError, match="freeze"):
        run(tuning, index)
    study = optuna.load_study(study_name=tuning.study, storage=tuning.storage)
    assert [t.state for t in study.trials] == [TrialState.FAIL]


# the study


def test_a_study_is_gone_on_with_and_no_other_mistaken_for_it(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 1)
    first = run(tuning, index)
    assert outcome(run(tuning, index)) == outcome(first)  # enough trials: nothing is done
    for other, said in ((tuning_of(tuning.out, 1, {"dropout": "0..0.1"}), "another space"), (tuning_of(tuning.out, 1, fixed=()), "fixed")):
        with pytest.raises(UsageError, match=said):
            run(other, index)
    films = pl.read_parquet(index).filter(pl.col("path") != pl.col("path").first())
    films.write_parquet(tmp_path / "fewer.parquet")
    with pytest.raises(UsageError, match="another fingerprint"):
        run(tuning, tmp_path / "fewer.parquet")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "redis://localhost", "mysql://nobody@localhost/none"])
def test_a_storage_that_is_none_is_refused(url: str, index: Path, tmp_path: Path) -> None:
    answer = osteon("tune", index, "-o", tmp_path / "tuning", "--storage", url, *settings()[2:])
    assert answer.status == 64
    assert answer.error.startswith("osteon: --storage ")
    assert answer.error.count("\n") == 1


def test_no_trial_begins_when_the_time_is_over(index: Path, tmp_path: Path) -> None:
    tuning = tuning_of(tmp_path / "tuning", 3)
    tuning.out.mkdir()
    found = run(replace(tuning, until=time.time() - 1), index)
    assert (found.trials, found.best) == ((), None)
    write_results(found, tuning.out)


@pytest.mark.long
def test_workers_share_the_trials(index: Path, tmp_path: Path) -> None:
    given = [word for change in FIXED for word in ("--set", change)]
    answer = osteon("tune", index, "-o", tmp_path / "tuning", "--trials", 4, *given, *SEARCH, "--device", "cpu", "--workers", 2)
    assert answer.status == 0, answer.error
    found = msgspec.json.decode((tmp_path / "tuning" / "tuning.json").read_bytes(), type=Tuned)
    assert [t.number for t in found.trials] == [0, 1, 2, 3] and "trial 0: " in answer.error  # the other process is silent
    assert all(t.state in ("finished", "pruned") for t in found.trials)


def command(out: Path, index: Path) -> list[object]:
    given = [word for change in FIXED for word in ("--set", "epochs=6" if change.startswith("epochs") else change)]
    return ["tune", index, "-o", out, "--trials", 2, *given, *SEARCH, "--device", "cpu"]


def wait_for(condition: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_killed_in_a_trial_it_comes_to_the_same_result(index: Path, tmp_path: Path) -> None:
    whole = osteon(*command(tmp_path / "whole", index))
    assert whole.status == 0, whole.error
    process = started(*command(tmp_path / "killed", index))
    wait_for((tmp_path / "killed" / "trials" / "0000" / "history.json").exists)
    process.kill()
    process.communicate()
    assert len(RunFolder(tmp_path / "killed" / "trials" / "0000").history()) < 6
    again = osteon(*command(tmp_path / "killed", index))
    assert again.status == 0, again.error
    one, other = (msgspec.json.decode((tmp_path / name / "tuning.json").read_bytes(), type=Tuned) for name in ("whole", "killed"))
    assert outcome(one) == outcome(other)


@pytest.mark.long
def test_stopped_by_a_signal_it_says_how_to_go_on(index: Path, tmp_path: Path) -> None:
    process = started(*command(tmp_path / "tuning", index))
    wait_for((tmp_path / "tuning" / "trials" / "0000" / "history.json").exists)
    process.terminate()
    _, error = process.communicate()
    assert process.returncode == 130
    assert "The same command goes on" in error
    assert RunFolder(tmp_path / "tuning" / "trials" / "0000").checkpoint.exists()
