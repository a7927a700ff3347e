"""Model x index -> predictions: a row a film, with its score and where the evidence lies, or with the reason why there is none.

The table carries every column of the index, so that evaluation, comparison and calibration need neither the model nor the films
again. It is written as Parquet with its `Origin` in the file's metadata. A table of another program (CSV or Parquet with
`probability` or `logit`, and `path` or `study`) is read too, as are the JSON and the CSV of `osteon predict`, and joined to an index.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import osteon
from osteon.atomic import whole
from osteon.card import Card
from osteon.errors import EmptyDataset, MeasurementError
from osteon.explanation import peak
from osteon.film import Placement
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.store import open_store
from osteon.lab.evaluation import localisation
from osteon.lab.evaluation.answers import films_of_csv, films_of_json, with_paths
from osteon.lab.evaluation.appearance import SEEN, seen
from osteon.lab.model_file import file_sha256, model_path
from osteon.lab.progress import Count
from osteon.model import OUTPUTS, Model
from osteon.opening import load_model

BATCH = 16
SCORES: dict[str, pl.DataType] = {
    "logit": pl.Float64(),
    "probability": pl.Float64(),
    "novelty": pl.Float64(),
    "peak_x": pl.Float64(),
    "peak_y": pl.Float64(),
    **{column: pl.Float64() for column in localisation.COLUMNS},
    **dict.fromkeys(SEEN, pl.Float64()),
    "error": pl.String(),
}
"""The columns that a prediction adds to an index: null where there is nothing to say; `error` is "" where there is a score.

A film out of the model's scope is scored all the same: its `novelty` says so, and evaluations count it.
"""

_INDEX: dict[str, pl.DataType] = {
    "path": pl.String(),
    "root": pl.String(),
    "split": pl.String(),
    "study_type": pl.String(),
    "view": pl.String(),
    "patient": pl.String(),
    "study": pl.String(),
    "group": pl.String(),
    "label": pl.Int8(),
}


_NAMES = {name: pl.String() for name in ("path", "study", "film")}


class Origin(msgspec.Struct, frozen=True):
    """What made a table of predictions: the model (`name@version`, sha256 of its file, card) and the index (fingerprint)."""

    model: str = ""
    model_sha256: str = ""
    card: Card | None = None
    fingerprint: str = ""
    command: str = ""
    osteon: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """`films`: the columns of the index and those of `SCORES`. `stray`: predictions of films or studies that the index does not know."""

    films: pl.DataFrame
    origin: Origin
    stray: tuple[str, ...] = ()

    @property
    def card(self) -> Card | None:
        """The model's card; None where the predictions come from elsewhere."""
        return self.origin.card


def score_index(model: str | None, index: Path, splits: Sequence[str], command: str = "", progress: Count | None = None) -> Predictions:
    """Run a model file on some splits of an index.

    Args:
        model: A file, `name@version` of one in the package or kept by name, or None for the package's newest.
        index: As `osteon index` wrote it.
        splits: Names; "all" takes every film.
        command: What a reader would type to get the same, kept in the origin.
        progress: Called with (done, total).

    Raises:
        ModelFileError: the model cannot be opened.
        DatasetError: the index cannot be read.
        MeasurementError: a split is not there.
    """
    file = model_path(model)
    opened = load_model(file)
    return score_films(opened, file, read_index(index), splits, (command, progress))


def score_films(
    opened: Model, file: Path, films: pl.DataFrame, splits: Sequence[str], told: tuple[str, Count | None] = ("", None)
) -> Predictions:
    """Run an open model on some splits of an index that has been read; `told` is the command and what is told of the progress.

    Raises:
        MeasurementError: a split is not there.
    """
    command, progress = told
    chosen = pl.concat([of_split(Predictions(films, Origin()), split).films for split in splits]).unique(
        "path", keep="first", maintain_order=True
    )
    origin = Origin(opened.card.reference, file_sha256(file), opened.card, fingerprint(films), command, osteon.__version__)
    return Predictions(_with_columns(score(opened, chosen, progress)), origin)


