"""What a model says of a film and of a study.

A film's number is the card's calibration of the model's logit; a study's is its films' numbers pooled as the card says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from osteon.card_text import level_in_words
from osteon.content import printable
from osteon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from osteon.card import Card, Level, OutOfScope, Pooling
    from osteon.film import Film, Placement

OUT_OF_SCOPE: OutOfScope = "out of scope"
"""What stands in the place of a level where the model does not answer for a film."""

TOP_K = 2
"""How many of a study's films the study pooling "top-k" averages: the finding shows in two views."""

_TOLD = ("film", "level", "probability", "logit", "study_type", "truncated", "remarks", "reason", "error")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FilmPrediction:
    """What a model says of one film, or why it says nothing.

    A film has a number, or is out of the model's scope for a `reason`, or was refused with an `error`.

    Attributes:
        film: Its path as it was given, or its name.
        logit: Log-odds that it is abnormal, before calibration; None without a number.
        probability: In [0, 1], calibrated; None without a number.
        level: The one of three that people are shown, "out of scope", or None where the film was refused.
        study_type: As the file says, "" where it does not.
        truncated: The file ends early and was read as far as it goes.
        remarks: What the reader assumed, as the film says.
        reason: Why it is out of scope.
        error: Why it could not be used.
        peak: The heat map's hottest point, x and y in film pixels, and its evidence.
        overlay_file: Where its overlay was written.
        study_uid: StudyInstanceUID, which makes films one study and is shown nowhere.
        patient: What tells the patients of one study apart, as a film has it; shown nowhere, either.
        card: Of the model.
        placement: Where in the film the cells of `evidence` stand.
        evidence: (h, w) float32, logit units; None without a number, and where it was not kept.
        seen: (S, S) uint8, what the network saw; None where it was not kept.
    """

    film: str
    logit: float | None = None
    probability: float | None = None
    level: Level | OutOfScope | None = None
    study_type: str = ""
    truncated: bool = False
    remarks: tuple[str, ...] = ()
    reason: str = ""
    error: str = ""
    peak: tuple[float, float, float] | None = None
    overlay_file: str = ""
    study_uid: str = ""
    patient: str = ""
    card: Card | None = None
    placement: Placement | None = None
    evidence: NDArray[np.float32] | None = None
    seen: NDArray[np.uint8] | None = None

    @property
    def remark(self) -> str:
        """What people are told beside level and probability: what the reader met, since it may be the cause, and why there is none."""
        refused, ends = f"refused: {self.error}" if self.error else "", "the file ends early" if self.truncated else ""
        parts = (refused, ends, *self.remarks, self.reason)
        return "; ".join(filter(None, parts))

    def answered(self, logit: float, evidence: NDArray[np.float32]) -> FilmPrediction:
        """Return the prediction with what the network says of the film: `logit` and `evidence` (h, w), in logit units."""
        from osteon.explanation import peak

        assert self.card is not None
        assert self.placement is not None
        probability, hottest = self.card.probability(logit), peak(evidence, self.placement, self.card.frame.size)
        level = self.card.level(probability)
        return replace(self, logit=logit, probability=probability, level=level, evidence=evidence, peak=hottest)

    @classmethod
    def from_dict(cls, told: dict[str, Any], card: Card) -> FilmPrediction:
        """Return the prediction that `to_dict` told, without its maps."""
        peak, told = told.get("peak"), {name: told[name] for name in _TOLD} | {"overlay_file": told.get("overlay", "")}
        place = (peak["x"], peak["y"], peak["evidence"]) if peak else None
        return cls(**told | {"remarks": tuple(told["remarks"])}, peak=place, card=card)

    def without_maps(self) -> FilmPrediction:
        """Return a copy that drops the arrays, for keeping very many."""
        return replace(self, evidence=None, seen=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what `osteon predict --json` says of a film."""
        told: dict[str, Any] = {"film": self.film, "level": self.level, "probability": self.probability, "logit": self.logit}
        told |= {"study_type": self.study_type, "truncated": self.truncated}
        if self.peak is not None:
            told["peak"] = dict(zip(("x", "y", "evidence"), self.peak, strict=True))
        if self.overlay_file:
            told["overlay"] = self.overlay_file
        return told | {"remarks": list(self.remarks), "reason": self.reason, "error": self.error}

    def overlay(self, film: Film | None = None) -> Image:
        """Draw the film with its heat map over it and a legend below.

        Args:
            film: The film, at whose resolution it is drawn; without it, what the network saw of it.

        Raises:
            UsageError: there is nothing to draw: the film was refused, it is another one, or the heat map was not kept.
        """
        from osteon.explanation import heat, overlay, spread
        from osteon.film import Film

        if not isinstance(film, Film | None):
            raise UsageError(f"an overlay is drawn over a film that osteon.read_film returned, not over {type(film).__name__}.")
        if self.card is None or self.placement is None:
            raise UsageError(f"{self.film}: there is no heat map, {self.remark}")
        if (self.evidence is None and not self.reason) or (film is None and self.seen is None):
            raise UsageError(f"{self.film}: the heat map was not kept. Ask for it with osteon.predict(..., maps=True).")
        if film is not None and film.path != self.film and not self._is_of(film):
            raise UsageError(f"{self.film}: the film that is given is another one, {film.path}.")
        pixels, at = self._as_seen() if film is None else (film.pixels, self.placement)
        height, width = pixels.shape
        if at.left + at.width > width or at.top + at.height > height:
            raise UsageError(f"{self.film}: the film that is given has {width} x {height} pixels, the predicted one had more.")
        ends = "  (the file ends early)" if self.truncated else ""
        if self.evidence is None or self.probability is None:
            return overlay(pixels, None, (f"{_words(self)}{ends}", self.reason), self.card)
        hot = spread(heat(self.evidence, self.probability, self.card), at, self.card.frame, (height, width))
        return overlay(pixels, hot, (f"{self.card.finding}: {_words(self, '   ')}{ends}", ""), self.card)

    def picture(self, film: Film, longer: int) -> str:
        """Return the film and its heat map, small, as `osteon.explanation.picture` does."""
        from osteon.explanation import heat, picture, spread

        if self.evidence is None or self.probability is None or self.card is None or self.placement is None:
            return picture(film.pixels, None, longer)
        cells, shape = heat(self.evidence, self.probability, self.card), (film.pixels.shape[0], film.pixels.shape[1])
        return picture(film.pixels, partial(spread, cells, self.placement, self.card.frame, shape), longer)

    def _is_of(self, film: Film) -> bool:
        from osteon.film import prepare

        assert self.card is not None
        return self.seen is not None and np.array_equal(prepare(film, self.card.frame), self.seen)

    def _as_seen(self) -> tuple[NDArray[np.float32], Placement]:
        from osteon.film import unprepare

        assert self.seen is not None
        assert self.placement is not None
        return unprepare(self.seen, self.placement)

    def __repr__(self) -> str:
        return printable(f"<FilmPrediction {self.film}: {', '.join(filter(None, (_words(self), self.remark)))}>")

    def _repr_html_(self) -> str:
        """Show in a notebook the film, and beside it the same with its heat map."""
        from osteon.explanation import html_pictures

        pictures = () if self.seen is None else (self._as_seen()[0], self.overlay())
        return html_pictures(pictures, f"{self.film}: {', '.join(filter(None, (_words(self), self.remark)))}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """What a model says of one study: its films' probabilities pooled, None where no film gave one.

    Such a study is "out of scope" where at least one of its films is, else it has no level. `model` is `name@version`.
    """

    study: str
    probability: float | None
    level: Level | OutOfScope | None
    films: tuple[FilmPrediction, ...]
    model: str

    @property
    def refused(self) -> tuple[FilmPrediction, ...]:
        """The films that could not be used."""
        return tuple(f for f in self.films if f.error)

    @property
    def out_of_scope(self) -> tuple[FilmPrediction, ...]:
        """The films that the model does not answer for."""
        return tuple(f for f in self.films if f.reason)

    @property
    def is_its_film(self) -> bool:
        """Whether a single film is the study."""
        return len(self.films) == 1 and self.films[0].film == self.study

    @property
    def remark(self) -> str:
        """What people are told beside level and probability: how many films it has, or what is said of its only one."""
        if self.is_its_film:
            return self.films[0].remark
        apart = {"refused": len(self.refused), OUT_OF_SCOPE: len(self.out_of_scope)}
        films = f"{len(self.films)} film{'' if len(self.films) == 1 else 's'}"
        return ", ".join([films, *(f"{count} {name}" for name, count in apart.items() if count)])

    def to_dict(self) -> dict[str, Any]:
        """Return what `osteon predict --json` says of a study."""
        told = {"study": self.study, "level": self.level, "probability": self.probability}
        return told | {"films": [film.to_dict() for film in self.films]}

    def overlay(self, film: Film | None = None) -> Image:
        """Draw one of the study's films as `FilmPrediction.overlay` does; a study of one film needs no `film`.

        Raises:
            UsageError: it is not clear which film, or there is nothing to draw.
        """
        chosen = self.films if len(self.films) == 1 else [f for f in self.films if f.film == getattr(film, "path", None)]
        if len(chosen) != 1:
            raise UsageError(f"{self.study} has {len(self.films)} films. Give one of them, or take prediction.films[0].overlay().")
        return chosen[0].overlay(film)

    def __repr__(self) -> str:
        return printable(f"<Prediction {self.study}: {', '.join(filter(None, (_words(self), self.remark, self.model)))}>")

    def _repr_html_(self) -> str:
        """Show in a notebook the study's number and its films."""
        from osteon.explanation import html_pictures

        words = f"{self.study}: {_words(self)}, {self.remark}, {self.model}, not for diagnosis"
        return ("" if self.is_its_film else html_pictures((), words)) + "".join(film._repr_html_() for film in self.films)


def _words(told: FilmPrediction | Prediction, gap: str = " ") -> str:
    return level_in_words(told.level) + ("" if told.probability is None else f"{gap}{told.probability:.3f}")


def study_prediction(study: str, films: Sequence[FilmPrediction], card: Card) -> Prediction:
    """Pool the films of one study; films refused or out of scope stay in it and take no part in its number."""
    told = [f.probability for f in films if f.probability is not None]
    probability = pool_study(told, card) if told else None
    silent = OUT_OF_SCOPE if any(f.reason for f in films) else None
    return Prediction(study, probability, silent if probability is None else card.level(probability), tuple(films), card.reference)


def pool_study(probabilities: Sequence[float], card: Card) -> float:
    """Return a study's probability from those of its films, at least one.

    "mean": as in the MURA paper (arXiv 1712.06957, section 3). "max": the highest. "noisy-or": that not every film is normal, were
    they independent. "top-k": the mean of the `TOP_K` highest.
    """
    match card.study_pooling:
        case "mean":
            return math.fsum(probabilities) / len(probabilities)
        case "max":
            return max(probabilities)
        case "noisy-or":
            return 1 - math.prod(1 - p for p in probabilities)
        case "top-k":
            highest = sorted(probabilities)[-TOP_K:]
            return math.fsum(highest) / len(highest)


def highest(cells: int, pooling: Pooling) -> int:
    """Return of how many of so many cells "top-k" takes the mean: `share` of them, at least one."""
    return max(round(pooling.share * cells), 1)


def pool_evidence(evidence: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float64]:
    """Return the logits (...) that maps of evidence (..., h, w) stand for: `pool(evidence) + bias`, all log-odds."""
    cells = evidence.astype(np.float64)
    if pooling.kind == "mean":
        return np.asarray(cells.mean(axis=(-2, -1)) + pooling.bias)
    if pooling.kind == "top-k":
        flat = np.sort(cells.reshape(*cells.shape[:-2], -1))
        return np.asarray(flat[..., -highest(flat.shape[-1], pooling) :].mean(-1) + pooling.bias)
    sharp = cells * pooling.sharpness
    peak = sharp.max(axis=(-2, -1), keepdims=True)
    log_mean = np.log(np.exp(sharp - peak).mean(axis=(-2, -1))) + peak[..., 0, 0]
    return np.asarray(log_mean / pooling.sharpness + pooling.bias)
