"""Each film goes through one thread, from the file to the answer; few are in memory at a time."""

from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from osteon.errors import BlankFilm, FilmError
from osteon.explanation import peak, write_overlay
from osteon.film import Film, Placement, place, read_film
from osteon.prediction import OUT_OF_SCOPE, FilmPrediction
from osteon.sources import OVERLAY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osteon.card import Frame
    from osteon.model import Model
    from osteon.sources import Source

THREADS = 1 + (os.cpu_count() or 1)
"""One for each core, and one that reads while another waits for the disk."""

AHEAD = 2 * THREADS
"""Films under way, and overlays that wait to be written, at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one film.

    `prediction` is without its map, `peak` the map's strongest place (x and y in film pixels, and its evidence), `uid` the
    StudyInstanceUID, which groups films and is shown nowhere.
    """

    source: Source
    prediction: FilmPrediction
    uid: str = ""
    peak: tuple[float, float, float] | None = None
    overlay: str = ""

    @property
    def error(self) -> str:
        """Why the film could not be used, without the name that stands beside it."""
        return self.prediction.error.removeprefix(f"{self.source.file}: ")


@dataclass(slots=True)
class Overlays:
    """Where overlays go: a folder, the paths that are taken (films are never overwritten), and the first reason why one failed."""

    folder: Path
    taken: set[str]
    failed: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def place(self, source: Source, film: Film) -> Path:
        """Return a path of its own for a film's overlay, that carries the film's place and name, or for DICOM a number alone."""
        below = PurePosixPath(f"dicom-{next(self._numbers):04d}") if film.format == "DICOM" else PurePosixPath(source.below).with_suffix("")
        base = self.folder.joinpath(*(part for part in below.parts if part not in ("/", "..")))
        for number in itertools.count(1):
            path = base.with_name(f"{base.name}{'' if number == 1 else f'-{number}'}{OVERLAY_SUFFIX}")
            key = os.path.abspath(path).casefold()  # noqa: PTH100 - a link stays one
            if key not in self.taken:
                self.taken.add(key)
                return path
        raise AssertionError

    def write(self, path: Path, film: Film, prediction: FilmPrediction, model: Model) -> None:
        """Write one; a full disk costs the picture, not the numbers."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_overlay(path, film, prediction, model.card)
        except OSError as fault:
            self.failed = self.failed or f"{path}: the overlay cannot be written ({fault.strerror})"


def overlays_in(folder: Path, sources: Sequence[Source]) -> Overlays:
    """Prepare a folder for overlays of these films."""
    return Overlays(folder, {os.path.abspath(s.file).casefold() for s in sources})  # noqa: PTH100


def answers(sources: Sequence[Source], model: Model, overlays: Overlays | None = None, *, guard: bool = True) -> Iterator[Answer]:
    """Yield what becomes of each film, in order; with `guard` a film out of the model's scope gets the reason in the place of a number."""
    pool = ThreadPoolExecutor(THREADS)
    reading: deque[tuple[Source, Future[tuple[Answer, Film | None]]]] = deque()
    writing: deque[Future[None]] = deque()
    waiting = iter(sources)
    try:
        while True:
            for source in itertools.islice(waiting, AHEAD - len(reading)):
                reading.append((source, pool.submit(_answer, source, model, guard=guard)))
            if not reading:
                break
            source, answered = reading.popleft()
            answer, film = answered.result()
            if overlays is not None and film is not None:
                path = overlays.place(source, film)
                writing.append(pool.submit(overlays.write, path, film, answer.prediction, model))
                answer = replace(answer, overlay=str(path))
            if len(writing) > AHEAD:
                writing.popleft().result()
            yield replace(answer, prediction=answer.prediction.without_evidence())
        for written in writing:
            written.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(source: Source, model: Model, *, guard: bool) -> tuple[Answer, Film | None]:
    read = _read(source.file, model.card.frame)
    if isinstance(read, FilmPrediction):
        return Answer(source, read), None
    film, placement = read
    told = model.predict_film(film, placement, guard=guard)
    strongest = None if told.evidence is None else peak(told.evidence, placement, model.card.frame.size)
    return Answer(source, told, film.study, strongest), film


def _read(file: str, frame: Frame) -> tuple[Film, Placement] | FilmPrediction:
    """Return a film and where it stands in the frame, or what is said of it where there is none."""
    try:
        film = read_film(file)
        return film, place(film, frame)
    except BlankFilm as refusal:
        return FilmPrediction(file, level=OUT_OF_SCOPE, reason=str(refusal).removeprefix(f"{file}: it is "))
    except FilmError as refusal:
        return FilmPrediction(file, error=str(refusal))
    except Exception as fault:  # a decoder's own fault must not cost the other films their answer
        error = f"{file}: reading it failed in an unforeseen way ({type(fault).__name__}). Export the film again."
        return FilmPrediction(file, error=error)
