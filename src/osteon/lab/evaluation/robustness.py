"""Model x index -> robustness: how its metrics change when films come from another machine, or in another pose.

Each corruption of `corruptions.py` is done to every film of a split before it is prepared, and the answers are compared with those for
the films as they are, film by film. Predictions are kept in the folder: a run that was stopped goes on with the next corruption.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import alone, whole, write_json
from osteon.card_text import number
from osteon.errors import FilmError, MeasurementError, UsageError
from osteon.film import place, prepare, read_film
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.evaluation.comparison import Difference, compare
from osteon.lab.evaluation.corruptions import CORRUPTIONS, corrupted
from osteon.lab.evaluation.evaluation import ALL, Plan, Refusal
from osteon.lab.evaluation.folder import plan_for
from osteon.lab.evaluation.scoring import Origin, Predictions, of_split, read_predictions, write_predictions
from osteon.lab.model_file import file_sha256, model_path
from osteon.lab.pages import markdown_table
from osteon.lab.progress import Count
from osteon.model import OUTPUTS, Model
from osteon.opening import load_model
from osteon.version import __version__

STRESS, TABLE = "stress.json", "stress.md"
PLAIN = "as they are"
METRICS = ("auroc", "sensitivity", "specificity")
HEAD = (
    "films",
    "AUROC",
    "difference (95 % interval)",
    "sensitivity",
    "specificity",
    "decisions changed",
    '"no" of normal',
    '"no" of abnormal',
    "answers changed",
    "out of scope",
)
"""What `cells` are."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a corruption did to each of `METRICS` (from the films as they are, `a`, to `b`) and to how many decisions.

    `no` are the shares of the normal and of the abnormal films that are answered "no", `answers` says how many answers changed,
    `out_of_scope` is how many films the guard then calls so.
    """

    name: str
    films: int
    metrics: dict[str, Difference]
    changed: int = 0
    no: tuple[float | None, float | None] = (None, None)
    answers: int = 0
    out_of_scope: int | None = None


class Stress(msgspec.Struct, frozen=True, kw_only=True):
    """All rows, that of the films as they are first.

    Films that could not be read take no part, each in `refused`; neither do the `unlabelled`, which are counted.
    """

    model: str
    split: str
    fingerprint: str
    resamples: int
    seed: int
    rows: tuple[Row, ...]
    refused: tuple[Refusal, ...] = ()
    unlabelled: int = 0
    command: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Which model, films and corruptions (all where none is named), the folder, and how intervals are made."""

    model: str | None
    index: Path
    out: Path
    split: str = "valid"
    names: tuple[str, ...] = ()
    resamples: int = 2000
    seed: int = 0
    command: str = ""


def stress(request: Request, progress: Count) -> Stress:
    """Measure a model on corrupted films; writes `stress.json`, `stress.md` and a table of predictions a corruption into the folder.

    Args:
        request: What is asked.
        progress: Called with (done, total) films, over all corruptions.

    Raises:
        UsageError: no such corruption, or the folder cannot be written.
        MeasurementError: no such split, or it has no labels.
        ModelFileError: the model cannot be opened.
    """
    if unknown := [name for name in request.names if name not in CORRUPTIONS]:
        raise UsageError(f"there is no corruption {unknown[0]!r}. Take some of: {', '.join(CORRUPTIONS)}.")
    with alone(request.out):
        tables = dict(_tables(request, (PLAIN, *(request.names or CORRUPTIONS)), progress))
        plan, origin = Plan(split=request.split, resamples=request.resamples, seed=request.seed), tables[PLAIN].origin
        result = Stress(
            model=origin.model,
            split=request.split,
            fingerprint=origin.fingerprint,
            resamples=plan.resamples,
            seed=plan.seed,
            rows=tuple(_row(name, tables[PLAIN], table, plan) for name, table in tables.items()),
            refused=tuple(Refusal(*film) for film in tables[PLAIN].films.filter(pl.col("error") != "").select("path", "error").iter_rows()),
            unlabelled=tables[PLAIN].films["label"].null_count(),
            command=request.command,
        )
        write_json(result, request.out / STRESS)
        with whole(request.out / TABLE) as part:
            part.write_text(markdown(result))
    return result


