"""Let the models of a cross-validation look at each held film a second time, for a rung of the ladder (docs/experiments.md).

    python scripts/second_look.py WAY CV OUT
    osteon compare CV OUT --split all

The logit is then the mean of both looks; the map stays the first one's. WAY says what the second look sees: `mirrored` the film's mirror
image, `enlarged` the part around the first look's strongest evidence, half as wide and half as high, in the same number of pixels. Or it is
the folder of another cross-validation of the same folds, whose models then have the second look: an ensemble.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from osteon.film import Film, prepare, read_film
from osteon.lab.evaluation.folder import PREDICTIONS
from osteon.lab.evaluation.scoring import Predictions, read_predictions, write_predictions
from osteon.lab.experiments.crossvalidation.folder import CrossValidation
from osteon.opening import load_model

PART = 0.5  # of a film's sides


def mirrored(film: Film, x: float, y: float) -> Film:
    """Return the film's mirror image."""
    return replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]))


def enlarged(film: Film, x: float, y: float) -> Film:
    """Return the part of a film around a place in it, in film pixels."""
    height, width = (round(PART * side) for side in film.pixels.shape)
    left = int(np.clip(x - width / 2, 0, film.pixels.shape[1] - width))
    top = int(np.clip(y - height / 2, 0, film.pixels.shape[0] - height))
    return replace(film, pixels=np.ascontiguousarray(film.pixels[top : top + height, left : left + width]))


WAYS: dict[str, Callable[[Film, float, float], Film]] = {"mirrored": mirrored, "enlarged": enlarged}


def main(way: str, cv: str, out: str) -> None:
    """Write predictions of both looks together, an evaluation's folder to `osteon compare`."""
    first = read_predictions(Path(cv) / PREDICTIONS)
    assert first.card
    films = others(first.films, Path(way)) if Path(way).is_dir() else looked_at(first.films, CrossValidation(Path(cv)), way)
    films = films.with_columns(logit=(pl.col("logit") + pl.col("second")) / 2).drop("second")
    films = films.with_columns(probability=pl.col("logit").map_elements(first.card.probability, return_dtype=pl.Float64))
    origin = msgspec.structs.replace(first.origin, model=f"{first.origin.model}, {way} too")
    Path(out).mkdir(parents=True, exist_ok=True)
    write_predictions(Predictions(films, origin), Path(out) / PREDICTIONS)


def others(films: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Return the films with what another cross-validation says of them in the column `second`."""
    theirs = read_predictions(folder / PREDICTIONS).films.select("path", "split", pl.col("logit").alias("second"))
    return films.join(theirs, on=["path", "split"], how="left", validate="1:1")


def looked_at(films: pl.DataFrame, here: CrossValidation, way: str) -> pl.DataFrame:
    """Return the films with the second look's logit in the column `second`."""
    numbers = sorted(int(name.removeprefix("fold-")) for name in films["split"].unique())
    return pl.concat([second_logits(films.filter(split=f"fold-{number}"), here.model(number), way) for number in numbers])


def second_logits(films: pl.DataFrame, file: Path, way: str) -> pl.DataFrame:
    """Return the films of one fold with the column `second`."""
    model = load_model(file)
    logits: list[float | None] = []
    for row in films.iter_rows(named=True):
        if row["logit"] is None:
            logits.append(None)
            continue
        film = WAYS[way](read_film(Path(row["root"], row["path"])), row["peak_x"], row["peak_y"])
        logits.append(float(model.run(prepare(film, model.card.frame)[None])[0][0]))
    print(f"{file}: {len(films)} films", flush=True)
    return films.with_columns(pl.Series("second", logits, dtype=pl.Float64))


if __name__ == "__main__":
    if len(sys.argv) != 4 or not (sys.argv[1] in WAYS or Path(sys.argv[1]).is_dir()):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
