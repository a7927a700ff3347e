"""A model file and the data -> every number of its card beside what it is now, and whether they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from osteon.card import Card
from osteon.errors import MeasurementError, UsageError
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.splits import fixed_folds
from osteon.lab.evaluation.folder import plan_for, predictions_of
from osteon.lab.evaluation.scoring import score_films
from osteon.lab.model_file import file_sha256, model_path
from osteon.lab.progress import Progress, Watch, counting
from osteon.lab.verification.check import Check, Part
from osteon.lab.verification.metrics import metric_checks, plan_of, rounding
from osteon.lab.verification.others import Material, data_checks, guard_checks, int8_checks
from osteon.model import Model
from osteon.opening import load_model
from osteon.precision import Precision
from osteon.version import __version__

NAMED = 5
"""Films that a note names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be verified, and from what.

    Attributes:
        model: A file, `name@version` of one in the package or kept by name, or None for the package's newest.
        index: The index.
        splits: Splits of the card, each with what the index calls it; none: all of the card, by their own names.
        folds: File of fixed folds (CSV: path, fold), which are splits `fold-0`, `fold-1`, ... of the index; None for none.
        out_of_scope: Folders of pictures that the guard was measured on.
        before: Predictions that the card's metrics were made of, to name films that are missing or further; None for none.
        parts: What is verified.
    """

    model: str | None
    index: Path
    splits: Mapping[str, str]
    folds: Path | None = None
    out_of_scope: tuple[Path, ...] = ()
    before: Path | None = None
    parts: tuple[Part, ...] = ("data", "metrics", "INT8", "guard")


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """All checks; `notes` are what a reader must know of the data, `left_out` what of the card was not measured again, and why."""

    model: str
    model_sha256: str
    precision: Precision
    rounding: float
    fingerprint: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    osteon: str = __version__

    @property
    def holds(self) -> bool:
        """Whether every number that was measured again is the card's."""
        return all(check.holds for check in self.checks)


def verify(request: Request, watch: Watch = lambda _: None) -> Verification:
    """Measure every number of a card again.

    Raises:
        ModelFileError: the model cannot be opened.
        DatasetError: the index or the folds cannot be read.
        MeasurementError: the card has no metrics, or none of a split that was named; the index lacks a split that it has metrics of.
    """
    file = model_path(request.model)
    model = load_model(file)
    card, index = model.card, read_index(request.index)
    wanted = _wanted(card, request)
    films = _placed(index, wanted, request)
    material = Material(file, card, films, request.out_of_scope)
    found = list(_all(material, model, tuple(wanted), request.parts, watch))
    told = fingerprint(index)
    notes = [*_data_notes(card, told, tuple(wanted)), *_film_notes(request, films, tuple(wanted))]
    return Verification(
        model=card.reference,
        model_sha256=file_sha256(file),
        precision=model.precision,
        rounding=rounding(card, model.precision),
        fingerprint=told,
        checks=tuple(check for check in found if isinstance(check, Check)),
        notes=tuple(notes),
        left_out=(*(words for words in found if isinstance(words, str)), *_fitted(card)),
    )


def _all(material: Material, model: Model, splits: tuple[str, ...], parts: tuple[Part, ...], watch: Watch) -> Iterator[Check | str]:
    if "data" in parts:
        yield from data_checks(material)
    for split in splits if "metrics" in parts else ():
        scored = score_films(model, material.file, material.films, [split], ("", counting(f"metrics of {split}", watch)))
        yield from metric_checks(model.card, split, scored, plan_for(scored, plan_of(model.card, split)), model.precision)
    if "INT8" in parts:
        watch(Progress("cost of INT8"))
        yield from int8_checks(material)
    if "guard" in parts:
        yield from guard_checks(material, counting("what the guard refuses", watch))


def _wanted(card: Card, request: Request) -> dict[str, str]:
    """Return the splits of the card that are verified, each with what the index calls it."""
    there = list(dict.fromkeys(m.split for m in card.metrics))
    if not there:
        raise MeasurementError(
            f"the card of {card.reference} carries no metrics, so there is nothing to verify. `osteon evaluate --card-into` writes them."
        )
    if strange := [split for split in request.splits if split not in there]:
        raise UsageError(f"the card of {card.reference} has no metrics of split {strange[0]!r}, only of {', '.join(there)}.")
    return {split: request.splits.get(split, split) for split in there if not request.splits or split in request.splits}


def _placed(index: pl.DataFrame, wanted: Mapping[str, str], request: Request) -> pl.DataFrame:
    """Return the films with the card's names of splits.

    Raises:
        MeasurementError: the index lacks one of them.
    """
    films = index
    if request.folds:
        films, _ = fixed_folds(index, request.folds)
        named = pl.format("fold-{}", "fold")
        films = films.with_columns(split=pl.when(named.is_in([*wanted.values()])).then(named).otherwise("split"))
    for mine, theirs in wanted.items():
        if (films["split"] == theirs).sum() == 0 and theirs != "all":
            known = ", ".join(f"{name or 'no name'} ({count} films)" for name, count in films["split"].value_counts(sort=True).iter_rows())
            folds = "" if request.folds is None else f"; with {request.folds.name} its folds too"
            raise MeasurementError(
                f"the card has metrics of split {mine!r}, and the index has no split {theirs!r}, only {known}{folds}. Name the index that "
                f"they were measured on, or what it calls these films: --split {mine}=NAME."
            )
    renamed = {theirs: mine for mine, theirs in wanted.items() if mine != theirs}
    return films.with_columns(pl.col("split").replace(renamed)) if renamed else films


def _data_notes(card: Card, now: str, splits: tuple[str, ...]) -> Iterator[str]:
    """Yield whether the index is the one that the metrics were measured on."""
    recorded = {m.split: m.fingerprint for m in card.measured if m.fingerprint}
    for split in splits:
        then = [recorded[split]] if split in recorded else [source.fingerprint for source in card.data if source.fingerprint]
        whose = "the metrics were measured on" if split in recorded else "the model learned from, and the card names no other"
        if then and now not in then:
            yield (
                f"split {split!r}: the index is another than the one that {whose}: fingerprint {now[:12]}, not {then[0][:12]}. Films, "
                "labels, groups, splits or boxes differ; the rows `n` and `abnormal` say in which groups of films"
            )


def _film_notes(request: Request, films: pl.DataFrame, splits: tuple[str, ...]) -> Iterator[str]:
    """Yield which films are missing, further or labelled otherwise, where the earlier predictions are here."""
    if request.before is None:
        return
    earlier = predictions_of(request.before).films.filter(pl.col("split").is_in(splits))
    now = films.filter(pl.col("split").is_in(splits))
    labels = now.join(earlier.select("path", pl.col("label").alias("before")), on="path").filter(pl.col("label") != pl.col("before"))
    for words, some in (
        ("are missing", earlier.join(now, on="path", how="anti")),
        ("are further ones", now.join(earlier, on="path", how="anti")),
        ("have another label", labels),
    ):
        if len(some):
            names = some["path"].sort().to_list()
            yield f"{len(some):,} films {words}: {', '.join(names[:NAMED])}{' ...' if len(names) > NAMED else ''}"


def _fitted(card: Card) -> Iterator[str]:
    """Yield what of the card is no measurement."""
    for what, on in (("calibration", card.calibration.split), ("threshold and limits of the answers", card.decision.split)):
        if on:
            yield f"{what}: fitted on {on}, not measured; the metrics above are what comes of it"
