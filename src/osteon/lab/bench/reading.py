"""Films and data sets read: one film of each kind, a store of prepared films, the index of a data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from osteon.film import prepare, read_film
from osteon.lab.bench.films import link_tree, make_films, make_kinds
from osteon.lab.bench.record import Figure, figure
from osteon.lab.bench.setting import Setting
from osteon.lab.bench.timing import in_turn, spread
from osteon.opening import load_model

BATCH = 64
COPIES = 8  # of each made film in the store
HEADER = 64  # bytes: enough for the size of any picture


def measure_decode(setting: Setting) -> list[Figure]:
    """Time each kind of file: reading, checking and preparing it, beside Pillow's decoder alone."""
    frame, figures = load_model(setting.model or None).card.frame, []
    for kind, path in make_kinds(setting.folder).items():
        calls = {"ours": lambda path=path: prepare(read_film(path), frame), "bare": lambda path=path: _decode(path)}
        seconds = in_turn(calls, setting.effort.rounds)
        values = spread(seconds["ours"]).map(lambda s: 1e3 * s)
        figures.append(figure(("decode", kind), "ms", values, 1e3 * spread(seconds["bare"]).median, "Pillow's decoder alone"))
    return figures


def measure_store(setting: Setting) -> list[Figure]:
    """Time batches taken from the store that trainings read, beside a copy of as many bytes."""
    import polars as pl

    from osteon.lab.data.store import open_store

    frame = load_model(setting.model or None).card.frame
    paths = make_films(setting.folder / "films", setting.effort.distinct)
    rows = {"path": [p.name for p in paths] * COPIES, "root": str(paths[0].parent), "status": "ok"}
    store = open_store(pl.DataFrame(rows), frame, folder=setting.folder / "stores")
    draw, taken = np.random.default_rng(0), min(BATCH, len(store))
    batch = np.empty((taken, *store.pixels.shape[1:]), np.uint8)
    calls = {
        "drawn": lambda: np.take(store.pixels, draw.permutation(len(store))[:taken], axis=0, out=batch),
        "copied": lambda: np.copyto(batch, store.pixels[:taken]),
    }
    drawn, copied = (spread(s).map(lambda s: taken / s) for s in in_turn(calls, 10 * setting.effort.rounds).values())
    name = f"prepared films at {frame.size}, batches of {taken}"
    return [figure(("store", name), "films/s", drawn, copied.median, "a copy of as many bytes")]


def measure_index(setting: Setting) -> list[Figure]:
    """Time an index by names and headers, beside a walk that does no more than open each file."""
    from osteon.lab.data.build import build_index

    count = setting.effort.indexed
    films = make_films(setting.folder / "films", setting.effort.distinct)
    tree = link_tree(films, setting.folder / "tree", {"train": count - count // 10, "valid": count // 10})
    calls = {"ours": lambda: build_index(tree, decode=False), "bare": lambda: _open_all(tree)}
    rate, bare = (spread(seconds).map(lambda s: count / s) for seconds in in_turn(calls, setting.effort.rounds // 3).values())
    return [figure(("index", f"{count} films, names and headers"), "films/s", rate, bare.median, "a walk that opens each file")]


def _decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _open_all(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            with Path(folder, name).open("rb", buffering=0) as file:
                file.read(HEADER)
