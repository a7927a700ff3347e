"""What an earlier osteon has stored is read, used as far as its network still exists, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from made_index import made_index
from osteon.errors import UsageError
from osteon.lab.experiments.crossvalidation.folder import CrossValidation, CrossValidationPlan
from osteon.lab.training import checkpoint
from osteon.lab.training.earlier import GONE, RENAMED, WEIGHTS_OF_GONE
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.recipe import Augmentation, Recipe, averaged_with, recipe
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import TrainingRequest, resume_training, start_training
from osteon.lab.training.start.first_model import find_whole
from tiny_training import own_stores, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_stores(tmp_path_factory.mktemp("earlier")) as made:
        made_index(made)
        start_training(TrainingRequest(tiny("epochs=1"), made / "index.parquet"), made / "run")
        yield made


def stored(folder: Path, to: Path, **settings: object) -> Path:
    """Return the training as an earlier osteon would have recorded it: with all settings that are gone, these ones changed."""
    shutil.copytree(folder / "run", to)
    (to / "best" / "epoch-000.pt").rename(to / "best" / "pass-000.pt")
    record = json.loads((to / "recipe.json").read_text())
    recipe: dict[str, Any] = record["recipe"]
    for name, value in (GONE | dict.fromkeys(WEIGHTS_OF_GONE, 1.0) | settings).items():
        outer, _, last = name.rpartition(".")
        (recipe[outer] if outer else recipe)[last] = value
    recipe["mean_with"] = recipe.pop("average_with")
    (to / "recipe.json").write_text(json.dumps(record))
    return to


def test_no_setting_is_both_gone_and_there() -> None:
    there = {*Recipe.__struct_fields__, *(f"augmentation.{name}" for name in Augmentation.__struct_fields__)}
    assert not there & {*GONE, *WEIGHTS_OF_GONE, *RENAMED} and set(RENAMED.values()) <= there


def test_a_training_in_which_they_were_off_goes_on(folder: Path, tmp_path: Path) -> None:
    run = stored(folder, tmp_path / "run")
    assert RunFolder(run).record() == RunFolder(folder / "run").record()
    assert len(resume_training(run)) == 1


def test_what_it_was_averaged_with_is_read_under_its_old_name(folder: Path, tmp_path: Path) -> None:
    run = stored(folder, tmp_path / "run")
    record = json.loads((run / "recipe.json").read_text())
    record["recipe"]["mean_with"] = "first,another"
    (run / "recipe.json").write_text(json.dumps(record))
    assert averaged_with(RunFolder(run).record().recipe) == ("first", "another")


@pytest.mark.parametrize(("setting", "value"), [("mirror", 1.0), ("teachers", "run"), ("focus", 2.0), ("augmentation.mixup", 0.3)])
def test_a_training_in_which_one_was_on_is_begun_from_and_does_not_go_on(folder: Path, tmp_path: Path, setting: str, value: object) -> None:
    run = stored(folder, tmp_path / "run", **{setting: value})
    with pytest.raises(
        UsageError, match=rf"was trained with {setting}={value}, which osteon no longer has, so that it cannot be continued\..*f8b2aae"
    ):
        resume_training(run)
    assert find_whole(str(run)) is not None


def test_such_a_training_is_exported_without_units_beside_the_answer(folder: Path, tmp_path: Path) -> None:
    run = stored(folder, tmp_path / "run", auxiliary="HAND", mirror=1.0)
    [file] = (run / "best").glob("*.pt")
    units = {"auxiliary.weight": torch.ones(1, 1280), "auxiliary.bias": torch.ones(1)}
    checkpoint.save({"weights": checkpoint.load(file)["weights"] | units}, file)
    export_run(Export(run, tmp_path / "model.onnx"))


@pytest.mark.parametrize(("setting", "value"), [("task", "views"), ("branch", False)])
def test_weights_of_a_network_that_is_gone_are_refused(folder: Path, tmp_path: Path, setting: str, value: object) -> None:
    run = stored(folder, tmp_path / "run", **{setting: value})
    for use in (resume_training, lambda run: export_run(Export(run, tmp_path / "model.onnx")), lambda run: find_whole(str(run))):
        with pytest.raises(UsageError, match=f"{run} was trained with {setting}={value}, .*f8b2aae"):
            use(run)  # type: ignore[operator]


def test_a_cross_validation_in_which_one_was_on_does_not_go_on(tmp_path: Path) -> None:
    here = CrossValidation(tmp_path / "cv")
    plan = CrossValidationPlan(recipe=tiny(), films="", folds=(0, 1), name="cv")
    here.begin(plan, tmp_path / "index.parquet", "")
    record = json.loads(here.asked_file.read_text())
    record["plan"]["recipe"] |= {"mirror": 0.0, "mean_with": "first"}
    here.asked_file.write_text(json.dumps(record))
    asked = here.asked()
    assert asked is not None and averaged_with(asked.plan.recipe) == ("first",)
    record["plan"]["recipe"]["mirror"] = 1.0
    here.asked_file.write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"was trained with mirror=1\.0.*f8b2aae"):
        here.begin(plan, tmp_path / "index.parquet", "")


@pytest.mark.parametrize("setting", [*GONE, *WEIGHTS_OF_GONE])
def test_setting_one_is_refused_with_the_commit_that_last_had_it(setting: str) -> None:
    with pytest.raises(UsageError, match=rf"--set {setting}: there is no such setting any more.*f8b2aae"):
        recipe("osteon", [f"{setting}=1"])


def test_an_old_name_is_answered_with_the_new_one() -> None:
    with pytest.raises(UsageError, match=r"--set mean_with: it is called average_with now\. Write --set average_with="):
        recipe("osteon", ["mean_with=first"])
