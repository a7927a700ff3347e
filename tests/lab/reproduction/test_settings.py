"""What recipe `osteon` becomes on MURA's labels and on a GPU, and what of a reproduction a release can hold."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_index import made_index
from made_model import made_card
from osteon.card import Card, Decision
from osteon.lab.evaluation.subgroups import StudyPooling
from osteon.lab.progress import Epoch
from osteon.lab.release.plan import LARGEST, read_plan
from osteon.lab.reproduction.folder import Reproduction, ReproductionPlan
from osteon.lab.reproduction.settings import LEAST_ABNORMAL, Setting, Settings, settle, settled_recipe
from osteon.lab.reproduction.shipping import GUARD_BYTES, INT8_BYTES, is_mura, members, release_lines, release_plan
from osteon.lab.training.recipe import ARTICLE, OSTEON, PAPER, Recipe, recipe
from osteon.lab.training.session import TrainingRequest, start_training
from tiny_training import same_bits, tiny, weights


def labelled(abnormal: int, normal: int, boxes: list[list[float]] | None) -> pl.DataFrame:
    """The columns of an index that settings hang on; normal films have no boxes, or none that are known."""
    schema = {"label": pl.Int8, "boxes": pl.List(pl.List(pl.Float32))}
    nothing: list[list[float]] | None = None if boxes is None else []
    return pl.DataFrame({"label": [1] * abnormal + [0] * normal, "boxes": [boxes] * abnormal + [nothing] * normal}, schema=schema)


FRACATLAS, MURA = labelled(379, 1959, [[1.0, 2.0, 3.0, 4.0]]), labelled(14_873, 21_935, None)
"""The training films' labels (docs/experiments.md; arXiv 1712.06957v4)."""


def changes(asked: Recipe, films: pl.DataFrame, *given: str, quick: bool = False) -> set[str]:
    return set(settle(asked, given, films, quick).changes)


def test_on_the_data_and_the_device_that_it_was_tuned_on_nothing_changes() -> None:
    assert settle(OSTEON, (), FRACATLAS, quick_in_bfloat16=False) == Settings()
    assert settled_recipe("osteon", (), Settings()) == OSTEON


def test_mura_has_no_boxes_and_enough_abnormal_films() -> None:
    settings = settle(OSTEON, (), MURA, quick_in_bfloat16=False)
    assert settings.changes == ("box_loss=0", "abnormal_repeat=1")
    made = settled_recipe("osteon", ("epochs=3",), settings)
    assert (made.box_loss, made.abnormal_repeat, made.epochs) == (0, 1, 3)
    assert made.departures[0] == "epochs: 12 -> 3"
    assert made.departures[-1] == "abnormal_repeat: 2 -> 1 (40% of the films are abnormal, which needs no more)"


def test_a_device_that_computes_in_bfloat16_trains_in_it() -> None:
    assert changes(OSTEON, FRACATLAS, quick=True) == {"precision=bfloat16"}
    assert changes(OSTEON, MURA, quick=True) == {"box_loss=0", "abnormal_repeat=1", "precision=bfloat16"}


def test_what_is_given_goes_before() -> None:
    assert changes(OSTEON, MURA, "abnormal_repeat=2", "precision=float32", quick=True) == {"box_loss=0"}


@pytest.mark.parametrize("published", [PAPER, ARTICLE])
def test_published_recipes_stay_as_published(published: Recipe) -> None:
    assert settle(published, (), MURA, quick_in_bfloat16=True) == Settings()


def test_boxes_of_normal_films_alone_teach_no_place() -> None:
    films = pl.concat([labelled(0, 70, [[1.0, 2.0, 3.0, 4.0]]), labelled(30, 0, None)])
    assert "box_loss=0" in changes(OSTEON, films)
    assert "box_loss=0" in changes(OSTEON, films.drop("boxes"))


def test_a_film_without_boxes_is_not_cut() -> None:
    cut = recipe("osteon", ["augmentation.cut=0.3"])
    assert "augmentation.cut=0" in changes(cut, MURA)
    assert not changes(cut, FRACATLAS)
    assert "augmentation.cut=0" not in changes(cut, MURA, "augmentation.cut=0.3")


@given(abnormal=st.integers(1, 99), most=st.integers(1, 8))
def test_films_are_repeated_no_more_than_it_takes(abnormal: int, most: int) -> None:
    asked = msgspec.structs.replace(OSTEON, abnormal_repeat=most)
    made = settled_recipe("osteon", (f"abnormal_repeat={most}",), settle(asked, (), labelled(abnormal, 100 - abnormal, None), False))

    def share(repeats: int) -> float:
        return repeats * abnormal / (repeats * abnormal + 100 - abnormal)

    assert 1 <= made.abnormal_repeat <= most
    assert made.abnormal_repeat == most or share(made.abnormal_repeat) >= LEAST_ABNORMAL
    assert made.abnormal_repeat == 1 or share(made.abnormal_repeat - 1) < LEAST_ABNORMAL