def _tables(request: Request, names: Sequence[str], progress: Count) -> Iterator[tuple[str, Predictions]]:
    """Yield the predictions of each corruption, those that an earlier run has left as they are."""
    file, index = model_path(request.model), read_index(request.index)
    model = load_model(file, side_by_side=True)
    origin = Origin(model.card.reference, file_sha256(file), model.card, fingerprint(index), request.command, __version__)
    films = of_split(Predictions(index, Origin()), request.split).films
    if films["label"].null_count() == len(films):
        raise MeasurementError(f"no film of split {request.split!r} has a label. Index films with labels.")
    for turn, name in enumerate(names):
        at = request.out / request.split / f"{name.replace(' ', '-')}.parquet"
        before, total = turn * len(films), len(names) * len(films)
        if not _made_by(origin, at):
            scored = _scored(model, films, name, partial(_tell, progress, before, total))
            write_predictions(Predictions(scored, origin), at)
        progress(before + len(films), total)
        yield name, read_predictions(at)


def _tell(progress: Count, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _made_by(origin: Origin, table: Path) -> bool:
    """Say whether a table is there, and of this model, this index and this osteon."""
    return table.exists() and msgspec.structs.replace(read_predictions(table).origin, command=origin.command) == origin


def _scored(model: Model, films: pl.DataFrame, name: str, tell: Callable[[int], None]) -> pl.DataFrame:
    """Return the films with what the model says of them corrupted; what is random in it depends on a film's row alone."""
    paths = [str(Path(root, path)) for root, path in films.select("root", "path").iter_rows()]
    answers = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for answer in pool.map(partial(_answer, model, name), paths, range(len(paths))):
            answers.append(answer)
            tell(len(answers))
    schema = pl.Schema({"logit": pl.Float64(), "probability": pl.Float64(), "novelty": pl.Float64(), "error": pl.String()})
    return films.with_columns(pl.DataFrame(answers, schema=schema, orient="row").get_columns())


def _answer(model: Model, name: str, path: str, seed: int) -> tuple[float | None, float | None, float | None, str]:
    try:
        film = read_film(path)
    except FilmError as refusal:
        return None, None, None, str(refusal)
    if name != PLAIN:
        film = replace(film, pixels=corrupted(film.pixels, name, seed))
    frame = model.card.frame
    square = prepare(film, frame, place(film, frame))
    logit, *novelty = model.read(square[None], (OUTPUTS[0], OUTPUTS[2]) if model.card.scope else OUTPUTS[:1])
    said = float(logit[0])
    return said, model.card.probability(said), float(novelty[0][0]) if novelty else None, ""


def _row(name: str, plain: Predictions, other: Predictions, plan: Plan) -> Row:
    answered = pl.col("probability").is_not_null() & pl.col("label").is_not_null()
    films, before = (table.films.filter(answered) for table in (other, plain))
    card, plans = other.card, (plan_for(plain, plan), plan_for(other, plan))
    assert card is not None
    both = films.join(before.select("path", "root", pl.col("probability").alias("before")), on=["path", "root"])
    called = pl.col("probability", "before") >= card.decision.threshold
    changed = both.select(called).select(pl.col("probability") != pl.col("before")).to_series().sum()
    metrics = {d.name: d for d in compare(plain, other, plans).differences if (d.level, d.group) == ("film", ALL) and d.name in METRICS}
    out = None if card.scope is None else int((films["novelty"] > card.scope.threshold).sum())
    level = both.select("label", *(pl.col(c).map_elements(card.level, pl.String) for c in ("probability", "before")))
    no = [level.filter(pl.col("label") == label).select((pl.col("probability") == "no").mean()).item() for label in (0, 1)]
    answers = level.select((pl.col("probability") != pl.col("before")).sum()).item()
    return Row(name=name, films=len(films), metrics=metrics, changed=int(changed), no=(no[0], no[1]), answers=answers, out_of_scope=out)


def markdown(result: Stress) -> str:
    """Return the table for a page: a row a corruption."""
    return "\n".join(markdown_table(HEAD, map(cells, result.rows))) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as people read it; of the films as they are, nothing has changed."""
    area, *others = (row.metrics[name].b for name in METRICS)
    apart, changed, answers = ("", "", "") if row.name == PLAIN else (row.metrics["auroc"].words, str(row.changed), str(row.answers))
    no = ("" if share is None else f"{share:.3f}" for share in row.no)
    out = "" if row.out_of_scope is None else str(row.out_of_scope)
    return row.name, number(area), apart, *map(number, others), changed, *no, answers, out
