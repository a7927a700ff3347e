"""The section that sets another model's answers beside this one's, on the same films: metrics, and films with both heat maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from osteon.card import Card
from osteon.card_text import level_in_words
from osteon.errors import FilmError, ModelFileError
from osteon.film import read_film
from osteon.lab.drawing import PAGE, drawn
from osteon.lab.evaluation.comparison import Difference, compare
from osteon.lab.evaluation.evaluation import ALL, Level
from osteon.lab.evaluation.folder import PREDICTIONS, plan_for
from osteon.lab.evaluation.scoring import Predictions, of_split, read_predictions
from osteon.lab.reporting.document import Block, Gap, Picture, Section, Table, Text
from osteon.lab.reporting.material import Material
from osteon.lab.reporting.pictured import marked, overlaid
from osteon.model import Model
from osteon.opening import load_model

COMPARED: tuple[tuple[Level, str, str], ...] = (
    ("film", "auroc", "AUROC, films"),
    ("study", "auroc", "AUROC, studies"),
    ("study", "sensitivity", "sensitivity, studies"),
    ("study", "specificity", "specificity, studies"),
    ("film", "pointing", "pointing accuracy"),
)
"""Which metrics, and what the table calls them."""

HEIGHT = 5.4
"""Inches of the figure."""


def beside_sections(m: Material, figures: Path) -> list[Section]:
    """Return the section, if another model's evaluation was named; its pictures are written into the report's folder."""
    ours, folder = m.measured.predictions, m.request.beside
    if folder is None or ours is None:
        return []
    theirs = read_predictions(folder / PREDICTIONS)
    if theirs.card is None:
        return []
    return [Section("beside", f"Beside {theirs.card.reference}", list(_blocks(m, ours, theirs, figures)))]


def _blocks(m: Material, ours: Predictions, theirs: Predictions, figures: Path) -> Iterator[Block]:
    card, plan = theirs.card, m.measured.evaluation.plan
    assert card is not None
    yield Text(_words(m, card), m.origins.report)
    found = compare(theirs, ours, (plan_for(theirs, plan), plan_for(ours, plan)))
    by_name = {(d.level, d.name): d for d in found.differences if d.group == ALL}
    rows = [(title, *_cells(by_name[level, name])) for level, name, title in COMPARED if (level, name) in by_name]
    header = ("", m.card.reference, card.reference, "difference")
    yield Table("On the same films", header, rows, m.origins.report, "Each model at the threshold of its own card.")
    try:
        other = load_model(card.reference)
    except ModelFileError:
        yield Gap(f"{card.reference} is not at hand any more, so that its heat maps cannot be shown.")
        return
    yield from _picture(m, other, _chosen(ours, theirs, plan.split), figures / "beside.png")


def _words(m: Material, card: Card) -> str:
    films: Counter[str] = Counter()
    for source in card.data:
        films[source.name or "unnamed data"] += source.films
    sources = ", ".join(f"{name} ({count:,} films)" for name, count in films.items())
    began = f" This training began with it: {m.card.reference} is what it became." if m.recipe.init == card.reference else ""
    return f"{card.reference} finds {card.finding} and learned from {sources or 'films that its card does not name'}.{began}"


def _cells(d: Difference) -> tuple[str, str, str]:
    b, a = (f"{value:.3f}" if value is not None else d.note or "not measured" for value in (d.b, d.a))
    return b, a, d.words or "not measured"


def _chosen(ours: Predictions, theirs: Predictions, split: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a film of each kind, by what it is: found by this model alone, by both, a false alarm of the other, left alone by both."""
    answers = theirs.films.select("path", other="probability")
    films = of_split(ours, split).films.join(answers, on="path").drop_nulls(["probability", "other"])
    here, there = (predictions.card.decision.threshold if predictions.card else 0.5 for predictions in (ours, theirs))
    yes, also = pl.col("probability") >= here, pl.col("other") >= there
    abnormal, gain = pl.col("label") == 1, pl.col("probability") - pl.col("other")
    kinds = {
        "abnormal,\nfound by this model alone": (abnormal & yes & ~also, gain),
        "abnormal,\nfound by both": (abnormal & yes & also, pl.min_horizontal("probability", "other")),
        "normal, a false alarm\nof the other model": (~abnormal & ~yes & also, -gain),
        "normal,\ncalled so by both": (~abnormal & ~yes & ~also, -pl.max_horizontal("probability", "other")),
    }
    best = ((kind, films.filter(where).sort(order, "path", descending=[True, False]).head(1)) for kind, (where, order) in kinds.items())
    return [(kind, row) for kind, rows in best for row in rows.to_dicts()]


def _picture(m: Material, other: Model, shown: Sequence[tuple[str, dict[str, Any]]], file: Path) -> Iterator[Block]:
    """Yield one figure: a column a film, and below each other the film, the other model's heat map and this one's."""
    try:
        films = [(kind, row, read_film(Path(str(row["root"]), str(row["path"])))) for kind, row in shown]
    except FilmError:
        films = []
    if not films:
        yield Gap("No film can be shown: those of the index cannot be read any more.")
        return
    with drawn(file, (PAGE, HEIGHT), layout="constrained") as figure:
        axes = figure.subplots(3, len(films), squeeze=False)
        for column, (kind, row, film) in zip(axes.T, films, strict=True):
            height, width = film.pixels.shape
            column[0].imshow(marked(film, row["boxes"]))
            column[0].set_title(kind)
            for place, model, name in ((column[1], other, "other"), (column[2], m.model, "probability")):
                place.imshow(overlaid(model, film)[0][:height, :width])
                place.set_xlabel(f"{row[name]:.2f}: {level_in_words(model.card.level(row[name]))}")
        for place, name in zip(axes[:, 0], ("film", other.card.reference, m.card.reference), strict=True):
            place.set_ylabel(name)
        for place in axes.flat:
            place.set(xticks=[], yticks=[], facecolor="black", box_aspect=1)
    title = "The same films, as both models see them"
    caption = "Above: the film, with the marked finding. Below: the heat maps on the cards' fixed scale, with probability and answer."
    alt = f"{title}: {len(films)} films, each above the heat maps of {other.card.reference} and {m.card.reference}"
    yield Picture(file, title, caption, alt, m.origins.report, wide=True)
