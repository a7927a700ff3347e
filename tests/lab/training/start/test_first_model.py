"""A training that starts from a whole model: another training's, or a model file's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from made_index import made_index
from made_model import made_card, make_model
from osteon.errors import MissingWeights, ModelFileError, UsageError
from osteon.lab.model_file import file_sha256, with_card
from osteon.lab.training import checkpoint
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import OSTEON, Recipe, recipe
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import TrainingRequest, resume_training, start_training
from osteon.lab.training.start.first_model import SLOWER, find_whole, load_first, recipe_from
from osteon.model_names import find_model, packaged_models
from osteon.opening import load_model
from tiny_training import SETTINGS, own_stores, same_bits, tiny, weights

REFERENCE = next(reversed(packaged_models()))
FILE = Path(str(find_model(REFERENCE)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_stores(tmp_path_factory.mktemp("first")) as made:
        made_index(made)
        yield made


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A training that has ended; its second epoch is made its best."""
    start_training(TrainingRequest(tiny("select_by=loss"), folder / "index.parquet"), folder / "run")
    return folder / "run"


def best(run: Path) -> dict[str, torch.Tensor]:
    history = RunFolder(run).history()
    epoch = min(history, key=lambda p: p.select_loss or 0.0).epoch
    weights: dict[str, torch.Tensor] = checkpoint.load(RunFolder(run).best_file(epoch))["weights"]
    return weights


# Another training


def test_the_best_epoch_of_a_training_fills_every_tensor(run: Path) -> None:
    recipe = tiny(f"init={run}", "frame.size=96")
    detector = Detector(recipe)
    told = load_first(detector, recipe).source
    state, kept = detector.state_dict(), best(run)
    assert state.keys() == kept.keys() and all(torch.equal(value, kept[key]) for key, value in state.items())
    assert told.startswith("epoch-00") and " of run, SHA-256 " in told


def test_a_training_starts_from_another(run: Path, folder: Path) -> None:
    recipe = tiny(f"init={run}", "epochs=1", "frame.size=96")
    start_training(TrainingRequest(recipe, folder / "index.parquet"), folder / "next")
    assert "of run, SHA-256" in RunFolder(folder / "next").record().weights
    frozen = "backbone._blocks.3._bn0.running_mean"
    assert torch.equal(checkpoint.load(folder / "next" / "checkpoint.pt")["network"][frozen], best(run)[frozen])


def test_whom_a_training_is_averaged_with_is_recorded(run: Path, folder: Path) -> None:
    recipe = tiny(f"init={run}", f"average_with=first,{run}", "epochs=1", "frame.size=96")
    start_training(TrainingRequest(recipe, folder / "index.parquet"), folder / "mean")
    told = RunFolder(folder / "mean").record().weights
    assert "; averaged with the first weights, and with epoch-00" in told and told.count("itself begun from") == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (("network=lite2",), r"has another network than the recipe\. Take over what it has: --set network=lite0$"),
        (("head=mean",), r"another head than .*--set head=pyramid$"),
        (
            ("evidence_stride=32", "pooling.kind=mean"),
            r"another evidence_stride, pooling.kind than .*--set evidence_stride=16 --set pooling.kind=logsumexp$",
        ),
    ],
)
def test_a_training_of_another_network_is_refused(run: Path, changes: tuple[str, ...], line: str) -> None:
    recipe = tiny(f"init={run}", *changes)
    with pytest.raises(UsageError, match=line):
        load_first(Detector(recipe), recipe)


def refusal(recipe: Recipe) -> str:
    with pytest.raises(MissingWeights) as told:
        load_first(Detector(recipe), recipe)
    return str(told.value)


def test_a_folder_without_a_training_or_an_epoch_is_refused(run: Path, tmp_path: Path) -> None:
    assert "it holds no training (no recipe.json)" in refusal(tiny(f"init={tmp_path}"))
    RunFolder(tmp_path / "begun").start(RunFolder(run).record())
    assert "has not finished an epoch" in refusal(tiny(f"init={tmp_path / 'begun'}"))
    RunFolder(tmp_path / "begun").write_history(RunFolder(run).history())
    assert "no weights of this network can be read" in refusal(tiny(f"init={tmp_path / 'begun'}"))


# A model file


