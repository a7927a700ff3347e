"""Sub-command: bench."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.lab.bench.record import Bench, Figure

WIDE = 240
"""Characters of a row where no person looks: it stays one line."""


class Part(StrEnum):
    """What can be measured."""

    PREDICTION = "prediction"
    START_UP = "start-up"
    FOLDER = "folder"
    DECODE = "decode"
    STORE = "store"
    INDEX = "index"
    TRAINING = "training"


@app.command()
def bench(
    only: Annotated[list[Part] | None, typer.Option("--only", help="Measure this part; may be given more than once. Default: all.")] = None,
    model: Annotated[str, typer.Option(metavar="FILE|NAME@VERSION", help="The model that predicts; default: the packaged one.")] = "",
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, with what the machine is.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A glance: few repetitions, seconds in the place of minutes.")] = False,
) -> None:
    """Say how fast this machine predicts, starts, decodes, indexes and trains, and how close that is to its limits.

    The limits are measured first: arithmetic in float32 and in INT8, memory,
    storage. A ratio says how many times the limit something takes. Films are
    made; nothing of yours is read. Let nothing else run meanwhile.

    Index, store and training need what osteon[lab] installs.
    """
    from osteon.lab.bench.record import PARTS
    from osteon.lab.bench.run import run_bench
    from osteon.lab.bench.setting import QUICK, Effort

    if json is not None and not json.absolute().parent.is_dir():
        raise UsageError(f"{json}: its folder does not exist. Make it first.")
    parts = tuple(part for part in PARTS if not only or part in only)
    found = run_bench(model, parts, QUICK if quick else Effort(), lambda part: typer.echo(f"measuring {part} ...", err=True))
    _show(found)
    if json is not None:
        _write(json, found)


def _show(found: Bench) -> None:
    from rich.console import Console
    from rich.table import Table

    peaks = found.limits
    print(f"{found.machine.in_words()}; load {found.machine.load:.1f} at the start")
    print(f"limits: float32 {peaks.float32_gops:.0f} and INT8 {peaks.int8_gops:.0f} Gop/s, ", end="")
    print(f"memory {peaks.memory_gbs:.1f} GB/s, storage {_or_nothing(peaks.storage_gbs)} GB/s; model {found.model}\n")
    table = Table("part", "what", "median", "quartiles", "limit", "times the limit", box=None, pad_edge=False, header_style="bold")
    for figure in found.figures:
        limit = "" if figure.limit is None else f"{_number(figure.limit)} ({figure.limit_is})"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.1f}"
        table.add_row(figure.part, figure.name, f"{_number(figure.median)} {figure.unit}", _quartiles(figure), limit, ratio)
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(table)
    for part, reason in found.not_measured.items():
        print(f"{part}: not measured, {reason}")


def _quartiles(figure: Figure) -> str:
    return f"{_number(figure.low)} to {_number(figure.high)}" if figure.n > 1 else "one run"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _or_nothing(value: float) -> str:
    return f"{value:.1f}" if value else "unknown"


def _write(path: Path, found: Bench) -> None:
    try:
        path.write_bytes(found.to_json())
    except OSError as fault:
        raise UsageError(f"{path}: cannot be written ({fault.strerror}). Choose another place.") from fault
