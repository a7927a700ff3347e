"""Progress bars of long commands."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from osteon import lab
    from osteon.lab.training.progress import Progress


@contextlib.contextmanager
def counting_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with the time left; the function it gives is called with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


@contextlib.contextmanager
def bar_of(what: str) -> Iterator[Callable[[lab.Progress], None]]:
    """Show the bar of `counting_bar`; the function it gives takes what the functions of `osteon.lab` tell."""
    with counting_bar(what) as tell:
        yield lambda progress: tell(progress.done, progress.total)


@contextlib.contextmanager
def stages_bar(titles: Mapping[str, str]) -> Iterator[Callable[[str, int, int, str], None]]:
    """Show a bar for the stage that runs, and a line for each that has begun; the last word of a finished one stands below its line.

    The function it gives is called with (stage, done, total, note).
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console) as bars:
        task, shown = bars.add_task("", total=None, note="", visible=False), ""

        def show(stage: str, done: int, total: int, note: str) -> None:
            nonlocal shown
            title = f"{list(titles).index(stage) + 1}/{len(titles)} {titles[stage]}"
            if stage != shown:
                shown = stage
                bars.reset(task, description=title, total=None, note="", visible=True)
                console.print(f"{title}{f' ({note})' if note else ''}", markup=False)
            elif done == total == 1 and note:  # the stage's last word
                console.print(f"    {note}", markup=False)
            bars.update(task, completed=done, total=total, note=note)

        yield show


@contextlib.contextmanager
def stopped(advice: str = "The same command goes on where it stopped.") -> Iterator[None]:
    """Let Ctrl-C end a command with one line: what to do to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        typer.echo(f"osteon: stopped. {advice}", err=True)
        raise typer.Exit(130) from stop


@contextlib.contextmanager
def training_bar() -> Iterator[Callable[[Progress], None]]:
    """Show a training: the epoch, its loss, films a second, the time left of all epochs, and a line for each epoch that has ended."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Bar(*columns, console=console, disable=os.environ.get("RANK", "0") != "0") as bar:  # of torchrun's processes one shows it
        task = bar.add_task("start", total=None, note="")
        told = 0

        def show(progress: Progress) -> None:
            nonlocal told
            for row in progress.history[told:]:
                area = "-" if row.select_auroc is None else f"{row.select_auroc:.3f}"
                held = "" if row.select_loss is None else f"selection loss {row.select_loss:.4f}, AUROC {area}, "
                console.print(f"epoch {row.epoch + 1}: loss {row.loss:.4f}, {held}{row.films_per_second:.1f} films/s")
                told += 1
            note = "" if progress.stage != "train" else _note(progress)
            bar.update(task, description=_stage(progress), completed=progress.done, total=progress.total, note=note)

        yield show


def _stage(progress: Progress) -> str:
    return "prepare films" if progress.stage == "prepare" else f"{progress.stage}, epoch {progress.epoch + 1}"


def _note(progress: Progress) -> str:
    minutes, seconds = divmod(int(progress.left), 60)
    return f"loss {progress.loss:.3f}  {progress.films_per_second:.1f} films/s  {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
