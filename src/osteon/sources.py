"""What a person gives -> the films to read, and which study each belongs to."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from osteon.errors import BadManifest, EmptyDataset, UsageError
from osteon.manifest import read_list, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from osteon.film import Film, Polarity

    Given: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | NDArray[np.generic] | Film

FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")
OVERLAY_SUFFIX = ".overlay.png"
"""What this program draws; found beside films, it is no film."""

MANY = 24
"""From so many films on it pays that a core reads a film by itself."""

MOST_VIEWS = 12
"""Films of one study; a folder that holds more may hold many patients, and is a study only where a person says so."""

_STUDY = re.compile(r"study\d+(_positive|_negative)?")
"""What MURA calls a study's folder; `_OF_A_PATIENT` is where it stands."""

_OF_A_PATIENT = re.compile(r"patient\d+")

_HEAD = 132
"""Bytes that tell what a file is (PS3.10 section 7.1: DICM behind a preamble of 128)."""


class StudyBy(StrEnum):
    """How films become studies."""

    AUTO = "auto"
    FOLDER = "folder"
    FILM = "film"


@dataclass(frozen=True, slots=True)
class Source:
    """A film to read.

    `file` is opened, `name` is what people are shown, `below` is its path below what was given. `study` names its study; with
    `ask_file` a StudyInstanceUID in the file decides instead. `held`: the file's content or the film itself, where there is no file.
    `apart` tells a study from others of its name: the manifest and the patient that it names. It is not shown.
    """

    file: str
    name: str
    below: str
    study: str
    ask_file: bool = False
    held: bytes | Film | None = None
    apart: str = ""


@dataclass(slots=True)
class Sources:
    """The films to read, in order, each once; a count, by reason, of what was left out; and how many links led out of a folder."""

    films: list[Source] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    linked: int = 0


def find_sources(given: Sequence[Given], study_by: StudyBy = StudyBy.AUTO, bone: Polarity | None = None) -> Sources:
    """Find the films that are given: files, folders and manifests (CSV) by their paths, or films without a file.

    Raises:
        UsageError: one of them is nothing that holds films, or cannot be read; or `bone` is said and there is no array.
        BadManifest: a manifest does not fit.
        EmptyDataset: a path does not exist, or there is no film in all of them.
    """
    sources, seen = Sources(), set[str]()
    if bone is not None and not any(hasattr(one, "ndim") for one in given):
        from osteon.film import NOT_OF_FILES

        raise UsageError(NOT_OF_FILES)
    for source in _all(given, study_by, bone, sources):
        where = os.path.abspath(source.file)  # noqa: PTH100 - 100,000 times, and a link stays one
        if where in seen and source.held is None:
            sources.ignored["files named twice"] += 1
        else:
            seen.add(where)
            sources.films.append(source)
    if not sources.films:
        left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(sources.ignored.items()))
        nowhere = ", ".join(map(str, given)) or "an empty list"
        raise EmptyDataset(f"no film (PNG, JPEG, TIFF, DICOM) in {nowhere}{f'; ignored: {left_out}' if left_out else ''}.")
    if study_by is StudyBy.AUTO:
        sources.films = _apart(sources.films)
    return sources


def folder_of(source: Source) -> str:
    """Return the folder of a file, "" of a film without one."""
    return "" if source.held is not None else source.name.rpartition("/")[0] or "."


def _apart(films: list[Source]) -> list[Source]:
    """Make films studies of their own where a folder has a study's name, but more films than a study, and stands in no patient's folder."""
    of_a_folder = Counter(s.study for s in films if s.ask_file and s.study != s.file)
    strangers = {name for name, count in of_a_folder.items() if count > MOST_VIEWS and not _OF_A_PATIENT.fullmatch(_basename(name, 1))}
    return [replace(s, study=s.file) if s.ask_file and s.study in strangers else s for s in films] if strangers else films


def mura_sources(table: Path) -> Sources:
    """Read the competition's list: a path a line, no header; paths are relative to here, the list's folder, or the one above it.

    Raises:
        BadManifest, EmptyDataset, UsageError: as `manifest.read_list`.
    """
    names = read_list(table)
    roots = [Path(), table.parent, table.parent.parent]
    root = next((r for r in roots if os.path.isfile(r / names[0])), roots[0])  # noqa: PTH113 - of a name that is too long, it says no
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(os.path.abspath(root / name), name)  # noqa: PTH100 - a link stays one
    films = [Source(str(root / n), n, n, f"{n.rpartition('/')[0] or '.'}/") for n in once.values()]
    return Sources(films, Counter({"files named twice": len(names) - len(films)} if len(films) < len(names) else {}))


def _all(given: Sequence[Given], study_by: StudyBy, bone: Polarity | None, sources: Sources) -> Iterator[Source]:
    names = Counter[str]()
    for one in given:
        if isinstance(one, str | os.PathLike):
            yield from _found(os.fspath(one), study_by, sources)
        else:
            held, name = _held(one, bone)
            names[name] += 1
            name = name if names[name] == 1 else f"{name}-{names[name]}"
            yield Source(name, name, name, name, study_by is StudyBy.AUTO, held)


def _held(one: object, bone: Polarity | None) -> tuple[bytes | Film, str]:
    """Return the content of a file, or a film, and what it is called."""
    import numpy as np

    from osteon.content import bytes_of, name_of
    from osteon.film import Film, film_of

    if isinstance(one, np.ndarray):
        return film_of(one, "film", bone), "film"
    return (one, one.path) if isinstance(one, Film) else (bytes_of(one), name_of(one) or "film")


