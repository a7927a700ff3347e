"""Each fold: index, training, model file, predictions of the held films; then all folds together.

Stopped or killed at any moment, the same call goes on: a training from its checkpoint, all else from the first file that is not there.
Several processes may make the same call at once: each takes a fold that no other is making, and all come to the same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from osteon.atomic import LOCK, alone
from osteon.errors import UsageError
from osteon.lab.data.index import Report, fingerprint, read_index, write_index
from osteon.lab.data.splits import refuse_crossing
from osteon.lab.evaluation.scoring import score_index, write_predictions
from osteon.lab.experiments.crossvalidation.first_weights import recipe_of_fold
from osteon.lab.experiments.crossvalidation.folder import HELD, LEARN, CrossValidation, CrossValidationPlan
from osteon.lab.experiments.crossvalidation.result import CrossValidated, together
from osteon.lab.progress import Progress, Watch
from osteon.lab.stages import BEFORE, Stage, Staged, Tell, run_stages, shared, still_finished
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.session import TrainingRequest, has_ended, refuse_selecting, train_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for.

    Attributes:
        recipe: Of every fold; its `init` may be another cross-validation's folder, whose folds are then started from.
        index: With a column `fold`.
        name: Of the model files; by default the folder's name.
        budget: Minutes a fold, 0 for the recipe's epochs.
        only: Folds to make now; none: all.
        by: Further columns to make subgroups by.
        save_every: Minutes between checkpoints within an epoch.
        device: As for a training.
        offline: Open no network connection.
        command: What a reader would type to get the same.
        jobs: Processes that make folds side by side, for the time that is told to be left.
    """

    recipe: Recipe
    index: Path
    name: str = ""
    budget: float = 0.0
    only: tuple[int, ...] = ()
    by: tuple[str, ...] = ()
    save_every: float = 5.0
    device: str = "auto"
    offline: bool = False
    command: str = ""
    jobs: int = 1


def cross_validate(folder: Path, request: Request, watch: Watch) -> CrossValidated:
    """Make the folds that are not there yet, and measure all that are.

    Told are the stages "prepare", "train", "export" and "score" of each fold, "wait" while another process makes it, and "measure" of all
    folds; `left` is the time until all are trained.

    Raises:
        UsageError: no folds, another plan than the folder's, or first weights that know held films.
        LeakySplit: a patient, or a duplicate, stands in two folds.
        OsteonError: as training, export and scoring do.
        Stopped: Ctrl-C or a termination signal during a training, which left a checkpoint.
    """
    here, films = CrossValidation(folder), _with_folds(request.index)
    numbers = tuple(films["fold"].unique().sort().to_list())
    chosen = request.only or numbers
    if wrong := sorted(set(chosen) - set(numbers)):
        raise UsageError(f"{request.index} has no fold {wrong[0]}; it has {', '.join(map(str, numbers))}.")
    refuse_selecting(request.recipe)
    plan = CrossValidationPlan(
        recipe=request.recipe,
        films=fingerprint(films.with_columns(split=pl.format("fold-{}", "fold"))),
        folds=numbers,
        name=request.name or folder.resolve().name,
        budget=request.budget,
    )
    here.asked()  # refuses a folder of something else before anything is written there
    new = [number for number in chosen if not here.run(number).record_file.exists()]
    # All of them first: a fold that cannot be started is told before hours are spent on those before it.
    recipes = {number: recipe_of_fold(request.recipe, number, films.filter(fold=number)) for number in new}

    def begin() -> None:
        with alone(folder, wait=True):
            here.begin(plan, request.index, request.command)

    begin()
    parts = {number: f"fold {number} ({place} of {len(chosen)})" for place, number in enumerate(chosen, 1)}
    for number, _ in shared(chosen, lambda number: here.fold(number) / LOCK, lambda number: watch(Progress("wait", part=parts[number]))):
        begin()  # again: until now another call with another plan could take the folder
        _write_index(here, number, films, request.index)
        others = [other for other in chosen if other != number]
        _make(here, request, (number, recipes.get(number)), _timed(here, others, request.jobs, in_part(parts[number], watch)))
    watch(Progress("measure", part="all folds"))
    with alone(folder, wait=True):
        return together(here, plan, films, request.by, request.command)