@pytest.fixture(scope="module")
def tuned(folder: Path) -> Path:
    """A training that started from the packaged model."""
    start_training(TrainingRequest(whole(f"init={REFERENCE}", "epochs=1"), folder / "index.parquet", save_every=0.0), folder / "tuned")
    return folder / "tuned"


def whole(*changes: str) -> Recipe:
    """A tiny recipe that fits the model that it starts from."""
    return recipe_from("osteon", [*SETTINGS, *changes])


def test_packaged_is_the_newest_by_its_name() -> None:
    newest = find_whole("packaged")
    assert newest is not None and newest.name == next(reversed(packaged_models())) == recipe_from("osteon", ["init=packaged"]).init


def test_a_film_may_be_read_at_sides_that_suit_the_evidence_of_the_model() -> None:
    assert recipe_from("osteon", ["init=packaged", "read_at=336"]).read_at == 336  # evidence at stride 8, the recipe's own at 16
    with pytest.raises(UsageError, match=r"read_at=344: .* Take a multiple of 16"):
        recipe_from("osteon", ["init=packaged", "read_at=344"])


def test_a_training_starts_from_a_packaged_model(tuned: Path) -> None:
    record = RunFolder(tuned).record()
    assert record.recipe.init == REFERENCE
    known = "2,338 films of FracAtlas, train; 261 films of FracAtlas, tune"
    assert record.weights.startswith(f"{REFERENCE}, which learned from {known}, {FILE.name}, SHA-256 {file_sha256(FILE)}")
    learned, first = weights(tuned), {w.name: w for w in onnx.load(str(FILE)).graph.initializer}
    cell = torch.from_numpy(onnx.numpy_helper.to_array(first["head.cell.weight"]).copy())
    assert 0 < (learned["network head.cell.weight"] - cell).abs().max() < 1e-3  # three steps away


def test_killed_before_the_first_checkpoint_it_starts_from_the_same_file(tuned: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "again").start(RunFolder(tuned).record())
    resume_training(tmp_path / "again")
    assert same_bits(weights(tmp_path / "again"), weights(tuned))


def test_another_file_in_its_place_is_not_taken_for_it(tuned: Path, tmp_path: Path) -> None:
    shutil.copyfile(FILE, tmp_path / "model.onnx")
    record = RunFolder(tuned).record()
    moved = msgspec.structs.replace(record.recipe, init=str(tmp_path / "model.onnx"))
    RunFolder(tmp_path / "again").start(msgspec.structs.replace(record, recipe=moved))
    with pytest.raises(MissingWeights, match=r"was started from fracture@.*and now there is fracture@.*, model\.onnx, "):
        resume_training(tmp_path / "again")


def test_a_recipe_takes_over_what_belongs_to_the_weights() -> None:
    paper = recipe_from("paper", [f"init={REFERENCE}"])
    assert (paper.network, paper.head, paper.evidence_stride, paper.pooling) == ("lite0", "pyramid", 8, OSTEON.pooling)
    assert paper.frame == load_model(FILE).card.frame and paper.init == REFERENCE
    said = (
        "network: densenet169 -> lite0",
        "head: mean -> pyramid",
        f"frame.size: 320 -> {load_model(FILE).card.frame.size}",
        "evidence_stride: 32 -> 8",
        "learning_rate: 0.0001 -> 2.5e-05",
    )
    assert set(said) < set(paper.departures)


def test_a_recipe_keeps_what_a_person_says() -> None:
    chosen = recipe_from("osteon", ["frame.size=224", "learning_rate=3e-4", "head=pyramid", f"init={REFERENCE}"])
    assert (chosen.frame.size, chosen.frame.crop) == (224, "exposed")
    assert (chosen.learning_rate, chosen.head_learning_rate) == (3e-4, 3e-4)  # a head that has learned goes at the backbone's rate
    assert recipe_from("osteon", [f"init={REFERENCE}", "head_learning_rate=1e-3"]).head_learning_rate == 1e-3
    assert recipe_from("osteon", [f"init={REFERENCE}"]).learning_rate == OSTEON.learning_rate / SLOWER