def score(model: Model, films: pl.DataFrame, progress: Count | None = None, store: Path | None = None) -> pl.DataFrame:
    """Run a model on the films of an index.

    Args:
        model: An open model.
        films: An index, or some of its rows.
        progress: Called with (done, total): first over preparing the films, then over running the model.
        store: Folder of the prepared films; by default the user's cache.

    Returns:
        The rows of the index in their order with the columns of `SCORES`; a refused film has its reason in `error`.
    """
    frame, told = model.card.frame, OUTPUTS if model.card.scope else OUTPUTS[:2]
    try:
        prepared = open_store(films, frame, progress, store)
    except EmptyDataset:
        return _refused(films, {})
    answers: list[dict[str, object]] = []
    boxes = prepared.films["boxes"].to_list() if "boxes" in prepared.films.columns else [None] * len(prepared)
    for start in range(0, len(prepared), BATCH):
        logits, evidence, *novelty = model.read(np.ascontiguousarray(prepared.pixels[start : start + BATCH]), told)
        for i, (logit, cells) in enumerate(zip(logits.tolist(), evidence, strict=True), start):
            place = _where(cells, prepared.placements[i], frame.size, boxes[i])
            place |= seen(prepared.pixels[i], prepared.placements[i], prepared.films.row(i, named=True))
            unlike = float(novelty[0][i - start]) if novelty else None
            answers.append({"logit": logit, "probability": model.card.probability(logit), "novelty": unlike, "error": "", **place})
        if progress:
            progress(min(start + BATCH, len(prepared)), len(prepared))
    scored = prepared.films.with_columns(pl.DataFrame(answers, schema=pl.Schema(SCORES)).get_columns())
    missing = films.with_row_index("row").join(scored.select("path", "root"), on=["path", "root"], how="anti")
    together = pl.concat([scored, _refused(missing.drop("row"), prepared.refused)], how="diagonal_relaxed")
    order = films.select("path", "root").with_row_index("row")
    return together.join(order, on=["path", "root"], how="left").sort("row").drop("row")


def _where(evidence: NDArray[np.float32], placement: Placement, size: int, boxes: list[list[float]] | None) -> dict[str, float]:
    x, y, _ = peak(evidence, placement, size)
    return {"peak_x": x, "peak_y": y, **(localisation.locate(evidence, placement, size, boxes) if boxes else {})}


