"""Sub-command: verify."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app
from osteon.cli.models import ModelArgument, ModelOption, named_model
from osteon.cli.progress import progress_bar
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.lab.verification.check import Check, Part
    from osteon.lab.verification.verify import Verification

PARTS: tuple[Part, ...] = ("data", "metrics", "INT8", "guard")
"""What a card has numbers of."""

COUNTS = frozenset(("n", "films", "studies", "abnormal", "changed", "boxed", "pointed", "lost", "again", "refused"))
"""Numbers that are shown without a fraction."""


@app.command()
def verify(
    argument: ModelArgument = None,
    model: ModelOption = None,
    index: Annotated[Path, typer.Option("--index", help="index.parquet with the films that the card's metrics are of")] = Path(
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
    out_of_scope: Annotated[
        list[Path] | None,
        typer.Option("--out-of-scope", exists=True, file_okay=False, help="folder of pictures that the guard was measured on, by its name"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="data|metrics|INT8|guard", help="verify this alone; the guard takes longest")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write every number, not the main ones alone")] = None,
) -> None:
    """Measure every number of a model's card again from the data, and say whether it holds.

    The same split, plan, resamples and precision; a metric may differ by what
    another processor's rounding does to it. The exit status is 1 where
    something does not hold.
    """
    from osteon.atomic import write_json
    from osteon.lab.verification.verify import Request, verify

    request = Request(
        model=named_model(argument, model),
        index=index,
        splits=_splits(split or ()),
        folds=folds,
        out_of_scope=tuple(out_of_scope or ()),
        parts=_parts(only or PARTS),
    )
    with progress_bar() as watch:
        found = verify(request, watch)
    if json is not None:
        write_json(found, json)
    _show(found)
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


def _show(found: Verification) -> None:
    from osteon.cli.terminal import show, show_notes, show_table

    show(f"{found.model}, read in {'INT8' if found.precision == 'int8' else 'float32'}", "bold")
    shown = [check for check in found.checks if not check.holds or _main(check)]
    rows = [(c.where, c.name, _number(c, c.card), _number(c, c.now), _difference(c), _verdict(c)) for c in shown]
    show_table(("", "", "card", "now", "difference", ""), rows, bold=[place for place, check in enumerate(shown) if not check.holds])
    show_notes((*found.notes, *(f"not measured again: {words}" for words in found.left_out)))
    broken = sum(not check.holds for check in found.checks)
    verdict = f"{len(found.checks) - broken:,} of {len(found.checks):,} numbers hold{f', {broken:,} do not' if broken else ''}"
    how = f"a film's logit may differ by {found.rounding:.2g} between processors; a metric holds within what that does to it"
    show(f"{verdict} ({how})", "bold red" if broken else "bold")


def _main(check: Check) -> bool:
    """Whether a person wants to see it though it holds."""
    return check.part != "metrics" or (check.where.endswith(", film, all") and ", low" not in check.name and ", high" not in check.name)


def _verdict(check: Check) -> str:
    if check.holds:
        return "holds"
    if check.part == "data":
        return f"expected {_number(check, check.card)} and found {_number(check, check.now)}: this is another split than the model's"
    if check.low is None or check.high is None or check.low == check.high:
        return "does not hold"
    return f"does not hold: the card's is outside {_number(check, check.low)} to {_number(check, check.high)}"


def _difference(check: Check) -> str:
    return "" if check.difference is None else f"{'+' if check.difference >= 0 else ''}{_number(check, check.difference)}"


def _number(check: Check, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if check.name in COUNTS else f"{value:.4f}"
