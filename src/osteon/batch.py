"""Films read ahead while the model answers: each goes through one thread, from the file to the answer; few are in memory at a time."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from osteon.atomic import whole
from osteon.bounds import turn
from osteon.errors import BlankFilm, FilmError, ModelFileError
from osteon.film import Film, Placement, checked, place, read_film
from osteon.network import cores
from osteon.prediction import OUT_OF_SCOPE, FilmPrediction
from osteon.sources import OVERLAY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from osteon.card import Card
    from osteon.model import Model
    from osteon.sources import Source

THREADS = 1 + cores()
"""One for each core, and one that reads while another waits for the disk."""

AHEAD = 2 * THREADS
"""Films that are asked for and not yet given out, at most; how many pixels are in memory at one time is bounded by `bounds.turn`."""


PICTURE, FEW = 640, 500
"""Pixels of the longer side of a picture for a page, half as many above so many films."""


@dataclass(slots=True)
class Overlays:
    """Where overlays go: a folder, the paths that are taken (films are never overwritten), and the first reason why one failed."""

    folder: Path
    taken: set[str]
    failed: str = ""
    kept: dict[str, str] = field(default_factory=dict)

    def keep(self, drawn: dict[str, str]) -> None:
        """Leave the overlays that stand already to their films: by film, the path of its overlay."""
        self.kept |= drawn
        self.taken |= {os.path.abspath(path).casefold() for path in drawn.values()}  # noqa: PTH100

    def places(self, source: Source) -> tuple[Path, Path]:
        """Return two paths of their own for a film's overlay: one with the film's place and name, and for DICOM one of a hash alone.

        Neither depends on which films come after it, and that for DICOM on no other film at all.
        """
        if (kept := self.kept.get(source.name)) and not Path(kept).name.startswith("dicom-"):
            return Path(kept), Path(kept)
        hashed = hashlib.blake2b(os.fsencode(source.name), digest_size=6).hexdigest()
        return self._free(source.below), self.folder / f"dicom-{hashed}{OVERLAY_SUFFIX}"

    def _free(self, name: str) -> Path:
        below = PurePosixPath(name).with_suffix("")
        base = self.folder.joinpath(*(part for part in below.parts if part not in ("/", "..")))
        for number in itertools.count(1):
            path = base.with_name(f"{base.name}{'' if number == 1 else f'-{number}'}{OVERLAY_SUFFIX}")
            key = os.path.abspath(path).casefold()  # noqa: PTH100 - a link stays one
            if key not in self.taken:
                self.taken.add(key)
                return path
        raise AssertionError

    def write(self, path: Path, film: Film, prediction: FilmPrediction) -> FilmPrediction:
        """Write one, and return the prediction that names it; a full disk costs the picture, not the numbers."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            prediction.overlay(film).save(path, "PNG", compress_level=2)
        except OSError as fault:
            self.failed = self.failed or f"{path}: the overlay cannot be written ({fault.strerror})"
            return prediction
        return replace(prediction, overlay_file=str(path))


def overlays_in(folder: Path, sources: Sequence[Source]) -> Overlays:
    """Prepare a folder for overlays of these films."""
    return Overlays(folder, {os.path.abspath(s.file).casefold() for s in sources})  # noqa: PTH100


@dataclass(slots=True)
class Pictures:
    """Where pictures wait until the page is written: a folder with a file a film, and the first reason why one failed."""

    folder: Path
    longer: int
    failed: str = ""

    def write(self, film: Film, prediction: FilmPrediction) -> None:
        """Draw one; a full disk costs the picture, not the numbers."""
        try:
            with whole(self._file(prediction.film), shared=True) as part:
                part.write_text(prediction.picture(film, self.longer))
        except OSError as fault:
            self.failed = self.failed or f"the page's pictures cannot be written ({fault.strerror})"

    def of(self, film: str) -> str:
        """Return what `FilmPrediction.picture` returned of a film, "" where there is none."""
        try:
            return self._file(film).read_text()
        except OSError:
            return ""

    def _file(self, film: str) -> Path:
        return self.folder / f"{hashlib.blake2b(os.fsencode(film), digest_size=16).hexdigest()}.json"


def pictures_in(folder: Path, films: int) -> Pictures:
    """Prepare a folder for the pictures of so many films."""
    return Pictures(folder, PICTURE if films <= FEW else PICTURE // 2)


class Drawn(NamedTuple):
    """What is drawn of each film: overlays, pictures for a page."""

    overlays: Overlays | None = None
    pictures: Pictures | None = None


NOTHING = Drawn()


def answers(
    sources: Sequence[Source],
    model: Model,
    drawn: Drawn = NOTHING,
    *,
    guard: bool = True,
    maps: bool = False,
    skip: Container[int] = (),
) -> Iterator[FilmPrediction]:
    """Yield what becomes of each film, in order.

    Args:
        sources: The films.
        model: What answers.
        drawn: Where each film is drawn with its heat map.
        guard: Whether a film out of the model's scope gets the reason in the place of a number.
        maps: Whether heat maps, and what the network saw, stay in the predictions: a quarter of a megabyte a film.
        skip: Places in `sources` of films that are not asked for; their overlays' names stay taken.
    """
    pool = ThreadPoolExecutor(THREADS)
    answer = partial(_answer, model=model, drawn=drawn, guard=guard, maps=maps)
    under_way: deque[Future[FilmPrediction]] = deque()
    placed = ((i, source, drawn.overlays.places(source) if drawn.overlays else ()) for i, source in enumerate(sources))
    waiting = ((source, places) for i, source, places in placed if i not in skip)
    try:
        while True:
            under_way.extend(pool.submit(answer, *asked) for asked in itertools.islice(waiting, AHEAD - len(under_way)))
            if not under_way:
                break
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(source: Source, places: Sequence[Path], *, model: Model, drawn: Drawn, guard: bool, maps: bool) -> FilmPrediction:
    with turn():
        read = _read(source, model.card)
        if isinstance(read, FilmPrediction):
            return read
        film, placement = read
        try:
            prediction = replace(model.predict_film(film, placement, guard=guard), film=source.name)
        except ModelFileError as fault:  # a model that gives this film no number may give the others one
            return FilmPrediction(source.name, error=str(fault), card=model.card)
        if drawn.overlays is not None:
            prediction = drawn.overlays.write(places[film.format == "DICOM"], film, prediction)
        if drawn.pictures is not None:
            drawn.pictures.write(film, prediction)
        return prediction if maps else prediction.without_maps()


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