@pytest.mark.parametrize("kind", ["file", "training"])
def test_evidence_is_refined_and_nothing_else_changes(kind: str, run: Path, tmp_path: Path) -> None:
    if kind == "file":
        export_run(Export(run, tmp_path / "coarse.onnx"))
    init = f"init={tmp_path / 'coarse.onnx' if kind == 'file' else run}"
    coarse, fine = (recipe_from("osteon", [*SETTINGS, init, *more]) for more in ((), ("evidence_stride=8",)))
    assert (fine.evidence_stride, coarse.evidence_stride) == (8, 16) and "evidence_stride: 16 -> 8" in fine.departures
    image = torch.randint(0, 256, (2, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    answers = []
    for chosen in (coarse, fine):
        detector = Detector(chosen)
        load_first(detector, chosen)
        with torch.no_grad():
            answers.append(detector.eval()(image))
    torch.testing.assert_close(answers[1][0], answers[0][0])
    torch.testing.assert_close(answers[1][1], answers[0][1].repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_a_recipe_from_a_training_fits_it(run: Path) -> None:
    chosen = recipe_from("paper", [f"init={run}"])
    learned = RunFolder(run).record().recipe
    assert (chosen.network, chosen.head, chosen.evidence_stride, chosen.pooling, chosen.frame) == (
        learned.network,
        learned.head,
        learned.evidence_stride,
        learned.pooling,
        learned.frame,
    )


@pytest.mark.parametrize("init", ["imagenet", "random", "weights.pth"])
def test_a_recipe_from_a_backbone_alone_is_as_it_was(init: str) -> None:
    assert recipe_from("paper", [f"init={init}"]) == recipe("paper", [f"init={init}"])


@pytest.mark.parametrize("change", ["network=lite2", "head=mean", "evidence_stride=32", "pooling.kind=mean", "pooling.sharpness=3"])
def test_a_contradiction_is_refused(change: str) -> None:
    key, _, value = change.partition("=")
    with pytest.raises(UsageError, match=rf"--set {key}={value}.*: in {REFERENCE} it is "):
        recipe_from("osteon", [f"init={REFERENCE}", change])


def test_with_a_backbone_alone_nothing_is_averaged() -> None:
    alone = recipe("osteon", ["init=random", "average_with=first"])
    with pytest.raises(UsageError, match=r"average_with=first: .*--init"):
        load_first(Detector(alone), alone)


def test_an_ensemble_is_refused(tmp_path: Path) -> None:
    card = msgspec.structs.replace(load_model(FILE).card, network="ensemble of 3 epochs of lite0")
    with_card(FILE, card, tmp_path / "ensemble.onnx")
    with pytest.raises(UsageError, match=r"ensemble of 3 epochs of lite0, and only a single network.*--init RUN.*--members 1"):
        recipe_from("osteon", [f"init={tmp_path / 'ensemble.onnx'}"])


def test_a_file_of_another_maker_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path / "made.onnx", made_card(64))
    with pytest.raises(UsageError, match=r"its card names the network '', and only lite0, .* can go on learning"):
        recipe_from("osteon", [f"init={tmp_path / 'made.onnx'}"])
    make_model(tmp_path / "named.onnx", msgspec.structs.replace(made_card(64), network="lite0"))
    chosen = recipe_from("osteon", [f"init={tmp_path / 'named.onnx'}"])
    with pytest.raises(ModelFileError, match=r"named\.onnx: .* Start from the training that it was exported from: --init RUN"):
        load_first(Detector(chosen), chosen)


def test_a_file_that_torch_does_not_answer_as_is_refused(tmp_path: Path) -> None:
    model = onnx.load(str(FILE))
    six = next(w for w in model.graph.initializer if w.name == "max_val_cast")
    six.CopyFrom(onnx.numpy_helper.from_array(np.float32(4), six.name))
    onnx.save(model, tmp_path / "other.onnx")
    chosen = recipe_from("osteon", [f"init={tmp_path / 'other.onnx'}"])
    with pytest.raises(ModelFileError, match=r"other\.onnx: the network in it differs from torch by"):
        load_first(Detector(chosen), chosen)


@pytest.mark.parametrize(("init", "line"), [("fracture@9.9", "there is no model fracture@9.9"), ("none.onnx", "no such model file")])
def test_a_model_that_is_not_there_is_refused(init: str, line: str) -> None:
    with pytest.raises(ModelFileError, match=line):
        recipe_from("osteon", [f"init={init}"])


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(FILE.read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match=r"broken\.onnx"):
        recipe_from("osteon", [f"init={tmp_path / 'broken.onnx'}"])
