"""Model file and index -> the same model with a guard, its threshold, and what it was measured to do.

The guard is fitted on the films of some splits, on varied copies of a third of them and on the negatives of another third. Nothing foreign
teaches it: pictures of other kinds only measure it, and so do the films of a split that took no part, on which false refusals are counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray

from osteon.card import Card, Frame, Refusals, Scope
from osteon.errors import FilmError, MeasurementError, ModelFileError, UsageError
from osteon.film import Film, prepare, read_film
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.evaluation import bootstrap
from osteon.lab.guard.detector import FOLDS, Detector, Features, Known, fit_detector
from osteon.lab.guard.graph import FEATURES, NOVELTY, with_features, with_guard, without_guard
from osteon.lab.guard.pictures import KINDS, made_pictures
from osteon.lab.guard.variations import varied
from osteon.lab.model_file import write_model_file
from osteon.lab.progress import Count
from osteon.model import Model
from osteon.opening import load_model, trust
from osteon.precision import METADATA

Values = NDArray[np.float32]
Square = NDArray[np.uint8]

EVERY = 3
"""Of the films, one in so many is copied, and one turned into its negative."""

PICTURES = 100
"""Synthetic pictures of each kind that a guard is measured on."""

LEAST_FILMS = 60
TOLERANCE = 1e-3  # of the threshold; float32 sums in another order
_Z = 1.959964  # 97.5 % of a normal distribution


class GuardPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a model gets its guard.

    `aim` is the share of films like those of `splits`, and of varied copies, that may lie above a limit, and `room` times this limit is the
    threshold: other machines' films are less alike than the data can tell. `measured_on` is the split where false refusals are counted.
    `body_parts` are what a film may declare, none for the card's study types. `out_of_scope` are folders of pictures that should be
    refused; each folder's name is what they are called.
    """

    splits: tuple[str, ...] = ("train", "tune")
    measured_on: str = "valid"
    aim: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.001
    room: Annotated[float, msgspec.Meta(ge=1, le=3)] = 1.0
    body_parts: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    seed: int = 0


def guard_file(file: Path, films: pl.DataFrame, out: Path, plan: GuardPlan, progress: Count | None = None) -> Card:
    """Write a copy of a model file that has a guard; returns its card. See `add_guard`.

    Raises:
        UsageError: false refusals are to be counted on a split of the fit.
    """
    guarded, card = add_guard(file, films, plan, progress)
    write_model_file(guarded, card, out)
    return card


def add_guard(file: Path, films: pl.DataFrame, plan: GuardPlan, progress: Count | None = None) -> tuple[onnx.ModelProto, Card]:
    """Fit and measure a guard.

    Args:
        file: The model file; an earlier guard in it is replaced.
        films: An index with the splits of the plan.
        plan: How.
        progress: Called with (done, total) over the films of each split.

    Returns:
        The model with the output `novelty`, not yet with its new card, and that card.

    Raises:
        UsageError: false refusals are to be counted on a split of the fit.
        MeasurementError: too few films, or a split that is not there.
        ModelFileError: the graph shows no feature map, or does not answer as the density does.
        DatasetError: a film of the index cannot be prepared.
    """
    if plan.measured_on in plan.splits:
        raise UsageError(f"--measure {plan.measured_on} is a split of the fit, where false refusals are too few. Name another.")
    model = without_guard(onnx.load_model(str(file)))
    # What is rounded for the layers behind the guard is not known before there is one: `osteon quantise` comes after it.
    card = msgspec.structs.replace(load_model(file, "float32").card, scope=None, int8=None)
    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA})
    look = _opened(with_features(model), card)
    known = _known(look, films, plan, progress)
    fit = fit_detector(known, plan.aim, plan.seed, plan.room)
    held = _store(films, (plan.measured_on,), card, progress)
    seen, frame = _of(look, held), card.frame

    def refuses(squares: Iterable[Square]) -> NDArray[np.bool_]:
        return fit.refuses(_read(look, squares))

    measured = [
        counted(f"films of {plan.measured_on}", fit.refuses(seen.values), seen.group, foreign=False),
        *_left_out(known, seen, plan),
        counted(f"inverted films of {plan.measured_on}", refuses(negatives(held.films, frame)), seen.group, foreign=True),
        *(independent(kind, refuses(made_squares(kind, PICTURES, plan.seed, frame)), ("made",)) for kind in KINDS),
        *(_of_folder(refuses, Path(folder), frame) for folder in plan.out_of_scope),
    ]
    splits = ", ".join(plan.splits)
    above = f"{plan.room:g} times what is passed by " if plan.room != 1 else ""
    rule = f"{above}{plan.aim:.2%} of the films, and of varied copies, cross-fitted over {FOLDS} parts of the groups"
    scope = Scope(threshold=fit.threshold, split=splits, rule=rule, body_parts=plan.body_parts, measured=tuple(measured))
    guarded, card = with_guard(model, fit), msgspec.structs.replace(card, scope=scope)
    _check(_opened(guarded, card), fit, held.pixels[:8], seen.values[:8])
    return guarded, card


def _opened(model: onnx.ModelProto, card: Card) -> Model:
    """Open a model as any user does."""
    kept = {entry.key: entry.value for entry in model.metadata_props} | {"card": card.to_json()}
    onnx.helper.set_model_props(model, kept)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content := model.SerializeToString())
        trust(content)
        return load_model(path)


