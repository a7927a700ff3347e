"""A manifest: a table (CSV) of anybody's own films, a film a row, with the column `path`; and the list of MURA's competition."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from osteon.errors import BadManifest, EmptyDataset, UsageError

KNOWN = ("path", "patient", "study", "study_type", "view", "label", "split", "group", "boxes")
"""Columns that osteon knows, in upper or lower case. Any other is the source's own."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`columns`: their names. `rows`: cells by column, without blanks around them, "" where there is none. `lines`: where each row ends."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]


def read_manifest(table: Path) -> Manifest:
    """Read a table with commas, semicolons or tabs between its columns, with or without a byte order mark; empty rows are none.

    A path with backslashes means folders, save where a file has that very name.

    Raises:
        BadManifest: no table of text in UTF-8, no column `path`, two columns of one name, or a row of more cells than the header.
        UsageError: the file cannot be read.
    """
    text = _text(table)
    header = text.lstrip().partition("\n")[0]
    lines = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=header.count))
    try:
        numbered = [(lines.line_num, [cell.strip() for cell in cells]) for cells in lines if any(map(str.strip, cells))]
    except csv.Error as fault:
        raise BadManifest(f"{table}, line {lines.line_num}: no table can be read from it ({fault}). Save it as CSV.") from fault
    columns = _columns(numbered[0][1] if numbered else [], table)
    if long := next((line for line, cells in numbered if any(cells[len(columns) :])), None):
        raise BadManifest(f"{table}, line {long}: it has more cells than the header, {len(columns)}. Put a text with commas in quotes.")
    rows = [dict(zip(columns, [*cells, *[""] * len(columns)], strict=False)) for _, cells in numbered[1:]]
    for row in rows:
        row["path"] = _slashed(row["path"], table.parent)
    return Manifest(tuple(filter(None, columns)), tuple(rows), tuple(line for line, _ in numbered[1:]))


def read_list(table: Path) -> list[str]:
    """Read the list of MURA's competition: a film's path a line, no header, slashes or backslashes between its folders.

    Raises:
        BadManifest: a line names no film in a study's folder: a header, a table of labels, a folder.
        EmptyDataset: it is empty.
        UsageError: the file cannot be read.
    """
    lines = {number: line.strip() for number, line in enumerate(_text(table).splitlines(), 1) if line.strip()}
    if not lines:
        raise EmptyDataset(f"{table}: the list names no film. It has a path a line.")
    names = {number: _slashed(name, Path()) for number, name in lines.items()}
    for number, name in names.items():
        if wrong := _no_film(name):
            raise BadManifest(f"{table}, line {number}: {wrong}. The list has a film's path a line: <study folder>/<film>, and no header.")
    return list(names.values())


def _no_film(name: str) -> str:
    folder, _, film = name.rpartition("/")
    if "," in film or ";" in film or "\t" in film:
        return "more than one column, as a table of labels has"
    if not film:
        return "a folder, not a film"
    return "" if folder else "a film without a study's folder, or a header"


def _columns(header: list[str], table: Path) -> list[str]:
    columns = [name.lower() if name.lower() in KNOWN else name for name in header]
    if len(set(filter(None, columns))) < len(list(filter(None, columns))):
        raise BadManifest(f"{table}: two of its columns have one name. Name each column once.")
    if "path" not in columns:
        raise BadManifest(
            f"{table}: the column path is missing; its columns are {', '.join(columns) or 'none'}. Name a film's file in each row."
        )
    return columns


def _slashed(path: str, folder: Path) -> str:
    return path if "\\" not in path or os.path.isfile(folder / path) else path.replace("\\", "/")  # noqa: PTH113 - also of a name too long


def _text(table: Path) -> str:
    try:
        return table.read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadManifest(f"{table}: it is no text in UTF-8. Save the table as CSV (UTF-8).") from fault
    except OSError as fault:
        raise UsageError(f"{table}: the table cannot be read ({fault.strerror}).") from fault
