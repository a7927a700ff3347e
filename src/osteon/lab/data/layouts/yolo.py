"""Boxes as YOLO writes them: `labels/NAME.txt` for `images/NAME.png`, a line a box: class, middle x and y, width, height, as shares."""

from __future__ import annotations

from pathlib import Path

from osteon.errors import BadManifest

_SLACK = 0.01  # of a side: how far beyond the film rounding may take a box


def read_yolo(file: Path) -> list[tuple[int, list[float]]]:
    """Return class and box (x, y, width, height of the upper left corner on, as shares of the film's sides) of each line.

    Raises:
        BadManifest: a line is no box, or lies outside the film.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise BadManifest(f"{file}: it cannot be read ({type(fault).__name__}). Write class, x, y, width and height a line.") from fault
    return [_box(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _box(line: str, place: str) -> tuple[int, list[float]]:
    try:
        kind, x, y, wide, high = line.split()
        box = [float(x) - float(wide) / 2, float(y) - float(high) / 2, float(wide), float(high)]
        kind_number = int(kind)
    except ValueError as fault:
        raise BadManifest(f"{place}: no box. Write class, x, y, width and height, separated by blanks.") from fault
    inside = all(box[i] >= -_SLACK and box[i] + box[i + 2] <= 1 + _SLACK and box[i + 2] > 0 for i in (0, 1))  # nor is NaN
    if not inside:
        raise BadManifest(f"{place}: the box lies outside the film. Its numbers are shares of the film's width and height.")
    return kind_number, box
