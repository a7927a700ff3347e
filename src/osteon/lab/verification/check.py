"""One number of a card, measured again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Part = Literal["data", "metrics", "INT8", "guard"]

EXACT = 1e-9
"""What the decimal form of a number may cost."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A number as the card has it and as it is now; None where it cannot be measured.

    `low` and `high`: where the card's number may lie and still be the same measurement, since another processor rounds otherwise; None
    where nothing was measured.
    """

    part: Part
    where: str
    name: str
    card: float | None
    now: float | None
    low: float | None = None
    high: float | None = None
    holds: bool

    @property
    def difference(self) -> float | None:
        """What it is now less what the card says."""
        return None if self.card is None or self.now is None else self.now - self.card


Numbers = tuple[float | None, float | None]
"""As the card has it, and as it is now."""


def check(part: Part, where: str, name: str, numbers: Numbers, spread: float = 0.0) -> Check:
    """Return the check of a number that may lie `spread` to either side.

    >>> check("metrics", "valid", "auroc", (0.94, 0.9401), 0.001).holds, check("metrics", "valid", "auroc", (0.94, None)).holds
    (True, False)
    """
    return between(part, where, name, numbers, [numbers[1]], spread)


def between(part: Part, where: str, name: str, numbers: Numbers, reach: Sequence[float | None], spread: float = 0.0) -> Check:
    """Return the check of a number that may be any of `reach`, or between them, and `spread` to either side; None if one of them is."""
    card, now = numbers
    there = [value for value in reach if value is not None]
    low, high = (min(there) - spread, max(there) + spread) if there else (None, None)
    inside = card is not None and low is not None and high is not None and low - EXACT <= card <= high + EXACT
    holds = None in reach if card is None else inside
    return Check(part=part, where=where, name=name, card=card, now=now, low=low, high=high, holds=holds)
