"""Sub-command: verify."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.lab.verification.check import Check, Part
    from osteon.lab.verification.verify import Verification, Watch

PARTS: tuple[Part, ...] = ("data", "figures", "8 bits", "guard")
"""What a card has numbers of."""

COUNTS = frozenset(("n", "films", "studies", "abnormal", "changed", "boxed", "pointed", "lost", "again", "refused"))
"""Numbers that are shown without a fraction."""


@app.command()
def verify(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="a file, or name@version; default: the package's newest")] = None,
    index: Annotated[Path, typer.Option("--index", help="index.parquet with the films that the card's figures are of")] = Path(
        "index.parquet"
    ),
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="NAME|NAME=OTHER", help="a split of the card; =OTHER: what the index calls it. Default: all"),
    ] = None,
    folds: Annotated[
        Path | None,
        typer.Option(
            help="file of fixed folds (CSV path,fold), which may then be named: --split valid=fold-0", exists=True, dir_okay=False
        ),
    ] = None,
    foreign: Annotated[
        list[Path] | None,
        typer.Option("--foreign", exists=True, file_okay=False, help="folder of pictures that the guard was measured on, by its name"),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="folder of the evaluation in the card, to name films that are missing or further")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="data|figures|8 bits|guard", help="verify this alone; the guard takes longest")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="show every number, not the main ones and what does not hold")] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write every number")] = None,
) -> None:
    """Measure every figure of a model's card again from the data, and say whether it holds.

    The same split, plan, resamples and precision; a figure may differ by what
    another processor's rounding does to it. The exit status is 1 where
    something does not hold.
    """
    from osteon.atomic import write_json
    from osteon.lab.verification.verify import Request, verify

    request = Request(
        model=model,
        index=index,
        splits=_splits(split or ()),
        folds=folds,
        foreign=tuple(foreign or ()),
        before=predictions,
        parts=_parts(only or PARTS),
    )
    with _bar() as watch:
        found = verify(request, watch)
    if json is not None:
        write_json(found, json)
    _show(found, every)
    if not found.holds:
        raise typer.Exit(1)


def _parts(words: Iterable[str]) -> tuple[Part, ...]:
    found = {part: part for part in PARTS}
    if strange := [word for word in words if word not in found]:
        raise UsageError(f"--only {strange[0]!r}: a card has {', '.join(PARTS)}.")
    return tuple(found[word] for word in found if word in words)


def _splits(words: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in words:
        mine, equals, theirs = word.partition("=")
        if not mine or (equals and not theirs):
            raise UsageError(f"--split {word}: write the card's name of the split, or NAME=OTHER with what the index calls it.")
        found[mine] = theirs or mine
    return found


@contextlib.contextmanager
def _bar() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("open", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _show(found: Verification, every: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from osteon.cli.prediction_table import WIDE

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)
    console.print(Text(f"{found.model}, read in {'8 bits' if found.precision == 'int8' else 'float32'}", "bold"))
    table = Table("", "", "card", "now", "difference", "", box=None, pad_edge=False)
    for check in found.checks:
        if every or not check.holds or _main(check):
            numbers = (_number(check, value) for value in (check.card, check.now))
            told = "" if check.difference is None else f"{'+' if check.difference >= 0 else ''}{_number(check, check.difference)}"
            verdict = "holds" if check.holds else f"does not hold{_within(check)}"
            table.add_row(check.where, check.name, *numbers, told, verdict, style="" if check.holds else "red")
    console.print(table)
    for word, notes in (("note", found.notes), ("not measured again", found.left_out)):
        for note in notes:
            console.print(Text(f"{word}: {note}", "yellow"))
    broken = sum(not check.holds for check in found.checks)
    verdict = f"{len(found.checks) - broken:,} of {len(found.checks):,} numbers hold"
    how = f"a film's logit may differ by {found.rounding:.2g} between processors; a figure holds within what that does to it"
    console.print(Text(f"{verdict}{'' if broken == 0 else f', {broken:,} do not'} ({how})", "bold" if broken == 0 else "bold red"))


def _main(check: Check) -> bool:
    """Whether a person wants to see it though it holds."""
    return check.part != "figures" or (check.where.endswith(", film, all") and ", low" not in check.name and ", high" not in check.name)


def _within(check: Check) -> str:
    if check.low is None or check.high is None:
        return ""
    if check.low == check.high:
        return f": {_number(check, check.low)} would"
    return f": {_number(check, check.low)} to {_number(check, check.high)} would"


def _number(check: Check, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if check.name in COUNTS else f"{value:.4f}"
