"""Which films a batch holds, the random numbers that augment them, and what their evidence should be.

Everything random is a function of (seed, epoch, step) alone: a resumed run draws what the killed one would have drawn, and each of several
processes draws the whole batch and takes its own part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from osteon.errors import EmptyDataset
from osteon.lab.data.store import FilmStore
from osteon.lab.training.recipe import Recipe


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Return values of the CPU's memory on a device, without waiting for what that is still computing.

    What a step takes to a GPU goes this way: a plain copy first lets the GPU finish all that it was told to do, which then has nothing to
    do until it is told more. From pinned memory the copy takes its place among the rest.
    """
    held = values.pin_memory() if device.type == "cuda" and values.device.type == "cpu" else values
    return held.to(device, non_blocking=True)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Films of one step.

    Attributes:
        image: (n, S, S) uint8.
        label: (n,) float32.
        weight: Of the film's loss, (n,) float32.
        boxes: (n, k, 4) in [-1, 1].
        boxed: Of which films the boxes say where findings are, and are not, (n,) bool.
    """

    image: Tensor
    label: Tensor
    weight: Tensor
    boxes: Tensor
    boxed: Tensor

    @property
    def placed(self) -> Tensor:
        """Of which films (n,) it is known where their findings are."""
        return self.boxed | (self.label == 0)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(**{part.name: sent(getattr(self, part.name), device) for part in fields(self)})


class TrainingFilms:
    """A store's labelled films with what the loss needs of each."""

    def __init__(self, store: FilmStore, recipe: Recipe, training: pl.DataFrame) -> None:
        labels = store.films["label"]
        if labels.null_count():
            raise EmptyDataset("the training split holds films without a label. Index them with labels, or split them off.")
        self.films, self.pixels = store.films, store.pixels
        self.label = labels.to_numpy().astype(np.float32)
        self.weight = class_weights(store.films, training) if recipe.loss == "weighted" else np.ones(len(store), np.float32)
        self.boxes, self.boxed = _padded_boxes(store)

    def __len__(self) -> int:
        """Return how many films there are."""
        return len(self.label)

    def order(self, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
        """Return the film numbers of one epoch, shuffled; films that fill no whole batch wait for another epoch."""
        repeats = np.where(self.label > 0, recipe.abnormal_repeat, 1)
        order = np.random.default_rng([recipe.seed, epoch]).permutation(np.repeat(np.arange(len(self)), repeats))
        return order[: max(len(order) // recipe.batch, 1) * recipe.batch]

    def take(self, which: NDArray[np.int64]) -> Batch:
        """Return these films as one batch."""
        parts = (self.pixels, self.label, self.weight, self.boxes, self.boxed)
        return Batch(*(torch.from_numpy(np.ascontiguousarray(part[which])) for part in parts))


def class_weights(films: pl.DataFrame, training: pl.DataFrame) -> NDArray[np.float32]:
    """Return the paper's weight of each film: w(T,1) = N_T / (A_T + N_T) for abnormal, w(T,0) = A_T / (A_T + N_T) for normal films.

    A_T and N_T count the abnormal and normal films of study type T in the training split alone (arXiv 1712.06957v4, section 3.1). A study
    type that training does not have weighs one half.
    """
    shares = training.group_by("study_type").agg(pl.col("label").cast(pl.Float64).mean().alias("abnormal"))
    abnormal = films.select("study_type", "label").join(shares, on="study_type", how="left", maintain_order="left")
    weight = pl.when(pl.col("label") > 0).then(1 - pl.col("abnormal")).otherwise(pl.col("abnormal")).fill_null(0.5)
    return abnormal.select(weight).to_series().to_numpy().astype(np.float32)


@dataclass(frozen=True, slots=True)
class Draw:
    """Random numbers of a whole batch of `whole` films, of which this process takes `mine`; in the CPU's memory."""

    generator: torch.Generator
    whole: int
    mine: slice

    def signed(self) -> Tensor:
        """Return one number in [-1, 1] a film, (n,)."""
        return self.uniform(1)[0] * 2 - 1

    def sign(self, probability: float) -> Tensor:
        """Return -1 with that probability, else 1, a film, (n,)."""
        return 1 - 2 * (self.uniform(1)[0] < probability).float()

    def uniform(self, rows: int) -> Tensor:
        """Return numbers in [0, 1), (rows, n)."""
        return torch.rand(rows, self.whole, generator=self.generator)[:, self.mine]

    def partners(self) -> NDArray[np.int64]:
        """Return for each film the number of another one in the whole batch, each taken once, (n,)."""
        return torch.randperm(self.whole, generator=self.generator)[self.mine].numpy()


def evidence_targets(batch: Batch, theta: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return which evidence cells (n, h, w) lie in a box once the film is warped by `theta`, as float32 0 or 1.

    A cell's centre is carried back into the film by the same warp, so rotation and mirroring are exact. A box counts as at least as wide
    and high as a warped cell, or a small fracture between two centres would be lost: the cell that its middle falls into is always in.
    """
    n, (h, w) = len(batch.label), shape
    grid = F.affine_grid(theta, [n, 1, h, w], align_corners=False)
    x, y = grid[..., 0, None], grid[..., 1, None]
    left, top, right, bottom = (batch.boxes[:, None, None, :, i] for i in range(4))
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    # Half the width and height, in the film, that a cell takes once the warp has turned and scaled it.
    cell_x, cell_y = (theta[:, :, 0].abs() / w + theta[:, :, 1].abs() / h).T[:, :, None, None, None]
    reach_x, reach_y = torch.maximum((right - left) / 2, cell_x), torch.maximum((bottom - top) / 2, cell_y)
    inside = ((x - middle_x).abs() <= reach_x) & ((y - middle_y).abs() <= reach_y) & (right > left)
    return inside.any(-1).float()


def _padded_boxes(store: FilmStore) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    boxes = store.boxes()
    most = max([len(b) for b in boxes if b is not None] + [1])
    padded = np.zeros((len(boxes), most, 4), np.float32)
    for row, given in zip(padded, boxes, strict=True):
        if given is not None:
            row[: len(given)] = given / store.frame.size * 2 - 1
    # An abnormal film without a box says nothing about where; only a normal one says "nowhere".
    labels = store.films["label"].to_list()
    boxed = np.array([b is not None and (len(b) > 0 or not label) for b, label in zip(boxes, labels, strict=True)])
    return padded, boxed