def _store(films: pl.DataFrame, splits: Sequence[str], card: Card, progress: Count | None) -> FilmStore:
    chosen = films.filter(pl.col("split").is_in(splits))
    if absent := set(splits) - set(chosen["split"].unique()):
        raise MeasurementError(
            f"there is no film in split {sorted(absent)[0]!r}. Name splits that are there, or make them with `osteon split`."
        )
    store = open_store(chosen, card.frame, progress)
    if len(store) < LEAST_FILMS:
        raise MeasurementError(f"split {', '.join(splits)} has {len(store)} films; a guard takes {LEAST_FILMS}.")
    return store


def _read(look: Model, squares: Iterable[Square], progress: Count | None = None, total: int = 0) -> Values:
    rows = []
    for done, square in enumerate(squares, 1):
        rows.append(look.read(square[None], (FEATURES,))[0][0])
        if progress:
            progress(done, total)
    return np.stack(rows)


def _of(look: Model, store: FilmStore, progress: Count | None = None) -> Features:
    group, kind = (store.films[name].to_numpy().astype(str) for name in ("group", "study_type"))
    return Features(_read(look, store.pixels, progress, len(store)), group, kind)


def _known(look: Model, films: pl.DataFrame, plan: GuardPlan, progress: Count | None) -> Known:
    store = _store(films, plan.splits, look.card, progress)
    if (patients := store.films["group"].n_unique()) < FOLDS:
        raise MeasurementError(f"the films of split {', '.join(plan.splits)} are of {patients} patients; a guard takes {FOLDS} or more.")
    number = np.arange(len(store))
    copied, turned = number % EVERY == 0, number % EVERY == 1
    copies = (varied(store.pixels[i], np.random.default_rng([plan.seed, int(i)])) for i in number[copied])
    turned_films = store.films.filter(pl.Series(turned))
    seen = _of(look, store, progress)
    return Known(
        seen,
        replace(seen.part(copied), values=_read(look, copies, progress, int(copied.sum()))),
        replace(seen.part(turned), values=_read(look, negatives(turned_films, look.card.frame), progress, int(turned.sum()))),
    )


def _left_out(known: Known, seen: Features, plan: GuardPlan) -> Iterable[Refusals]:
    """Yield, for each study type, how many of its films a guard refuses that was fitted without them."""
    kinds = np.unique(known.films.kind)
    for kind in kinds if len(kinds) > 1 else ():
        here = seen.part(seen.kind == kind)
        others = known.part(lambda some, kind=kind: some.kind != kind)  # type: ignore[misc]
        if len(here) and len(others.films) >= LEAST_FILMS:
            refused = fit_detector(others, plan.aim, plan.seed, plan.room).refuses(here.values)
            note = "the guard was fitted without this study type, the network was not"
            yield counted(f"{kind or 'no study type'}, left out", refused, here.group, foreign=True, note=note)


def negatives(films: pl.DataFrame, frame: Frame) -> Iterator[Square]:
    """Yield the negative of each film of an index, prepared: bone dark."""
    for root, path in films.select("root", "path").iter_rows():
        film = read_film(Path(root) / path)
        yield prepare(replace(film, pixels=1 - film.pixels), frame)


def made_squares(kind: str, count: int, seed: int, frame: Frame) -> Iterator[Square]:
    """Yield synthetic pictures of one of `pictures.KINDS`, prepared."""
    return (prepare(Film(grey, kind, "PNG"), frame) for grey in made_pictures(kind, count, seed))


def folder_squares(folder: Path, frame: Frame) -> tuple[list[Square], int]:
    """Return the pictures of a folder and all below it, prepared, and how many of its files were refused when they were read.

    Raises:
        MeasurementError: none can be read.
    """
    squares, unread = [], 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        try:
            squares.append(prepare(read_film(path), frame))
        except FilmError:
            unread += 1
    if not squares:
        raise MeasurementError(f"{folder}: none of its {unread} files can be read as a picture. Name a folder of PNG, JPEG, TIFF or DICOM.")
    return squares, unread


def _of_folder(refuses: Callable[[Iterable[Square]], NDArray[np.bool_]], folder: Path, frame: Frame) -> Refusals:
    squares, unread = folder_squares(folder, frame)
    return independent(folder.name, refuses(squares), (f"{unread} files were refused when they were read",) if unread else ())


def independent(kind: str, refused: NDArray[np.bool_], notes: Sequence[str]) -> Refusals:
    """Count pictures that have nothing to do with each other: Wilson's interval."""
    low, high = bootstrap.wilson(float(refused.mean()), len(refused), _Z)
    return Refusals(kind=kind, films=len(refused), refused=int(refused.sum()), foreign=True, low=low, high=high, note="; ".join(notes))


def counted(kind: str, refused: NDArray[np.bool_], group: NDArray[np.str_], *, foreign: bool, note: str = "") -> Refusals:
    """Count films, with the interval over their patients."""
    names, place = np.unique(group, return_inverse=True)
    weights = bootstrap.cluster_weights(len(names)).astype(np.float64)
    films, hits = np.bincount(place, minlength=len(names)), np.bincount(place, refused, len(names))
    share = float(refused.mean())
    low, high = bootstrap.interval(share, weights @ hits / (weights @ films), len(names)) or (None, None)
    return Refusals(kind=kind, films=len(refused), refused=int(refused.sum()), foreign=foreign, low=low, high=high, note=note)


def _check(guarded: Model, fit: Detector, squares: NDArray[np.uint8], features: Values) -> None:
    """Refuse a file whose graph computes something else than the fit."""
    [told] = guarded.read(np.ascontiguousarray(squares), (NOVELTY,))
    worst = float(np.abs(told - fit.novelty(features)).max()) / fit.threshold
    if not worst <= TOLERANCE:
        raise ModelFileError(f"the guard in the graph differs from its fit by {worst:.2g} of the threshold, {TOLERANCE:g} is allowed.")