def _write_index(here: CrossValidation, number: int, films: pl.DataFrame, source: Path) -> None:
    """Write a fold's index, again in every call: the films may stand elsewhere by now, or have a new column."""
    split = pl.when(pl.col("fold") == number).then(pl.lit(HELD)).otherwise(pl.lit(LEARN))
    report = Report(dataset=str(source), layout="index", decoded=bool((films["sha256"] != "").any()), split=f"{HELD} is fold {number}")
    write_index(films.with_columns(split=split), here.index(number), report)


def _make(here: CrossValidation, request: Request, fold: tuple[int, Recipe | None], watch: Watch) -> None:
    """Train on the other folds, or go on with the training that is there; export it, and score the fold's films by it."""
    number, recipe = fold
    run, model, scored = here.run(number), here.model(number), here.scored(number)

    def train(tell: Tell) -> Sequence[str]:
        for later in (model, scored):  # what an earlier training led to
            later.unlink(missing_ok=True)
        how = (here.index(number), LEARN, "", request.budget, request.save_every, request.offline)
        asked = None if recipe is None else TrainingRequest(recipe, *how)
        train_on(asked, run.folder, request.device, request.offline, [watch])
        return ()

    def export(tell: Tell) -> Sequence[str]:
        name = request.name or here.folder.resolve().name
        export_run(Export(run.folder, model, f"{name}-{number}"))
        return ()

    def score(tell: Tell) -> Sequence[str]:
        write_predictions(score_index(str(model), here.index(number), [HELD], request.command, tell), scored)
        return ()

    def told(progress: Progress) -> None:
        if progress.note != BEFORE and progress.stage != "train":  # a training tells more of itself
            watch(progress)

    stages: dict[str, Stage] = {"train": train, "export": export, "score": score}
    ended = tuple(stages) if run.record_file.exists() and has_ended(run.folder) else ()
    run_stages(still_finished(Staged(finished=ended), {"train": (), "export": (model,), "score": (scored,)}), None, stages, told)


def _timed(here: CrossValidation, others: Sequence[int], jobs: int, watch: Watch) -> Watch:
    """Return a watch of one fold's training that adds what the other folds will take; export and scoring are not counted."""
    ended = [sum(row.seconds for row in here.run(n).history()) for n in others if here.scored(n).exists()]
    return with_the_rest(ended, rounds(len(others) - len(ended), jobs), watch)


def with_the_rest(ended: Sequence[float], waiting: int, watch: Watch) -> Watch:
    """Return a watch of one work that adds the time of those that wait: as long as the ended ones took, or else as this one takes."""
    began = time.monotonic()

    def told(progress: Progress) -> None:
        if progress.left is not None:
            each = sum(ended) / len(ended) if ended else time.monotonic() - began + progress.left
            progress = replace(progress, left=progress.left + waiting * each)
        watch(progress)

    return told


def in_part(part: str, watch: Watch) -> Watch:
    """Return a watch of one of several works, which says which one."""
    return lambda progress: watch(replace(progress, part=f"{part}, {progress.part}" if progress.part else part))


def rounds(others: int, jobs: int) -> int:
    """Return how often the time of one will pass until `others` are made that nobody has made, where `jobs` make one each at a time.

    >>> rounds(4, 1), rounds(4, 2), rounds(1, 2)
    (4, 2, 0)
    """
    return max(math.ceil((others - (jobs - 1)) / jobs), 0)  # the other jobs are making theirs meanwhile


def _with_folds(index: Path) -> pl.DataFrame:
    """Return the films of an index whose folds can be trusted."""
    films = read_index(index)
    if "fold" not in films.columns or not films["fold"].dtype.is_integer():
        raise UsageError(f"{index} has no column `fold`. Make one with: osteon split {index} --folds 5")
    if films["fold"].null_count() or (films["fold"] < 0).any() or films["fold"].n_unique() < 2:
        raise UsageError(f"{index} has films without a fold, or one fold alone. Make them again with: osteon split {index} --folds 5")
    refuse_crossing(films)
    return films