def test_where_no_box_is_known_the_box_loss_says_nothing(tmp_path: Path) -> None:
    index = made_index(tmp_path)
    pl.read_parquet(index).with_columns(boxes=pl.lit(None, pl.List(pl.List(pl.Float32)))).write_parquet(index)
    for name, loss in (("with", "3"), ("without", "0")):
        start_training(TrainingRequest(tiny("epochs=1", f"box_loss={loss}"), index), tmp_path / name, "cpu")
    assert same_bits(weights(tmp_path / "with"), weights(tmp_path / "without"))


# the release


def finished(folder: Path, sizes: list[int], aurocs: list[float]) -> Reproduction:
    """A reproduction as far as a release looks at it: each training's history, and model files of a size."""
    here = Reproduction(folder, ReproductionPlan(recipe="osteon", data=str(folder), models=len(sizes)))
    here.models.mkdir(parents=True)
    for number, (size, auroc) in enumerate(zip(sizes, aurocs, strict=True), 1):
        run = here.training(number)
        run.folder.mkdir(parents=True)
        run.write_history([Epoch(epoch=0, loss=1, select_loss=0.5, select_auroc=auroc, rate=1e-4, films_per_second=1, seconds=1)])
        sparse(here.files().get(str(number), here.model), size)
    if len(sizes) > 1:
        sparse(here.model, sum(sizes))
    return here


def card(pooling: StudyPooling = "mean", split: str = "tune") -> Card:
    """The card of a calibrated model."""
    decision = Decision(threshold=0.4, doubt_from=0.3, doubt_to=0.5, rule="maximum kappa", split=split)
    return msgspec.structs.replace(made_card(), decision=decision, study_pooling=pooling)


def sparse(path: Path, size: int) -> None:
    """A file of a size, without the bytes."""
    with path.open("wb") as file:
        file.truncate(size)


def test_a_release_holds_the_best_on_tune_as_many_as_fit(tmp_path: Path) -> None:
    third = (int(LARGEST * 1e6) - GUARD_BYTES) // 3 - INT8_BYTES
    five = finished(tmp_path / "five", [third] * 5, [0.81, 0.84, 0.80, 0.83, 0.82])
    assert members(five) == [2, 4, 5]
    text = "\n".join(release_lines(five, card()))
    assert f"`model.onnx` takes {5 * third / 1e6:.1f}: trainings 2, 4, 5, the best on `tune`, fit." in text
    assert "osteon release release.toml -o released" in text
    assert release_plan(five, "mean").splitlines()[:2] == [
        'runs = ["trainings/2", "trainings/4", "trainings/5"]',
        'index = "split.parquet"',
    ]
    assert members(finished(tmp_path / "larger", [third, third + 3, third], [0.8, 0.9, 0.7])) == [2, 1]


def test_all_fit_or_none(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", [14_800_000], [0.8])
    assert members(one) == [1]
    text = "\n".join(release_lines(one, card("top-k")))
    assert "takes 14.8: it fits. In this folder:" in text
    (one.folder / "release.toml").write_text(release_plan(one, "top-k"))
    plan = read_plan(one.folder / "release.toml", {})
    assert (plan.calibration.pooling, plan.name, plan.facts) == ("top-k", "abnormality", str(one.facts))
    large = finished(tmp_path / "large", [51_000_000, 51_000_000], [0.8, 0.9])
    assert members(large) == []
    assert list(release_lines(large, card()))[-1].endswith("no single training fits.")


def test_what_is_not_calibrated_is_not_released(tmp_path: Path) -> None:
    [line] = release_lines(finished(tmp_path / "one", [14_800_000], [0.5]), card(split=""))
    assert "A release must be calibrated" in line


def test_mura_is_known_by_its_counts() -> None:
    from osteon.lab.data.layouts.mura import PUBLISHED

    counts = {name: normal + abnormal for name, (normal, abnormal, *_) in PUBLISHED["valid"].items()}
    rows = [("valid", name, f"{name} {number}") for name, count in counts.items() for number in range(count) for _film in range(2)]
    films = pl.DataFrame(rows, schema=["split", "study_type", "study"], orient="row")
    assert is_mura(films)
    assert not is_mura(films.filter(pl.col("study") != "HAND 0"))


def test_a_setting_says_why() -> None:
    settings = settle(OSTEON, (), MURA, quick_in_bfloat16=True)
    assert all(isinstance(setting, Setting) and setting.why for setting in settings.settled)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings
