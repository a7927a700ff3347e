"""The curves of a training, and how it is asked to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from osteon.errors import CheckpointError
from osteon.lab.progress import Progress, Watch


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
    """Return a callback that writes TensorBoard curves: the loss of each step, and each epoch on the selection split.

    Each value is in the file at once, so that a killed process loses none; torch's `SummaryWriter` keeps them in a thread, which prints its
    own traceback when the disk is full.

    Raises:
        CheckpointError: they cannot be written (a full disk, say).
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = 0

    def add(step: int, values: dict[str, float]) -> None:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        records.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def write(progress: Progress) -> None:
        nonlocal written
        with _refusing(folder):
            if progress.stage == "train":
                step = progress.epoch * progress.total + progress.done
                add(step, {"train/loss": progress.loss, "train/films_per_second": progress.films_per_second})
            for row in progress.history[written:]:
                values = {"select/loss": row.select_loss, "select/auroc": row.select_auroc}
                if found := {tag: value for tag, value in values.items() if value is not None}:
                    add(row.epoch, found)
                written += 1

    with contextlib.ExitStack() as stack:
        with _refusing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}").open("wb", buffering=0))
            records = RecordWriter(file)
            records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        yield write


@contextlib.contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise CheckpointError(f"{folder}: curves cannot be written ({fault.strerror}). Make room and go on with --resume.") from fault
