"""A batch as a step learns from it: mixed with other films, collimated, in part at first, warped, its grey values changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from osteon.lab.training.augmentation.mixing import collimate, cutmix, lit
from osteon.lab.training.augmentation.texture import compressed, grainy, raised, sharpened
from osteon.lab.training.batches import Batch, Draw, TrainingFilms, sent
from osteon.lab.training.recipe import Augmentation, Recipe

ERASED_SIDE = 0.25  # of the film's side, at most
SIDE_STEP = 32  # a window's side is a multiple of the coarsest stride, pixels
WINDOWED = 2 / 3  # of the training sees films through a window
OVER_A_FINDING = 0.75  # of the windows of abnormal films
REACH = 0.7  # how far from the window's middle a finding's may lie; the edge is at 1


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """What a step learns from.

    Attributes:
        image: Films (n, s, s) float32, 0 to 255.
        theta: The warps (n, 2, 3) that they went through.
        batch: Their labels and boxes, before the warp.
    """

    image: Tensor
    theta: Tensor
    batch: Batch


def training_batch(
    data: TrainingFilms, films: NDArray[np.int64], recipe: Recipe, draw: Draw, fraction: float, device: torch.device
) -> TrainingBatch:
    """Return a step's films as they are learned from.

    Args:
        data: All films.
        films: Numbers of the whole batch's.
        recipe: Says what is done to them.
        draw: Of the whole batch; this process takes its part.
        fraction: Of the training that is done, 0 to 1.
        device: Where the step is computed.
    """
    a, batch = recipe.augmentation, data.take(films[draw.mine]).to(device)
    if a.cut:
        partners = data.take(films[draw.partners()]).to(device)
        batch = cutmix(batch, partners, draw.uniform(1)[0] < a.cut, draw)
    if a.collimate:
        batch = collimate(batch, a.collimate, draw)
    image, theta = batch.image, sent(warps(a, draw), device)
    whole = image.shape[-1]
    side = window_side(recipe, fraction, whole)
    if side < whole:
        theta = windows(batch, theta, side / whole, draw)
        batch = in_windows(batch, theta)
    return TrainingBatch(augment(image, theta, a, draw, side), theta, batch)


def window_side(recipe: Recipe, fraction: float, whole: int) -> int:
    """Return the side in pixels of the window through which a step sees films of the side `whole`; at the end it is the whole."""
    return whole if not recipe.window or fraction >= WINDOWED else max(round(recipe.window * whole / SIDE_STEP), 1) * SIDE_STEP


def windows(batch: Batch, theta: Tensor, share: float, draw: Draw) -> Tensor:
    """Narrow warps (n, 2, 3) to a window of `share` of the side, at the same resolution, wholly within the frame.

    In an abnormal film whose place is known it mostly lies over a finding, somewhere in it; else anywhere over the part of the frame that
    is not black.
    """
    over, which, *rest = sent(draw.uniform(6), theta.device)
    along, jitter = torch.stack(rest[:2], 1), torch.stack(rest[2:], 1) * 2 - 1
    there = (batch.boxes[..., 2] > batch.boxes[..., 0]) & (batch.label > 0)[:, None]
    chosen = (there.cumsum(1) > (which * there.sum(1)).floor()[:, None]).int().argmax(1)  # one of the boxes, each as likely
    box = batch.boxes[torch.arange(len(chosen), device=chosen.device), chosen]
    found = (over < OVER_A_FINDING) & there.any(1)
    edges = zip(*(lit(batch, axis) for axis in (0, 1)), strict=True)
    low, high = (torch.stack(edge, 1) / batch.image.shape[-1] * 2 - 1 for edge in edges)
    point = torch.where(found[:, None], (box[:, :2] + box[:, 2:]) / 2, torch.lerp(low, high, along))
    centre = _undone(theta, point[:, None])[:, 0] + torch.where(found[:, None], jitter * REACH * share, 0)
    centre = centre.clamp(share - 1, 1 - share)
    return torch.cat([theta[:, :, :2] * share, theta @ torch.cat([centre, torch.ones_like(centre[:, :1])], 1)[:, :, None]], 2)


def in_windows(batch: Batch, theta: Tensor) -> Batch:
    """Return what films (n) are within their windows: abnormal where the middle of a box of an abnormal film shows.

    Boxes whose middle does not show are left out. An abnormal film whose place is unknown weighs nothing, since its window may show
    nothing abnormal.
    """
    middle = _undone(theta, (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2)
    shows = (batch.boxes[..., 2] > batch.boxes[..., 0]) & (middle.abs() <= 1).all(-1)
    placed = batch.placed
    label = torch.where(placed, batch.label * shows.any(1), batch.label)
    return replace(batch, label=label, weight=batch.weight * placed, boxes=batch.boxes * shows[..., None])


def warps(augmentation: Augmentation, draw: Draw) -> Tensor:
    """Draw affine warps (n, 2, 3) from output to input coordinates in [-1, 1], as `affine_grid` takes them."""
    a = augmentation
    angle = draw.signed() * math.radians(a.rotation)
    if a.quarter:
        turned, way = draw.uniform(2)
        angle = angle + (turned < a.quarter) * torch.where(way < 0.5, math.pi / 2, -math.pi / 2)
    size = 1 + draw.signed() * a.scale
    mirror, upside = draw.sign(a.flip), draw.sign(a.flip_vertical)
    shift = (draw.uniform(2).T * 2 - 1) * 2 * a.shift
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    linear = torch.stack([torch.stack([cos * mirror, -sin * upside], 1), torch.stack([sin * mirror, cos * upside], 1)], 1)
    return torch.cat([linear, shift[:, :, None]], 2)


def augment(image: Tensor, theta: Tensor, augmentation: Augmentation, draw: Draw, side: int) -> Tensor:
    """Warp films (n, S, S), 0 to 255, by `theta` and change their grey values; returns float32 (n, side, side), 0 to 255."""
    if augmentation == Augmentation() and side == image.shape[-1]:  # the warp that changes nothing would still round
        return image.float()
    grid = F.affine_grid(theta, [len(image), 1, side, side], align_corners=False)
    grey = F.grid_sample(image[:, None].float() / 255, grid, align_corners=False)[:, 0]
    a = augmentation
    changes = torch.stack([torch.exp(draw.signed() * a.gamma), 1 + draw.signed() * a.contrast, draw.signed() * a.brightness])
    gamma, contrast, brightness = sent(changes, image.device)[:, :, None, None]
    # As an image comes about: the exposure's grain, the console's filters, the file's compression, how it is shown.
    if a.grain:
        grey = grainy(grey, a.grain, draw)
    if a.blur:
        grey = sharpened(grey, a.blur, draw)
    if a.local:
        grey = raised(grey, a.local, draw)
    if a.compress:
        grey = compressed(grey, a.compress, draw)
    if a.gamma:
        grey = grey**gamma
    if a.contrast or a.brightness:
        grey = ((grey - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    if a.erase:
        grey = _erase(grey, a.erase, draw)
    return grey * 255


def _undone(theta: Tensor, points: Tensor) -> Tensor:
    """Return which output points (n, k, 2) the warps (n, 2, 3) carry to these input points."""
    a, b, c, d = theta[:, None, :, :2].flatten(2).unbind(2)
    x, y = (points - theta[:, None, :, 2]).unbind(2)
    return torch.stack([d * x - b * y, a * y - c * x], 2) / (a * d - b * c)[..., None]


def _erase(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    side = grey.shape[-1]
    chance, x, y, width, height = sent(draw.uniform(5), grey.device)[..., None]
    along = (torch.arange(side, device=grey.device) + 0.5) / side
    columns = ((along - x).abs() < width * ERASED_SIDE / 2)[:, None, :]
    rows = ((along - y).abs() < height * ERASED_SIDE / 2)[:, :, None]
    return grey.masked_fill(columns & rows & (chance < probability)[:, None], 0.0)
