"""Films read ahead while the model answers: each goes through one thread, from the file to the answer; few are in memory at a time."""

from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from osteon.errors import BlankFilm, FilmError
from osteon.film import Film, Placement, checked, place, read_film
from osteon.network import cores
from osteon.prediction import OUT_OF_SCOPE, FilmPrediction
from osteon.sources import OVERLAY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osteon.card import Card
    from osteon.model import Model
    from osteon.sources import Source

THREADS = 1 + cores()
"""One for each core, and one that reads while another waits for the disk."""

AHEAD = 2 * THREADS
"""Films under way, and overlays that wait to be written, at most."""


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

    def write(self, path: Path, film: Film, prediction: FilmPrediction) -> None:
        """Write one; a full disk costs the picture, not the numbers."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            prediction.overlay(film).save(path, "PNG", compress_level=2)
        except OSError as fault:
            self.failed = self.failed or f"{path}: the overlay cannot be written ({fault.strerror})"


def overlays_in(folder: Path, sources: Sequence[Source]) -> Overlays:
    """Prepare a folder for overlays of these films."""
    return Overlays(folder, {os.path.abspath(s.file).casefold() for s in sources})  # noqa: PTH100


def answers(
    sources: Sequence[Source], model: Model, overlays: Overlays | None = None, *, guard: bool = True, maps: bool = False
) -> Iterator[FilmPrediction]:
    """Yield what becomes of each film, in order.

    Args:
        sources: The films.
        model: What answers.
        overlays: Where each film is drawn with its heat map.
        guard: Whether a film out of the model's scope gets the reason in the place of a number.
        maps: Whether heat maps, and what the network saw, stay in the predictions: a quarter of a megabyte a film.
    """
    pool = ThreadPoolExecutor(THREADS)
    reading: deque[tuple[Source, Future[tuple[FilmPrediction, Film | None]]]] = deque()
    writing: deque[Future[None]] = deque()
    waiting = iter(sources)
    try:
        while True:
            for source in itertools.islice(waiting, AHEAD - len(reading)):
                reading.append((source, pool.submit(_answer, source, model, guard=guard)))
            if not reading:
                break
            source, answered = reading.popleft()
            prediction, film = answered.result()
            if overlays is not None and film is not None:
                path = overlays.place(source, film)
                writing.append(pool.submit(overlays.write, path, film, prediction))
                prediction = replace(prediction, overlay_file=str(path))
            if len(writing) > AHEAD:
                writing.popleft().result()
            yield prediction if maps else prediction.without_maps()
        for written in writing:
            written.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(source: Source, model: Model, *, guard: bool) -> tuple[FilmPrediction, Film | None]:
    read = _read(source, model.card)
    if isinstance(read, FilmPrediction):
        return read, None
    film, placement = read
    return replace(model.predict_film(film, placement, guard=guard), film=source.name), film


def _read(source: Source, card: Card) -> tuple[Film, Placement] | FilmPrediction:
    """Return a film and where it stands in the frame, or what is said of it where there is none."""
    try:
        held = source.file if source.held is None else source.held
        film = checked(held) if isinstance(held, Film) else read_film(held, source.name)
        return film, place(film, card.frame)
    except BlankFilm as refusal:
        reason = str(refusal).partition(": it is ")[2]
        return FilmPrediction(source.name, level=OUT_OF_SCOPE, reason=reason, card=card)
    except FilmError as refusal:
        error = str(refusal)
    except Exception as fault:  # a decoder's own fault must not cost the other films their answer
        error = f"reading it failed in an unforeseen way ({type(fault).__name__}). Export the film again."
    return FilmPrediction(source.name, error=error.removeprefix(f"{source.name}: "), card=card)
