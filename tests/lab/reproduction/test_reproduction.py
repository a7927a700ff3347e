"""From a tree in MURA's layout to the table: interrupted at every stage it comes to the same result, and the page says what was done."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
import pytest

from made_trees import film, full_mura, png, small_mura, write
from osteon.atomic import hold, write_json
from osteon.errors import CountMismatch, DatasetError, UsageError
from osteon.lab.calibration.calibrate import PoolingResult
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation import published
from osteon.lab.evaluation.folder import read_evaluation
from osteon.lab.evaluation.subgroups import StudyPooling
from osteon.lab.model_file import Facts, described
from osteon.lab.phantom.dataset import DatasetSpec, make_dataset
from osteon.lab.progress import Progress, Watch
from osteon.lab.reproduction.folder import Reproduction, ReproductionPlan
from osteon.lab.reproduction.rehearsal import Cost
from osteon.lab.reproduction.settings import Setting, Settings
from osteon.lab.reproduction.stages import STAGES, Work, _calibrate, _clearly_best, reproduce
from osteon.opening import load_model
from osteon.regions import MURA_STUDY_TYPES
from tiny_training import QUICK_IN_BFLOAT16, osteon, same_bits, weights

pytestmark = pytest.mark.timeout(1200)  # an export takes ten seconds, and ten times that on a machine with other things to do

TINY = ("network=lite0", "init=random", "frame.size=64", "epochs=1")
QUICK = ("freeze=16", "warmup=0", "ema=0.9")
ONCE = Work(minutes=0, device="cpu", offline=True)
KILLS = [
    ("index", "films"),
    ("split", ""),
    ("settings", ""),
    ("train", "training 1 of 2, epoch 1 (train)"),
    ("train", "training 2 of 2, epoch 1 (select)"),
    ("models", "2.onnx"),
    ("models", "model.onnx"),
    ("evaluations", "1"),
    ("evaluations", "model"),
    ("page", ""),
]
"""Stage, and how the note begins at which it is interrupted."""


def only(until: str) -> Work:
    """Stop after a stage."""
    return Work(until=until, minutes=0, device="cpu", offline=True)


class Killed(BaseException):
    """As Ctrl-C or a kill: nothing catches it."""


def quiet(_: Progress) -> None:
    """Show nothing."""


def killing(kill: tuple[str, str], killed: list[tuple[str, str]]) -> Watch:
    """Interrupt where a stage's note begins so, and remember it."""

    def watch(at: Progress) -> None:
        if at.stage == kill[0] and at.note.startswith(kill[1]) and at.note != "finished before":
            killed.append(kill)
            raise Killed

    return watch


@dataclass(frozen=True)
class Made:
    """A finished reproduction, and at which points it was interrupted."""

    here: Reproduction
    killed: list[tuple[str, str]]
    page: str


def interrupted(plan: ReproductionPlan, folder: Path, kills: list[tuple[str, str]]) -> Made:
    """Reproduce, killed at each of these points and taken up again."""
    killed: list[tuple[str, str]] = []
    for kill in kills:
        with pytest.raises(Killed):
            reproduce(folder, plan, ONCE, killing(kill, killed))
    reproduce(folder, plan, ONCE, quiet)
    here = Reproduction(folder, plan)
    return Made(here, killed, here.page.read_text())


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = DatasetSpec(studies=5, seed=3, valid_share=0.4, abnormal_share=0.5, sizes=(128, 136))
    return Path(make_dataset(tmp_path_factory.mktemp("phantoms"), spec).root)