def _found(argument: str, study_by: StudyBy, sources: Sources) -> Iterator[Source]:
    path = Path(argument)
    if not argument:
        raise EmptyDataset("an empty path names no film. Name a film, a folder or a manifest.")
    if os.path.isdir(argument):  # noqa: PTH112 - of a path that is too long, or none, it says no
        yield from _in_folder(argument.rstrip("/\\") or "/", study_by, sources)
    elif not os.path.exists(argument):  # noqa: PTH110
        raise EmptyDataset(f"{argument}: there is no such file or folder.")
    elif path.suffix.lower() == ".csv":
        yield from _in_manifest(path, study_by)
    else:
        yield _source(argument, path.name, study_by)


def _source(file: str, below: str, study_by: StudyBy) -> Source:
    folder = os.path.dirname(file)  # noqa: PTH120 - as it was given, 100,000 times
    # The name of the folder as it is, also where "." was given.
    of_a_study = study_by is StudyBy.FOLDER or (study_by is StudyBy.AUTO and _STUDY.fullmatch(_basename(folder)) is not None)
    return Source(file, file, below, (folder or ".") if of_a_study else file, study_by is StudyBy.AUTO)


def _basename(folder: str, above: int = 0) -> str:
    """Return the last name of a folder, or the one so many above it."""
    names = folder.replace(os.sep, "/").split("/")[-1 - above :]
    return names[0] if len(names) > above and not {"", ".", ".."} & set(names) else Path(folder).resolve().parts[-1 - above :][0]


def _in_folder(top: str, study_by: StudyBy, sources: Sources) -> Iterator[Source]:
    for below in _walk(top, sources):
        yield _source(os.path.join(top, below), below, study_by)  # noqa: PTH118


def _walk(top: str, sources: Sources) -> Iterator[str]:
    """Yield the films below a folder: its own by name, then those of each folder in it. A folder is entered once, and none outside it."""
    inside, entered, folders = os.path.realpath(top), set[tuple[int, int]](), [""]
    while folders:
        below = folders.pop()
        try:
            entries = _entries(os.path.join(top, below), entered)  # noqa: PTH118
        except OSError as fault:
            if not below:
                raise UsageError(f"{top}: the folder cannot be read ({fault.strerror}).") from fault
            sources.ignored["folders that cannot be read"] += 1
            continue
        deeper = []
        for entry in entries:
            leads_out = entry.is_symlink() and not _within(os.path.realpath(entry.path), inside)
            if entry.name.startswith("."):
                sources.ignored["hidden files"] += 1
            elif entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path)):  # noqa: PTH112 - link to itself
                if leads_out:
                    sources.ignored["links to folders outside"] += 1
                else:
                    deeper.append(f"{below}{entry.name}/")
            elif is_film(entry):
                sources.linked += leads_out
                yield below + entry.name
            else:
                sources.ignored["other files"] += 1
        folders += reversed(deeper)


def _entries(folder: str, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """Return what stands in a folder, by name; nothing where it was entered before."""
    known = os.stat(folder)  # noqa: PTH116 - 100,000 times
    if (known.st_dev, known.st_ino) in entered:
        return []
    entered.add((known.st_dev, known.st_ino))
    with os.scandir(folder) as scan:
        return sorted(scan, key=lambda entry: entry.name)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def is_film(entry: os.DirEntry[str]) -> bool:
    """Tell whether a file is a film, by its suffix or else by its first bytes; what this program drew is none."""
    name = entry.name.lower()
    if name.endswith(FILM_SUFFIXES):
        return not name.endswith(OVERLAY_SUFFIX)
    try:
        if name == "dicomdir" or not entry.is_file():
            return False
        with Path(entry.path).open("rb") as file:  # a PACS exports DICOM under any name, without a preamble too
            head = file.read(_HEAD)
    except OSError:
        return False
    from osteon.dicom import is_dicom  # here, so that a model is opened while the decoders are still being imported
    from osteon.raster import raster_format

    return is_dicom(head) or raster_format(head) is not None


def _in_manifest(table: Path, study_by: StudyBy) -> Iterator[Source]:
    manifest, before = read_manifest(table), dict[str, tuple[int, str, str]]()
    for line, row in zip(manifest.lines, manifest.rows, strict=True):
        source = _of_row(row, f"{table}, line {line}", table, study_by)
        here = (line, row.get("study", ""), row.get("patient", ""))
        first = before.setdefault(os.path.abspath(source.file), here)  # noqa: PTH100 - a link stays one
        if first[1:] != here[1:]:
            raise BadManifest(f"{table}, line {line}: {source.below} stands in line {first[0]} with another study or patient. Keep one.")
        yield source


def _of_row(row: dict[str, str], where: str, table: Path, study_by: StudyBy) -> Source:
    """Return the film of a row; films of two patients, or of two manifests, are not one study because it has one name."""
    below, study, patient = row["path"], row.get("study", ""), row.get("patient", "")
    if not below:
        raise BadManifest(f"{where}: the path is empty.")
    source, apart = _source(str(table.parent / below), below, study_by), f"{table}\n{patient}"
    if study_by is StudyBy.AUTO and study:
        return Source(source.file, source.file, below, study, apart=apart)
    return replace(source, apart=apart) if patient else source
