"""The loop in this process: the same bits after any stop, the best kept, the rate and the end as the recipe says, no number no training."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from made_index import made_index
from osteon.errors import CheckpointError, DivergedTraining, UsageError
from osteon.lab.data.index import read_index
from osteon.lab.data.store import open_store
from osteon.lab.progress import Epoch, Progress, Watch
from osteon.lab.training import checkpoint
from osteon.lab.training.batches import TrainingFilms
from osteon.lab.training.distributed import Processes
from osteon.lab.training.loop import Stopped, Training
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import OSTEON, Recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord, kept, ranked
from osteon.lab.training.schedule import rate
from osteon.lab.training.start.weight_averaging import load_averaged
from osteon.lab.training.state import TrainingState, ended, saved_state, time_used
from tiny_training import full_disk, one_thread, same_bits, tiny, weights

ALONE = Processes(0, 1, torch.device("cpu"))
FILMS = {"train": 12, "tune": 6}


@dataclass(frozen=True, slots=True)
class Made:
    """Films to train and select on, and where runs go."""

    folder: Path
    films: Callable[[Recipe, str], TrainingFilms]

    def training(self, run: str, recipe: Recipe, **plan: object) -> Training:
        """A training from the first weights, or from the run's checkpoint."""
        record = RunRecord(recipe=recipe, plan=Plan(index="", **plan), weights="random")  # type: ignore[arg-type]
        folder = RunFolder(self.folder / run)
        if not folder.record_file.exists():
            folder.start(record)
        torch.manual_seed(recipe.seed)
        return Training(record, folder, ALONE, Detector(recipe), load_averaged(recipe)[0])

    def train(self, run: str, recipe: Recipe, watch: Watch = lambda _: None, **plan: object) -> Training:
        """A training that was taken to its end."""
        training = self.training(run, recipe, **plan)
        training.go_on(self.films(recipe, "train"), self.films(recipe, "tune"), watch)
        return training


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("loop")
    table = read_index(made_index(folder, FILMS))

    def films(recipe: Recipe, split: str) -> TrainingFilms:
        store = open_store(table.filter(split=split), recipe.frame, folder=folder / "stores")
        return TrainingFilms(store, recipe, store.films)

    with one_thread():
        yield Made(folder, films)


@pytest.fixture(scope="module")
def whole(made: Made) -> Training:
    """A training that nothing interrupted."""
    return made.train("whole", tiny())


@pytest.fixture(scope="module")
def learned(whole: Training) -> dict[str, Tensor]:
    """What that training learned."""
    return weights(whole.run.folder)


class Killed(BaseException):
    """What stands for the end of a process: nothing handles it."""


def killing(moment: int) -> Watch:
    """Vanish at the so-many-th word about a training."""
    heard = 0

    def watch(_: Progress) -> None:
        nonlocal heard
        heard += 1
        if heard == moment:
            raise Killed

    return watch


def killed_at(made: Made, run: str, moment: int, recipe: Recipe | None = None, **plan: object) -> None:
    """Train until the so-many-th word about the training, and vanish there."""
    with pytest.raises(Killed):
        made.train(run, recipe or tiny(), killing(moment), **plan)


# The same bits


@pytest.mark.parametrize(
    ("save_every", "moments"), [(0.0, (2, 3)), (5.0, (2, 7))], ids=["a checkpoint each step", "a checkpoint each epoch"]
)
def test_a_training_killed_again_and_again_comes_to_the_same_bits(
    made: Made, whole: Training, learned: dict[str, Tensor], save_every: float, moments: tuple[int, ...]
) -> None:
    run = f"killed {save_every}"
    for moment in moments:
        killed_at(made, run, moment, save_every=save_every)
    made.train(run, tiny())
    assert same_bits(weights(made.folder / run), learned)
    assert curve(RunFolder(made.folder / run).history()) == curve(whole.run.history())


AUGMENTED = ("cut=0.4", "blur=0.5", "collimate=0.5")


