"""A pass over films, 64 a batch: `png` decodes and scales each with Pillow in PyTorch's DataLoader; `store` takes them from osteon's store.

    python png_loader.py png|store FOLDER SIDE PASSES

Prints the films a second of each pass as JSON. Before the first, the store is filled and the loader's workers have started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from peer import read
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from osteon.card import Frame
from osteon.lab.data.store import open_store

BATCH = 64


class Films(Dataset[Tensor]):
    """PNG files, decoded each time."""

    def __init__(self, paths: list[Path], side: int) -> None:
        self.paths, self.side = paths, side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(read(self.paths[i], self.side))


def png(paths: list[Path], side: int) -> Iterator[Iterator[Tensor]]:
    """Yield passes of the loader, as many worker processes as cores, kept between the passes."""
    loader = DataLoader(Films(paths, side), BATCH, shuffle=True, num_workers=os.cpu_count() or 1, persistent_workers=True)
    while True:
        yield iter(loader)


def store(paths: list[Path], side: int) -> Iterator[Iterator[Tensor]]:
    """Yield passes over the store."""
    rows = {"path": [p.name for p in paths], "root": str(paths[0].parent), "status": "ok"}
    pixels = open_store(pl.DataFrame(rows), Frame(size=side, aspect="stretch")).pixels
    draw = np.random.default_rng(0)
    while True:
        order = draw.permutation(len(pixels))
        yield (torch.from_numpy(np.ascontiguousarray(pixels[order[k : k + BATCH]])) for k in range(0, len(order), BATCH))


def main(what: str, folder: str, side: str, passes: str) -> None:
    """Time passes and print them."""
    paths = sorted(Path(folder).iterdir())
    source = {"png": png, "store": store}[what](paths, int(side))
    sum(len(batch) for batch in next(source))
    rates = []
    for _ in range(int(passes)):
        began = time.perf_counter()
        films = sum(len(batch) for batch in next(source))
        rates.append(films / (time.perf_counter() - began))
    print(json.dumps(rates))


if __name__ == "__main__":
    main(*sys.argv[1:])
