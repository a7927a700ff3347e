"""The training loop: index -> run folder. Read it from top to bottom.

Killed at any moment it goes on from its checkpoint to the same final weights, bit for bit on the CPU: everything random depends on
(seed, epoch, step) alone, so the position is the random state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from osteon.errors import DivergedTraining
from osteon.lab.evaluation.metrics import ranking
from osteon.lab.progress import Epoch, Progress, Watch
from osteon.lab.training import checkpoint
from osteon.lab.training.augmentation.augment import training_batch
from osteon.lab.training.batches import Draw, TrainingFilms
from osteon.lab.training.compilation import compiled
from osteon.lab.training.distributed import Processes
from osteon.lab.training.losses import film_loss, step_loss
from osteon.lab.training.networks.detector import Detector, TrainingNetwork
from osteon.lab.training.progress import stop_signal
from osteon.lab.training.recipe import FIRST, averaged_with
from osteon.lab.training.run import RunFolder, RunRecord, kept
from osteon.lab.training.schedule import average, optimizer, rate
from osteon.lab.training.start.weight_averaging import Weights, mean
from osteon.lab.training.state import TrainingState, ended, restored_state, time_used

SELECTION_BATCH = 32
SMOOTHING = 0.98  # of the loss that people see


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and left a checkpoint."""


