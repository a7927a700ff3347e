"""A training without labels: its loss is the paper's, no label reaches it, and another training begins from its backbone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from made_crossvalidation import EXPORT, Made, exported_at_once, quiet, with_folds
from made_index import made_index
from osteon.errors import UsageError
from osteon.lab.data.index import read_index
from osteon.lab.data.store import open_store
from osteon.lab.experiments.crossvalidation.first_weights import first_weights, recipe_for
from osteon.lab.experiments.crossvalidation.stages import Request, cross_validate
from osteon.lab.training import checkpoint
from osteon.lab.training.advisers import load_teachers
from osteon.lab.training.augmentation.augment import lesson, vary, warps
from osteon.lab.training.batches import Draw, TrainingFilms
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.loop import Stopped
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.progress import Progress
from osteon.lab.training.recipe import OSTEON, Recipe
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import TrainingRequest, resume_training, start_training
from osteon.lab.training.start.first_model import load_first, recipe_from
from osteon.lab.training.start.weight_averaging import load_companions
from osteon.lab.training.views import AGREEMENT, COVARIANCE, EMBEDDED, LEAST, VARIANCE, views_loss
from tiny_training import SETTINGS, osteon, own_stores, same_bits, settings, tiny, weights

LEARNS = ("task=views", "freeze=13", "augmentation.mixup=0.5", "augmentation.cut=0.5", "window=0.5")
"""Blocks that learn; what joins films or shows parts of them is in the recipe, and has no part in it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_stores(tmp_path_factory.mktemp("views")) as made:
        made_index(made)
        yield made