def test_films_in_windows_and_mixed_ones_come_to_the_same_bits(made: Made) -> None:
    recipe = tiny("window=0.5", *(f"augmentation.{change}" for change in AUGMENTED))
    once = made.train("augmented", recipe)
    for moment in (3, 4):
        killed_at(made, "augmented and killed", moment, recipe, save_every=0.0)
    made.train("augmented and killed", recipe)
    assert same_bits(weights(made.folder / "augmented and killed"), weights(once.run.folder))


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_the_average_with_others_is_kept_and_survives_a_stop(made: Made, ema: float) -> None:
    plain = tiny(f"ema={ema}")
    first = {key: value.clone() for key, value in made.training(f"first {ema}", plain).detector.state_dict().items()}
    alone = made.train(f"alone {ema}", plain)
    averaged = tiny(f"ema={ema}", f"average_with=first, {alone.run.folder}")
    once = made.train(f"averaged {ema}", averaged)
    for moment in (3, 4):
        killed_at(made, f"averaged and killed {ema}", moment, averaged, save_every=0.0)
    again = made.train(f"averaged and killed {ema}", averaged)
    learned, kept, killed = (
        checkpoint.load(trained.run.best_file(ranked(alone.at.history, plain)[0].epoch))["weights"] for trained in (alone, once, again)
    )
    for key, value in kept.items():
        expected = (2 * learned[key] + first[key]) / 3 if value.is_floating_point() else learned[key]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(value, killed[key])


@pytest.mark.parametrize("name", ["imagenet", "packaged", "nowhere"])
def test_only_a_training_can_be_averaged_with(name: str) -> None:
    with pytest.raises(UsageError, match=f"average_with: {name} is not the folder of a training"):
        load_averaged(tiny(f"average_with={name}"))


def test_a_training_of_another_network_cannot_be_averaged_with(whole: Training) -> None:
    with pytest.raises(UsageError, match=r"has another .*network"):
        load_averaged(tiny("network=lite2", f"average_with={whole.run.folder}"))


def test_films_are_seen_through_windows_at_first_and_selected_whole(made: Made) -> None:
    recipe, sides, selected = tiny("window=0.5", "epochs=3"), [], []
    training = made.training("in windows", recipe)

    def note(network: nn.Module, given: tuple[Tensor, ...]) -> None:
        (sides if network.training else selected).append(given[0].shape[-1])

    training.detector.backbone.register_forward_pre_hook(note)
    training.go_on(made.films(recipe, "train"), made.films(recipe, "tune"), lambda _: None)
    assert sides == [32] * 8 + [64] * 4 and set(selected) == {64}


def test_two_seeds_differ(made: Made, learned: dict[str, Tensor]) -> None:
    killed_at(made, "seed 1", 3, tiny("seed=1"), save_every=0.0)
    after = checkpoint.load(made.folder / "seed 1" / "checkpoint.pt")["network"]
    assert not torch.equal(after["head.cell.weight"], learned["network head.cell.weight"])


def curve(history: list[Epoch]) -> list[tuple[object, ...]]:
    return [(p.epoch, p.loss, p.select_loss, p.select_auroc, p.rate) for p in history]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_of_the_step_it_came_in(made: Made, number: signal.Signals) -> None:
    def watch(progress: Progress) -> None:
        if progress.stage == "train" and progress.done == 1:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(Stopped):
        made.train(f"signal {number}", tiny(), watch)
    assert signal.getsignal(number) is before
    kept = saved_state(RunFolder(made.folder / f"signal {number}"))
    assert (kept.epoch, kept.step, kept.done) == (0, 2, 2)


def test_losses_read_late_change_nothing(made: Made, learned: dict[str, Tensor], whole: Training) -> None:
    """As on a GPU: the next step is told to begin before the last one's loss is asked for."""
    told: list[Progress] = []

    def late(run: str, watch: Watch, **plan: object) -> Training:
        training = made.training(run, tiny(), **plan)
        training.behind = 1
        training.go_on(made.films(tiny(), "train"), made.films(tiny(), "tune"), watch)
        return training

    training = late("late", told.append)
    assert same_bits(weights(training.run.folder), learned) and curve(training.at.history) == curve(whole.at.history)
    steps = [(p.epoch, p.done) for p in told if p.stage == "train"]
    assert steps == [(epoch, step) for epoch in range(2) for step in range(1, 5)][1:]  # at the first nothing is known yet

    def watch(progress: Progress) -> None:
        if progress.stage == "train" and progress.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    for minutes in (5.0, 0.0):  # also who reads sooner, in order to save, ends with the same step: processes do not wait for each other
        with pytest.raises(Stopped):
            late(f"late and stopped {minutes}", watch, save_every=minutes)
        kept = saved_state(RunFolder(made.folder / f"late and stopped {minutes}"))
        assert (kept.epoch, kept.step, kept.done) == (0, 4, 4)  # heard in the third step, read when the fourth was under way
        assert same_bits(weights(made.train(f"late and stopped {minutes}", tiny()).run.folder), learned)
    with pytest.raises(Killed):
        late("late and killed", killing(6), save_every=0.0)
    assert same_bits(weights(made.train("late and killed", tiny()).run.folder), learned)