class Training:
    """One training, from its checkpoint to its end."""

    def __init__(self, record: RunRecord, run: RunFolder, processes: Processes, detector: Detector, others: Sequence[Weights] = ()) -> None:
        self.record, self.recipe, self.plan, self.run, self.processes = record, record.recipe, record.plan, run, processes
        self.detector = detector.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = compiled(processes.wrap(TrainingNetwork(self.detector)), self.recipe)
        self.optimizer = optimizer(self.detector, self.recipe)
        self.now: Weights = self.detector.state_dict()  # the tensors themselves, which each step changes
        self.mean = _copy(self.now) if self.recipe.ema else {}
        self.others = [*others, *([_copy(self.now)] if FIRST in averaged_with(self.recipe) else [])]
        self.behind = 0 if processes.device.type == "cpu" else 1  # steps by which a loss is read late, so that a GPU always has one ahead
        self.at, self.began = TrainingState(), time.monotonic()
        if run.checkpoint.exists():
            self._resume()

    def go_on(self, data: TrainingFilms, held: TrainingFilms | None, watch: Watch) -> list[Epoch]:
        """Train until the recipe's epochs, the budget or the patience end.

        Args:
            data: What is learned from.
            held: What checkpoints are selected on; None where the last epoch is to be kept.
            watch: Told of every step.

        Returns:
            A row an epoch.

        Raises:
            DivergedTraining: the loss is no longer a number; the last checkpoint is from before.
            CheckpointError: a checkpoint cannot be written.
            Stopped: Ctrl-C or a termination signal; a checkpoint was left.
        """
        self.began = time.monotonic() - self.at.elapsed
        with stop_signal() as stopping:
            while not ended(self.at, self.record):
                began = time.monotonic()
                films = self._one_epoch(data, watch, stopping)
                self._select(held, films, time.monotonic() - began, watch)
                self._save()
        return self.at.history

    def _one_epoch(self, data: TrainingFilms, watch: Watch, stopping: Callable[[], bool]) -> int:
        order = data.order(self.recipe, self.at.epoch)
        size = min(self.recipe.batch, len(order))
        steps, films, began, saved = len(order) // size, 0, time.monotonic(), time.monotonic()
        unread: list[Tensor] = []  # what the last steps found
        asked = math.inf  # the step in which a process was asked to stop
        while not self._epoch_ended(steps):
            unread.append(self._step(data, order[self.at.step * size : (self.at.step + 1) * size], steps, stopping()))
            self.at.step, self.at.done, films = self.at.step + 1, self.at.done + 1, films + size
            self._clock()
            ended_now, due = self._epoch_ended(steps), time.monotonic() - saved > self.plan.save_every * 60
            asked = min(asked, self._read(unread, 0 if due or ended_now else self.behind))
            # Whichever process has read sooner, in order to save, all end with the same step.
            stop = asked + self.behind <= self.at.step or (ended_now and asked < math.inf)
            if stop:
                self._read(unread, 0)
            if not math.isnan(self.at.shown_loss):
                watch(self._progress(steps, films / (time.monotonic() - began)))
            if stop or due:
                self._save()
                saved = time.monotonic()
            if stop:
                raise Stopped
        return films

    def _epoch_ended(self, steps: int) -> bool:
        return self.at.step >= steps or time_used(self.at, self.plan) >= 1

    def _step(self, data: TrainingFilms, films: NDArray[np.int64], steps: int, stop: bool) -> Tensor:
        """Learn from one batch, without waiting for its end; returns its loss, and how many processes were asked to stop, (2,)."""
        seed = np.random.SeedSequence([self.recipe.seed, self.at.epoch, self.at.step]).generate_state(2)
        torch.manual_seed(int(seed[0]) + self.processes.rank)
        # The numbers of the whole batch are drawn by each process: a film's do not depend on how many processes there are.
        draw = Draw(torch.Generator().manual_seed(int(seed[1])), len(films), self.processes.share(films))
        fraction = self._fraction(steps)
        shown = training_batch(data, films, self.recipe, draw, fraction, self.processes.device)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * rate(self.recipe, fraction, self.at.falls)
        self.network.train()
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            outputs = self.network(shown.image)
        loss = step_loss(outputs, shown, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.recipe.ema:
            average(self.mean, self.now, self.recipe.ema, self.at.done)
        return self.processes.all_reduce(torch.stack([loss.detach().sum() / len(films), loss.new_full((), float(stop))]))

    def _select(self, held: TrainingFilms | None, films: int, seconds: float, watch: Watch) -> None:
        """Measure the epoch on the selection split, keep its weights if they are among the best, and turn to the next epoch."""
        began = time.monotonic()
        loss, area, logits = (None, None, None) if held is None else self._measured(held, watch)
        row = Epoch(
            epoch=self.at.epoch,
            loss=self.at.loss_sum / max(self.at.step, 1),
            select_loss=loss,
            select_auroc=area,
            rate=self.optimizer.param_groups[0]["lr"],
            films_per_second=films / seconds if seconds else 0.0,
            seconds=seconds + time.monotonic() - began,
        )
        earlier = [p.select_loss for p in self.at.history if p.select_loss is not None]
        self.at.falls += loss is not None and bool(earlier) and loss >= min(earlier)
        self.at.history.append(row)
        self.at.epoch, self.at.step, self.at.loss_sum = self.at.epoch + 1, 0, 0.0
        if self.processes.leads:
            self._keep_best(row)
            if held is not None and logits is not None and row in kept(self.at.history, self.record)[:1]:
                self.run.write_selected(held.films, logits)
            self.run.write_history(self.at.history)
        self.at.selection_seconds = self.processes.broadcast(time.monotonic() - began)
        self._clock()
        measured = len(held) if held is not None else 0
        watch(Progress("select", measured, measured, row.epoch, history=tuple(self.at.history)))

    def _measured(self, held: TrainingFilms, watch: Watch) -> tuple[float, float | None, NDArray[np.float64]]:
        """Return the selection split's mean loss, its AUROC, None where one label is missing, and the films' logits."""
        logits, own_loss = self._held_logits(held, watch)
        loss = self.processes.broadcast(own_loss)
        if not math.isfinite(loss):
            raise self._diverged(loss, "selection")
        area, _ = ranking(held.label > 0, logits, np.ones((1, len(logits))))
        return loss, float(area[0]) if np.isfinite(area[0]) else None, logits

    def _held_logits(self, held: TrainingFilms, watch: Watch) -> tuple[NDArray[np.float64], float]:
        own = _copy(self.now)
        self.detector.load_state_dict(self._learned())
        self.detector.eval()
        logits, losses = [], []
        with torch.no_grad():
            for start in range(0, len(held), SELECTION_BATCH):
                batch = held.take(np.arange(start, min(start + SELECTION_BATCH, len(held)))).to(self.processes.device)
                logit, _ = self.detector(batch.image)
                logits.append(logit.double().cpu().numpy())
                losses.append(film_loss(logit, batch).double().cpu().numpy())
                watch(Progress("select", start + len(logit), len(held), self.at.epoch, history=tuple(self.at.history)))
        self.detector.load_state_dict(own)
        return np.concatenate(logits), float(np.concatenate(losses).mean())

    def _keep_best(self, row: Epoch) -> None:
        best = kept(self.at.history, self.record)
        if row in best:
            checkpoint.save({"weights": self._learned()}, self.run.best_file(row.epoch))
        for file in set(self.run.best.glob("*.pt")) - {self.run.best_file(p.epoch) for p in best}:
            file.unlink()

    def _learned(self) -> dict[str, Tensor]:
        """Return the weights that are measured and kept: the averaged ones, if there are any, and their mean with those of others."""
        last = self.mean or self.now
        return mean(last, self.others) if self.others else last

    def _save(self) -> None:
        if self.processes.leads:
            checkpoint.save(
                {
                    "network": self.now,
                    "mean": self.mean,
                    "others": self.others,
                    "optimizer": self.optimizer.state_dict(),
                    "position": msgspec.to_builtins(self.at),
                },
                self.run.checkpoint,
            )

    def _resume(self) -> None:
        content = checkpoint.load(self.run.checkpoint)
        self.detector.load_state_dict(content["network"])
        for key, value in content["mean"].items():
            self.mean[key].copy_(value)
        self.others = content.get("others", [])
        self.optimizer.load_state_dict(content["optimizer"])
        self.at = restored_state(content)

    def _diverged(self, loss: float, where: str) -> DivergedTraining:
        before = f"; {self.run.checkpoint} is from before" if self.run.checkpoint.exists() else ""
        return DivergedTraining(
            f"the loss became {loss} in epoch {self.at.epoch + 1}, {where}. Lower learning_rate with --set and start again in another "
            f"folder{before}."
        )

    def _clock(self) -> None:
        elapsed = time.monotonic() - self.began
        self.at.elapsed = self.processes.broadcast(elapsed) if self.plan.budget else elapsed  # without a budget clocks need not agree

    def _fraction(self, steps: int) -> float:
        if self.plan.budget:
            return min(time_used(self.at, self.plan), 1.0)
        return (self.at.epoch * steps + self.at.step) / (self.recipe.epochs * steps)

    def _read(self, unread: list[Tensor], left: int) -> float:
        """Read what steps found until so many are left; returns the first step in which a process was asked to stop, else infinity."""
        asked = math.inf
        while len(unread) > left:
            step, (loss, stops) = self.at.step - len(unread) + 1, unread.pop(0).tolist()
            if not math.isfinite(loss):
                raise self._diverged(loss, f"step {step}")
            shown = self.at.shown_loss
            self.at.loss_sum += loss
            self.at.shown_loss = loss if math.isnan(shown) else SMOOTHING * shown + (1 - SMOOTHING) * loss
            asked = min(asked, step) if stops else asked
        return asked

    def _progress(self, steps: int, speed: float) -> Progress:
        if self.plan.budget:
            left = max(self.plan.budget * 60 - self.at.elapsed, 0.0)
        else:
            left = ((self.recipe.epochs - self.at.epoch) * steps - self.at.step) * self.recipe.batch / speed
        return Progress("train", self.at.step, steps, self.at.epoch, self.at.shown_loss, speed, left, tuple(self.at.history))


def _copy(weights: Weights) -> Weights:
    return {key: value.clone() for key, value in weights.items()}
