"""`paper` and `article` are what was published; what a user changes is checked and noted."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from drawn_tree import ROOT
from osteon.card import Frame, Pooling
from osteon.errors import UsageError
from osteon.lab.training.recipe import ARTICLE, OSTEON, PAPER, RECIPES, Augmentation, Recipe, recipe
from osteon.lab.training.start.first_model import recipe_from

PUBLISHED = {
    "network": "densenet169",
    "init": "imagenet",
    "freeze": 0,
    "head": "mean",
    "pooling": Pooling(kind="mean"),
    "dropout": 0.0,
    "loss": "weighted",
    "box_loss": 0.0,
    "abnormal_repeat": 1,
    "augmentation": Augmentation(rotation=30, flip=0.5),
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "head_learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "plateau",
    "warmup": 0.0,
    "batch": 8,
    "ema": 0.0,
    "keep": 5,
    "select_by": "loss",
    "precision": "float32",
}
"""Rajpurkar et al., arXiv 1712.06957v4, section 3: DenseNet-169 from ImageNet weights, global average and one linear unit, the weighted
loss, inversion and rotation up to 30 degrees, Adam with 1e-4 in batches of 8, and the five models with the lowest validation loss."""


@pytest.mark.parametrize("setting", PUBLISHED)
def test_paper_is_the_published_recipe(setting: str) -> None:
    assert getattr(PAPER, setting) == PUBLISHED[setting]


def test_paper_s_films_are_stretched_to_320() -> None:
    assert PAPER.frame == Frame(size=320, crop="none", aspect="stretch", interpolation="bilinear")


def test_article_is_the_paper_but_for_three_settings() -> None:
    departed = msgspec.structs.replace(PAPER, name="article", frame=Frame(size=224, aspect="stretch"), dropout=0.1, loss="plain")
    assert departed == ARTICLE


def test_what_was_not_published_is_listed() -> None:
    for published in (PAPER, ARTICLE):
        assert any("--select" in line for line in published.departures)
        assert any("patience" in line for line in published.departures)
        assert any("averages logits" in line for line in published.departures)
    assert PAPER.patience > 0  # what the second line speaks of


def test_osteon_is_the_default_s_family() -> None:
    assert OSTEON.network.startswith("lite") and OSTEON.init == "imagenet" and not OSTEON.departures


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_without_changes_is_itself(name: str) -> None:
    assert recipe(name) == RECIPES[name]
    assert msgspec.json.decode(msgspec.json.encode(RECIPES[name]), type=Recipe) == RECIPES[name]


def test_boxed_is_what_the_packaged_model_was_begun_with() -> None:
    """Its settings are those of the command in the laboratory book, but for what a processor or a budget decides."""
    book = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "experiments").glob("*.md")))
    [command] = re.findall(r"^osteon cross-validate folds.parquet -o cv/stretched .*?[^\\]$", book, re.MULTILINE | re.DOTALL)
    made = recipe("osteon", re.findall(r"--set (\S+)", command))
    decided = {"name": "", "departures": (), "precision": "float32", "epochs": 1}
    assert msgspec.structs.replace(made, **decided) == msgspec.structs.replace(recipe("boxed"), **decided)


@pytest.mark.parametrize("name", ["paper", "article", "osteon"])
def test_what_came_later_is_off_and_a_record_from_before_is_read(name: str) -> None:
    later = RECIPES[name]
    new = ("window", "average_with", "read_at"), ("cut", "blur", "local", "grain", "compress", "quarter", "collimate")
    assert not any(getattr(later, setting) for setting in new[0])
    assert all(getattr(later.augmentation, setting) == 0 for setting in new[1])
    written = msgspec.to_builtins(later)
    for setting in new[0]:
        del written[setting]
    for setting in new[1]:
        del written["augmentation"][setting]
    assert msgspec.convert(written, Recipe) == later


def test_a_recipe_has_fifty_settings_at_most_and_says_what_each_is() -> None:
    assert len(Recipe.__struct_fields__) + len(Augmentation.__struct_fields__) <= 50
    for kind in (Recipe, Augmentation):
        assert re.findall(r"^        (\w+): ", kind.__doc__ or "", re.MULTILINE) == list(kind.__struct_fields__)


def test_changes_are_made_and_noted_in_their_order() -> None:
    changed = recipe(
        "paper", ["epochs=3", "frame.size=224", "augmentation.flip=0", "pooling.sharpness=2.5", "network=lite0", "init=random"]
    )
    assert (changed.epochs, changed.frame.size, changed.augmentation.flip, changed.pooling.sharpness) == (3, 224, 0.0, 2.5)
    assert (changed.network, changed.init) == ("lite0", "random")
    assert changed.departures == (
        *PAPER.departures,
        "epochs: 30 -> 3",
        "frame.size: 320 -> 224",
        "augmentation.flip: 0.5 -> 0",
        "pooling.sharpness: 1.0 -> 2.5",
        "network: densenet169 -> lite0",
        "init: imagenet -> random",
    )


def test_changes_leave_the_recipes_as_they_are() -> None:
    before = msgspec.json.encode(PAPER)
    recipe("paper", ["frame.size=64", "augmentation.rotation=0"])
    assert msgspec.json.encode(PAPER) == before


@pytest.mark.parametrize(
    "change",
    [
        "epoch=3", "epochs", "epochs=", "epochs=0", "epochs=1.5", "epochs=many", "=3", "", "frame=3", "frame.size=16", "frame.width=3",
        "frame.size.x=3", "epochs.size=3", "network=resnet50", "head=max", "batch=0", "learning_rate=0", "learning_rate=nan", "dropout=2",
        "augmentation.scale=1", "augmentation.flip=-1", "warmup=1", "ema=1", "seed=-1", "keep=0", "evidence_stride=4", "name=mine",
        "departures=none", "pooling.kind=max",
        "window=1", "window=-0.1", "read_at=-1", "read_at=16", "read_at=5000", "pooling.share=0", "pooling.kind=top",
        "augmentation.cut=2", "augmentation.blur=nan", "augmentation.collimate=1.1",
    ],
)  # fmt: skip
def test_a_change_that_does_not_fit_is_refused(change: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        recipe("osteon", [change])


def test_a_refusal_names_only_settings_that_can_be_set() -> None:
    with pytest.raises(UsageError) as told:
        recipe("osteon", ["nothing=1"])
    assert "learning_rate" in str(told.value) and "departures" not in str(told.value)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'papers'.*paper, article, osteon, boxed"):
        recipe("papers")


@pytest.mark.parametrize(("stride", "sides"), [(8, (352, 368, 384)), (16, (352, 384)), (32, (352, 384))])
def test_a_film_is_read_at_sides_that_halve_evenly(stride: int, sides: tuple[int, ...]) -> None:
    for side in (344, 352, 360, 368, 376, 384):
        changes = [f"evidence_stride={stride}", f"read_at={side}"]
        if side in sides:
            assert recipe("osteon", changes).read_at == side
        else:
            with pytest.raises(UsageError, match=rf"read_at={side}: evidence would lie beside what it shows\. Take a multiple of (16|32)"):
                recipe("osteon", changes)


def test_a_file_of_a_training_or_of_a_tuning_is_a_recipe(tmp_path: Path) -> None:
    made = recipe("osteon", ["epochs=3", "frame.size=224"])
    for name, content in (("best.recipe.json", made), ("recipe.json", {"recipe": made, "plan": {"index": "i"}})):
        (tmp_path / name).write_bytes(msgspec.json.encode(content))
        again = recipe(str(tmp_path / name), ["batch=8"])
        assert (again.epochs, again.frame.size, again.batch) == (3, 224, 8)
        assert again.departures == (*made.departures, f"batch: {made.batch} -> 8")
        assert recipe_from(str(tmp_path / name)) == made


@pytest.mark.parametrize(("content", "reason"), [(None, "no recipe can be read"), ("[]", "holds no recipe"), ("{", "holds no recipe"),
                                                 ('{"recipe": {"epochs": "x"}}', "holds no recipe")])  # fmt: skip
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "r.json").write_text(content)
    with pytest.raises(UsageError, match=reason):
        recipe(str(tmp_path / "r.json"))
