"""Films with boxes of findings beside them: COCO (one JSON), YOLO (a text a film) or Pascal VOC (an XML a film).

A film is abnormal where a box of an abnormal class is on it, normal where its file or entry has none. A film of which no file and no entry
says anything is unplaced: that nobody looked at it is no finding.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET
from xml.parsers import expat

import polars as pl

from osteon.errors import BadManifest, DatasetError
from osteon.lab.data.layouts.tree import BOXES, Dataset, Files, Problem
from osteon.lab.data.layouts.yolo import read_yolo

MOST_BYTES = 2**29
"""Of a file of boxes."""


class Marks(NamedTuple):
    """What is marked on a film: class and box (x, y, width, height) of each finding, in pixels of a picture of this size."""

    width: int
    height: int
    boxes: list[tuple[str, list[float]]]


def read_annotated(top: Path, files: Files, abnormal: str = "") -> Dataset | None:
    """Return the rows of films that have files of boxes beside them, None where there are no such files.

    Args:
        top: The folder.
        files: What stands below it.
        abnormal: The class whose boxes make a film abnormal; all of them where it is "".

    Raises:
        BadManifest: a file of boxes does not fit.
        DatasetError: no box is of the class `abnormal`.
    """
    kind, marks = marks_of(top, files)
    if not kind:
        return None
    classes = Counter(name for film in marks.values() for name, _ in film.boxes)
    if abnormal and abnormal not in classes:
        there = ", ".join(f"{name} ({count})" for name, count in classes.most_common(5))
        raise DatasetError(f"{top}: no box is of the class {abnormal!r}; there are: {there or 'none'}. Name one of these with --abnormal.")
    wanted = {path: [box for name, box in film.boxes if abnormal in ("", name)] for path, film in marks.items()}
    paths = [path for path in files.films if path in marks]
    rows: dict[str, Any] = {"path": paths, "label": [int(bool(wanted[path])) for path in paths]}
    rows |= {"boxes_width": [marks[path].width for path in paths], "boxes_height": [marks[path].height for path in paths]}
    films = pl.DataFrame(rows, schema_overrides={"label": pl.Int8}).with_columns(
        *(pl.lit("").alias(name) for name in ("split", "study_type", "view", "patient", "study", "group")),
        boxes=pl.Series([wanted[path] for path in paths], dtype=BOXES),
    )
    told = ", ".join(f"{name}: {count}" for name, count in classes.most_common())
    problems = [
        Problem("no-patient", (top.name,), "no patient is named; what stays together are duplicates, and the films of one DICOM study"),
        Problem("classes", (top.name,), f"boxes by class ({told or 'none'}); abnormal: {abnormal or 'all of them'}"),
    ]
    absent = sorted(set(marks) - set(files.films))
    problems += [Problem("missing", tuple(absent), f"the {kind} boxes are of films that are not in the folder")] if absent else []
    unplaced = [path for path in files.films if path not in marks]
    return Dataset(kind, top, films, files.hidden, unplaced=unplaced, problems=problems)


def marks_of(top: Path, files: Files) -> tuple[str, dict[str, Marks]]:
    """Return how boxes are written beside the films, "" where there are none, and what is marked on each film that they speak of.

    Raises:
        BadManifest: a file of boxes does not fit.
    """
    return next(((name, found) for name, read in _WAYS.items() if (found := read(top, files))), ("", {}))


def _coco(top: Path, files: Files) -> dict[str, Marks]:
    found: dict[str, Marks] = {}
    there, names = set(files.films), Counter(PurePosixPath(path).name for path in files.films)
    by_name = {PurePosixPath(path).name: path for path in files.films if names[PurePosixPath(path).name] == 1}
    for name in (name for name in files.others if name.endswith(".json")):
        try:
            told = json.loads(_content(top / name))
            if not isinstance(told, dict) or not {"images", "annotations"} <= told.keys():
                continue
            classes = {one["id"]: str(one["name"]) for one in told.get("categories", [])}
            boxes: dict[Any, list[tuple[str, list[float]]]] = {image["id"]: [] for image in told["images"]}
            for note in told["annotations"]:
                kind = classes.get(note["category_id"], str(note["category_id"]))
                boxes[note["image_id"]].append((kind, [float(edge) for edge in note["bbox"]]))
            for image in told["images"]:
                path = str(image["file_name"]).replace("\\", "/")
                made = Marks(int(image["width"]), int(image["height"]), boxes[image["id"]])
                _check(made, f"{top / name}: {path}")
                beside = str(PurePosixPath(name).parent / path)  # a film is named from the top, from the JSON, or by a name of its own
                film = next((one for one in (path, beside) if one in there), by_name.get(PurePosixPath(path).name, path))
                if film in found and found[film] != made:
                    raise BadManifest(f"{top / name}: {path} has boxes already, in this file or another. Keep one of them.")
                found[film] = made
        except (ValueError, KeyError, TypeError) as fault:
            raise BadManifest(f"{top / name}: no COCO file ({type(fault).__name__}: {fault}). Export the boxes again.") from fault
    return found


def _yolo(top: Path, files: Files) -> dict[str, Marks]:
    there = {name for name in files.others if name.endswith(".txt")}
    beside = {path: name for path in files.films if (name := _beside(path, "labels", ".txt", there))}
    return {path: Marks(1, 1, [(str(kind), box) for kind, box in read_yolo(top / name)]) for path, name in beside.items()}


def _voc(top: Path, files: Files) -> dict[str, Marks]:
    there = {name for name in files.others if name.endswith(".xml")}
    beside = {path: name for path in files.films if (name := _beside(path, "annotations", ".xml", there))}
    return {path: _read_voc(top / name) for path, name in beside.items()}


_WAYS = {"COCO": _coco, "YOLO": _yolo, "Pascal VOC": _voc}


def _beside(path: str, folder: str, suffix: str, there: set[str]) -> str:
    """Return the file of boxes of a film: in the same folder, or in one called `folder` in the place of the film's."""
    film = PurePosixPath(path).with_suffix(suffix)
    parts = film.parts
    named = [folder, folder.capitalize()]
    tried = [str(film), *(str(PurePosixPath(*parts[:i], name, *parts[i + 1 :])) for i in range(len(parts) - 1) for name in named)]
    tried += [str(PurePosixPath(name, film.name)) for name in named]
    return next((name for name in tried if name in there), "")


