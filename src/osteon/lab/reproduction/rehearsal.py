"""A minute of the real thing: train on a sample, export, score, and say what the whole would cost on this machine.

It also finds what would fail at the end of days of training: first weights that are not there, a network that cannot be exported.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from osteon.errors import FilmError
from osteon.film import prepare, read_film
from osteon.lab.data.index import Report, read_index, write_index
from osteon.lab.progress import Progress, Watch
from osteon.lab.training.export import Export, export_run
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import RunFolder
from osteon.lab.training.session import TrainingRequest, start_training
from osteon.network import cores
from osteon.opening import load_model

TRAIN_FILMS, TUNE_FILMS, OTHER_FILMS = 512, 96, 24
"""Films that are learned from, selected on, and decoded or scored one by one."""

HOUR = 3600.0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured (films a second, seconds), and what it makes for `models` trainings; `epochs` is the fewest and the most.

    `score_films` is how many each model file is run on, `side` of the frame, in pixels.
    """

    device: str
    models: int
    epochs: tuple[int, int] = msgspec.field(name="passes")
    films: int
    train_films: int
    select_films: int
    score_films: int
    prepare_rate: float
    train_rate: float
    select_rate: float
    score_rate: float
    export_seconds: float
    steps: int
    measured_seconds: float
    side: int = 0

    @property
    def epoch_seconds(self) -> float:
        """One epoch over the training films, and the selection after it."""
        return self.train_films / self.train_rate + self.select_films / self.select_rate

    @property
    def other_seconds(self) -> float:
        """Preparing films, exporting and measuring each model and the ensemble; the ensemble costs as much as its members."""
        runs = self.models if self.models == 1 else 2 * self.models
        return self.films / self.prepare_rate + runs * (self.export_seconds + self.score_films / self.score_rate)

    @property
    def hours(self) -> tuple[float, float]:
        """The whole, with the fewest and with the most epochs."""
        least, most = (self.models * epochs * self.epoch_seconds + self.other_seconds for epochs in self.epochs)
        return least / HOUR, most / HOUR

    @property
    def prepared_bytes(self) -> int:
        """What the films take on the disk once each is prepared."""
        return self.films * self.side**2

    def lines(self) -> tuple[str, str]:
        """Return what it costs, and how that is known."""
        least, most = self.hours
        several = f"{self.models} trainings" if self.models > 1 else "one training"
        few, many = self.epochs
        told = f"{few} to {many} epochs" if few < many else f"{many} epoch{'s' if many > 1 else ''}"
        span = in_words(most) if few == many else f"{in_words(least)} to {in_words(most)}"
        total = f"it will take {span} on {self.device}: {several} of {told}, {in_words(self.epoch_seconds / HOUR)} an epoch"
        how = (
            f"measured in {self.measured_seconds:.0f} s: {self.steps} steps at {self.train_rate:.1f} films/s, selection at "
            f"{self.select_rate:.1f}, decoding at {self.prepare_rate:.0f}, the exported model at {self.score_rate:.1f}, export "
            f"{self.export_seconds:.0f} s; for {self.train_films:,} films to learn from, {self.select_films:,} to select on, "
            f"{self.score_films:,} for each model file to read; prepared, the films take {self.prepared_bytes / 1e6:,.0f} MB of disk"
        )
        return total, how


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What is rehearsed: `index` has the splits train and tune, each model file is run on those of `scored`.

    `folder` is made and removed again.
    """

    recipe: Recipe
    index: Path
    folder: Path
    models: int
    scored: tuple[str, ...]
    minutes: float
    device: str = "auto"
    offline: bool = False


def rehearse(rehearsal: Rehearsal, watch: Watch = lambda _: None) -> Cost:
    """Train for some minutes on a sample, export and score, and return what the whole would cost.

    Raises:
        OsteonError: as training and export do.
    """
    began = time.monotonic()
    shutil.rmtree(rehearsal.folder, ignore_errors=True)
    films = read_index(rehearsal.index)
    sample = pl.concat([_every(films, "train", TRAIN_FILMS), _every(films, "tune", TUNE_FILMS)])
    index, run, model = (rehearsal.folder / name for name in ("index.parquet", "run", "model.onnx"))
    write_index(sample, index, Report(dataset="", layout="index", decoded=False))
    clock, recipe = _Clock(watch), msgspec.structs.replace(rehearsal.recipe, keep=1)
    start_training(TrainingRequest(recipe, index, budget=rehearsal.minutes, offline=rehearsal.offline), run, rehearsal.device, [clock])
    exporting = time.monotonic()
    export_run(Export(run, model))
    export_seconds = time.monotonic() - exporting
    prepare_rate, score_rate = _film_rates(model, sample.head(OTHER_FILMS))
    device = RunFolder(run).record().device
    shutil.rmtree(rehearsal.folder)
    repeats = pl.when(pl.col("label") > 0).then(recipe.abnormal_repeat).otherwise(1)
    return Cost(
        device=device,
        models=rehearsal.models,
        epochs=(min(recipe.patience + 1, recipe.epochs) if recipe.patience else recipe.epochs, recipe.epochs),
        films=len(films),
        train_films=int(films.filter(pl.col("split") == "train").select(repeats.sum()).item()),
        select_films=int((films["split"] == "tune").sum()),
        score_films=int(films["split"].is_in(rehearsal.scored).sum()),
        prepare_rate=prepare_rate,
        train_rate=clock.train_rate(recipe.batch),
        select_rate=clock.select_rate,
        score_rate=score_rate,
        export_seconds=export_seconds,
        steps=clock.steps,
        measured_seconds=time.monotonic() - began,
        side=recipe.frame.size,
    )


class _Clock:
    """Watches a training, and knows how long its steps and its last selection took."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.before, self.at = watch, Progress("", 0, 0), 0.0
        self.gaps: list[float] = []
        self.steps, self.pace, self.select_rate, self.learned = 0, 1.0, 1.0, 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage == "train":
            if (self.before.stage, self.before.done) == ("train", progress.done - 1):
                self.gaps.append(now - self.at)
            self.steps, self.pace, self.learned = self.steps + 1, progress.films_per_second, now
        elif progress.stage == "select":
            self.select_rate = progress.done / max(now - self.learned, 1e-9)
        self.before, self.at = progress, now
        self.watch(progress)

    def train_rate(self, batch: int) -> float:
        """Return films a second of the median step; the first, which warms up, counts only where it is alone."""
        return batch / max(float(np.median(self.gaps)), 1e-9) if self.gaps else self.pace


