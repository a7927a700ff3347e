"""The other numbers of a card: how much it learned from, what INT8 costs, what the guard refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from osteon.card import INT8_LIMITS, Card, DataSource, Int8Cost, Refusals
from osteon.lab.data.store import open_store
from osteon.lab.guard.fit import TOLERANCE, Square, folder_squares, made_squares, negatives
from osteon.lab.guard.graph import NOVELTY
from osteon.lab.guard.pictures import KINDS
from osteon.lab.progress import Count
from osteon.lab.quantisation.quantise import cost_of
from osteon.lab.verification.check import Check, between, check
from osteon.opening import load_model

AREA = 0.001
"""How far the AUROC in INT8 may lie apart on two processors."""

SHIFT = 0.3
"""Likewise, of the shift itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is measured: the model file and its card, the index with the card's names of splits, and folders of pictures out of scope."""

    file: Path
    card: Card
    films: pl.DataFrame
    out_of_scope: tuple[Path, ...] = ()

    def of(self, split: str) -> pl.DataFrame:
        """Return the films of a split; none where the index has none."""
        return self.films.filter(pl.col("split") == split)


def data_checks(m: Material) -> Iterator[Check | str]:
    """Yield how many films, studies and abnormal films the model learned from, or why that cannot be counted."""
    for source in m.card.data:
        films = m.of(source.split).filter(pl.col("status") != "unreadable")
        if films.is_empty():
            yield f"what it was trained on: the index has no split {source.split!r}"
            continue
        yield from _counted(source, films)


def _counted(source: DataSource, films: pl.DataFrame) -> Iterator[Check]:
    where = f"trained on {source.name}, {source.split}"
    yield check("data", where, "films", (source.films, len(films)))
    yield check("data", where, "studies", (source.studies, films["study"].n_unique()))
    yield check("data", where, "abnormal", (source.abnormal_films, int(films["label"].sum() or 0)))


def int8_checks(m: Material) -> Iterator[Check | str]:
    """Yield what INT8 costs on each split, or why that cannot be measured."""
    for cost in m.card.int8.costs if m.card.int8 else ():
        films = m.of(cost.split)
        if films.is_empty():
            yield f"cost of INT8 on {cost.split}: the index has no such split"
        else:
            yield from _cost(cost, cost_of(m.file, films, cost.split))


def _cost(card: Int8Cost, now: Int8Cost) -> Iterator[Check]:
    """Decisions that change, and peaks that move, are themselves near ties: their counts may differ by what the limits allow."""
    where, few = f"INT8 on {card.split}", max(1.0, INT8_LIMITS["changed"] * now.films)
    spread = {
        "films": 0.0,
        "changed": few,
        "boxed": 0.0,
        "pointed": few,
        "lost": few,
        "again": few,
        "auroc_float32": AREA,
        "auroc": AREA,
        "shift": SHIFT * now.shift,
    }
    for name, by in spread.items():
        yield check("INT8", where, name, (getattr(card, name), getattr(now, name)), by)


def guard_checks(m: Material, progress: Count | None = None) -> Iterator[Check | str]:
    """Yield how many films and pictures the guard refuses, or why that cannot be counted.

    In float32, as it was measured; a film whose novelty is within `guarding.TOLERANCE` of the threshold may fall to the other side.
    """
    if m.card.scope is None:
        return
    model = load_model(m.file, "float32")
    for told in m.card.scope.measured:
        squares = _squares(told, m)
        if isinstance(squares, str):
            yield f"the guard on {told.kind}: {squares}"
            continue
        novelty = np.array([model.read(square[None], (NOVELTY,))[0][0] for square in _watched(squares, told.films, progress)])
        yield check("guard", f"guard on {told.kind}", "films", (told.films, len(novelty)))
        counts = [float((novelty > m.card.scope.threshold * by).sum()) for by in (1.0, 1 + TOLERANCE, 1 - TOLERANCE)]
        yield between("guard", f"guard on {told.kind}", "refused", (told.refused, counts[0]), counts)


def _watched(squares: Iterable[Square], total: int, progress: Count | None) -> Iterator[Square]:
    for done, square in enumerate(squares, 1):
        yield square
        if progress:
            progress(done, total)


def _squares(told: Refusals, m: Material) -> Iterable[Square] | str:
    """Return the films or pictures that were counted, prepared; or why they are not here."""
    frame = m.card.frame
    if told.note == "made" and told.kind in KINDS:
        return made_squares(told.kind, told.films, 0, frame)
    for words, inverted in (("inverted films of ", True), ("films of ", False)):
        if told.kind.startswith(words):
            films = m.of(told.kind.removeprefix(words))
            if films.is_empty():
                return "the index has no such split"
            store = open_store(films, frame)
            return negatives(store.films, frame) if inverted else iter(store.pixels)
    if told.kind.endswith(", left out"):
        return "that takes a guard fitted without them: osteon guard measures it"
    folder = next((folder for folder in m.out_of_scope if folder.name == told.kind), None)
    return folder_squares(folder, frame)[0] if folder else f"name its folder, {told.kind}, with --out-of-scope"
