"""The cost of INT8: answers, rank and peaks that change against float32 on the films of a split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card import Card, Int8Cost
from osteon.explanation import peak
from osteon.lab.calibration import calibrate
from osteon.lab.data.store import FilmStore
from osteon.lab.evaluation import localisation
from osteon.lab.evaluation.metrics import ranking
from osteon.precision import edges

NEAR = 0.25
"""Logits on either side of the edges over which `changed_by_chance` is averaged."""

THRESHOLDS = np.linspace(-NEAR, NEAR, 21)

CHANGED = 0.001
"""Share of the answers that may change by chance, of held films: few enough that a person meets none."""

WIDEST = 1.0
"""Logits from an edge of the answers beyond which no film is read again."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one network says of the films of a split: logits (n,), evidence (n, h, w) and, with a guard, novelty (n,)."""

    logit: NDArray[np.float32]
    evidence: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None

    def shift(self, other: Answers) -> float:
        """Return the root mean square difference of the logits on the films that both answered."""
        n = min(len(self.logit), len(other.logit))
        return float(np.sqrt(np.mean(np.square(self.logit[:n] - other.logit[:n], dtype=np.float64))))


@dataclass(frozen=True, eq=False)
class Held:
    """Films of a split, and what float32 says of them; INT8 is measured against that."""

    split: str
    store: FilmStore
    card: Card
    float32: Answers

    def nearness(self, eight: Answers) -> float:
        """Return within how many logits of an edge films must be read again, so that no more than `CHANGED` of the answers change."""
        tried = np.linspace(0, WIDEST, 101)
        return float(next((near for near in tried if self.changed_by_chance(eight, near) <= CHANGED), WIDEST))

    def nearness_of_novelty(self, eight: Answers) -> float:
        """Return by how much of itself novelty differs at most; 0 without a guard."""
        if eight.novelty is None or self.float32.novelty is None or self.card.scope is None:
            return 0.0
        return float(np.abs(eight.novelty / self.float32.novelty - 1).max())

    def settled(self, eight: Answers, near: float, near_novelty: float = 0.0) -> Answers:
        """Return the answers in INT8, but in float32 where those lie within `near` of an edge, or `near_novelty` of the guard's limit."""
        again = self._open(eight.logit, near)
        if eight.novelty is not None and self.card.scope is not None:
            again |= np.abs(eight.novelty / self.card.scope.threshold - 1) < near_novelty

        def chosen(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.where(again.reshape(-1, *[1] * (rounded.ndim - 1)), exact, rounded)

        novelty = None if eight.novelty is None or self.float32.novelty is None else chosen(self.float32.novelty, eight.novelty)
        return Answers(chosen(self.float32.logit, eight.logit), chosen(self.float32.evidence, eight.evidence), novelty)

    def cost(self, eight: Answers) -> Int8Cost:
        """Return what INT8 changes, where some films were read again."""
        here, there = self._pointed(self.float32), self._pointed(eight)
        return Int8Cost(
            split=self.split,
            films=len(self.store),
            changed=int((self._decided(self.float32) != self._decided(eight)).sum()),
            boxed=int(self._boxed.sum()),
            pointed=int(here.sum()),
            lost=int((here & ~there).sum()),
            again=int((eight.logit == self.float32.logit).sum()),  # INT8 never comes to the same bits
            auroc_float32=self._auroc(self.float32),
            auroc=self._auroc(eight),
            shift=self.float32.shift(eight),
        )

    def changed_by_chance(self, eight: Answers, near: float) -> float:
        """Return the share of answers that would change if any film had had any other's error: what `changed` is a small sample of.

        `eight` are the answers before any is settled: a film that its error would leave within `near` of the threshold does not change.

        The share is a mean over edges within `NEAR` of the card's. Those were often chosen on these very films, and then lie right
        beside two of them, which any error moves; other films lie where they will.
        """
        errors = eight.logit.astype(np.float64) - self.float32.logit
        shares = []
        for films in (self.float32.logit + away for away in THRESHOLDS):
            moved = films[:, None] + errors
            shares.append(((self._level(moved) != self._level(films)[:, None]) & ~self._open(moved, near)).mean())
        return float(np.mean(shares))

    @cached_property
    def _label(self) -> NDArray[np.float64]:
        return self.store.films["label"].cast(pl.Float64).fill_null(np.nan).to_numpy()

    @cached_property
    def _boxed(self) -> NDArray[np.bool_]:
        return np.array([bool(given) for given in self.store.films["boxes"].to_list()], bool)

    def _level(self, logits: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return how many edges of the answers lie at or below each logit's probability."""
        return np.searchsorted(edges(self.card.decision), calibrate.apply(self.card.calibration, logits.astype(np.float64)), side="right")

    def _open(self, logits: NDArray[np.floating], near: float) -> NDArray[np.bool_]:
        wide = logits.astype(np.float64)
        return np.asarray(self._level(wide - near) != self._level(wide + near))

    def _decided(self, answers: Answers) -> NDArray[np.intp]:
        """Return each film's level, -1 for out of scope."""
        levels = self._level(answers.logit)
        if answers.novelty is None or self.card.scope is None:
            return levels
        return np.where(answers.novelty > self.card.scope.threshold, -1, levels)

    def _auroc(self, answers: Answers) -> float | None:
        known = ~np.isnan(self._label)
        label = self._label[known] == 1
        if label.all() or not label.any():
            return None
        return float(ranking(label, answers.logit[known].astype(np.float64), np.ones((1, len(label))))[0][0])

    def _pointed(self, answers: Answers) -> NDArray[np.bool_]:
        boxes = self.store.films["boxes"].to_list()
        size = self.card.frame.size
        inside = (
            bool(given) and localisation.in_boxes(*peak(cells, place, size)[:2], given)
            for cells, place, given in zip(answers.evidence, self.store.placements, boxes, strict=True)
        )
        return np.fromiter(inside, bool, len(self.store))