def train(folder: Path, run: str, recipe: Recipe, index: str = "index") -> Path:
    """A training that learned from an index of the folder, and selected on nothing."""
    start_training(TrainingRequest(recipe, folder / f"{index}.parquet", select=""), folder / run)
    return folder / run


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A training without labels that nothing interrupted."""
    return train(folder, "run", tiny(*LEARNS))


def learned(run: Path) -> dict[str, Tensor]:
    """The weights that a training keeps."""
    files = list((run / "best").iterdir())
    assert len(files) == 1
    state: dict[str, Tensor] = checkpoint.load(files[0])["weights"]
    return state


# The loss


def test_the_loss_is_the_paper_s_by_hand() -> None:
    random = np.random.default_rng(0)
    views = random.normal(size=(2, 5, 3)) * [0.4, 1.0, 2.0]
    agreement = ((views[0] - views[1]) ** 2).mean()
    short = sum(np.maximum(1 - np.sqrt(view.var(0, ddof=1) + LEAST), 0).mean() for view in views)
    together = sum((np.cov(view.T)[~np.eye(3, dtype=bool)] ** 2).sum() / 3 for view in views)
    told = views_loss(torch.from_numpy(views.reshape(10, 3)).float())
    np.testing.assert_allclose(told.numpy(), [AGREEMENT * agreement + VARIANCE * short + COVARIANCE * together] * 5, rtol=1e-5)


@pytest.mark.parametrize("n", [4, 16])
def test_the_loss_is_least_where_views_agree_and_numbers_are_apart(n: int) -> None:
    # Columns of an orthogonal matrix whose first is constant: centred, apart, each of deviation 1.
    random = np.random.default_rng(n)
    columns = np.linalg.qr(np.column_stack([np.ones(n), random.normal(size=(n, n - 1))]))[0][:, 1:] * np.sqrt(n - 1)
    best = torch.from_numpy(np.vstack([columns, columns])).float()
    assert views_loss(best).shape == (n,) and views_loss(best).max() < 1e-6
    together, narrow = best.clone(), best * 0.5
    together[:, 1] = together[:, 0]
    apart = torch.cat([best[:n], best[:n].roll(1, 0)])
    collapsed = torch.zeros_like(best)
    assert all(views_loss(worse).min() > 0.1 for worse in (together, narrow, apart, collapsed))


def test_the_loss_falls_to_its_minimum() -> None:
    embedded = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    descent = torch.optim.Adam([embedded], lr=0.05)
    for _ in range(500):
        descent.zero_grad()
        views_loss(embedded).mean().backward()
        descent.step()
    assert views_loss(embedded).mean() < 0.01


# What is shown


def test_a_batch_has_two_views_of_each_film_whole_and_alone(folder: Path) -> None:
    recipe = tiny(*LEARNS)
    table = read_index(folder / "index.parquet").filter(split="train")
    data = TrainingFilms(open_store(table, recipe.frame), recipe, table)
    numbers = np.array([3, 0, 7])
    shown = lesson(data, numbers, recipe, Draw(torch.Generator().manual_seed(1), 3, slice(0, 3)), 0.0, torch.device("cpu"))
    again = Draw(torch.Generator().manual_seed(1), 3, slice(0, 3))
    plain = msgspec.structs.replace(recipe.augmentation, mixup=0.0, cut=0.0)
    for view in shown.image.split(3):
        assert torch.equal(view, vary(data.take(numbers).image, warps(plain, again), plain, again, recipe.frame.size))
    assert shown.image.shape == (6, 64, 64) and shown.theta.shape == (6, 2, 3) and not torch.equal(*shown.image.split(3))


def test_every_film_stands_in_a_pass_once(folder: Path) -> None:
    table = read_index(folder / "index.parquet").filter(split="train")
    recipe = tiny("task=views", "abnormal_repeat=3", "loss=weighted")
    data = TrainingFilms(open_store(table, recipe.frame), recipe, table)
    assert sorted(data.order(recipe, 0)) == list(range(12))
    assert not data.label.any() and not data.boxes.any() and not data.boxed.sum() and len(set(data.weight.tolist())) == 1


# The training


def test_labels_and_boxes_change_nothing(folder: Path, run: Path) -> None:
    films = read_index(folder / "index.parquet")
    films.with_columns(label=(1 - pl.col("label")).cast(pl.Int8)).write_parquet(folder / "turned.parquet")
    films.with_columns(label=pl.lit(None, pl.Int8), boxes=pl.lit(None, films.schema["boxes"])).write_parquet(folder / "none.parquet")
    for index in ("turned", "none"):
        assert same_bits(weights(train(folder, f"by {index}", tiny(*LEARNS), index)), weights(run))


def test_the_backbone_and_the_projector_learn_and_the_head_does_not(run: Path) -> None:
    torch.manual_seed(0)
    before, after = Detector(tiny(*LEARNS)).state_dict(), checkpoint.load(run / "checkpoint.pt")["network"]
    assert before["auxiliary.6.weight"].shape == (EMBEDDED, EMBEDDED)
    changed = {key.partition(".")[0] for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == {"backbone", "auxiliary"}
    history = RunFolder(run).history()
    assert len(history) == 2 and all(0 < row.loss < np.inf and row.select_loss is None for row in history)


@pytest.mark.parametrize("changes", [("precision=bfloat16",), ("growth=0.5", "ema=0", "head=mean", "pooling.kind=mean")], ids=" ".join)
def test_what_else_a_recipe_has_goes_along(folder: Path, changes: tuple[str, ...]) -> None:
    made = train(folder, " ".join(changes), tiny(*LEARNS, "epochs=1", *changes))
    assert np.isfinite(RunFolder(made).history()[0].loss)


def test_a_training_stopped_and_resumed_comes_to_the_same_bits(folder: Path, run: Path) -> None:
    stops = []

    def stop_in_second_pass(progress: Progress) -> None:
        if progress.stage == "train" and progress.epoch == 1 and not stops:
            stops.append(progress.done)
            signal.raise_signal(signal.SIGINT)

    request = TrainingRequest(tiny(*LEARNS), folder / "index.parquet", select="")
    with pytest.raises(Stopped):
        start_training(request, folder / "stopped", callbacks=[stop_in_second_pass])
    resume_training(folder / "stopped")
    assert stops == [1] and same_bits(weights(folder / "stopped"), weights(run))


def test_the_command_trains_and_says_what_is_next(folder: Path) -> None:
    command = ("train", folder / "index.parquet", "-o", folder / "typed", *settings("task=views", "epochs=1"))
    refused = osteon(*command)
    assert refused.status == 64 and "Train with: --select none" in refused.error and not (folder / "typed").exists()
    answer = osteon(*command, "--select", "none")
    assert (answer.status, answer.out) == (0, f"1 passes in {folder}/typed. Next: osteon train INDEX --init {folder}/typed -o another\n")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("mirror=1",), "--set mirror=0"),
        (("teachers=a-run",), "--set teachers="),
        (("auxiliary=HAND",), "--set auxiliary="),
        (("batch=1",), "--set batch=16"),
    ],
)
def test_what_asks_for_an_answer_or_compares_nothing_is_refused(folder: Path, changes: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=f"task=views learns no label.* Train with: {said}$"):
        train(folder, "refused", tiny("task=views", *changes))


def test_several_processes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="Train with: one process"):
        train(folder, "refused", tiny("task=views"))


# What comes of it


def test_another_training_begins_from_its_backbone_alone(folder: Path, run: Path) -> None:
    recipe = recipe_from("osteon", [*SETTINGS[1:], f"init={run}", "head=mean", "pooling.kind=mean"])
    assert (recipe.learning_rate, recipe.head_learning_rate, recipe.task) == (OSTEON.learning_rate, OSTEON.head_learning_rate, "label")
    torch.manual_seed(recipe.seed)
    detector = Detector(recipe)
    fresh = {key: value.clone() for key, value in detector.state_dict().items()}
    told = load_first(detector, recipe).told
    for key, value in detector.state_dict().items():
        assert torch.equal(value, (learned(run) if key.startswith("backbone.") else fresh)[key])
    assert "pass-001.pt of run, SHA-256" in told
    assert RunFolder(train(folder, "next", recipe)).history()[1].loss > 0


def test_its_network_and_frame_are_taken_over(run: Path) -> None:
    assert recipe_from("osteon", [f"init={run}"]).frame == tiny().frame
    with pytest.raises(UsageError, match="network=lite2"):
        recipe_from("osteon", [f"init={run}", "network=lite2"])


def test_a_training_without_labels_begins_from_one(folder: Path, run: Path) -> None:
    again = train(folder, "again", recipe_from("osteon", [*SETTINGS[1:], *LEARNS, f"init={run}"]))
    assert learned(again).keys() == learned(run).keys()


def test_it_begins_from_a_model_file_as_well() -> None:
    recipe = recipe_from("osteon", ["init=packaged", "task=views", "frame.size=64"])
    assert load_first(Detector(recipe), recipe).folded  # the file has no projector, and it is not looked for


def test_it_is_no_model(folder: Path, run: Path) -> None:
    with pytest.raises(UsageError, match=r"has never seen a label \(task=views\).*--init"):
        export_run(Export(run, folder / "model.onnx"))
    with pytest.raises(UsageError, match="is not the folder of a training with labels"):
        load_companions(tiny(f"mean_with={run}"))
    with pytest.raises(UsageError, match="is no model, nor the folder of a training with labels"):
        load_teachers(tiny(f"teachers={run}"))
    recipe = tiny(f"init={run}", "mean_with=first")
    with pytest.raises(UsageError, match="a backbone alone"):
        load_first(Detector(recipe), recipe)


# Fold by fold


@pytest.fixture(scope="module")
def made(folder: Path) -> Iterator[Made]:
    """Films with folds, their cross-validation `base`, and a training without labels of fold 0's films in `views/fold-0/run`."""
    (folder / "cv").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXPORT, exported_at_once)
        made = Made(folder / "cv", with_folds(folder / "cv"))
        made.run("base", recipe=tiny("epochs=1"))
        request = TrainingRequest(tiny(*LEARNS, "epochs=1"), made.at("base").index(0), learn="learn", select="")
        start_training(request, folder / "views" / "fold-0" / "run")
        yield made


def test_a_fold_begins_from_the_training_of_its_own_films(folder: Path, made: Made) -> None:
    asked = recipe_for("osteon", [*SETTINGS, "epochs=1", f"init={folder / 'views'}"])
    assert asked.init == str(folder / "views") and asked.learning_rate == OSTEON.learning_rate
    made.run("later", recipe=asked, only=(0,))
    assert made.at("later").run(0).record().recipe.init == str(folder / "views" / "fold-0" / "run")


def test_a_fold_whose_films_it_has_seen_or_that_it_has_not_is_refused(folder: Path, made: Made) -> None:
    films = read_index(made.index)
    with pytest.raises(UsageError, match="has seen 12 of the 12 films of fold 0"):
        first_weights(str(folder / "views"), 0, films.filter(fold=1))
    with pytest.raises(UsageError, match="fold-1/run holds no training"):
        first_weights(str(folder / "views"), 1, films.filter(fold=1))


def test_it_is_not_cross_validated(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no fold can be measured.*--train learn --select none"):
        cross_validate(tmp_path / "out", Request(recipe=tiny("task=views"), index=made.index), quiet)
    assert not (tmp_path / "out").exists()