def _read_voc(file: Path) -> Marks:
    content = _content(file)
    try:
        reader = expat.ParserCreate()
        reader.StartDoctypeDeclHandler = _refuse_declarations
        reader.Parse(content, True)
        root = ET.fromstring(content)  # noqa: S314 - nothing is declared in it that could grow
        size = {name: int(float(root.findtext(f"size/{name}", ""))) for name in ("width", "height")}
        made = Marks(size["width"], size["height"], [_voc_box(one) for one in root.iter("object")])
    except (ET.ParseError, expat.ExpatError, ValueError) as fault:
        raise BadManifest(f"{file}: no Pascal VOC file ({type(fault).__name__}: {fault}). Export the boxes again.") from fault
    _check(made, str(file))
    return made


def _refuse_declarations(*_: object) -> None:
    raise ValueError("it declares a document type, as no file of boxes does")


def _voc_box(found: ET.Element) -> tuple[str, list[float]]:
    left, top, right, bottom = (float(found.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax"))
    return found.findtext("name", "").strip(), [left, top, right - left, bottom - top]


def _check(marks: Marks, place: str) -> None:
    """Refuse boxes that lie outside their picture; rounding may take an edge a pixel beyond it."""
    for name, box in marks.boxes:
        inside = len(box) == 4 and box[2] > 0 and box[3] > 0 and min(box[:2]) >= -1
        if not (inside and box[0] + box[2] <= marks.width + 1 and box[1] + box[3] <= marks.height + 1):  # nor is NaN
            size = f"{marks.width} x {marks.height}"
            raise BadManifest(f"{place}: a box of {name or 'no class'} lies outside the picture of {size}. Correct it.")


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadManifest(f"{file}: it has more than {MOST_BYTES // 2**20} MB, as no file of boxes has.")
        return file.read_bytes()
    except OSError as fault:
        raise BadManifest(f"{file}: it cannot be read ({fault.strerror}).") from fault
