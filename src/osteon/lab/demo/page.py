"""The demo's page: one HTML file that opens without a network, with every picture inside."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card import Card, Metric
from osteon.film import read_film
from osteon.lab.data.index import read_index, read_report
from osteon.lab.demo.folder import Demo, DemoRecord
from osteon.lab.evaluation.evaluation import ALL, Evaluation
from osteon.lab.evaluation.folder import PREDICTIONS, read_evaluation
from osteon.lab.evaluation.scoring import read_predictions
from osteon.lab.pages import environment, picture_address, template_text, write_whole
from osteon.lab.phantom.png import encode_png
from osteon.lab.training.run import Epoch, RunFolder
from osteon.model import Model
from osteon.model_names import packaged_models
from osteon.opening import load_model

FIGURES = {
    "roc.png": "ROC curves: sensitivity against 1 - specificity, studies and films, with the studies' 95 % band",
    "reliability.png": "Reliability: share of abnormal studies against the predicted probability",
    "kappa.png": "Cohen's kappa of the studies by study type, with 95 % intervals",
}
NAMES = {
    "auroc": "AUROC",
    "average precision": "average precision",
    "kappa": "Cohen's kappa",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
}
BAR = (0.27, 0.82)
"""Where an overlay's legend has its bar and what it means, in parts of its height."""
KINDS = ("fracture", "hardware", "lytic lesion", "joint-space loss")


@dataclass(frozen=True, slots=True)
class Picture:
    """A film on the page: PNG as a data address, its size, boxes in per cent of it, and what stands below and in its stead."""

    source: str
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A film as it is and with the model's evidence over it, and how the model did."""

    plain: Picture
    heat: Picture
    verdict: str
    right: bool


def write_page(demo: Demo, record: DemoRecord) -> None:
    """Write `report.html` from what the stages left in the demo's folder."""
    films, evaluation = read_index(demo.index), read_evaluation(demo.evaluation)
    scored = read_predictions(demo.evaluation / PREDICTIONS).films.filter(pl.col("error") == "")
    model = load_model(demo.model)
    report = read_report(demo.index)
    history = RunFolder(demo.run).history()
    answers = list(_answers(model, scored))
    page = _template().render(
        record=record,
        counts=_counts(films),
        kinds=_kinds(films, evaluation),
        hidden=report.hidden.count if report else 0,
        strays=report.strays.count if report else 0,
        made=list(_made(films)),
        history=history,
        curve=_curve(history),
        recipe=RunFolder(demo.run).record().recipe,
        card=model.card,
        evaluation=evaluation,
        notes=(*record.notes, *evaluation.notes),
        figures=[
            (picture_address((demo.evaluation / f).read_bytes()), alt) for f, alt in FIGURES.items() if (demo.evaluation / f).is_file()
        ],
        table=_table(evaluation),
        headline={level: evaluation.find(level, ALL, "auroc") for level in ("study", "film")},
        pointing=[evaluation.find("film", ALL, name) for name in _pointing(evaluation)],
        answers=answers,
        legend=_legend(model, scored),
        packaged=_packaged(),
        size=demo.model.stat().st_size,
    )
    write_whole(demo.page, page)


def _template() -> jinja2.Template:
    made = environment()
    made.filters |= {"figure": figure, "interval": interval, "clock": clock}
    return made.from_string(template_text("osteon.lab", "page.html.jinja"))


def figure(metric: Metric | None) -> str:
    """Return a figure to two places, or why there is none.

    >>> figure(None)
    'not measured'
    """
    if metric is None:
        return "not measured"
    return f"{metric.value:.2f}" if metric.value is not None else metric.note or "not measured"


def interval(metric: Metric | None) -> str:
    """Return a figure's 95 % interval, "" where it has none."""
    if metric is None or metric.low is None or metric.high is None:
        return ""
    return f"{metric.low:.2f} to {metric.high:.2f}"


