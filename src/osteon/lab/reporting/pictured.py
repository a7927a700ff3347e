"""Single films in a report: each beside itself with the model's heat map over it, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from osteon.card import Card
from osteon.card_text import level_in_words
from osteon.errors import FilmError
from osteon.film import Film, read_film
from osteon.lab.evaluation.localisation import in_boxes
from osteon.lab.evaluation.scoring import of_split
from osteon.lab.reporting.document import Block, Gap, Picture
from osteon.lab.reporting.material import Material
from osteon.model import Model

MOST = 20
"""Films of each kind that are shown."""

BESIDE = "Left: the film, with the marked finding where the data has one. Right: the same film with the heat map on the card's fixed scale."
"""How a picture is to be read."""

LONGEST = 420
"""Pixels of a shown film's longer side."""

SAME = 0.05
"""Logit units by which the model may differ from the kept predictions: another processor sums in another order."""

_BOX = (255, 210, 63)
_LEGEND = (0.27, 0.82)  # where an overlay's legend has its bar and what it means, in parts of its height


@dataclass(frozen=True, slots=True)
class Shown:
    """A film to show: its row of the predictions, its number in its section, and what became of it, as "missed"."""

    row: dict[str, Any]
    number: int
    kind: str

    @property
    def stem(self) -> str:
        """Name of its picture's file without ending."""
        return f"{self.kind.replace(' ', '-')}-{self.number:03d}"


def reported_films(m: Material) -> pl.DataFrame | Gap:
    """Return the films of the reported split with what was said of them, or why there are none."""
    predictions = m.measured.predictions
    if predictions is None:
        return Gap("Single films cannot be shown: no predictions.parquet stands beside the evaluation. Make it again: osteon evaluate")
    films = of_split(predictions, m.measured.evaluation.plan.split).films
    if not (films["path"] != "").any():
        return Gap("Single films cannot be shown: the predictions name studies, and no films.")
    return films


def pictures(m: Material, films: Sequence[Shown], figures: Path) -> Iterator[Block]:
    """Yield films beside their heat maps, the first after the colours' legend; a gap for each that cannot be read any more."""
    legend = False
    for shown in films:
        blocks = _picture(m, shown, figures, draw_legend=not legend)
        legend = legend or any(isinstance(block, Picture) for block in blocks)
        yield from blocks


def _picture(m: Material, shown: Shown, figures: Path, draw_legend: bool) -> list[Block]:
    """Return the picture of a film, after the colours' legend if that is to be drawn."""
    row, card = shown.row, m.card
    try:
        film = read_film(Path(str(row["root"]), str(row["path"])))
    except FilmError:
        return [Gap(f"Number {shown.number} ({shown.kind}): the film is not where the index says, or cannot be read any more.")]
    drawn, logit = overlaid(m.model, film)
    height, width = film.pixels.shape
    beside = np.concatenate([marked(film, row["boxes"]), drawn[:height, :width]], axis=1)
    file = _save(beside, figures / f"{shown.stem}.jpg", 2 * LONGEST)
    picture = Picture(file, f"{shown.number}: {shown.kind}", _caption(row, card, logit), _alt(shown), m.origins.report)
    if not draw_legend:
        return [picture]
    top, bottom = (height + round(share * (len(drawn) - height)) for share in _LEGEND)
    bar = _save(drawn[top:bottom], figures / "legend.png", 2 * LONGEST)
    alt = "Colour scale from no over uncertain to yes, with the probabilities where they meet"
    return [Picture(bar, "Colours", "The heat map's scale, the same for every film.", alt, m.origins.model), picture]


def overlaid(model: Model, film: Film) -> tuple[NDArray[np.uint8], float]:
    """Return a film with a model's heat map over it and the legend below, (H + legend, W, 3), and its logit."""
    prediction = model.predict_film(film, guard=False)
    assert prediction.logit is not None
    return np.asarray(prediction.overlay(film)), prediction.logit


def _caption(row: dict[str, Any], card: Card, logit: float) -> str:
    label = "abnormal" if row["label"] == 1 else "normal"
    kind, probability = str(row["study_type"]).lower() or "study type unknown", float(row["probability"])
    words = [f"{kind}, {label}. Probability {probability:.3f}: {level_in_words(card.level(probability))}."]
    if row["boxes"] and row.get("peak_x") is not None:
        hit = in_boxes(row["peak_x"], row["peak_y"], row["boxes"])
        words.append(f"The hottest point lies {'inside' if hit else 'outside'} the marked finding.")
    if row.get("hardware") == 1:
        words.append("With a metal implant.")
    if row.get("status") == "truncated":
        words.append("The file is truncated.")
    if row.get("logit") is not None and abs(row["logit"] - logit) > SAME:
        words.append(f"ATTENTION: the model gives it logit {logit:.2f} now, and gave {row['logit']:.2f} when it was evaluated.")
    return " ".join(words)


def _alt(shown: Shown) -> str:
    kind = str(shown.row["study_type"]).lower() or "unknown study type"
    return f"A film ({kind}) and the same film with the model's heat map: {shown.kind}, probability {shown.row['probability']:.2f}"


def marked(film: Film, boxes: list[list[float]] | None) -> NDArray[np.uint8]:
    """Return a film (H, W, 3) with the boxes of its findings drawn on it."""
    picture = Image.fromarray(np.rint(film.pixels * 255).astype(np.uint8)).convert("RGB")
    draw, line = ImageDraw.Draw(picture), max(1, max(film.pixels.shape) // 200)
    for x, y, width, height in boxes or []:
        draw.rectangle((x, y, x + width, y + height), outline=_BOX, width=line)
    return np.asarray(picture)


def _save(pixels: NDArray[np.uint8], path: Path, longest: int) -> Path:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((longest, longest))
    picture.save(path, quality=85)
    return path
