"""What the lab's functions are given: paths, rows; and the command that does the same."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from osteon.errors import UsageError
from osteon.lab.data.index import Report, check_rows, write_index

PathLike = str | os.PathLike[str]
Films = PathLike | pl.DataFrame
"""An index: its file, what `index` or `split` returned, or its rows. Rows are first written into the folder of what is made of them."""


def index_file(films: Films, folder: Path | None) -> Path:
    """Return the file of an index, rows written into a folder.

    Raises:
        UsageError: neither a path nor rows, or rows and no folder.
    """
    if isinstance(films, str | os.PathLike):
        return Path(films)
    if not isinstance(films, pl.DataFrame):
        raise UsageError(f"an index is a path, what osteon.lab.index returned, or a polars DataFrame; this is a {type(films).__name__}.")
    if folder is None:
        raise UsageError("rows have no file of their own: say where to write them (out).")
    check_rows(films)
    folder.mkdir(parents=True, exist_ok=True)
    write_index(films, file := folder / "index.parquet", Report(dataset="rows", layout="DataFrame", decoded=True))
    return file


def path_of(value: object, what: str) -> Path:
    """Return a path.

    Raises:
        UsageError: it is none; the sentence says of `what`.
    """
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{what} is given as a path; this is a {type(value).__name__}.")
    return Path(value)


def same_command(name: str, *arguments: object, **options: object) -> str:
    """Return what a reader would type to get the same; options that are None, False or () are left out.

    >>> same_command("explore", "index.parquet", out="films", sample=0, by=("view", "sex"), whole=True, seed=None)
    'osteon explore index.parquet -o films --sample 0 --by view --by sex --whole'
    """
    return shlex.join(["osteon", name, *map(_word, arguments), *_words(options)])


def _words(options: dict[str, object]) -> Iterator[str]:
    for option, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None and one is not False:
                yield "-o" if option == "out" else f"--{option.replace('_', '-')}"
                yield from () if one is True else (_word(one),)


def _word(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
