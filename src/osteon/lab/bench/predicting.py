"""Prediction: a film through the network, a film from its file, a process from its start, a folder from its first film to its last."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np

from osteon.film import place, prepare, read_film
from osteon.lab.bench.films import link_many, make_films
from osteon.lab.bench.record import Figure, figure
from osteon.lab.bench.setting import Setting
from osteon.lab.bench.timing import finished, in_turn, spread, timed
from osteon.lab.bench.work import work_of
from osteon.model import Model
from osteon.opening import load_model
from osteon.precision import Precision

PEAK = "its arithmetic at the measured peak"


def measure_prediction(setting: Setting) -> list[Figure]:
    """Time one film at a time: the network alone, and from the file to the answer."""
    model = load_model(setting.model or None)
    [path] = make_films(setting.folder, 1)
    prepared = prepare(read_film(path), model.card.frame)[None]
    seconds = in_turn({"network": lambda: model.run(prepared), "film": lambda: _answer(model, path)}, setting.effort.rounds, warm_up=3)
    limit = 1e3 * network_limit(setting, model.precision)
    name, size = f"{model.card.reference}, {model.precision}", model.card.frame.size
    return [
        figure(("prediction", f"{name}, the network at {size}"), "ms", spread(seconds["network"]).map(_ms), limit, PEAK),
        figure(("prediction", f"{name}, from the file to the answer"), "ms", spread(seconds["film"]).map(_ms), limit, PEAK),
    ]


def network_limit(setting: Setting, precision: Precision) -> float:
    """Return the least seconds that one film can take in the model's network."""
    return setting.limits.seconds(work_of(setting.model_file).operations, precision)


def measure_start_up(setting: Setting) -> list[Figure]:
    """Time `osteon predict` of one film as a process: with the compiled model kept, and with an empty cache."""
    make_films(setting.folder / "one", 1)
    command = predict_command(setting.folder / "one", setting)
    kept, emptied = setting.folder / "kept", setting.folder / "emptied"
    finished(command, cache(kept))

    def from_nothing() -> None:
        shutil.rmtree(emptied, ignore_errors=True)
        finished(command, cache(emptied))

    calls = {"model kept": lambda: finished(command, cache(kept)), "empty cache": from_nothing}
    bare = spread(timed(lambda: finished([sys.executable, "-c", "import numpy"]), setting.effort.starts)).median
    seconds = in_turn(calls, setting.effort.starts, warm_up=0)
    least = "a Python that imports numpy"
    return [figure(("start-up", f"first answer, {name}"), "s", spread(times), bare, least) for name, times in seconds.items()]


def measure_folder(setting: Setting) -> list[Figure]:
    """Time `osteon predict FOLDER`: the films a second that come on top of the first one, and the most memory that it held."""
    films = make_films(setting.folder / "films", setting.effort.distinct)
    link_many(films[:1], setting.folder / "one", 1)
    link_many(films, setting.folder / "many", setting.effort.films)
    one, many = (predict_command(setting.folder / name, setting) for name in ("one", "many"))
    kept = cache(setting.folder / "kept")
    for command in (one, many):  # a compiled model of each is kept
        finished(command, kept)
    rates, peaks = [], []
    for _ in range(max(1, setting.effort.starts // 2)):
        first, whole = finished(one, kept), finished(many, kept)
        rates.append((setting.effort.films - 1) / max(whole.seconds - first.seconds, 1e-9))
        peaks.append(whole.peak_mb)
    limit = 1 / network_limit(setting, load_model(setting.model or None).precision)
    return [
        figure(("folder", f"{setting.effort.films} films, decode included"), "films/s", spread(rates), limit, PEAK),
        figure(("folder", "most memory of the process"), "MB", spread(peaks)),
    ]


def predict_command(folder: Path, setting: Setting) -> list[str]:
    """Return the command that predicts a folder, its table written and not printed; no guard, which reads a film that it refuses twice."""
    model = ["--model", setting.model] if setting.model else []
    return [sys.executable, "-m", "osteon", "predict", str(folder), "--quiet", "--no-guard", "--csv", os.devnull, *model]


def cache(folder: Path) -> dict[str, str]:
    """Return the environment that keeps compiled models in a folder of its own."""
    return {"OSTEON_CACHE": str(folder)}


def _answer(model: Model, path: Path) -> np.float32:
    film = read_film(path)
    placement = place(film, model.card.frame)
    logit, _ = model.run(prepare(film, model.card.frame, placement)[None])
    return np.float32(logit[0])


def _ms(seconds: float) -> float:
    return 1e3 * seconds
