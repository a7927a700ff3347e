"""The whole chain on synthetic films: films, index, training, model file, evaluation, and the report that tells of them.

demo.json       what was asked, which stages are finished, and what is worth knowing of each
films/          synthetic films in MURA's layout
index.parquet   their index
run/            the training, begun with the packaged model
model.onnx      its best epoch, calibrated
evaluation/     on patients that it has not seen
packaged/       the packaged model on the same films
report.html     all of it

Stopped or killed at any moment, the same call goes on with the first stage that is not finished, and comes to the same numbers: the
training is counted in epochs, so that a busy machine takes longer and learns no less. The numbers say that the chain works; of patients
they say nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from osteon.atomic import alone, write_json
from osteon.errors import MeasurementError
from osteon.lab.calibration.calibrate import CalibrationPlan
from osteon.lab.calibration.folder import calibrate_file
from osteon.lab.data.build import build_index
from osteon.lab.data.index import read_index, write_index
from osteon.lab.data.leaks import refuse_leaks
from osteon.lab.data.splits import split
from osteon.lab.evaluation.evaluation import Evaluation, Plan
from osteon.lab.evaluation.folder import evaluate_file, read_evaluation
from osteon.lab.evaluation.scoring import score_index
from osteon.lab.model_file import Facts, NamedData, described, model_path, with_card
from osteon.lab.phantom.dataset import DatasetSpec, make_dataset
from osteon.lab.progress import Progress, Watch
from osteon.lab.reporting.folder import HTML, report_run
from osteon.lab.reporting.supply import Request
from osteon.lab.stages import Stage, Staged, Tell, changed, read_record, refuse_changed, run_stages, still_finished
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.session import TrainingRequest, train_on
from osteon.lab.training.start.first_model import recipe_from
from osteon.model_names import PACKAGED
from osteon.opening import load_model
from osteon.version import __version__

STAGES = {
    "films": "make synthetic films",
    "index": "index them",
    "train": "train a network, from the packaged model on",
    "model": "export and calibrate it",
    "evaluation": "measure it on patients that it has not seen",
    "packaged": "measure the packaged model on the same films",
    "report": "write the report",
}
"""The stages in their order, and what the terminal calls them."""

TUNE_SHARE, HELD_SHARE = 0.18, 0.25
"""Of the films that are learned from: what the epoch and the calibration are chosen on; and of the patients: those that are reported."""

SETTINGS = (
    f"init={PACKAGED}",
    "frame.size=224",
    "freeze=8",
    "epochs=4",
    "learning_rate=2e-4",
    "head_learning_rate=4e-4",
    "warmup=0.1",
    "ema=0.95",
    "keep=1",
    "abnormal_repeat=1",
    "augmentation.rotation=15",
    "augmentation.erase=0",
)
"""What the demo changes in recipe `osteon`, so that minutes are enough."""

ABOUT = (
    "This is the report of osteon demo. Its films are synthetic: computed, not taken. They show that the chain works and how a training "
    "goes; of patients they say nothing."
)
"""What a reader of the report must know first."""

FACTS = Facts(
    finding="fracture",
    intended_use="To show how a model is trained, measured and explained. Not for diagnosis.",
    limits="It has learned from a few hundred synthetic films.",
    data=(NamedData(name=DatasetSpec().name, licence="free to use", source="osteon phantom"),),
)
"""What the model's card says besides what was measured."""


class DemoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo makes and learns.

    Attributes:
        studies: Synthetic studies of each study type; half of them are fractured.
        study_types: Which.
        sizes: Shortest and longest long side of a film, pixels.
        settings: Changes of recipe `osteon`.
    """

    studies: int = 100
    study_types: tuple[str, ...] = ("FOREARM", "HUMERUS", "SHOULDER")
    sizes: tuple[int, int] = (224, 288)
    settings: tuple[str, ...] = SETTINGS


class DemoRecord(Staged, frozen=True, kw_only=True):
    """`demo.json`: what was asked, of which osteon."""

    plan: DemoPlan
    osteon: str = __version__


class Demo:
    """Where each result stands."""

    def __init__(self, folder: Path, plan: DemoPlan, workers: int) -> None:
        self.folder, self.plan, self.workers = folder, plan, workers
        self.record_file, self.films = folder / "demo.json", folder / "films"
        self.index, self.run, self.model = folder / "index.parquet", folder / "run", folder / "model.onnx"
        self.evaluation, self.packaged, self.page = folder / "evaluation", folder / "packaged", folder / HTML
        left = (self.films, self.index, self.run, self.model, self.evaluation, self.packaged, self.page)
        self.results = {stage: (result,) for stage, result in zip(STAGES, left, strict=True)}


def run_demo(folder: Path, plan: DemoPlan, workers: int, watch: Watch) -> tuple[Evaluation, Evaluation]:
    """Do the stages that are not finished.

    Args:
        folder: Where everything goes.
        plan: What to do; a folder that was begun with another plan is refused.
        workers: Processes that make films; 0 makes them in this one.
        watch: Told of every step.

    Returns:
        The evaluations of the trained and of the packaged model.

    Raises:
        UsageError: the folder holds something else, or another process works in it.
        OsteonError: as the stages do.
    """
    demo = Demo(folder, plan, workers)
    asked = DemoRecord(plan=plan)
    record = read_record(demo.record_file, DemoRecord, "demo of this version") or asked
    refuse_changed(folder, "demo", changed(record, asked))
    steps = (_films, _index, _train, _model, _evaluate, _evaluate_packaged, _report)
    stages: dict[str, Stage] = {name: partial(step, demo) for name, step in zip(STAGES, steps, strict=True)}
    with alone(folder):
        record = still_finished(record, demo.results)
        write_json(record, demo.record_file)
        run_stages(record, demo.record_file, stages, watch)
    return read_evaluation(demo.evaluation), read_evaluation(demo.packaged)


def _films(demo: Demo, tell: Tell) -> list[str]:
    plan = demo.plan
    spec = DatasetSpec(
        studies=plan.studies,
        study_types=plan.study_types,
        findings=("fracture",),
        abnormal_share=0.5,
        valid_share=HELD_SHARE,
        sizes=plan.sizes,
        workers=demo.workers,
    )
    made = make_dataset(demo.films, spec, tell)
    return [f"{made.films} films of {made.studies} studies and {made.patients} patients; {made.abnormal_studies} studies show a fracture"]


def _index(demo: Demo, tell: Tell) -> list[str]:
    films, report = build_index(demo.films / DatasetSpec().name, progress=tell)
    films = split(films, {"train": 1 - TUNE_SHARE, "tune": TUNE_SHARE}, of="train")
    report.split = f"valid as made; the rest train={1 - TUNE_SHARE:g},tune={TUNE_SHARE:g}"
    report.findings += refuse_leaks(films)
    write_index(films, demo.index, report)
    return [", ".join(f"{name} {count} films" for name, count in films["split"].value_counts().sort("split").iter_rows())]


def _train(demo: Demo, tell: Tell) -> list[str]:
    def watch(progress: Progress) -> None:
        note = f"epoch {progress.epoch + 1} ({progress.stage})"
        if progress.stage == "train":
            note += f": loss {progress.loss:.3f}, {progress.films_per_second:.0f} films/s"
        tell(progress.done, progress.total, note, progress.left)

    request = TrainingRequest(recipe_from("osteon", demo.plan.settings), demo.index, save_every=0.5, offline=True)
    history = train_on(request, demo.run, offline=True, callbacks=[watch])
    return ["AUROC on split tune, epoch by epoch: " + ", ".join(f"{row.select_auroc or 0:.3f}" for row in history)]


def _model(demo: Demo, tell: Tell) -> list[str]:
    exported = demo.folder / "exported.onnx"
    export_run(Export(demo.run, exported, "demo", "1"))
    tell(1, 2)
    scored = score_index(str(exported), demo.index, ["tune"])
    try:
        card = calibrate_file(exported, scored, CalibrationPlan(split="tune"), demo.model).card
        note = f"called abnormal from a probability of {card.decision.threshold:.2f}"
    except MeasurementError as refusal:
        card, note = load_model(exported).card, f"not calibrated: {refusal}"
    with_card(exported, described(card, msgspec.json.encode(FACTS)), demo.model)
    exported.unlink()
    return [note]


def _evaluate(demo: Demo, tell: Tell) -> list[str]:
    command = f"osteon evaluate --model {demo.model} --index {demo.index} --split valid -o {demo.evaluation}"
    return list(evaluate_file(demo.model, read_index(demo.index), Plan(), demo.evaluation, (command, tell)).notes)


def _evaluate_packaged(demo: Demo, tell: Tell) -> list[str]:
    command = f"osteon evaluate --index {demo.index} --split valid -o {demo.packaged}"
    return list(evaluate_file(model_path(None), read_index(demo.index), Plan(), demo.packaged, (command, tell)).notes)


def _report(demo: Demo, tell: Tell) -> list[str]:
    request = Request(
        demo.run, demo.folder, demo.model, demo.evaluation, command=f"osteon demo -o {demo.folder}", about=ABOUT, beside=demo.packaged
    )
    report_run(request, lambda progress: tell(progress.done, progress.total))
    return []
