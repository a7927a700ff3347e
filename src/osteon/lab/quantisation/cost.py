"""The cost of INT8: decisions, rank and peaks that change against float32 on the films of a split."""

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

NEAR = 0.25
"""Logits on either side of the threshold over which `changed_by_chance` is averaged."""

THRESHOLDS = np.linspace(-NEAR, NEAR, 21)

AGAIN = 0.06
"""Share of the films that may be read again in float32, which takes two to three times as long."""

WIDEST = 1.0
"""Logits from the threshold beyond which no film is read again."""


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

    def nearness(self) -> float:
        """Return how near the threshold `AGAIN` of these films lie, in logits; the mean over thresholds within `NEAR` of the card's."""
        tried = np.linspace(0, WIDEST, 101)
        shares = np.array([np.mean([self._open(self.float32.logit + away, near).mean() for away in THRESHOLDS]) for near in tried])
        return float(tried[np.searchsorted(shares, AGAIN, side="right") - 1])

    def settled(self, eight: Answers, near: float) -> Answers:
        """Return the answers in INT8, but in float32 where those lie within `near` of the threshold."""
        again = self._open(eight.logit, near)

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
        """Return the share of decisions that would change if any film had had any other's error: what `changed` is a small sample of.

        `eight` are the answers before any is settled: a film that its error would leave within `near` of the threshold does not change.

        The share is a mean over thresholds within `NEAR` of the card's. That one was often chosen on these very films, and then lies right
        beside two of them, which any error moves; other films lie where they will.
        """
        errors = eight.logit.astype(np.float64) - self.float32.logit
        shares = []
        for films in (self.float32.logit + away for away in THRESHOLDS):
            moved = films[:, None] + errors
            shares.append(((self._above(moved) != self._above(films)[:, None]) & ~self._open(moved, near)).mean())
        return float(np.mean(shares))

    @cached_property
    def _label(self) -> NDArray[np.float64]:
        return self.store.films["label"].cast(pl.Float64).fill_null(np.nan).to_numpy()

    @cached_property
    def _boxed(self) -> NDArray[np.bool_]:
        return np.array([bool(given) for given in self.store.films["boxes"].to_list()], bool)

    def _above(self, logits: NDArray[np.floating]) -> NDArray[np.bool_]:
        return calibrate.apply(self.card.calibration, logits.astype(np.float64)) >= self.card.decision.threshold

    def _open(self, logits: NDArray[np.floating], near: float) -> NDArray[np.bool_]:
        return np.asarray(self._above(logits - near) != self._above(logits + near))

    def _decided(self, answers: Answers) -> NDArray[np.int64]:
        """Return 1 and 0 for abnormal or not, 2 for out of scope."""
        called = self._above(answers.logit).astype(np.int64)
        if answers.novelty is None or self.card.scope is None:
            return called
        return np.where(answers.novelty > self.card.scope.threshold, 2, called)

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