def test_a_loss_that_is_read_late_and_is_no_number_is_kept_nowhere(made: Made) -> None:
    recipe = tiny("learning_rate=1e30", "head_learning_rate=1e30")
    training = made.training("diverged late", recipe, save_every=0.0)
    training.behind = 1
    with pytest.raises(DivergedTraining, match=r"epoch 1, step \d"):
        training.go_on(made.films(recipe, "train"), None, lambda _: None)
    kept = checkpoint.load(made.folder / "diverged late" / "checkpoint.pt")["position"]
    assert math.isfinite(kept["loss_sum"]) and math.isfinite(kept["shown_loss"])


def test_a_full_disk_leaves_the_last_checkpoint(made: Made, learned: dict[str, Tensor]) -> None:
    killed_at(made, "full", 7)  # in the second pass
    run = RunFolder(made.folder / "full")
    before = run.checkpoint.read_bytes()
    with full_disk(1_000_000), pytest.raises(CheckpointError, match="File too large"):
        made.train("full", tiny(), save_every=0.0)
    assert run.checkpoint.read_bytes() == before
    assert not list(run.folder.rglob("*.part*"))
    made.train("full", tiny())
    assert same_bits(weights(run.folder), learned)


# What is kept


def test_the_best_epochs_are_kept_and_no_others(made: Made) -> None:
    recipe = tiny("epochs=4", "keep=2", "learning_rate=0.01", "head_learning_rate=0.01", "select_by=loss", "ema=0")
    seen: list[set[str]] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "train":
            seen.append({file.name for file in (made.folder / "keep" / "best").iterdir()})

    training = made.train("keep", recipe, watch)
    history = training.run.history()
    assert len(history) == 4
    best = sorted(range(4), key=lambda i: history[i].select_loss)[:2]
    assert {file.name for file in training.run.best.iterdir()} == {f"epoch-{epoch:03d}.pt" for epoch in best}
    assert max(len(names) for names in seen) == 2
    assert [p.epoch for p in ranked(history, recipe)][:2] == best


def test_kept_weights_are_those_of_their_epoch(made: Made, whole: Training) -> None:
    kept: list[bytes] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "train" and len(progress.history) == 1:
            kept.append(RunFolder(made.folder / "copied").best_file(0).read_bytes())

    first, second = (made.train("copied", tiny(), watch).run.best_file(epoch).read_bytes() for epoch in range(2))
    assert len(kept) == 4 and set(kept) == {first}  # what came after did not reach them
    assert first != second


def test_kept_weights_are_the_averaged_ones(made: Made, whole: Training) -> None:
    kept = checkpoint.load(whole.run.best_file(1))["weights"]
    state = checkpoint.load(whole.run.checkpoint)
    assert same_bits(kept, state["mean"]) and not same_bits(kept, state["network"])
    plain = made.train("no average", tiny("epochs=1", "ema=0"))
    assert same_bits(checkpoint.load(plain.run.best_file(0))["weights"], plain.detector.state_dict())


def test_an_epoch_s_row_says_what_the_kept_weights_say(made: Made, whole: Training) -> None:
    recipe, held = whole.recipe, made.films(whole.recipe, "tune")
    for row in whole.run.history():
        network = Detector(recipe)
        network.load_state_dict(checkpoint.load(whole.run.best_file(row.epoch))["weights"])
        with torch.no_grad():
            logit, _ = network.eval()(torch.from_numpy(np.array(held.pixels)))
        probability = 1 / (1 + np.exp(-logit.double().numpy()))
        entropy = -np.where(held.label > 0, np.log(probability), np.log1p(-probability))
        assert row.select_loss == pytest.approx(entropy.mean(), rel=1e-4)
        assert row.select_auroc == pytest.approx(roc_auc_score(held.label, logit.numpy()))
        assert row.films_per_second > 0 and row.seconds > 0


