"""What `osteon predict` wrote (JSON, or CSV with a row a film) -> a table of predictions with the paths of an index.

A film is known by its file: the name that `predict` was given, as it stands or from the folder of this process. Where the films have
moved, the end of their path decides if it is that of one film alone. Names are compared as tables show them (`osteon.results.cell`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl

from osteon.content import printable
from osteon.errors import MeasurementError
from osteon.results import uncell

_SAID = {"film": pl.String, "probability": pl.Float64, "logit": pl.Float64, "error": pl.String}


def films_of_json(file: Path) -> pl.DataFrame:
    """Return `film`, `probability`, `logit` and `error` of each film in a file of `osteon predict --json`.

    Raises:
        MeasurementError: it is none.
    """
    try:
        films = [film for study in json.loads(file.read_bytes())["studies"] for film in study["films"]]
        return pl.DataFrame([_said(film) for film in films], schema=_SAID)
    except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as fault:
        raise MeasurementError(f"{file}: no answers of osteon predict --json can be read from it ({type(fault).__name__}).") from fault


def films_of_csv(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the same of the rows of `osteon predict --csv`; rows of another table stay as they are."""
    if not {"row", "film", "reason", "error"} <= set(rows.columns):
        return rows
    films = [_said(row) for row in rows.filter(pl.col("row") == "film").to_dicts()]
    return pl.DataFrame([{**film, "film": uncell(film["film"])} for film in films], schema=_SAID)


def with_paths(answers: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    """Return answers with the `path` that the index has for each film; what it does not know keeps its name."""
    known = {printable(f"{root}/{path}"): path for root, path in index.select("root", "path").iter_rows()}
    ends: dict[str, list[str]] = {}
    for file in known:
        ends.setdefault(file.rpartition("/")[2], []).append(file)

    def path_of(film: str) -> str:
        name = os.path.normpath(film.replace("\\", "/") if os.sep == "\\" else film)
        alike = [file for file in ends.get(name.rpartition("/")[2], ()) if file.endswith(f"/{name.lstrip('./')}")]
        here = os.path.abspath(name)  # noqa: PTH100 - a link keeps its name
        return known[here] if here in known else known[alike[0]] if len(alike) == 1 else film

    names = [path_of(printable(film)) for film in answers["film"]]
    return answers.with_columns(path=pl.Series(names, dtype=pl.String)).drop("film")


def _said(film: dict[str, Any]) -> dict[str, Any]:
    return {name: film[name] for name in ("film", "probability", "logit")} | {"error": film["error"] or film["reason"] or ""}