@pytest.fixture(scope="module")
def article(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Recipe `article`, two models, interrupted at each of `KILLS`."""
    plan = ReproductionPlan(recipe="article", data=str(phantoms), changes=TINY, models=2, tune_share=0.3)
    return interrupted(plan, tmp_path_factory.mktemp("article") / "out", KILLS)


def test_it_was_interrupted_everywhere_and_finished(article: Made) -> None:
    record = article.here.record()
    assert record is not None
    assert article.killed == KILLS
    assert record.finished == tuple(STAGES)
    parts = [p.relative_to(article.here.folder).as_posix() for p in article.here.folder.rglob("*") if "part" in p.name or "plain" in p.name]
    assert not parts, "left half done"


def test_it_trained_as_an_uninterrupted_one_does(article: Made, tmp_path: Path) -> None:
    there = reproduce(tmp_path / "out", article.here.plan, only(until="train"), quiet)
    whole = Reproduction(tmp_path / "out", article.here.plan)
    assert there.finished == tuple(STAGES)[:5]
    assert fingerprint(read_index(whole.split)) == fingerprint(read_index(article.here.split))
    for number in whole.numbers:
        assert same_bits(weights(whole.training(number).folder), weights(article.here.training(number).folder))


def test_the_reported_split_is_untouched_and_tune_comes_from_training_patients(article: Made) -> None:
    before, after = read_index(article.here.index), read_index(article.here.split)
    assert set(after["split"]) == {"train", "tune", "valid"}
    for split, was in (("valid", "valid"), ("train", "train"), ("tune", "train")):
        paths = after.filter(pl.col("split") == split)["path"]
        assert set(before.filter(pl.col("path").is_in(paths.implode()))["split"]) == {was}
    assert after.group_by("patient").agg(pl.col("split").n_unique())["split"].max() == 1


def test_each_training_has_its_seed_and_all_are_in_the_model(article: Made) -> None:
    assert [article.here.training(n).record().recipe.seed for n in article.here.numbers] == [0, 1]
    card = load_model(article.here.model).card
    assert (card.name, card.network) == ("article", "ensemble of the best epoch of each of 2 trainings of lite0")
    assert card.data[0].films == (read_index(article.here.split)["split"] == "train").sum()
    assert card.decision.threshold == 0.5


def test_the_page_has_our_row_beside_the_papers_and_later_ones(article: Made) -> None:
    ours = read_evaluation(article.here.evaluations / "model").find("study", "all", "auroc")
    assert ours is not None
    assert ours.value is not None
    row = next(line for line in article.page.splitlines() if line.startswith("| **osteon, ensemble of 2**"))
    assert f"{ours.value:.3f}" in row
    assert "| the paper's model | hidden test, 207 | 0.705 | 0.929 | 0.815 | 0.887 |" in article.page
    for later in published.LATER:
        assert f"| {later.name} | valid, 1,199 | {later.kappa} | {later.auroc} |  |  |" in article.page
    assert "**This is not MURA as published**" in article.page


def test_the_page_has_kappa_by_study_type_beside_the_readers(article: Made) -> None:
    evaluation = read_evaluation(article.here.evaluations / "model")
    for name in MURA_STUDY_TYPES:
        metric = evaluation.find("study", f"study_type={name}", "kappa")
        if metric is None:
            assert name.lower() in article.page.partition("Not in this data: ")[2].splitlines()[0]
            continue
        row = next(line for line in article.page.splitlines() if line.startswith(f"| {name.lower()} |"))
        assert f"| {metric.n:,} ({metric.positives:,}) |" in row
        assert row.endswith(" | ".join(f"{kappa:.3f}" for kappa in published.PAPER_KAPPA[name]) + " |")


def test_the_page_lists_every_departure(article: Made) -> None:
    listed = article.page.partition("## Departures")[2].partition("## What made it")[0]
    for departure in article.here.recipe.departures:
        assert f"- {departure}\n" in listed
    assert "network: densenet169 -> lite0" in listed
    assert "- 2 models instead of 5" in listed
    assert "from the seeds 0 to 1" in listed


def test_the_sub_commands_do_the_same(article: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = article.here.training_commands()
    assert first in article.page and second in article.page
    for command in (
        f"osteon index {article.here.plan.data} -o index.parquet --allow-leaks",
        "osteon split index.parquet -o split.parquet --of train --parts train=0.7,tune=0.3",
        f"{first} --device cpu",
    ):
        answer = osteon(*shlex.split(command)[1:])
        assert answer.status == 0, answer.error
    assert fingerprint(read_index("split.parquet")) == fingerprint(read_index(article.here.split))
    assert same_bits(weights(tmp_path / "trainings" / "1"), weights(article.here.training(1).folder))


# recipe `osteon`


@pytest.fixture(scope="module")
def boxless(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantoms as MURA is: without `boxes.csv`."""
    tree = tmp_path_factory.mktemp("boxless") / phantoms.name
    shutil.copytree(phantoms, tree)
    (tree / "boxes.csv").unlink()
    return tree


@pytest.fixture(scope="module")
def ours(boxless: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Recipe `osteon`, one model, interrupted in the stages where it differs from the published ones."""
    plan = ReproductionPlan(recipe="osteon", data=str(boxless), changes=(*TINY, *QUICK), models=1, tune_share=0.3)
    kills = [("settings", ""), ("train", "training 1 of 1, epoch 1 (train)"), ("models", "model.onnx"), ("page", "")]
    return interrupted(plan, tmp_path_factory.mktemp("osteon") / "out", kills)


def test_osteon_is_settled_for_labels_without_boxes_and_says_so(ours: Made) -> None:
    recipe, record = ours.here.training(1).record().recipe, ours.here.record()
    assert record is not None
    assert record.finished == tuple(STAGES)
    assert record.notes["settings"] == tuple(f"{s.change}: {s.why}" for s in ours.here.settled.settled)
    assert (recipe.box_loss, recipe.abnormal_repeat, recipe.precision) == (0, 1, "bfloat16" if QUICK_IN_BFLOAT16 else "float32")
    listed = ours.page.partition("## Departures")[2].partition("## What made it")[0]
    assert "- box_loss: 3.0 -> 0 (no finding has a box here: the evidence learns from the labels of whole films alone)" in listed
    assert re.search(r"- abnormal_repeat: 2 -> 1 \(\d+% of the films are abnormal, which needs no more\)", listed)
    evaluation = read_evaluation(ours.here.evaluations / "model")
    assert not [m for m in evaluation.metrics if "point" in m.name], "no box, so nothing to point at"


def test_osteon_s_training_command_gives_the_same_weights(ours: Made, tmp_path: Path) -> None:
    [command] = ours.here.training_commands()
    assert command in ours.page
    words = shlex.split(command.replace("split.parquet", str(ours.here.split)).replace("trainings/1", str(tmp_path / "run")))
    assert osteon(*words[1:], "--device", "cpu").status == 0
    assert same_bits(weights(tmp_path / "run"), weights(ours.here.training(1).folder))


def test_osteon_s_page_says_what_a_release_tells_of_the_data(ours: Made) -> None:
    assert "A release must be calibrated" in ours.page.partition("## Releasing it")[2], "too few films for it here"
    told = msgspec.json.decode(ours.here.facts.read_bytes(), type=Facts)
    card = described(load_model(ours.here.model).card, ours.here.facts.read_bytes())
    assert (card.data[0].name, card.finding, card.limits) == ("PHANTOM-v1", "abnormality", told.limits)
    assert "of one hospital" not in card.limits, "these are not MURA's films"


def test_facts_that_people_mended_stay(ours: Made, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ours.here.folder, folder)
    here = Reproduction(folder, ours.here.plan)
    here.facts.write_text('{"licence": "CC0"}')
    here.page.unlink()
    reproduce(folder, here.plan, ONCE, quiet)
    assert here.facts.read_text() == '{"licence": "CC0"}'


def test_who_goes_on_elsewhere_goes_on_with_what_was_settled(boxless: Path, tmp_path: Path) -> None:
    plan = ReproductionPlan(recipe="osteon", data=str(boxless), changes=(*TINY, *QUICK), models=1, tune_share=0.3)
    record = reproduce(tmp_path / "out", plan, only(until="settings"), quiet)
    here = Reproduction(tmp_path / "out", plan)
    assert record.finished == ("index", "split", "settings")
    elsewhere = "float32" if QUICK_IN_BFLOAT16 else "bfloat16"
    settled = [setting for setting in here.settled.settled if not setting.change.startswith("precision=")]
    write_json(Settings((*settled, Setting(change=f"precision={elsewhere}", why="another device"))), here.settings)
    reproduce(here.folder, plan, only(until="train"), quiet)
    assert here.training(1).record().recipe.precision == elsewhere
    assert len(here.training(1).history()) == 1
    here.settings.write_text("{")
    with pytest.raises(UsageError, match="no settings can be read"):
        reproduce(here.folder, plan, ONCE, quiet)


def test_a_record_from_before_a_stage_was_there_goes_back_to_it(ours: Made, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(ours.here.folder, folder)
    text = msgspec.json.decode((folder / "reproduction.json").read_bytes())
    text["finished"].remove("settings")
    (folder / "reproduction.json").write_bytes(msgspec.json.encode(text))
    here = Reproduction(folder, ours.here.plan)
    assert here.begin().finished == ("index", "split")
    assert here.model.exists(), "what stands is taken again if it fits"
    assert reproduce(folder, here.plan, ONCE, quiet).finished == tuple(STAGES)


def test_a_study_is_pooled_by_the_mean_unless_another_way_is_clearly_better() -> None:
    def result(pooling: StudyPooling, gain: float, low: float | None) -> PoolingResult:
        return PoolingResult(pooling=pooling, auroc=0.8 + gain, best_kappa=0.5, gain=gain, low=low, high=None)

    mean = result("mean", 0, 0)
    assert _clearly_best([mean, result("max", 0.02, -0.001), result("top-k", 0.05, None)]) == "mean"
    assert _clearly_best([mean, result("max", 0.02, 0.001), result("noisy-or", 0.03, 0.002)]) == "noisy-or"


def test_a_model_that_cannot_be_calibrated_says_why(article: Made, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    shutil.copy(article.here.model, file)
    _calibrate(article.here, file)
    decision = load_model(file).card.decision
    assert (decision.split, decision.threshold) == ("", 0.5)
    assert decision.rule.startswith("0.5, not calibrated: split 'tune' has ")


def test_a_result_that_is_gone_is_made_again_with_all_after_it(article: Made, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(article.here.folder, folder)
    shutil.rmtree(folder / "evaluations" / "1")
    there = Reproduction(folder, article.here.plan)
    assert there.begin().finished == tuple(STAGES)[:6]
    assert not list(there.evaluations.iterdir())
    assert there.model.exists()
    shutil.rmtree(folder / "models")
    there = Reproduction(folder, article.here.plan)
    assert there.begin().finished == tuple(STAGES)[:5]
    assert not there.model.exists()


def test_a_folder_of_something_else_is_refused(article: Made, tmp_path: Path) -> None:
    plan = article.here.plan
    with pytest.raises(UsageError, match="another models: 2, and not 3"):
        reproduce(article.here.folder, msgspec.structs.replace(plan, models=3), ONCE, quiet)
    write(tmp_path / "letters" / "letter.txt", b"")
    with pytest.raises(UsageError, match="no reproduction"):
        reproduce(tmp_path / "letters", plan, ONCE, quiet)
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["letter.txt"]
    with pytest.raises(UsageError, match="Name another folder"):
        reproduce(tmp_path / "letters" / "letter.txt" / "out", plan, ONCE, quiet)
    (tmp_path / "out").mkdir()
    held = hold(tmp_path / "out" / "lock")
    assert held is not None
    with held, pytest.raises(UsageError, match="another process works"):
        reproduce(tmp_path / "out", plan, ONCE, quiet)


def test_a_training_of_other_settings_in_the_folder_is_refused(article: Made, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(article.here.folder, folder)
    plan = msgspec.structs.replace(article.here.plan, models=1, changes=(*TINY, "dropout=0.3"))
    text = msgspec.json.decode((folder / "reproduction.json").read_bytes())
    text |= {"plan": msgspec.to_builtins(plan), "finished": ["index", "split", "settings", "cost"]}
    (folder / "reproduction.json").write_bytes(msgspec.json.encode(text))
    with pytest.raises(UsageError, match="training of other settings"):
        reproduce(folder, plan, ONCE, quiet)


# the data


def split_of(data: Path, folder: Path, **plan: object) -> tuple[Reproduction, tuple[str, ...]]:
    """Index and split alone."""
    asked = ReproductionPlan(recipe="paper", data=str(data), tune_share=0.5, **plan)  # type: ignore[arg-type]
    record = reproduce(folder, asked, only(until="split"), quiet)
    return Reproduction(folder, asked), record.notes["index"]


def test_training_films_that_valid_has_too_are_left_out_and_said(tmp_path: Path) -> None:
    tree = small_mura(tmp_path / "tree")
    for patient in range(3, 9):
        write(tree / f"train/XR_HAND/patient{patient:05d}/study1_negative/image1.png", png(film(500 + patient)))
    twin = tree / "valid/XR_HAND/patient11185/study1_positive/image1.png"
    shutil.copy(twin, tree / "train/XR_WRIST/patient00002/study1_negative/image2.png")
    here, notes = split_of(tree, tmp_path / "out")
    assert [note.partition(":")[0] for note in notes] == ["2 training films of 1 patients were left out"]
    films = read_index(here.split)
    assert set(films.filter(pl.col("patient") == "patient00002")["split"]) == {""}
    assert (films["split"] == "valid").sum() == 3


def test_data_without_the_two_splits_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(small_mura(tmp_path / "tree") / "valid")
    with pytest.raises(DatasetError, match="no split 'valid'"):
        split_of(tmp_path / "tree", tmp_path / "out")


def test_a_tree_named_as_mura_must_have_its_counts(tmp_path: Path) -> None:
    tree = small_mura(tmp_path / "MURA-v1.1")
    for patient in range(3, 9):
        write(tree / f"train/XR_HAND/patient{patient:05d}/study1_negative/image1.png", png(film(500 + patient)))
    with pytest.raises(CountMismatch, match="--no-count-check"):
        split_of(tree, tmp_path / "out")
    split_of(tree, tmp_path / "other", count_check=False)


@pytest.mark.long
def test_mura_at_full_size_is_indexed_and_split(tmp_path: Path) -> None:
    tree = full_mura(tmp_path / "MURA-v1.1")
    plan = ReproductionPlan(recipe="osteon", data=str(tree), decode=False)
    record = reproduce(tmp_path / "out", plan, only(until="settings"), quiet)
    settled = ["box_loss=0", "abnormal_repeat=1", *(["precision=bfloat16"] if QUICK_IN_BFLOAT16 else [])]
    assert [note.partition(":")[0] for note in record.notes["settings"]] == settled
    films = read_index(tmp_path / "out" / "split.parquet")
    counts = dict(films["split"].value_counts().iter_rows())
    assert counts["valid"] == 3197
    assert counts["train"] + counts["tune"] == 36808
    assert counts["tune"] == pytest.approx(3681, abs=5)
    assert films.group_by("patient").agg(pl.col("split").n_unique())["split"].max() == 1


# the cost


COST = Cost(
    device="a card",
    models=5,
    epochs=(6, 30),
    films=40005,
    train_films=33000,
    select_films=3600,
    score_films=3197,
    prepare_rate=400.0,
    train_rate=1000.0,
    select_rate=3000.0,
    score_rate=20.0,
    export_seconds=60.0,
    steps=1200,
    measured_seconds=90.0,
)


def test_the_cost_adds_up() -> None:
    assert COST.epoch_seconds == pytest.approx(33 + 1.2)
    assert COST.other_seconds == pytest.approx(100.0125 + 10 * (60 + 159.85))
    assert COST.hours == pytest.approx([(5 * n * 34.2 + COST.other_seconds) / 3600 for n in (6, 30)])
    total, how = COST.lines()
    assert total == "it will take 55 min to 2.1 h on a card: 5 trainings of 6 to 30 epochs, 34 s an epoch"
    assert how.startswith("measured in 90 s: 1200 steps at 1000.0 films/s")
