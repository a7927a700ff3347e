"""From the index to the page: each stage leaves its result in the folder and its name in the record.

Stopped or killed at any moment, the same call goes on with the first stage that is not finished, and comes to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import alone, write_json
from osteon.card import Decision
from osteon.errors import DatasetError, MeasurementError, UsageError
from osteon.lab.calibration.calibrate import CalibrationPlan, PoolingResult, calibrate
from osteon.lab.data import leaks, splits
from osteon.lab.data.build import build_index
from osteon.lab.data.index import Report, fingerprint, read_index, read_report, write_index
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folder import evaluate_file
from osteon.lab.evaluation.scoring import score_index
from osteon.lab.evaluation.subgroups import StudyPooling
from osteon.lab.model_file import with_card
from osteon.lab.progress import Progress, Watch
from osteon.lab.reproduction.folder import Record, Reproduction, ReproductionPlan
from osteon.lab.reproduction.page import write_page
from osteon.lab.reproduction.rehearsal import Rehearsal, rehearse
from osteon.lab.reproduction.settings import OURS, settle
from osteon.lab.stages import Stage, Tell, run_stages
from osteon.lab.training.distributed import process_group
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.session import TrainingRequest, train_on
from osteon.opening import load_model

STAGES = {
    "index": "index the films",
    "split": "carve the selection split out of the training patients",
    "settings": "settle the settings for this data and this device",
    "cost": "measure what it will cost",
    "train": "train",
    "models": "export each model and the ensemble",
    "evaluations": "measure them",
    "page": "write the table",
}
"""The stages in their order, and what the terminal calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How it is made: the last stage, minutes of rehearsal (0: none), device, no network, what was typed. The result is the same."""

    until: str = "page"
    minutes: float = 1.0
    device: str = "auto"
    offline: bool = False
    command: str = ""


def reproduce(folder: Path, plan: ReproductionPlan, work: Work, watch: Watch) -> Record:
    """Run the stages that are not finished, up to `work.until`; returns the record.

    Raises:
        UsageError: the folder holds something else, or another process works in it.
        OsteonError: as the stages do.
        Stopped: Ctrl-C or a termination signal during a training, which left a checkpoint.
    """
    here = Reproduction(folder, plan)
    stages: dict[str, Stage] = {
        "index": partial(_index, here),
        "split": partial(_split, here),
        "settings": partial(_settings, here, work),
        "cost": partial(_cost, here, work),
        "train": partial(_train, here, work),
        "models": partial(_models, here),
        "evaluations": partial(_evaluations, here),
        "page": partial(write_page, here),
    }
    here.record()  # refuses a folder of something else before anything is written there
    with alone(folder):
        return run_stages(here.begin(work.command), here.record_file, stages, watch, work.until)


def _index(here: Reproduction, tell: Tell) -> list[str]:
    """Index the data set; training films of a patient, or of a duplicate, that `valid` has too are in no split."""
    plan = here.plan
    films, report = build_index(plan.data, decode=plan.decode, count_check=plan.count_check, progress=_named(tell, "films"))
    if missing := {"train", "valid"} - set(films["split"]):
        raise DatasetError(f"{plan.data} has no split {min(missing)!r}: a reproduction trains on `train` and reports on `valid`.")
    report.findings += leaks.refuse_leaks(films, allow=True)
    crossing = films.filter(pl.col("split") == "valid")["group"].unique()
    leaked = (pl.col("split") == "train") & pl.col("group").is_in(crossing.implode())
    left_out = films.filter(leaked)
    films = films.with_columns(split=pl.when(leaked).then(pl.lit("")).otherwise("split"))
    write_index(films, here.index, report)
    notes = []
    if len(left_out):
        notes.append(
            f"{len(left_out):,} training films of {left_out['patient'].n_unique():,} patients were left out: they, or duplicates of them, "
            "stand in valid as well"
        )
    for status, words in (("unreadable", "cannot be read and were left out"), ("truncated", "end early and were read as far as they go")):
        if count := int((films["status"] == status).sum()):
            notes.append(f"{count:,} films {words}")
    return notes


def _split(here: Reproduction, _: Tell) -> list[str]:
    share = here.plan.tune_share
    films = splits.split(read_index(here.index), {"train": 1 - share, "tune": share}, of="train")
    report = read_report(here.index) or Report(dataset=here.plan.data, layout="index", decoded=here.plan.decode)
    report.split = f"train={1 - share:g},tune={share:g} of train, seed 0"
    write_index(films, here.split, report)
    return []


def _settings(here: Reproduction, work: Work, _: Tell) -> list[str]:
    """Change the recipe to the films and the device; who goes on elsewhere goes on with what was settled."""
    learned = read_index(here.split).filter(pl.col("split") == "train")
    with process_group(work.device) as processes:
        settings = settle(here.asked, here.plan.changes, learned, processes.quick_in_bfloat16)
    write_json(settings, here.settings)
    return [f"{setting.change}: {setting.why}" for setting in settings.settled]


def _cost(here: Reproduction, work: Work, tell: Tell) -> list[str]:
    if not work.minutes:
        return []
    rehearsal = Rehearsal(
        recipe=here.recipe,
        index=here.split,
        folder=here.folder / "rehearsal",
        models=here.plan.models,
        scored=("tune", "valid") if here.recipe.name in OURS else ("valid",),
        minutes=work.minutes,
        device=work.device,
        offline=work.offline,
    )
    cost = rehearse(rehearsal, lambda progress: tell(progress.done, progress.total, f"rehearsal: {progress.stage}"))
    write_json(cost, here.cost)
    return list(cost.lines())


def _train(here: Reproduction, work: Work, tell: Tell) -> list[str]:
    films = fingerprint(read_index(here.split))
    for number in here.numbers:
        run, recipe = here.training(number), here.recipe_of(number)
        told = partial(_tell_training, tell, f"training {number} of {here.plan.models}")
        train_on(TrainingRequest(recipe, here.split, offline=work.offline), run.folder, work.device, work.offline, [told])
        record = run.record()
        asked = msgspec.structs.replace(record.recipe, departures=recipe.departures), record.plan.fingerprint
        if asked != (recipe, films):
            raise UsageError(f"{run.folder} holds a training of other settings or other films. Remove it, or name another folder with -o.")
    return []


def _tell_training(tell: Tell, name: str, progress: Progress) -> None:
    last = progress.history[-1] if progress.history else None
    held = f", tune: loss {last.select_loss or 0:.3f}, AUROC {last.select_auroc or 0:.3f}" if last else ""
    pace = f", {progress.films_per_second:.1f} films/s" if progress.films_per_second else ""
    tell(progress.done, progress.total, f"{name}, epoch {progress.epoch + 1} ({progress.stage}){held}{pace}", progress.left)


def _models(here: Reproduction, tell: Tell) -> list[str]:
    """Export each training's best epoch, and all of them as one file."""
    files = here.files()
    for done, (name, file) in enumerate(files.items()):
        tell(done, len(files), file.name)
        if file.exists():
            continue
        runs = [here.training(number).folder for number in (here.numbers if name == "model" else [int(name)])]
        title = here.recipe.name if name == "model" else f"{here.recipe.name}-{name}"
        plain = file.with_suffix(".plain.onnx")
        export_run(Export(runs[0], plain, title, others=tuple(runs[1:])))
        if here.recipe.name in OURS:
            _calibrate(here, plain)
        plain.replace(file)
    decision = load_model(here.model).card.decision
    return [f"the threshold is {decision.rule}"] if here.recipe.name in OURS and not decision.split else []


