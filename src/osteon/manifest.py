"""A manifest: a table (CSV) of anybody's own films, a film a row, with the column `path`; and the list of MURA's competition."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from osteon.errors import BadManifest, EmptyDataset, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = ("path", "patient", "study", "study_type", "view", "label", "split", "group", "boxes")
"""Columns that osteon knows, in upper or lower case. Any other is the source's own."""

_OF_ONE_LINE = tuple(name for name in KNOWN if name != "boxes")
_RUNS_ON = "a quote begins in this row and ends in a later one, or never. Close it, or delete it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """`columns`: their names. `rows`: cells by column, without blanks around them, "" where there is none. `lines`: where each row ends."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]


def read_manifest(table: Path, called: Mapping[str, str] = MappingProxyType({}), needed: str = "path") -> Manifest:
    """Read a table with commas, semicolons or tabs between its columns, with or without a byte order mark; empty rows are none.

    A path with backslashes means folders, save where a file has that very name. Columns that `called` names, in upper or lower case, stand
    for those that osteon knows: `{"file": "path"}`; `needed` has to be there.

    Raises:
        BadManifest: no table of text in UTF-8, no column `path`, two columns of one name, a row of more cells than the header, or a quote
            that runs on into the next rows.
        UsageError: the file cannot be read.
    """
    numbered = list(_cells(_text(table), table))
    columns = _columns(numbered[0][2] if numbered else [], table, called, needed)
    if long := next((line for _, line, cells in numbered if any(cells[len(columns) :])), None):
        raise BadManifest(f"{table}, line {long}: it has more cells than the header, {len(columns)}. Put a text with commas in quotes.")
    rows = [dict(zip(columns, [*cells, *[""] * len(columns)], strict=False)) for _, _, cells in numbered[1:]]
    for (begun, _, _), row in zip(numbered[1:], rows, strict=True):
        if any("\n" in row.get(name, "") for name in _OF_ONE_LINE):
            raise BadManifest(f"{table}, line {begun}: {_RUNS_ON}")
        if "path" in row:
            row["path"] = _slashed(row["path"], table.parent)
    return Manifest(tuple(filter(None, columns)), tuple(rows), tuple(line for _, line, _ in numbered[1:]))


def header_of(table: Path) -> list[str]:
    """Return the names of a table's columns as they stand, without reading its rows as such."""
    return next((cells for _, _, cells in _cells(_text(table), table)), [])


def _cells(text: str, table: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the lines where each row that is not empty begins and ends, and its cells without blanks around them."""
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    lines = [*io.StringIO(text, newline=""), "end"]  # a quote that nobody closes runs on into the last of them
    rows, begun = csv.reader(lines, delimiter=delimiter), 1
    try:
        for cells in rows:
            if rows.line_num > begun:
                list(csv.reader(lines[begun - 1 : rows.line_num], delimiter=delimiter, strict=True))
            if rows.line_num < len(lines) and any(map(str.strip, cells)):
                yield begun, rows.line_num, [cell.strip() for cell in cells]
            begun = rows.line_num + 1
    except csv.Error as fault:
        told = _RUNS_ON if rows.line_num > begun else f"no table can be read from it ({fault}). Save it as CSV."
        raise BadManifest(f"{table}, line {begun}: {told}") from fault


def read_list(table: Path) -> list[str]:
    """Read the list of MURA's competition: a film's path a line, no header, slashes or backslashes between its folders.

    Raises:
        BadManifest: a line names no film in a study's folder: a header, a table of labels, a folder.
        EmptyDataset: it is empty.
        UsageError: the file cannot be read.
    """
    lines = {number: line.strip() for number, line in enumerate(_text(table).split("\n"), 1) if line.strip()}
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


def _columns(header: list[str], table: Path, called: Mapping[str, str], needed: str) -> list[str]:
    meant = {name.lower(): known for name, known in called.items()}
    if absent := next((name for name, known in called.items() if name != known and name.lower() not in map(str.lower, header)), ""):
        raise BadManifest(f"{table}: there is no column {absent}; its columns are {', '.join(header) or 'none'}. Name one of these.")
    taken = {known for name, known in called.items() if name != known}  # a column of that name is then the source's own
    columns = [_column(name, meant, taken) for name in header]
    if len(set(filter(None, columns))) < len(list(filter(None, columns))):
        raise BadManifest(f"{table}: two of its columns have one name. Name each column once.")
    if needed not in columns:
        raise BadManifest(
            f"{table}: the column {needed} is missing; its columns are {', '.join(columns) or 'none'}. Name a film's file in each row."
        )
    return columns


def _column(name: str, meant: Mapping[str, str], taken: set[str]) -> str:
    low = name.lower()
    if low in meant:
        return meant[low]
    return f"{name} (own)" if low in taken else low if low in KNOWN else name


def _slashed(path: str, folder: Path) -> str:
    return path if "\\" not in path or os.path.isfile(folder / path) else path.replace("\\", "/")  # noqa: PTH113 - also of a name too long


def _text(table: Path) -> str:
    try:
        return table.read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadManifest(f"{table}: it is no text in UTF-8. Save the table as CSV (UTF-8).") from fault
    except OSError as fault:
        raise UsageError(f"{table}: the table cannot be read ({fault.strerror}).") from fault