def test_a_row_s_loss_is_the_mean_of_its_steps(made: Made) -> None:
    losses: list[float] = []

    class Telling(Training):
        def _read(self, unread: list[Tensor], left: int) -> float:
            losses.extend(float(told[0]) for told in unread[: len(unread) - left])
            return Training._read(self, unread, left)

    recipe = tiny("epochs=1")
    training = made.training("mean loss", recipe)
    telling = Telling(training.record, training.run, ALONE, Detector(recipe))
    [row] = telling.go_on(made.films(recipe, "train"), made.films(recipe, "tune"), lambda _: None)
    assert len(losses) == 4 and row.loss == pytest.approx(np.mean(losses))


# Without a selection split


def without_selection(made: Made, run: str, watch: Watch = lambda _: None) -> Training:
    """A training that learned from all its films and chose on none."""
    recipe = tiny("epochs=3")
    training = made.training(run, recipe, select="", save_every=0.0)
    training.go_on(made.films(recipe, "train"), None, watch)
    return training


@pytest.fixture(scope="module")
def unselected(made: Made) -> tuple[Training, list[Progress]]:
    """Such a training that nothing interrupted, and what it told."""
    told: list[Progress] = []
    return without_selection(made, "no selection", told.append), told


def test_without_a_selection_split_the_last_epoch_is_kept(unselected: tuple[Training, list[Progress]]) -> None:
    training, told = unselected
    history = training.run.history()
    assert [(p.epoch, p.select_loss, p.select_auroc) for p in history] == [(epoch, None, None) for epoch in range(3)]
    assert all(math.isfinite(p.loss) and p.films_per_second > 0 and p.seconds > 0 for p in history)
    assert [p.epoch for p in kept(history, training.record)] == [2]
    [file] = training.run.best.iterdir()
    assert file == training.run.best_file(2)
    assert same_bits(checkpoint.load(file)["weights"], checkpoint.load(training.run.checkpoint)["mean"])
    assert [(p.stage, p.done, len(p.history)) for p in told if p.stage != "train"] == [("select", 0, epochs) for epochs in (1, 2, 3)]


def test_it_learns_as_one_that_selects(made: Made, learned: dict[str, Tensor]) -> None:
    recipe = tiny()
    training = made.training("chosen on nothing", recipe, select="")
    training.go_on(made.films(recipe, "train"), None, lambda _: None)
    same = {key: value for key, value in learned.items() if not key.startswith("epoch-000")}
    assert same_bits(weights(training.run.folder), same)


def test_killed_without_a_selection_split_it_comes_to_the_same_bits(made: Made, unselected: tuple[Training, list[Progress]]) -> None:
    whole, _ = unselected

    def dying(moment: int) -> Watch:
        heard = iter(range(1, 100))

        def watch(_: Progress) -> None:
            if next(heard) == moment:
                raise Killed

        return watch

    for moment in (2, 5):  # the words of an epoch are its four steps and its end
        with pytest.raises(Killed):
            without_selection(made, "not selected, killed", dying(moment))
    killed = without_selection(made, "not selected, killed")
    assert same_bits(weights(killed.run.folder), weights(whole.run.folder))
    assert curve(killed.run.history()) == curve(whole.run.history())


def test_without_a_selection_split_the_epochs_alone_end_a_training() -> None:
    recipe = msgspec.structs.replace(OSTEON, epochs=3, keep=2)
    record = RunRecord(recipe=recipe, plan=Plan(index="", select=""), weights="")
    history = [an_epoch(epoch, None, None) for epoch in range(3)]
    assert [ended(TrainingState(history=history[:epochs]), record) for epochs in range(4)] == [False, False, False, True]
    for by in ("loss", "auroc"):
        assert [p.epoch for p in ranked(history, msgspec.structs.replace(recipe, select_by=by))] == [2, 1, 0]
    selected = [an_epoch(epoch, loss) for epoch, loss in enumerate((3.0, 1.0, 2.0))]
    by_loss = msgspec.structs.replace(record, recipe=msgspec.structs.replace(recipe, select_by="loss"), plan=Plan(index=""))
    assert [p.epoch for p in kept(selected, by_loss)] == [1, 2]