def _calibrate(here: Reproduction, file: Path) -> None:
    """Calibrate a model on `tune`, its films pooled as is best there; where it cannot be done, the card says why it decides at 0.5."""
    scored, card = score_index(str(file), here.split, ["tune"]), load_model(file).card
    plan = CalibrationPlan(split="tune")
    try:
        fitted = calibrate(scored, card, plan)[0]
        if (pooling := _clearly_best(fitted.poolings)) != plan.pooling:
            fitted = calibrate(scored, card, msgspec.structs.replace(plan, pooling=pooling))[0]
        card = fitted.card
    except MeasurementError as refusal:
        card = msgspec.structs.replace(card, decision=Decision(rule=f"0.5, not calibrated: {refusal}"))
    with_card(file, card, file)


def _clearly_best(poolings: Sequence[PoolingResult]) -> StudyPooling:
    """Return the mean, or what has a higher AUROC than it by more than chance: the interval of the gain lies above zero."""
    clear = [result for result in poolings if result.low is not None and result.low > 0]
    return max(clear, key=lambda result: result.gain).pooling if clear else "mean"


def _named(tell: Tell, name: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(done, total, name)


def _evaluations(here: Reproduction, tell: Tell) -> list[str]:
    films = read_index(here.split)
    for name, file in here.files().items():
        folder = here.evaluations / name
        if folder.exists():
            continue
        command = f"osteon evaluate --model {file.relative_to(here.folder)} --index {here.split.name} --split valid"
        evaluate_file(file, films, Plan(), folder, (command, _named(tell, name)))
    return []
