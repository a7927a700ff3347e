"""The whole chain on made radiographs: films, index, training, model file, evaluation, and one page that shows them.

Each stage leaves its result in the folder and its name in `demo.json`; a demo that was stopped goes on with the first stage that is not
there. The figures say that the chain works; of patients they say nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from osteon.atomic import write_json
from osteon.errors import MeasurementError, UsageError
from osteon.lab.calibration.calibrate import CalibrationPlan, calibrate
from osteon.lab.data.build import build_index
from osteon.lab.data.index import write_index
from osteon.lab.data.splits import refuse_leaks, split
from osteon.lab.demo.folder import Demo, DemoPlan, DemoRecord
from osteon.lab.demo.page import write_page
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folder import PREDICTIONS, evaluate, plan_for
from osteon.lab.evaluation.scoring import score_index, write_predictions
from osteon.lab.model_file import with_card
from osteon.lab.phantom.dataset import DatasetSpec, make_dataset
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.progress import Progress
from osteon.lab.training.recipe import recipe
from osteon.lab.training.session import TrainingRequest, has_ended, resume_training, start_training
from osteon.opening import load_model
from osteon.version import __version__

STAGES = {
    "films": "make radiographs",
    "index": "index them",
    "train": "train a network",
    "model": "export and calibrate",
    "evaluation": "evaluate on patients never seen",
    "page": "draw the page",
}
"""The stages in their order, and what the terminal calls them."""

TUNE_SHARE = 0.18
"""Of the training films: what the best pass and the calibration are chosen on."""

Watch = Callable[[str, int, int, str], None]
"""Told of the stage, how much of it is done, of how much, and a note."""


def run_demo(folder: Path, plan: DemoPlan, workers: int, watch: Watch) -> DemoRecord:
    """Run the stages that are not finished, and write `report.html`.

    Args:
        folder: Where everything goes.
        plan: What to do; a folder that was begun with another plan is refused.
        workers: Processes that make films.
        watch: Told of every step.

    Raises:
        UsageError: the folder holds something else.
        OsteonError: as the stages do.
    """
    demo = Demo(folder)
    record = _begin(demo, plan)
    stages: dict[str, Callable[[], tuple[str, ...]]] = {
        "films": lambda: _films(demo, plan, workers, watch),
        "index": lambda: _index(demo, watch),
        "train": lambda: _train(demo, plan, watch),
        "model": lambda: _model(demo, watch),
        "evaluation": lambda: _evaluate(demo, watch),
    }
    for name, stage in stages.items():
        if name in record.seconds:
            watch(name, 1, 1, "finished before")
            continue
        began = time.monotonic()
        notes = stage()
        seconds = record.seconds | {name: round(time.monotonic() - began, 1)}
        record = msgspec.structs.replace(record, seconds=seconds, notes=(*record.notes, *notes))
        write_json(record, demo.record_file)
    return _draw(demo, record, watch)


def _begin(demo: Demo, plan: DemoPlan) -> DemoRecord:
    record = demo.record()
    if record is None and demo.folder.is_dir() and any(demo.folder.iterdir()):
        raise UsageError(f"{demo.folder} holds something that is no demo. Name another folder with -o.")
    if record is not None and (record.plan, record.osteon) != (plan, __version__):
        raise UsageError(f"{demo.folder} holds a demo of other settings or another version. Remove it, or name another folder with -o.")
    if record is None:
        record = DemoRecord(plan=plan)
        write_json(record, demo.record_file)
    return record


def _films(demo: Demo, plan: DemoPlan, workers: int, watch: Watch) -> tuple[str, ...]:
    spec = DatasetSpec(studies=plan.studies, seed=plan.seed, sizes=plan.sizes, valid_share=0.25, workers=workers)
    make_dataset(demo.folder / "films", spec, lambda done, total: watch("films", done, total, ""))
    return ()


def _index(demo: Demo, watch: Watch) -> tuple[str, ...]:
    films, report = build_index(demo.root, progress=lambda done, total: watch("index", done, total, ""))
    films = split(films, {"train": 1 - TUNE_SHARE, "tune": TUNE_SHARE}, of="train")
    report.split = f"valid as made; the rest train={1 - TUNE_SHARE:g},tune={TUNE_SHARE:g}"
    report.findings += refuse_leaks(films)
    write_index(films, demo.index, report)
    return ()


def _train(demo: Demo, plan: DemoPlan, watch: Watch) -> tuple[str, ...]:
    def told(progress: Progress) -> None:
        note = f"pass {progress.epoch + 1} ({progress.stage})"
        if progress.stage == "train":  # the budget, not the pass, says how far it is
            note += f": {progress.left:.0f} s left, loss {progress.loss:.3f}, {progress.films_per_second:.0f} films/s"
        watch("train", progress.done, progress.total, note)

    if (demo.run / "recipe.json").is_file():
        if not has_ended(demo.run):
            resume_training(demo.run, offline=True, callbacks=[told])
        return ()
    request = TrainingRequest(recipe("osteon", plan.settings), demo.index, budget=plan.minutes, save_every=0.5, offline=True)
    start_training(request, demo.run, callbacks=[told])
    return ()


def _model(demo: Demo, watch: Watch) -> tuple[str, ...]:
    watch("model", 0, 2, "export")
    plain = demo.folder / "uncalibrated.onnx"
    export_run(Export(demo.run, plain, "phantom-demo", "1"))
    watch("model", 1, 2, "calibrate")
    scored = score_index(str(plain), demo.index, ["tune"])
    try:
        card = calibrate(scored, load_model(plain).card, CalibrationPlan(split="tune"))[0].card
    except MeasurementError as refusal:
        plain.replace(demo.model)
        return (f"not calibrated: {refusal}",)
    with_card(plain, card, demo.model)
    plain.unlink()
    return ()


def _evaluate(demo: Demo, watch: Watch) -> tuple[str, ...]:
    scored = score_index(
        str(demo.model), demo.index, ["valid"], _command(demo), lambda done, total: watch("evaluation", done, total, "films")
    )
    write_predictions(scored, demo.evaluation / PREDICTIONS)
    watch("evaluation", 0, 1, "figures")
    evaluate(scored, plan_for(scored, Plan(split="valid", by=("finding",))), demo.evaluation)
    return ()


def _command(demo: Demo) -> str:
    return f"osteon evaluate --model {demo.model.name} --index {demo.index.name} --split valid --by finding"


def _draw(demo: Demo, record: DemoRecord, watch: Watch) -> DemoRecord:
    began = time.monotonic()
    watch("page", 0, 1, "")
    write_page(demo, record)
    watch("page", 1, 1, "")
    return msgspec.structs.replace(record, seconds=record.seconds | {"page": round(time.monotonic() - began, 1)})
