"""Progress bars of long commands."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from osteon.lab.progress import Count, Epoch, Progress, Watch


EVERY = 20.0
"""Seconds between two lines in a log, where no terminal shows a bar."""


@contextlib.contextmanager
def progress_bar(titles: Mapping[str, str] | None = None) -> Iterator[Watch]:
    """Show a bar for what is being done, its pace and the time left, and a line for each epoch that has ended.

    Where there are several stages (`titles`, what each is called) or several works (`Progress.part`) a line stands for each that has begun,
    and below it the last word of a finished one. Where standard error is no terminal a line now and then says how far it is, also while a
    work tells nothing.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Bar(*columns, console=console, disable=os.environ.get("RANK", "0") != "0") as bars:  # of torchrun's processes one shows it
        task, title, epochs, said = bars.add_task("", total=None, visible=False, note=""), "", 0, "beginning"

        def show(progress: Progress) -> None:
            nonlocal title, epochs, said
            before, title = title, _title(progress, titles or {})
            if title != before:
                bars.reset(task, description=title, total=None, visible=True, note="")
                if titles or progress.part:
                    console.print(f"{title}{f' ({progress.note})' if progress.note else ''}", markup=False)
            elif progress.note and progress.done == progress.total == 1:
                console.print(f"    {progress.note}", markup=False)
            for row in progress.history[epochs:]:
                console.print(f"    {_epoch(row)}", markup=False)
            epochs = len(progress.history) or (epochs if progress.stage in title else 0)
            left = bars.tasks[0].time_remaining if progress.left is None else progress.left
            note = _note(progress, left)
            said = f"{title}: {progress.done:,} of {progress.total:,}{f'  {note}' if note else ''}"
            bars.update(task, completed=progress.done, total=progress.total, note=note)

        silent = console.is_terminal or bars.disable
        with contextlib.nullcontext() if silent else _logged(lambda line: console.print(line, markup=False), lambda: said):
            yield show


@contextlib.contextmanager
def _logged(write: Callable[[str], object], said: Callable[[], str]) -> Iterator[None]:
    """Write what is said every `EVERY` seconds, with the time since the beginning."""
    began, ended = time.monotonic(), threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            write(f"{said()}  {_clock(time.monotonic() - began)} so far")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def counting_bar(what: str) -> Iterator[Count]:
    """Show the bar of one stage; the function it gives is called with (done, total)."""
    from osteon.lab.progress import counting

    with progress_bar() as watch:
        yield counting(what, watch)


@contextlib.contextmanager
def stopped(advice: str = "The same command goes on where it stopped.") -> Iterator[None]:
    """Let Ctrl-C end a command with one line: what to do to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        typer.echo(f"osteon: stopped. {advice}", err=True)
        raise typer.Exit(130) from stop


def _title(progress: Progress, titles: Mapping[str, str]) -> str:
    if progress.stage in titles:
        return f"{list(titles).index(progress.stage) + 1}/{len(titles)} {titles[progress.stage]}"
    stage = {"prepare": "prepare films", "wait": "wait for the process that makes it"}.get(progress.stage, progress.stage)
    if progress.part:
        return f"{progress.part}: {'train' if stage == 'select' else stage}"
    return f"{stage}, epoch {progress.epoch + 1}" if stage in ("train", "select") else stage


def _epoch(row: Epoch) -> str:
    area = "-" if row.select_auroc is None else f"{row.select_auroc:.3f}"
    held = "" if row.select_loss is None else f"selection loss {row.select_loss:.4f}, AUROC {area}, "
    return f"epoch {row.epoch + 1}: loss {row.loss:.4f}, {held}{row.films_per_second:.1f} films/s"


def _note(progress: Progress, left: float | None) -> str:
    loss = "" if math.isnan(progress.loss) else f"loss {progress.loss:.3f}"
    pace = f"{progress.films_per_second:.1f} films/s" if progress.films_per_second else ""
    return "  ".join(part for part in (progress.note, loss, pace, f"{_clock(left)} left" if left else "") if part)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