# The rate and the end


def test_the_rate_of_each_step_is_the_schedule_s(made: Made) -> None:
    recipe = tiny("epochs=2", "warmup=0.25")
    rates: list[list[float]] = []
    training = made.training("rates", recipe)

    def watch(progress: Progress) -> None:
        if progress.stage == "train":
            rates.append([group["lr"] for group in training.optimizer.param_groups])

    training.go_on(made.films(recipe, "train"), made.films(recipe, "tune"), watch)
    bases = {recipe.learning_rate, recipe.head_learning_rate}
    assert len(rates) == 8
    for step, told in enumerate(rates):
        assert sorted(set(told)) == pytest.approx(sorted({base * rate(recipe, step / 8, 0) for base in bases}))


def test_the_plateau_lowers_the_rate_after_each_epoch_that_did_not_help(made: Made) -> None:
    recipe = tiny("epochs=4", "schedule=plateau", "learning_rate=0.1", "head_learning_rate=0.1", "ema=0")
    training = made.train("plateau", recipe)
    history = training.run.history()
    falls = 0
    for i, row in enumerate(history):
        assert row.rate == pytest.approx(0.1 * 0.1**falls)
        falls += i > 0 and row.select_loss >= min(p.select_loss for p in history[:i])
    assert training.at.falls == falls > 0


def an_epoch(epoch: int, loss: float | None, auroc: float | None = 0.5) -> Epoch:
    return Epoch(epoch=epoch, loss=1, select_loss=loss, select_auroc=auroc, rate=1, films_per_second=1, seconds=1)


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ([], 2, False),
        ([3, 2, 1], 2, False),
        ([1, 2], 2, False),
        ([1, 2, 2], 2, True),
        ([1, 1, 1], 2, True),  # no fall is no fall
        ([2, 3, 1, 2], 2, False),
        ([1, 2, 3, 4, 5], 0, False),  # no patience is endless patience
        ([9, 8, 7, 6, 5, 4], 2, True),  # six epochs were asked for
    ],
)
def test_when_a_training_ends(losses: list[float], patience: int, over: bool) -> None:
    recipe = msgspec.structs.replace(OSTEON, epochs=6, patience=patience)
    record = RunRecord(recipe=recipe, plan=Plan(index=""), weights="")
    assert ended(TrainingState(history=[an_epoch(i, loss) for i, loss in enumerate(losses)]), record) is over


def test_impatience_ends_a_training(made: Made) -> None:
    recipe = tiny("epochs=9", "patience=1", "schedule=plateau", "learning_rate=0.02", "head_learning_rate=0.02", "ema=0")
    history = made.train("patience", recipe).run.history()
    assert 1 < len(history) < 9
    losses = [p.select_loss for p in history]
    assert losses[:-1] == sorted(losses[:-1], reverse=True) and losses[-1] >= losses[-2]


def test_epochs_are_ranked_by_what_the_recipe_selects_by() -> None:
    history = [an_epoch(0, 0.5, 0.7), an_epoch(1, 0.4, None), an_epoch(2, 0.3, 0.7), an_epoch(3, 0.9, 0.8)]
    by_loss, by_area = (ranked(history, msgspec.structs.replace(OSTEON, select_by=by)) for by in ("loss", "auroc"))
    assert [p.epoch for p in by_loss] == [2, 1, 0, 3]
    assert [p.epoch for p in by_area] == [3, 2, 0, 1]


def test_a_budget_ends_the_schedule_in_time(made: Made) -> None:
    recipe, budget = tiny(), 0.05
    steps: list[tuple[float, float]] = []
    training = made.training("budget", recipe, budget=budget)
    data, held = made.films(recipe, "train"), made.films(recipe, "tune")

    def watch(progress: Progress) -> None:
        if progress.stage == "train":
            steps.append((time.monotonic() - began, training.optimizer.param_groups[0]["lr"] / training.optimizer.param_groups[0]["base"]))

    began = time.monotonic()
    history = training.go_on(data, held, watch)
    spent = time.monotonic() - began
    longest = max(b[0] - a[0] for a, b in pairwise(steps))
    assert len(history) >= 1 and ended(training.at, training.record)
    assert training.at.elapsed < budget * 60 + longest + training.at.selection_seconds
    assert spent - training.at.elapsed < 0.5 + training.at.selection_seconds  # the last checkpoint, which is no part of the schedule
    rates = [r for _, r in steps]
    # It may rise by a little where a selection took less time than the one before it, on a busy machine.
    assert all(after <= before + 0.1 for before, after in pairwise(rates[1:])) and rates[0] > 0.9 and rates[-1] < 0.5
    last_step = 1 - (steps[-1][0] - steps[-2][0] + training.at.selection_seconds * 2) / (budget * 60)
    assert rates[-1] <= rate(recipe, max(last_step, 0), 0) + 1e-6


