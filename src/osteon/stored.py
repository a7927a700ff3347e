"""Answers on disk as they are made: a folder of parts, each whole or not there, that the same command goes on with.

    asked.json              what was asked: model, its SHA-256, precision, guard, films; a folder answers one question
    parts/000000.jsonl      a line a film, of at most `FILMS` films; what stands in a part is never asked again
    lock                    held by the one process that works in the folder

A film is known by its name as it was given, its size and its time of change: one that changed since is answered again, a new one is
answered too, and of one that is gone nothing is said. A line holds what `--json` says of a film, and more: `key`, the film's identity as a
hash, `check`, a sum over the line, and `uid` and `patient`, which films of one study have in common: hashes with the folder's own `salt`,
and no StudyInstanceUID.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osteon.atomic import LOCK, whole
from osteon.errors import UsageError
from osteon.prediction import FilmPrediction, Prediction, study_prediction
from osteon.results import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from osteon.card import Card
    from osteon.sources import Source, Sources

FILMS = 64
"""Of a part, at most."""

SECONDS = 10.0
"""Until answers are written that do not fill a part: what a killed process loses, and the films under way."""

ASKED, PARTS = "asked.json", "parts"
MADE_BY = {"osteon": "osteon", "model_sha256": "model's SHA-256", "precision": "precision"}
"""What `Model.made_by` says, by the names under which a folder remembers it and a refusal tells it."""


class Stored:
    """The answers of a folder; once no film is left it gives its studies, any number of times, and has only one of them in memory."""

    def __init__(self, folder: Path, asked: dict[str, Any], sources: Sources, card: Card) -> None:
        """Open a folder, or begin it; its lock must be held (`atomic.alone`).

        Args:
            folder: The folder.
            asked: All that the answers depend on beside the films, as JSON can hold it.
            sources: The films.
            card: Of the model.

        Raises:
            UsageError: the folder holds something else, or the answers to another question, or cannot be written.
        """
        self.folder, self.card, self.ignored = folder, card, dict(sources.ignored)
        self.made_by = {name: asked.get(told, "") for name, told in MADE_BY.items()}
        self._sources, self._keys = sources, [_key(source) for source in sources.films]
        self._salt = self._begin(asked)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._uids: dict[bytes, tuple[str, str]] = {}
        self.overlays: dict[str, str] = {}
        self._open: tuple[int, bytes] = (-1, b"")
        self._parts = 0
        for number in sorted(int(path.stem) for path in (folder / PARTS).glob("*.jsonl") if path.stem.isdigit()):
            self._parts = number
            self._take(self._part(number))

    @property
    def answered(self) -> set[int]:
        """The places in the list of films of those that are answered, and whose overlay, where one was drawn, still stands."""
        answered = {i for i, key in enumerate(self._keys) if key in self._places}
        lost = {film for film, overlay in self.overlays.items() if not Path(overlay).is_file()}
        return {i for i in answered if self._sources.films[i].name not in lost} if lost else answered

    def add(self, predictions: Iterable[FilmPrediction]) -> None:
        """Store what is said of the films that are not answered, in their order; however this ends, what came is in a part.

        Raises:
            OSError: the folder cannot be written.
        """
        answered = self.answered
        left = (i for i in range(len(self._keys)) if i not in answered)
        lines: list[bytes] = []
        since = time.monotonic()
        try:
            for i, prediction in zip(left, predictions, strict=False):
                lines.append(self._line(self._keys[i], prediction))
                if len(lines) == FILMS or time.monotonic() - since > SECONDS:
                    self._write(lines)
                    lines, since = [], time.monotonic()
        finally:
            if lines:
                self._write(lines)

    def __len__(self) -> int:
        """Return how many studies there are."""
        return len(self._groups)

    def __iter__(self) -> Iterator[Prediction]:
        """Yield the studies, in the order of their first films."""
        for name, members in self._groups:
            yield study_prediction(name, [self._film(self._keys[i]) for i in members], self.card)

    @cached_property
    def _groups(self) -> list[tuple[str, list[int]]]:
        return grouped(self._sources, [self._uids.get(key, ("", "")) for key in self._keys])

    def _begin(self, asked: dict[str, Any]) -> str:
        file = self.folder / ASKED
        try:
            before = json.loads(file.read_bytes())
            if not isinstance(before, dict) or not isinstance(before.get("salt"), str):
                raise ValueError
        except FileNotFoundError:
            if any(path.name != LOCK for path in self.folder.iterdir()):
                raise UsageError(f"{self.folder} holds something that is no answers. Name another folder with -o.") from None
            before = asked | {"salt": secrets.token_hex(16)}
            with whole(file, durable=True) as part:
                part.write_text(json.dumps(before, indent=1))
        except (OSError, ValueError) as fault:
            raise UsageError(f"{file}: no record of answers ({type(fault).__name__}). Name another folder with -o.") from fault
        for name, now in asked.items():
            if before.get(name) != now:
                told = f"{self.folder} holds answers with another {name}: {before.get(name)!r}, and not {now!r}"
                raise UsageError(f"{told}. Give the same command, or name another folder with -o.")
        return str(before["salt"])

    def _line(self, key: bytes, prediction: FilmPrediction) -> bytes:
        told = {"key": key.hex(), "uid": self._hash(prediction.study_uid), "patient": self._hash(prediction.patient)} | prediction.to_dict()
        return json.dumps({"check": _check(told)} | told).encode() + b"\n"

    def _hash(self, told: str) -> str:
        return told and hashlib.sha256(f"{self._salt} {told}".encode()).hexdigest()[:32]

    def _write(self, lines: list[bytes]) -> None:
        content = b"".join(lines)
        with whole(self._path(self._parts), durable=True) as part:
            part.write_bytes(content)
        self._take(content)

    def _take(self, content: bytes) -> None:
        """Note where in the part that is the last so far each film's line begins."""
        at = 0
        for line in content.splitlines(keepends=True):
            try:
                told = json.loads(line)
                if told.pop("check") != _check(told) or not line.endswith(b"\n"):
                    raise ValueError
                key = bytes.fromhex(told["key"])
            except (ValueError, KeyError, TypeError, AttributeError) as fault:
                file = self._path(self._parts)
                raise UsageError(f"{file}: this part is damaged. Delete it: its films are then answered again.") from fault
            self._places[key], self._uids[key] = (self._parts, at), (sys.intern(told["uid"]), sys.intern(told["patient"]))
            if told.get("overlay"):
                self.overlays[told["film"]] = told["overlay"]
            at += len(line)
        self._parts += 1

    def _film(self, key: bytes) -> FilmPrediction:
        number, at = self._places[key]
        content = self._part(number)
        uid, patient = self._uids[key]
        told = FilmPrediction.from_dict(json.loads(content[at : content.index(b"\n", at)]), self.card)
        return replace(told, study_uid=uid, patient=patient)

    def _part(self, number: int) -> bytes:
        if self._open[0] != number:
            self._open = number, self._path(number).read_bytes()
        return self._open[1]

    def _path(self, number: int) -> Path:
        return self.folder / PARTS / f"{number:06d}.jsonl"


def _check(told: dict[str, Any]) -> str:
    """Return a check sum of a line, which a flipped bit changes."""
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()


def _key(source: Source) -> bytes:
    try:
        known = os.stat(source.file)  # noqa: PTH116 - of a path that is none, too
        state = f"{known.st_size} {known.st_mtime_ns}"
    except (OSError, ValueError):
        state = "not there"
    return hashlib.blake2b(os.fsencode(f"{source.name}\0{state}"), digest_size=16).digest()
