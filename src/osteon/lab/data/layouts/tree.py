"""Every file below a folder, accounted for; and what a layout makes of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from osteon.sources import is_film

BOXES = pl.List(pl.List(pl.Float32))
"""Problem boxes of a film: x, y, width, height in pixels each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know: what kind, which files or studies, and the reason in words."""

    kind: str
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Files:
    """What a walk through a folder met, as posix paths relative to it, sorted. `unnamed` are films whose path is no Unicode, escaped."""

    films: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The rows of a data set before any film was opened.

    `films` has `path` (relative to `root`), `split`, `study_type`, `view`, `patient`, `study`, `label`, `group`, `boxes` and further
    columns of the source. Where `boxes_width` and `boxes_height` stand there too, boxes are in pixels of a picture of that size. `strays`
    are files that are no films, `unplaced` are films that stand where the layout has none.
    """

    layout: str
    root: Path
    films: pl.DataFrame
    hidden: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def walk(top: Path) -> Files:
    """Return every file below a folder by kind: films, films that no table can name, hidden files (a dot begins the name), others.

    A hidden folder counts as one hidden file. Linked folders are entered, each once.
    A folder that cannot be read counts as other. What is no Unicode is escaped.
    """
    films, unnamed, hidden, others = list[str](), list[str](), list[str](), list[str]()
    entered, to_enter = {os.path.realpath(top)}, [""]
    while to_enter:
        below = to_enter.pop()
        try:
            with os.scandir(f"{top}/{below}") as scan:
                entries = list(scan)
        except OSError:
            others.append(_escaped(below))
            continue
        for entry in entries:
            path = below + entry.name
            shown = _escaped(path)
            if entry.name[0] == ".":
                hidden.append(shown)
            elif os.path.isdir(entry.path) and _is_new(entry, entered):  # noqa: PTH112 - also of a link to itself
                to_enter.append(f"{path}/")
            elif is_film(entry):
                (films if shown == path else unnamed).append(shown)
            else:
                others.append(shown)
    return Files(sorted(films), sorted(unnamed), sorted(hidden), sorted(others))


def _escaped(path: str) -> str:
    """Return a path as text: bytes that are no Unicode cannot stand in a table."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()


def _is_new(entry: os.DirEntry[str], entered: set[str]) -> bool:
    """Return whether a folder was not yet entered: a link may lead back to where it stands."""
    if not entry.is_symlink():
        return True
    real = os.path.realpath(entry.path)
    new = real not in entered
    entered.add(real)
    return new