def test_the_time_that_a_selection_takes_is_left_for_it() -> None:
    plan = Plan(index="", budget=1.0)
    assert time_used(TrainingState(elapsed=30, selection_seconds=20), plan) == pytest.approx((30 + 21) / 60)
    record = RunRecord(recipe=OSTEON, plan=plan, weights="")
    history = [an_epoch(0, 1.0)]
    assert not ended(TrainingState(elapsed=38, selection_seconds=20, history=history), record)
    assert ended(TrainingState(elapsed=40, selection_seconds=20, history=history), record)
    assert not ended(TrainingState(elapsed=99), record)  # a training without one selection is none


# No number


def test_a_loss_that_is_no_number_ends_the_training(made: Made) -> None:
    with pytest.raises(DivergedTraining, match=r"epoch 1, step \d.*Lower learning_rate.*checkpoint\.pt is from before"):
        made.train("diverged", tiny("learning_rate=1e30", "head_learning_rate=1e30"), save_every=0.0)
    kept = saved_state(RunFolder(made.folder / "diverged"))
    assert kept.done >= 1 and math.isfinite(kept.loss_sum)


def test_without_a_checkpoint_none_is_spoken_of(made: Made) -> None:
    with pytest.raises(DivergedTraining) as told:
        made.train("diverged at once", tiny("learning_rate=1e30", "head_learning_rate=1e30"))
    assert "checkpoint" not in str(told.value) and not (made.folder / "diverged at once" / "checkpoint.pt").exists()


def test_so_does_a_selection_that_is_no_number(made: Made) -> None:
    # One step an epoch: its loss was still a number.
    with pytest.raises(DivergedTraining, match="epoch 1, selection"):
        made.train("diverged selection", tiny("batch=64", "learning_rate=1e30", "head_learning_rate=1e30"))
    assert RunFolder(made.folder / "diverged selection").history() == []


# The rest


def test_one_class_in_the_selection_has_no_auroc(made: Made, tmp_path: Path) -> None:
    recipe = tiny("epochs=1")
    held = made.films(recipe, "tune")
    held.label[:] = 0
    training = made.training("one class", recipe)
    [row] = training.go_on(made.films(recipe, "train"), held, lambda _: None)
    assert row.select_auroc is None and math.isfinite(row.select_loss)


def test_bfloat16_trains_to_about_the_same(made: Made, whole: Training) -> None:
    killed_at(made, "bfloat16", 6, tiny("precision=bfloat16"))  # after its first pass
    exact, [rough] = whole.run.history()[0], RunFolder(made.folder / "bfloat16").history()
    assert rough.loss != exact.loss and rough.loss == pytest.approx(exact.loss, rel=0.05)


def test_the_paper_s_recipe_trains(made: Made) -> None:
    changes = ["network=densenet121", "frame.aspect=pad", "epochs=1", "freeze=3"]  # three of four dense blocks, to be quick
    training = made.train("paper", tiny(*changes, name="paper"))
    [row] = training.run.history()
    assert math.isfinite(row.loss) and row.rate == pytest.approx(1e-4)


def test_progress_is_told(made: Made) -> None:
    told: list[Progress] = []
    made.train("told", tiny(), told.append)
    train = [p for p in told if p.stage == "train"]
    assert [(p.epoch, p.done, p.total) for p in train] == [(epoch, step, 4) for epoch in range(2) for step in range(1, 5)]
    assert all(p.films_per_second > 0 and p.left >= 0 and math.isfinite(p.loss) for p in train)
    assert train[-1].left == 0 and len(train[-1].history) == 1
    assert [(p.done, p.total) for p in told if p.stage == "select"] == [(6, 6)] * 4
    assert len(told[-1].history) == 2  # the last epoch's row is told as well
