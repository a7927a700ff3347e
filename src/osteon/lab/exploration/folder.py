"""An index becomes a folder: figures (PNG), `exploration.json`, and one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from osteon.errors import EmptyDataset, UsageError
from osteon.lab.data.index import Report, fingerprint, read_index, read_report
from osteon.lab.exploration import captions, count_figures, counts, film_figures, samples
from osteon.lab.exploration.galleries import Gallery, galleries, tiles
from osteon.lab.exploration.page import SECTIONS, write_page
from osteon.lab.exploration.records import Exploration, Figure, Origin
from osteon.lab.exploration.samples import Look
from osteon.lab.exploration.survey import problems_of, survey
from osteon.lab.progress import Count
from osteon.lab.tiles import draw_tiles
from osteon.version import __version__

JSON = "exploration.json"
SAMPLE = 400
"""Films that are opened for their grey levels."""

Drawing = tuple[Figure, Callable[[Path], None]]


def explore(index: Path, out: Path, command: str, sample: int = SAMPLE, seed: int = 0, progress: Count | None = None) -> Exploration:
    """Explore an index into a folder.

    Args:
        index: As `osteon index` wrote it; the report beside it tells near duplicates and conflicts.
        out: Folder for figures, JSON and page; those that an earlier exploration left there are replaced.
        command: What a reader would type to get the same.
        sample: Films to open for their grey levels; with 0 none is opened at all.
        seed: Another seed, other films.
        progress: Called with (done, total) while films are opened.

    Raises:
        BadManifest: the index cannot be read.
        EmptyDataset: it has no film.
        UsageError: the folder cannot be written.
    """
    films, report = read_index(index), read_report(index)
    if films.is_empty():
        raise EmptyDataset(f"{index}: it has no film. Index a data set with: osteon index DATASET -o {index}")
    origin = _origin(films, report, command, seed, index.stem)
    problems = problems_of(films, report)
    films = counts.named(films)
    chosen = samples.choose(films, sample, seed)
    shown = galleries(films, problems, seed) if sample else []
    looks = samples.look_at(pl.concat([chosen, *(gallery.films for gallery in shown)]), progress)
    opened = samples.opened(list(looks.values())) if sample else None
    e = survey(films, problems, origin, samples.with_greys(chosen, looks), opened)
    try:
        return _write(e, [*_pictures(e, shown, looks), *charts(e, films)], out)
    except OSError as fault:
        raise UsageError(f"{out}: cannot be written ({fault.strerror or fault}). Name another folder with -o.") from fault


def read_exploration(folder: Path) -> Exploration:
    """Read the exploration of a folder.

    Raises:
        UsageError: there is none.
    """
    try:
        return msgspec.json.decode((folder / JSON).read_bytes(), type=Exploration)
    except (OSError, msgspec.MsgspecError) as fault:
        raise UsageError(
            f"{folder}: no exploration can be read from it ({fault}). Make it with: osteon explore INDEX -o {folder}"
        ) from fault


def _origin(films: pl.DataFrame, report: Report | None, command: str, seed: int, name: str) -> Origin:
    mark = fingerprint(films)
    origin = Origin(command=command, fingerprint=mark, osteon=__version__, dataset=name, seed=seed)
    if report is None:
        return origin
    name = Path(report.dataset).name or name
    told = {"dataset": name, "layout": report.layout, "split": report.split, "decoded": report.decoded}
    return msgspec.structs.replace(origin, **told, report_fits=report.fingerprint in ("", mark))


def charts(e: Exploration, films: pl.DataFrame) -> Iterator[Drawing]:
    """Yield the figures of what was counted, those alone that have something to show."""
    per_patient, per_study = (f"studies per {e.who}", f"{e.who}s"), ("films per study", "studies")
    yield captions.patients(e), partial(count_figures.draw_patients, e)
    yield captions.studies_per_patient(e), partial(count_figures.draw_tally, e.studies_per_patient, e, words=per_patient)
    yield captions.classes(e), partial(count_figures.draw_classes, e)
    yield captions.films_per_study(e), partial(count_figures.draw_tally, e.films_per_study, e, words=per_study)
    if e.sizes:
        yield captions.sizes(e), partial(film_figures.draw_sizes, e, films)
        yield captions.aspects(e), partial(film_figures.draw_aspects, e, films)
    if e.ranges:
        yield captions.greys(e), partial(film_figures.draw_greys, e)
    if any(a.auroc is not None for a in e.attributes):
        yield captions.shortcuts(e), partial(film_figures.draw_shortcuts, e)
    if e.hardware:
        yield captions.hardware(e), partial(film_figures.draw_hardware, e)


def _pictures(e: Exploration, shown: list[Gallery], looks: dict[str, Look]) -> Iterator[Drawing]:
    """Yield the galleries of which a film could be opened."""
    for gallery in shown:
        films = tiles(gallery, looks)
        if any(film.tile.pixels is not None for film in films):
            yield gallery.figure, partial(draw_tiles, films, origin=e.origin.line, columns=gallery.columns, paired=gallery.paired)


def _write(e: Exploration, drawings: list[Drawing], out: Path) -> Exploration:
    """Draw the figures, in the order of the page, and write JSON and page; figures of an earlier exploration go first."""
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    ordered = sorted(drawings, key=lambda drawing: list(SECTIONS).index(drawing[0].section))
    for figure, draw in ordered:
        draw(out / figure.file)
    e = msgspec.structs.replace(e, figures=[figure for figure, _ in ordered])
    (out / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(e), indent=1) + b"\n")
    write_page(e, out)
    return e


def _clear(out: Path) -> None:
    try:
        figures = read_exploration(out).figures
    except UsageError:  # none stands there, or one of another version
        return
    for figure in figures:
        (out / Path(figure.file).name).unlink(missing_ok=True)
