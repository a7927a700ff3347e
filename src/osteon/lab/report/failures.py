"""The section on failures: how many there are, and the most confident wrong answers with the model's evidence over the films."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from osteon.card import Card
from osteon.errors import FilmError
from osteon.explanation import overlay
from osteon.film import Film, place, prepare, read_film
from osteon.lab.localisation import in_boxes
from osteon.lab.report.document import Block, Gap, Picture, Section, Table, Text
from osteon.lab.report.material import Material
from osteon.lab.scoring import of_split
from osteon.model import Model
from osteon.prediction import film_prediction

WORST = 8
"""Films of each kind that are shown."""

LONGEST = 420
"""Pixels of a shown film's longer side."""

SAME = 0.05
"""Logit units by which the model may differ from the kept predictions: another processor sums in another order."""

_BOX = (255, 210, 63)
_LEGEND = (0.27, 0.82)  # where an overlay's legend has its bar and what it means, in parts of its height


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong answer: its row of the predictions, its number in the list of failures, and "missed" or "false alarm"."""

    row: dict[str, Any]
    number: int
    kind: str


def failure_section(m: Material, figures: Path) -> Section:
    """Return the section; its pictures and `failures.csv`, which names the files, are written into folders of the report."""
    predictions = m.measured.predictions
    if predictions is None:
        words = "Failures cannot be shown: no predictions.parquet stands beside the evaluation. Make it again: osteon evaluate"
        return Section("failures", "Failures", [Gap(words)])
    films = of_split(predictions, m.measured.evaluation.plan.split).films
    if not (films["path"] != "").any():
        return Section("failures", "Failures", [Gap("Failures cannot be shown: the predictions name studies, and no films.")])
    wrong = _wrong(films, m.measured.evaluation.plan.threshold)
    wrong.select("number", "kind", "path", "study_type", "label", "probability").write_csv(figures.parent / "failures.csv")
    blocks: list[Block] = [_confusion(m, films), _by_type(m, films, wrong), *_shown(m, wrong, figures)]
    return Section("failures", "Failures", blocks)


def _wrong(films: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the wrongly answered films, the most confident first: the missed ones, then the false alarms."""
    answered = films.filter(pl.col("label").is_not_null() & pl.col("probability").is_not_null())
    called = pl.col("probability") >= threshold
    missed = answered.filter((pl.col("label") == 1) & ~called).sort("probability", "path").with_columns(kind=pl.lit("missed"))
    alarms = answered.filter((pl.col("label") == 0) & called).sort("probability", "path", descending=[True, False])
    return pl.concat([missed, alarms.with_columns(kind=pl.lit("false alarm"))]).with_row_index("number", offset=1)


def _confusion(m: Material, films: pl.DataFrame) -> Table:
    called = pl.col("probability") >= m.measured.evaluation.plan.threshold
    answered = films.filter(pl.col("label").is_not_null() & pl.col("probability").is_not_null())
    rows = []
    for label, word in ((1, "abnormal films"), (0, "normal films")):
        part = answered.filter(pl.col("label") == label)
        yes = part.filter(called).height
        rows.append((word, f"{part.height:,}", f"{yes:,}", f"{part.height - yes:,}"))
    header = ("", "films", "called abnormal", "called normal")
    return Table("Right and wrong", header, rows, m.origins.report, "Counted at the evaluation's threshold, on films.")


def _by_type(m: Material, films: pl.DataFrame, wrong: pl.DataFrame) -> Table:
    rows = []
    for kind in sorted(films["study_type"].unique().to_list()):
        part, failed = films.filter(pl.col("study_type") == kind), wrong.filter(pl.col("study_type") == kind)
        missed = failed.filter(pl.col("kind") == "missed").height
        abnormal, normal = (int((part["label"] == label).sum()) for label in (1, 0))
        rows.append((kind.lower() or "unknown", f"{missed:,} of {abnormal:,}", f"{failed.height - missed:,} of {normal:,}"))
    return Table("Failures by study type", ("study type", "missed, of abnormal", "false alarms, of normal"), rows, m.origins.report)