def _refused(films: pl.DataFrame, reasons: dict[str, str]) -> pl.DataFrame:
    said = [
        reasons.get(str(Path(root) / path), f"{path}: {status} when it was indexed")
        for path, root, status in films.select("path", "root", "status").iter_rows()
    ]
    nothing = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in SCORES.items() if name != "error"]
    return films.with_columns(*nothing, pl.Series("error", said, dtype=pl.String))


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write the table as Parquet with its origin; the file is whole or not there."""
    with whole(path) as part:
        predictions.films.write_parquet(part, metadata={"osteon": msgspec.json.encode(predictions.origin).decode()})


def read_predictions(path: Path, index: pl.DataFrame | None = None) -> Predictions:
    """Read predictions of osteon (Parquet, or what `osteon predict` wrote) or of another program (CSV or Parquet).

    Args:
        path: The table.
        index: Where labels and subgroups come from; the table's own where it is None. Films without a prediction stay, with the reason.

    Raises:
        MeasurementError: no such table, columns missing, a probability outside 0 to 1, or nothing that the index knows.
    """
    table, origin = _read(path)
    if "film" in table.columns and "path" not in table.columns:
        if index is None:
            raise MeasurementError(f"{path}: answers carry no labels. Give the index that has them with --index.")
        table = with_paths(table, index)
    _check(table, path)
    table = table.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    if "probability" not in table.columns:
        table = table.with_columns(probability=1 / (1 + (-pl.col("logit")).exp()))
    if index is None:
        return Predictions(_whole(table, path), origin)
    key = "path" if "path" in table.columns else "study"
    return _joined(table, origin, index if key == "path" else _first_films(index), key)


def _read(path: Path) -> tuple[pl.DataFrame, Origin]:
    try:
        if path.suffix.lower() == ".json":
            return films_of_json(path), Origin()
        if path.suffix.lower() != ".parquet":
            return films_of_csv(
                pl.read_csv(path, infer_schema_length=None, null_values=["", "nan", "NaN"], schema_overrides=_NAMES)
            ), Origin()
        text = pl.read_parquet_metadata(path).get("osteon")
        return pl.read_parquet(path), msgspec.json.decode(text, type=Origin) if text else Origin()
    except FileNotFoundError as fault:
        raise MeasurementError(f"{path}: there is no such table of predictions.") from fault
    except (pl.exceptions.PolarsError, OSError, msgspec.MsgspecError, json.JSONDecodeError) as fault:
        reason = str(fault).splitlines()[0]
        raise MeasurementError(f"{path}: no table of predictions can be read from it ({reason}). Give Parquet or CSV.") from fault


def _check(table: pl.DataFrame, path: Path) -> None:
    if not {"probability", "logit"} & set(table.columns) or not {"path", "study"} & set(table.columns):
        found = ", ".join(table.columns[:8])
        raise MeasurementError(f"{path}: predictions have the columns `path` or `study`, and `probability` or `logit`; this has {found}.")
    for name in {"probability", "logit"} & set(table.columns):
        if not table[name].dtype.is_numeric() and table[name].dtype != pl.Null:
            raise MeasurementError(f"{path}: the column `{name}` holds no numbers.")
    outside = ~pl.col("probability").is_between(0, 1) & pl.col("probability").is_not_nan()
    if "probability" in table.columns and not table.filter(outside).is_empty():
        raise MeasurementError(f"{path}: the column `probability` has values outside 0 to 1. Name the column `logit` if they are log-odds.")


def _whole(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    if "label" not in table.columns:
        raise MeasurementError(f"{path}: the predictions carry no labels. Give the index that has them (index, --index).")
    return _with_columns(table)


def _joined(table: pl.DataFrame, origin: Origin, index: pl.DataFrame, key: str) -> Predictions:
    answers = table.select(key, *(name for name in SCORES if name in table.columns))
    if (twice := answers.filter(pl.col(key).is_duplicated()).height) > 0:
        raise MeasurementError(f"{twice} rows of the predictions share their `{key}` with another. Give one row for each.")
    stray = answers.join(index, on=key, how="anti")[key].cast(pl.String).to_list()
    films = index.drop([name for name in SCORES if name in index.columns]).join(answers, on=key, how="left", maintain_order="left")
    if films["probability"].null_count() == len(films):
        raise MeasurementError(f"none of the {len(table)} predictions is of a {'film' if key == 'path' else 'study'} that the index knows.")
    return Predictions(_with_columns(films), origin, tuple(stray))


def _with_columns(table: pl.DataFrame) -> pl.DataFrame:
    """Give the table every column that measuring needs; films that have neither score nor reason get one."""
    wanted = {**_INDEX, **SCORES}
    there = [pl.col(name).cast(dtype) for name, dtype in wanted.items() if name in table.columns]
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in wanted.items() if name not in table.columns]
    table = table.with_columns(*there, *absent)
    words = [name for name, dtype in _INDEX.items() if dtype == pl.String()]
    table = table.with_columns(pl.col(*words).fill_null(""), pl.col("error").fill_null(""))
    table = table.with_columns(study=pl.when(pl.col("study") == "").then("path").otherwise("study"))
    own = pl.coalesce(*(pl.when(pl.col(name) != "").then(pl.col(name)) for name in ("group", "patient", "study")))
    unsaid = pl.col("probability").is_null() | pl.col("probability").is_nan()
    silent = pl.when(unsaid & (pl.col("error") == "")).then(pl.lit("no prediction for it")).otherwise("error")
    return table.with_columns(group=own, probability=pl.when(unsaid).then(None).otherwise("probability"), error=silent)


def _first_films(index: pl.DataFrame) -> pl.DataFrame:
    """Return a row a study, for predictions that name studies and not films."""
    return index.unique("study", keep="first", maintain_order=True).with_columns(path=pl.lit(""))


def of_split(predictions: Predictions, split: str) -> Predictions:
    """Return the films of one split; "" or "all" takes all.

    Raises:
        MeasurementError: there is none; the message names the splits that there are.
    """
    if split in {"", "all"}:
        return predictions
    films = predictions.films.filter(pl.col("split") == split)
    if films.is_empty():
        counts = predictions.films["split"].value_counts(sort=True).iter_rows()
        known = ", ".join(f"{name or 'no name'} ({count} films)" for name, count in counts)
        raise MeasurementError(f"there is no film in split {split!r}; there are: {known}. Make one with `osteon split`.")
    return replace(predictions, films=films)
