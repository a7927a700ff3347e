"""The folder of a reproduction: what was asked, which stages are finished, and where each result stands.

index.parquet, split.parquet    all films; the same with `tune` carved out of the training patients, `valid` untouched
settings.json                   what the data and the device changed in the recipe, and why
trainings/1/                    a training, as `osteon train` makes it
models/1.onnx, model.onnx       each training's best epoch, and their ensemble
evaluations/1/, model/          each measured on `valid`
reproduction.md                 the table, and how to release what was made
facts.json, release.toml        what a release says of the data, and its plan: for people to mend
reproduction.json, cost.json    the plan and the finished stages; what it was to cost
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec

from osteon.atomic import write_json
from osteon.errors import UsageError
from osteon.lab.reproduction.settings import Settings, settled_recipe
from osteon.lab.stages import Staged, changed, read_record, refuse_changed, still_finished
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import RunFolder, ranked
from osteon.version import __version__

TUNE_SHARE = 0.1
"""Of the training patients' films: what the best epoch is chosen on."""


class ReproductionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that the result depends on.

    Attributes:
        recipe: `paper`, `article` or `osteon`.
        data: The data set's folder, absolute.
        changes: Of the recipe, as for `--set`.
        models: Trainings, each from a seed of its own.
        tune_share: Of the training patients' films.
        decode: Decode every film when indexing, which finds duplicates and truncated films.
        count_check: Refuse a tree that is named as MURA and has other counts than the published ones.
    """

    recipe: str
    data: str
    changes: tuple[str, ...] = ()
    models: int = 5
    tune_share: float = TUNE_SHARE
    decode: bool = True
    count_check: bool = True


class Record(Staged, frozen=True, kw_only=True):
    """`reproduction.json`; `notes` is what a reader should know, by stage."""

    plan: ReproductionPlan
    command: str = ""
    osteon: str = __version__


class Reproduction:
    """Paths and records of one reproduction."""

    def __init__(self, folder: Path, plan: ReproductionPlan) -> None:
        self.folder, self.plan = folder, plan
        self.asked = settled_recipe(plan.recipe, plan.changes, Settings())
        self.record_file = folder / "reproduction.json"
        self.index, self.split = folder / "index.parquet", folder / "split.parquet"
        self.settings, self.cost = folder / "settings.json", folder / "cost.json"
        self.models, self.model = folder / "models", folder / "model.onnx"
        self.evaluations, self.page = folder / "evaluations", folder / "reproduction.md"
        self.facts, self.release = folder / "facts.json", folder / "release.toml"
        self.numbers = range(1, plan.models + 1)

    @property
    def settled(self) -> Settings:
        """What the data and the device changed in the recipe: nothing before that was settled.

        Raises:
            UsageError: its file cannot be read.
        """
        try:
            return msgspec.json.decode(self.settings.read_bytes(), type=Settings)
        except FileNotFoundError:
            return Settings()
        except (OSError, msgspec.MsgspecError) as fault:
            raise UsageError(f"{self.settings}: no settings can be read from it ({fault}). Remove it and give the same command.") from fault

    @property
    def recipe(self) -> Recipe:
        """The recipe with what was given and what was settled."""
        return settled_recipe(self.plan.recipe, self.plan.changes, self.settled)

    def training(self, number: int) -> RunFolder:
        """Return a training, 1 to `models`."""
        return RunFolder(self.folder / "trainings" / str(number))

    def recipe_of(self, number: int) -> Recipe:
        """Return a training's recipe: seeds ascend from the recipe's own."""
        return msgspec.structs.replace(self.recipe, seed=self.recipe.seed + number - 1)

    def files(self) -> dict[str, Path]:
        """Return the model files by name: "1", "2", ... where there are several trainings, then "model"."""
        members = {str(number): self.models / f"{number}.onnx" for number in self.numbers} if self.plan.models > 1 else {}
        return members | {"model": self.model}

    def best_first(self) -> list[int]:
        """Return the trainings by what their best epoch does on the selection split, the best first."""
        best = {number: ranked(self.training(number).history(), self.recipe)[0] for number in self.numbers}
        return [number for row in ranked(list(best.values()), self.recipe) for number, one in best.items() if one is row]

    def best(self) -> str:
        """Return the name of the single model that does best on the selection split."""
        return "model" if self.plan.models == 1 else str(self.best_first()[0])

    def begin(self, command: str = "") -> Record:
        """Return the record, a new one in an empty folder; stages whose result is gone are to be made again, and all after them.

        Trainings stay, since they know their data and refuse other.

        Raises:
            UsageError: the folder holds something else, or cannot be written.
        """
        now = Record(plan=self.plan, command=command)
        record = self.record() or now
        refuse_changed(self.folder, "reproduction", changed(record, now))
        record = still_finished(record, self._results(), stay=("index", "split", "settings", "train", "page"))
        write_json(record, self.record_file)
        return record

    def record(self) -> Record | None:
        """Return what is finished, None where the folder is new.

        Raises:
            UsageError: the folder holds something else.
        """
        return read_record(self.record_file, Record, "reproduction")

    def _results(self) -> dict[str, list[Path]]:
        return {
            "index": [self.index],
            "split": [self.split],
            "settings": [self.settings],
            "cost": [],
            "train": [self.training(number).history_file for number in self.numbers],
            "models": list(self.files().values()),
            "evaluations": [self.evaluations / name for name in self.files()],
            "page": [self.page],
        }

    def training_commands(self) -> Iterator[str]:
        """Yield the command of each training, typed in this folder: where several machines are to share them."""
        made = (*self.plan.changes, *self.settled.changes)
        changes = [word for change in made if not change.startswith("seed=") for word in ("--set", change)]
        for number in self.numbers:
            settings = [*changes, "--set", f"seed={self.recipe_of(number).seed}"]
            yield shlex.join(["osteon", "train", self.split.name, "--recipe", self.recipe.name, *settings, "-o", f"trainings/{number}"])
