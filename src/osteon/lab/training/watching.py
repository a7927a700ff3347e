"""What a training tells those who watch it, and how it is asked to stop."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from osteon.lab.training.run import Pass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step: `stage` is "prepare", "train" or "select"; `loss` is smoothed over some fifty steps; `left` is in seconds."""

    stage: str
    done: int
    total: int
    epoch: int = 0
    loss: float = math.nan
    films_per_second: float = 0.0
    left: float = 0.0
    history: tuple[Pass, ...] = ()


Watch = Callable[[Progress], None]


@contextlib.contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and a termination signal into a question that the loop asks between two steps."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may listen to signals
        yield asked.is_set
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def curves(folder: Path) -> Iterator[Watch]:
    """Write what is watched as TensorBoard curves: the loss of each step, and each pass on the selection split."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        written = 0

        def write(progress: Progress) -> None:
            nonlocal written
            if progress.stage == "train":
                step = progress.epoch * progress.total + progress.done
                writer.add_scalar("train/loss", progress.loss, step)
                writer.add_scalar("train/films_per_second", progress.films_per_second, step)
            for row in progress.history[written:]:
                writer.add_scalar("select/loss", row.select_loss, row.epoch)
                if row.select_auroc is not None:
                    writer.add_scalar("select/auroc", row.select_auroc, row.epoch)
                written += 1

        yield write