def _every(films: pl.DataFrame, split: str, most: int) -> pl.DataFrame:
    """Return at most so many films of a split, from all over it."""
    chosen = films.filter((pl.col("split") == split) & (pl.col("status") != "unreadable"))
    return chosen.gather_every(max(-(-len(chosen) // most), 1))


def _film_rates(path: Path, films: pl.DataFrame) -> tuple[float, float]:
    """Return films a second of preparing them on all cores, and of the model file."""
    model, prepared, began = load_model(path), [], time.monotonic()
    for root, name in films.select("root", "path").iter_rows():
        with contextlib.suppress(FilmError):
            prepared.append(prepare(read_film(Path(root) / name), model.card.frame))
    prepare_rate = max(len(prepared), 1) * cores() / max(time.monotonic() - began, 1e-9)
    pixels = np.stack(prepared)
    model.run(pixels[:1])  # the first is slower
    began = time.monotonic()
    model.run(pixels)
    return prepare_rate, len(pixels) / max(time.monotonic() - began, 1e-9)


def in_words(hours: float) -> str:
    """Return hours in words.

    >>> in_words(0.01), in_words(0.5), in_words(12.34), in_words(100)
    ('36 s', '30 min', '12.3 h', '4.2 days')
    """
    if hours < 1:
        return f"{hours * HOUR:.0f} s" if hours * HOUR < 60 else f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