def clock(seconds: float) -> str:
    """Return seconds as people read them.

    >>> clock(9.2), clock(128.7)
    ('9 s', '2 min 9 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _counts(films: pl.DataFrame) -> list[dict[str, Any]]:
    rows = films.group_by("study_type").agg(
        [pl.len().alias("films"), pl.n_unique("study").alias("studies"), (pl.col("label") == 1).sum().alias("abnormal")]
        + [(pl.col("split") == name).sum().alias(name) for name in ("train", "tune", "valid")]
    )
    table = rows.sort("study_type")
    total = table.drop("study_type").sum().with_columns(study_type=pl.lit("all")).select(table.columns)
    return pl.concat([table, total], how="vertical_relaxed").to_dicts()


def _kinds(films: pl.DataFrame, evaluation: Evaluation) -> list[tuple[str, int, Metric | None]]:
    """Return the kinds of finding with the films that show one, and how many of the reported ones were found."""
    counted = dict(films.group_by("finding").len().iter_rows())
    return [(kind, counted[kind], evaluation.find("film", f"finding={kind}", "sensitivity")) for kind in KINDS if kind in counted]


def _made(films: pl.DataFrame) -> Iterator[Picture]:
    """Yield a normal and an abnormal film of each study type."""
    for (study_type,), rows in films.filter(pl.col("split") == "train").sort("path").group_by("study_type", maintain_order=True):
        for label in (0, 1):
            some = rows.filter(pl.col("label") == label)
            if some.height:
                row = some.row((7 * len(str(study_type))) % some.height, named=True)
                kind = row["finding"] if label else "normal"
                yield _picture(row, _grey(row), f"{str(study_type).lower()}: {kind}")


def _answers(model: Model, scored: pl.DataFrame) -> Iterator[Answer]:
    threshold = model.card.decision.threshold
    called = pl.col("probability") >= threshold
    abnormal, normal = scored.filter(pl.col("label") == 1), scored.filter(pl.col("label") == 0)
    found = [abnormal.filter(called & (pl.col("finding") == kind)).sort("probability", descending=True).head(1) for kind in KINDS]
    calm = normal.filter(~called).sort("probability").unique("study_type", keep="first", maintain_order=True).head(2)
    missed = abnormal.filter(~called).sort("probability").head(2)
    false = normal.filter(called).sort("probability", descending=True).head(2)
    for rows, verdict, right in (*((f, "found", True) for f in found), (calm, "rightly left alone", True), (missed, "missed", False)):
        yield from (_answer(model, row, verdict, right) for row in rows.to_dicts())
    yield from (_answer(model, row, "false alarm", False) for row in false.to_dicts())


def _answer(model: Model, row: dict[str, Any], verdict: str, right: bool) -> Answer:
    film = read_film(_file(row))
    told = model.predict_film(film)
    height, width = film.pixels.shape
    drawn = np.asarray(told.overlay(film))[:height, :width]
    what = row["finding"] if row["label"] == 1 else "normal"
    name = f"{row['study_type'].lower()}, {what}"
    said = f"probability {told.probability:.2f}: {told.level}"
    heat = Picture(
        picture_address(encode_png(drawn)), width, height, _boxes(row, width, height), said, f"the same film with the evidence: {said}"
    )
    return Answer(_picture(row, _grey(row), name), heat, verdict, right)


def _legend(model: Model, scored: pl.DataFrame) -> str:
    """Return the colour bar that stands below every overlay."""
    film = read_film(_file(scored.row(0, named=True)))
    drawn = np.asarray(model.predict_film(film).overlay(film))[film.pixels.shape[0] :]
    # The film's own probability stands above the bar, the model's name below it: the page says both elsewhere.
    top, bottom = (round(share * len(drawn)) for share in BAR)
    return picture_address(encode_png(np.ascontiguousarray(drawn[top:bottom])))


def _picture(row: dict[str, Any], pixels: NDArray[np.uint8], caption: str) -> Picture:
    height, width = pixels.shape[:2]
    boxes = _boxes(row, width, height)
    alt = f"made radiograph, {caption}" + (", a box around the finding" if boxes else "")
    return Picture(picture_address(encode_png(pixels)), width, height, boxes, caption, alt)


def _boxes(row: dict[str, Any], width: int, height: int) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((100 * x / width, 100 * y / height, 100 * w / width, 100 * h / height) for x, y, w, h in row["boxes"] or [])


def _grey(row: dict[str, Any]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(read_film(_file(row)).pixels * 255), np.uint8)


def _file(row: dict[str, Any]) -> Path:
    return Path(str(row["root"]), str(row["path"]))


def _table(evaluation: Evaluation) -> list[tuple[str, Metric | None, Metric | None]]:
    rows = [(title, evaluation.find("study", ALL, name), evaluation.find("film", ALL, name)) for name, title in NAMES.items()]
    return [(title, study, film) for title, study, film in rows if study or film]


def _pointing(evaluation: Evaluation) -> list[str]:
    return [m.name for m in evaluation.metrics if m.level == "film" and m.group == ALL and m.name.startswith("pointing")]


def _curve(history: Sequence[Epoch]) -> str:
    """Return the passes as a line drawing (SVG): the AUROC on the selection split."""
    points = [(k, p.select_auroc) for k, p in enumerate(history) if p.select_auroc is not None]
    if len(points) < 2:
        return ""
    low = min(0.5, *(y for _, y in points))
    at = [(40 + 260 * k / (len(history) - 1), 130 - 120 * (y - low) / (1 - low)) for k, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in at)
    title = html.escape(f"AUROC on the selection split after each of {len(history)} passes, from {points[0][1]:.2f} to {points[-1][1]:.2f}")
    return (
        f'<svg viewBox="0 0 310 160" role="img" aria-label="{title}"><path d="M40 10V130H300" class="axis"/>'
        f'<text x="34" y="14" text-anchor="end">1</text><text x="34" y="134" text-anchor="end">{low:.2g}</text>'
        f'<text x="40" y="148">pass 1</text><text x="300" y="148" text-anchor="end">pass {len(history)}</text>'
        f'<polyline points="{line}"/>{dots}</svg>'
    )


def _packaged() -> Card | None:
    return load_model().card if packaged_models() else None