def _shown(m: Material, wrong: pl.DataFrame, figures: Path) -> Iterator[Block]:
    words = (
        f"The {WORST} most confident of each kind. Left: the film, with the marked finding where the data has one. Right: the same film "
        "with the evidence on the card's fixed scale. The numbers stand in failures.csv, which names the files; no picture does."
    )
    yield Text(words, m.origins.report)
    legend = False
    for kind in ("missed", "false alarm"):
        rows = wrong.filter(pl.col("kind") == kind)
        if rows.is_empty():
            yield Gap(f"Not one {'abnormal film was missed' if kind == 'missed' else 'normal film raised a false alarm'}.")
        for row in rows.head(WORST).to_dicts():
            shown = _picture(m, Failure(row, row["number"], kind), figures, draw_legend=not legend)
            legend = legend or any(isinstance(block, Picture) for block in shown)
            yield from shown


def _picture(m: Material, failure: Failure, figures: Path, draw_legend: bool) -> list[Block]:
    """Return the picture of a failure, after the colours' legend if it is the first."""
    row, card = failure.row, m.card
    try:
        film = read_film(Path(str(row["root"]), str(row["path"])))
    except FilmError:
        return [Gap(f"Number {failure.number} ({failure.kind}): the film is not where the index says, or cannot be read any more.")]
    drawn, logit = _overlaid(m.model, film)
    height, width = film.pixels.shape
    beside = np.concatenate([_grey(film, row["boxes"]), drawn[:height, :width]], axis=1)
    file = _save(beside, figures / f"failure-{failure.number:03d}.jpg", 2 * LONGEST)
    picture = Picture(file, f"{failure.number}: {failure.kind}", _caption(row, card, logit), _alt(failure), m.origins.report)
    if not draw_legend:
        return [picture]
    top, bottom = (height + round(share * (len(drawn) - height)) for share in _LEGEND)
    bar = _save(drawn[top:bottom], figures / "legend.png", 2 * LONGEST)
    alt = "Colour scale from no over doubt to yes, with the probabilities where they meet"
    return [Picture(bar, "Colours", "The evidence's scale, the same for every film.", alt, m.origins.model), picture]


def _overlaid(model: Model, film: Film) -> tuple[NDArray[np.uint8], float]:
    placement = place(film, model.card.frame)
    logits, evidence = model.run(prepare(film, model.card.frame)[None])
    told = film_prediction(film, placement, float(logits[0]), evidence[0], model.card)
    return overlay(film, told, model.card), float(logits[0])


def _caption(row: dict[str, Any], card: Card, logit: float) -> str:
    label = "abnormal" if row["label"] == 1 else "normal"
    kind, probability = str(row["study_type"]).lower() or "study type unknown", float(row["probability"])
    words = [f"{kind}, {label}. Probability {probability:.3f}: {card.level(probability)}."]
    if row["boxes"] and row.get("peak_x") is not None:
        hit = in_boxes(row["peak_x"], row["peak_y"], row["boxes"])
        words.append(f"The strongest evidence lies {'inside' if hit else 'outside'} the marked finding.")
    if row.get("hardware") == 1:
        words.append("With hardware.")
    if row.get("status") == "truncated":
        words.append("The file ends early.")
    if row.get("logit") is not None and abs(row["logit"] - logit) > SAME:
        words.append(f"ATTENTION: the model gives it logit {logit:.2f} now, and gave {row['logit']:.2f} when it was evaluated.")
    return " ".join(words)


def _alt(failure: Failure) -> str:
    kind = str(failure.row["study_type"]).lower() or "unknown study type"
    return f"A film ({kind}) and the same film with the model's evidence: {failure.kind}, probability {failure.row['probability']:.2f}"


def _grey(film: Film, boxes: list[list[float]] | None) -> NDArray[np.uint8]:
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
