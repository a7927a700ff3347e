"""Answers that go into a folder as they are made (`osteon predict -o`), and the tables and the page made of them at the end."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from osteon.atomic import alone, whole
from osteon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from osteon.card import Card
    from osteon.prediction import FilmPrediction
    from osteon.results import Studies
    from osteon.sources import Sources
    from osteon.stored import Stored

FEW = 5
"""Films that need no progress bar."""

EVERY = 30.0
"""Seconds between two lines of progress in a log."""

NAME = "answers"
"""Of the tables and the page in the folder, before their suffix."""


def answer_into(
    out: Path, asked: dict[str, Any], sources: Sources, card: Card, ask: Callable[..., Iterator[FilmPrediction]], quiet: bool
) -> Stored:
    """Answer what a folder has no answer to, and write its tables and its page; returns its studies.

    Args:
        out: The folder.
        asked: All that the answers depend on beside the films.
        sources: The films.
        card: Of the model.
        ask: Answers the films, given the places of those that it skips, and the overlays that stand already (by film).
        quiet: Whether progress is not shown.

    Raises:
        UsageError: the folder cannot be written, holds something else, or another process works in it.
        typer.Exit: it was stopped, and a line has said how to go on.
    """
    from osteon.stored import Stored

    total = len(sources.films)
    with alone(out):
        stored = Stored(out, asked, sources, card)
        done = stored.answered
        try:
            with _terminated():
                stored.add(watched(ask(done, stored.overlays), total, quiet, len(done)))
                _write_tables(stored, out)
        except OSError as fault:
            safe = f"{len(stored.answered):,} of {total:,} films are answered and safe"
            raise UsageError(f"{out}: cannot be written ({fault.strerror}). {safe}: make room, and give the same command again.") from fault
        except KeyboardInterrupt as stop:
            safe = f"{len(stored.answered):,} of {total:,} films are answered and safe in {out}"
            typer.echo(f"osteon: stopped. {safe}; the same command goes on with the others.", err=True)
            raise typer.Exit(128 + stop.args[0] if stop.args else 130) from stop
    return stored


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, and SIGHUP, which a lost connection is, end the block as Ctrl-C does."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, stop) for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watched(predictions: Iterable[FilmPrediction], total: int, quiet: bool, before: int = 0) -> Iterator[FilmPrediction]:
    """Pass predictions on and show how far it is, where it takes a while: a bar where a person looks, else a line now and then."""
    if quiet or total - before <= FEW:
        yield from predictions
        return
    with _bar() if sys.stderr.isatty() else contextlib.nullcontext(_Log(before)) as tell:
        for done, prediction in enumerate(predictions, before + 1):
            yield prediction
            tell(done, total)


def _bar() -> contextlib.AbstractContextManager[Callable[[int, int], object]]:
    from osteon.cli.progress import counting_bar

    return counting_bar("films")


class _Log:
    def __init__(self, before: int) -> None:
        self._before, self._began = before, time.monotonic()
        self._next = self._began + EVERY

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY
            rate = (done - self._before) / (now - self._began)
            left = f"{(total - done) / rate / 60:.0f} minutes left"
            typer.echo(f"osteon: {done:,} of {total:,} films answered, {rate:.1f} a second, {left}", err=True)


def write_whole(file: Path, pieces: Iterable[str]) -> None:
    """Write a text; the file is whole or as it was. A name that is no UTF-8 keeps its bytes as escapes.

    Raises:
        OSError: it cannot be written.
    """
    with whole(file) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as out:
        out.writelines(pieces)


def _write_tables(studies: Studies, out: Path) -> None:
    from osteon import results
    from osteon.page import as_page

    write_whole(out / f"{NAME}.csv", results.as_csv(studies))
    write_whole(out / f"{NAME}.json", results.as_json(studies))
    write_whole(out / f"{NAME}.html", as_page(studies, out, datetime.now(UTC)))
    _write_parquet(studies, out / f"{NAME}.parquet")


def _write_parquet(studies: Studies, file: Path) -> None:
    """Write a row a film, where polars is installed."""
    try:
        import polars as pl
    except ImportError:
        return
    from osteon.results import film_rows

    texts = dict.fromkeys(("study", "film", "level", "study_type", "overlay", "reason", "error", "remarks"), pl.String)
    schema = pl.Schema(texts | {"probability": pl.Float64, "logit": pl.Float64, "truncated": pl.Boolean})
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:  # polars takes no path that holds brackets, or is not UTF-8
        lines.writelines(json.dumps(_shown(row)) + "\n" for study in studies for row in film_rows(study))
        lines.flush()
        with whole(file) as part, part.open("wb") as out:
            pl.scan_ndjson(lines.name, schema=schema).sink_parquet(out)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    from osteon.content import printable

    return {name: printable(told) if isinstance(told, str) else told for name, told in row.items()}
