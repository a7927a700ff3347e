"""A card's numbers measured again: they hold where the data are the same, and what does not hold is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from PIL import Image

from command_line import Typed
from made_index import made_index
from made_network import make_network
from osteon.card import INT8_LIMITS, Card, DataSource, Int8Cost, Measured, Metric
from osteon.errors import MeasurementError, UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.evaluation import Plan
from osteon.lab.evaluation.folder import PREDICTIONS, evaluate, plan_for, write_metrics
from osteon.lab.evaluation.scoring import Predictions, score_index, write_predictions
from osteon.lab.guard.fit import GuardPlan, guard_file
from osteon.lab.guard.pictures import made_pictures
from osteon.lab.model_file import described, with_card
from osteon.lab.quantisation.quantise import Plan as Int8Plan
from osteon.lab.quantisation.quantise import quantise_file
from osteon.lab.verification import metrics as metrics_module
from osteon.lab.verification.check import Check, between, check
from osteon.lab.verification.metrics import metric_checks, plan_of, rounding
from osteon.lab.verification.verify import Request, Verification, verify
from osteon.model_names import packaged_models
from osteon.opening import load_model

SPLITS = {"train": 66, "tune": 66, "valid": 66}


@dataclass(frozen=True)
class Ready:
    """A model file with everything in its card, the data, and the folder of foreign pictures."""

    model: Path
    index: Path
    evaluation: Path
    foreign: Path

    def verify(self, **changes: object) -> Verification:
        """Verify it, from its data but for the changes."""
        asked = {"model": str(self.model), "index": self.index, "splits": {}, "parts": ("data", "metrics")}
        return verify(Request(**{**asked, **changes}))  # type: ignore[arg-type]

    def with_metric(self, out: Path, change: Callable[[Metric], Metric]) -> str:
        """Write a copy whose card has other metrics."""
        card = load_model(self.model).card
        with_card(self.model, msgspec.structs.replace(card, metrics=tuple(map(change, card.metrics))), out)
        return str(out)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    folder = tmp_path_factory.mktemp("verify")
    index = made_index(folder, SPLITS)
    films = read_index(index)
    bare, guarded, both, out = (folder / f"{name}.onnx" for name in ("bare", "guarded", "both", "made"))
    make_network(bare)
    learned = films.filter(split="train")
    source = DataSource(
        name="made",
        films=66,
        studies=learned["study"].n_unique(),
        abnormal_films=int(learned["label"].sum()),
        fingerprint=fingerprint(films),
    )
    with_card(bare, msgspec.structs.replace(load_model(bare).card, data=(source,)), bare)
    (folder / "noisy").mkdir()
    for number, grey in enumerate(made_pictures("noise", 5, 3)):
        Image.fromarray(np.uint8(grey * 255)).save(folder / f"noisy/{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("osteon.lab.guard.fit.PICTURES", 5)
        for name in INT8_LIMITS:
            patch.setitem(INT8_LIMITS, name, 1.0)
        guard_file(bare, films, guarded, GuardPlan(aim=0.01, out_of_scope=(str(folder / "noisy"),)))
        quantise_file(str(guarded), index, both, Int8Plan(films=32, report=("valid",)))
    scored = score_index(str(both), index, ["valid"])
    write_predictions(scored, folder / "evaluation" / PREDICTIONS)
    plan = plan_for(scored, Plan(by=("format",), prevalences=(0.1,), resamples=200, seed=3))
    write_metrics(both, [evaluate(scored, plan, folder / "evaluation")], out)
    yield Ready(out, index, folder / "evaluation", folder / "noisy")


def broken(found: Verification) -> list[tuple[str, str]]:
    return [(check.where, check.name) for check in found.checks if not check.holds]


def test_everything_holds_on_the_same_data(ready: Ready) -> None:
    found = ready.verify(parts=("data", "metrics", "INT8", "guard"), out_of_scope=(ready.foreign,))
    assert broken(found) == []
    assert found.holds
    assert found.notes == ()
    assert {check.part for check in found.checks} == {"data", "metrics", "INT8", "guard"}
    assert all(check.difference == pytest.approx(0, abs=1e-6) for check in found.checks if check.difference is not None)
    card = load_model(ready.model).card
    assert card.scope is not None
    told = {check.where for check in found.checks if check.part == "guard"}
    assert {f"guard on {kind}" for kind in ("films of valid", "inverted films of valid", "noise", "slice", "noisy")} <= told
    assert all("left out" in words or "fitted on" in words for words in found.left_out)
    assert {"ppv at 0.1", "auroc, low", "n"} <= {check.name for check in found.checks}


def test_the_plan_is_the_card_s_and_where_it_says_nothing_what_its_figures_show(ready: Ready) -> None:
    card = load_model(ready.model).card
    plan = plan_of(card, "valid")
    assert (plan.by, plan.prevalences, plan.resamples, plan.seed) == (("format",), (0.1,), 200, 3)
    shown = msgspec.structs.replace(card, measured=(), metrics=(*card.metrics, metric("scanner=A")))
    plan = plan_of(shown, "valid")
    assert (plan.by, plan.prevalences, plan.resamples, plan.seed) == (("scanner",), (0.1,), 2000, 0)


def metric(group: str) -> Metric:
    return Metric(split="valid", level="film", group=group, name="auroc", value=0.5)


def test_a_figure_that_was_made_better_is_named(ready: Ready, tmp_path: Path) -> None:
    def better(m: Metric) -> Metric:
        wanted = (m.level, m.group, m.name) == ("film", "all", "auroc")
        return msgspec.structs.replace(m, value=(m.value or 0) + 0.2) if wanted else m

    found = ready.verify(model=ready.with_metric(tmp_path / "better.onnx", better))
    assert broken(found) == [("valid, film, all", "auroc")]
    assert not found.holds


def test_other_films_are_told_and_measured_all_the_same(ready: Ready, tmp_path: Path) -> None:
    films = read_index(ready.index)
    gone = films.filter(split="valid")["path"][0]
    films.filter(pl.col("path") != gone).write_parquet(tmp_path / "index.parquet")
    found = ready.verify(index=tmp_path / "index.parquet", before=ready.evaluation)
    assert ("valid, film, all", "n") in broken(found)
    first, second = found.notes
    assert first.startswith("split 'valid': the index is another than the one that the metrics were measured on: fingerprint ")
    assert second == f"1 films are missing: {gone}"
    assert any(check.name == "auroc" and check.now is not None for check in found.checks)


def test_another_label_and_a_further_film_are_named(ready: Ready, tmp_path: Path) -> None:
    films = read_index(ready.index)
    one, other = films.filter(split="valid")["path"][:2]
    changed = films.with_columns(
        label=pl.when(pl.col("path") == one).then(1 - pl.col("label")).otherwise("label").cast(pl.Int8),
        split=pl.when((pl.col("split") == "tune") & (pl.col("path") == pl.col("path").filter(split="tune").min())).then(pl.lit("valid"))
        .otherwise("split"),
    )  # fmt: skip
    changed.write_parquet(tmp_path / "index.parquet")
    found = ready.verify(index=tmp_path / "index.parquet", before=ready.evaluation)
    told = "\n".join(found.notes)
    assert f"1 films have another label: {one}" in told
    assert "1 films are further ones: tune/" in told
    assert other not in told


def test_a_split_that_the_index_calls_otherwise_is_named(ready: Ready, tmp_path: Path) -> None:
    films = read_index(ready.index)
    films.with_columns(split=pl.col("split").replace("valid", "test")).write_parquet(tmp_path / "index.parquet")
    with pytest.raises(MeasurementError, match=r"metrics of split 'valid', and the index has no split 'valid', only .*--split valid=NAME"):
        ready.verify(index=tmp_path / "index.parquet")
    found = ready.verify(index=tmp_path / "index.parquet", splits={"valid": "test"}, parts=("metrics",))
    assert broken(found) == []
    with pytest.raises(UsageError, match="no metrics of split 'tune', only of valid"):
        ready.verify(splits={"tune": "tune"})


def test_fixed_folds_say_which_films(ready: Ready, tmp_path: Path) -> None:
    films = read_index(ready.index)
    fold = pl.when(pl.col("split") == "valid").then(0).otherwise(1)
    films.with_columns(fold=fold).select("path", "fold").write_csv(tmp_path / "folds.csv")
    films.with_columns(split=pl.lit("")).write_parquet(tmp_path / "index.parquet")
    asked = {"index": tmp_path / "index.parquet", "folds": tmp_path / "folds.csv"}
    found = ready.verify(**asked, splits={"valid": "fold-0"})
    assert broken(found) == []
    assert any("trained on: the index has no split 'train'" in words for words in found.left_out)
    with pytest.raises(MeasurementError, match=r"with folds\.csv its folds too"):
        ready.verify(**asked, splits={"valid": "fold-7"})


def test_a_card_without_metrics_cannot_be_verified(tmp_path: Path, ready: Ready) -> None:
    make_network(tmp_path / "bare.onnx")
    with pytest.raises(MeasurementError, match="carries no metrics"):
        ready.verify(model=str(tmp_path / "bare.onnx"))


def test_facts_in_words_change_no_number(ready: Ready, tmp_path: Path) -> None:
    with_card(ready.model, described(load_model(ready.model).card, b'{"finding": "bars"}'), tmp_path / "told.onnx")
    assert ready.verify(model=str(tmp_path / "told.onnx")).holds


class TestRounding:
    @pytest.fixture
    def material(self, ready: Ready) -> tuple[Card, Predictions, Plan]:
        card = load_model(ready.model).card
        scored = score_index(str(ready.model), ready.index, ["valid"])
        return card, scored, plan_for(scored, plan_of(card, "valid"))

    def test_float32_has_the_tolerance_of_an_export_and_8_bits_their_own_shift(self, ready: Ready) -> None:
        card = load_model(ready.model).card
        assert card.int8 is not None
        assert rounding(card, "float32") == 1e-3
        assert rounding(card, "int8") == max(cost.shift for cost in card.int8.costs)
        exact = msgspec.structs.replace(card.int8, costs=(Int8Cost(split="valid", films=1, changed=0),))
        assert rounding(msgspec.structs.replace(card, int8=exact), "int8") == 1e-3

    def test_scores_of_another_processor_hold_and_other_scores_do_not(self, material: tuple[Card, Predictions, Plan]) -> None:
        card, scored, plan = material
        draw = np.random.default_rng(9)

        def lost(spread: float) -> list[Check]:
            logits = scored.films["logit"].to_numpy() + draw.uniform(-spread, spread, len(scored.films))
            told = pl.Series([card.probability(logit) for logit in logits])
            moved = scored.films.with_columns(logit=pl.Series(logits), probability=told)
            found = metric_checks(card, "valid", Predictions(moved, scored.origin), plan, "float32")
            return [check for check in found if not check.holds and check.name in ("auroc", "brier", "kappa", "average precision")]

        assert lost(1e-3) == []
        assert lost(1.0) != []

    def test_a_figure_that_the_data_no_longer_give_does_not_hold(self, material: tuple[Card, Predictions, Plan]) -> None:
        card, scored, plan = material
        more = msgspec.structs.replace(card, metrics=(*card.metrics, metric("scanner=A")))
        [check] = [c for c in metric_checks(more, "valid", scored, plan, "float32") if not c.holds]
        assert (check.where, check.now) == ("valid, film, scanner=A", None)


@pytest.mark.parametrize(
    ("numbers", "reach", "spread", "holds"),
    [
        ((0.5, 0.5), [0.5], 0.0, True),
        ((0.5, 0.51), [0.51, 0.49], 0.0, True),
        ((0.5, 0.51), [0.51], 0.005, False),
        ((None, 0.5), [0.5, 0.5], 0.1, False),
        ((None, 0.5), [0.5, None], 0.1, True),
        ((None, None), [None], 0.0, True),
        ((0.5, None), [None, 0.49], 0.02, True),
        ((0.5, None), [None], 0.0, False),
    ],
)
def test_a_number_may_be_what_rounding_makes_of_it(
    numbers: tuple[float | None, float | None], reach: list[float | None], spread: float, holds: bool
) -> None:
    assert between("metrics", "valid", "auroc", numbers, reach, spread).holds is holds


def test_a_difference_is_now_less_the_card() -> None:
    assert check("data", "train", "films", (10, 12)).difference == 2
    assert check("data", "train", "films", (10, None)).difference is None


class TestCommand:
    def test_what_holds_ends_with_0(self, ready: Ready, osteon: Typed) -> None:
        osteon.patch.setattr(metrics_module, "DRAWS", 1)
        words = ("verify", ready.model, "--index", ready.index, "--only", "metrics", "--json", "v.json")
        status, out, _ = osteon(*words)
        assert status == 0
        assert "made@1.0.0, read in float32" in out or "made@1.0.0, read in INT8" in out
        assert "numbers hold (a film's logit may differ by" in out
        told = json.loads((osteon.folder / "v.json").read_text())
        assert len(told["checks"]) > 100 and all(check["holds"] for check in told["checks"])
        assert len(told["checks"]) > len(out.splitlines())

    def test_what_does_not_hold_is_shown_and_ends_with_1(self, ready: Ready, osteon: Typed) -> None:
        films = read_index(ready.index)
        films.filter(pl.col("path") != films.filter(split="valid")["path"][0]).write_parquet("index.parquet")
        status, out, _ = osteon("verify", ready.model, "--only", "metrics")
        assert status == 1
        assert "n 66 65 -1 does not hold" in " ".join(out.split())
        found = ready.verify(index=Path("index.parquet"), before=ready.evaluation, parts=("metrics",))
        assert any(note.startswith("1 films are missing: valid/") for note in found.notes)
        assert ", " in out.splitlines()[-1] and "do not" in out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("words", "status", "line"),
        [
            (("--split", "=x"), 64, "--split =x"),
            (("--only", "all"), 64, "a card has data, metrics, INT8, guard"),
            (("--index", "absent.parquet"), 65, "there is no such index"),
            (("--split", "train"), 64, "no metrics of split 'train', only of valid"),
        ],
    )
    def test_what_does_not_do_is_one_clear_line(self, ready: Ready, osteon: Typed, words: tuple[str, ...], status: int, line: str) -> None:
        found, _, error = osteon("verify", ready.model, "--index", ready.index, *words)
        assert found == status
        assert line in error.splitlines()[-1]

    def test_an_unknown_model_names_those_that_there_are(self, osteon: Typed) -> None:
        status, _, error = osteon("verify", "fracture@9.9.9")
        assert status == 65
        assert f"there is no model fracture@9.9.9; the package brings {', '.join(packaged_models())}" in error


def test_measured_travels_in_the_card(ready: Ready) -> None:
    card = load_model(ready.model).card
    told = fingerprint(read_index(ready.index))
    assert card.measured == (Measured(split="valid", fingerprint=told, by=("format",), prevalences=(0.1,), resamples=200, seed=3),)
    assert Card.from_json(card.to_json()) == card
