"""A batch as a step learns from it: joined with other films, collimated, smaller or in part at first, warped, its grey values changed.

Films are joined and collimated in the store's frame, before the warp: there boxes still stand upright, so that whether a line or a border
meets a finding is a comparison of numbers, and both films of a joined one are warped alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from osteon.lab.training.batches import Batch, Draw, TrainingFilms
from osteon.lab.training.recipe import Augmentation, Recipe
from osteon.lab.training.texture import compressed, grainy, raised, sharpened

ERASED_SIDE = 0.25  # of the film's side, at most
CUT_REACH = 0.4  # how far from the middle a cut may be; the edges are at -1 and 1
BORDER = 0.25  # of the film's width or height, at most
WHITE = 200  # of 255: the darkest of the near-white borders
SIDE_STEP = 32  # pixels by which films grow: the coarsest stride
GROWN = 2 / 3  # of the training is done when films have their whole side
OVER_A_FINDING = 0.75  # of the windows of abnormal films
REACH = 0.7  # how far from the window's middle a finding's may lie; the edge is at 1


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a step shows, and what it asks.

    Attributes:
        image: Films (n, s, s) float32, 0 to 255.
        theta: The warps (n, 2, 3) that they went through.
        batch: Their labels and boxes.
        other: Of the films that shine through them; None without MixUp.
        share: How much of a film is its own (n,), the rest is the other's; None without MixUp.
    """

    image: Tensor
    theta: Tensor
    batch: Batch
    other: Batch | None = None
    share: Tensor | None = None


def lesson(data: TrainingFilms, films: NDArray[np.int64], recipe: Recipe, draw: Draw, fraction: float, device: torch.device) -> Lesson:
    """Return a step's films as they are learned from.

    Args:
        data: All films.
        films: Numbers of the whole batch's.
        recipe: Says what is done to them.
        draw: Of the whole batch; this process takes its part.
        fraction: Of the training that is done, 0 to 1.
        device: Where the step is computed.
    """
    a, batch, other, share = recipe.augmentation, data.take(films[draw.mine]).to(device), None, None
    if a.cut or a.mixup:
        partners = data.take(films[draw.partners()]).to(device)
        chance = draw.uniform(1)[0]
        if a.cut:
            batch = cut(batch, partners, chance < a.cut, draw)
        if a.mixup:  # a film that was cut is not mixed as well
            other, share = partners, shares((chance >= 1 - a.mixup) & (chance >= a.cut), draw).to(device)
    if a.collimate:
        batch = collimate(batch, a.collimate, draw)
    image = batch.image if other is None or share is None else mixed(batch.image, other.image, share)
    theta = warps(a, draw).to(device)
    whole = film_side(recipe, fraction)
    side = window_side(recipe, fraction, whole)
    if side < whole:
        theta = windows(batch, theta, side / whole, draw)
        batch, other = seen(batch, theta), None if other is None else seen(other, theta)
    return Lesson(vary(shrunk(image, whole), theta, a, draw, side), theta, batch, other, share)


def film_side(recipe: Recipe, fraction: float) -> int:
    """Return the side in pixels of the films that a step learns from.

    It grows from `recipe.growth` of the frame's in steps of 32 pixels, each as long as the others by the fraction of the training that is
    done, and is whole for the last third, so that the norms' statistics are those of whole films (progressive learning, arXiv 2104.00298).
    """
    whole = recipe.frame.size
    first = max(round(recipe.growth * whole / SIDE_STEP), 1) * SIDE_STEP
    if not recipe.growth or fraction >= GROWN or first >= whole:
        return whole
    return first + SIDE_STEP * int(fraction / GROWN * math.ceil((whole - first) / SIDE_STEP))


def window_side(recipe: Recipe, fraction: float, whole: int) -> int:
    """Return the side in pixels of the window through which a step sees its films, which have the side `whole`, as it has at the end."""
    return whole if not recipe.window or fraction >= GROWN else max(round(recipe.window * whole / SIDE_STEP), 1) * SIDE_STEP


def windows(batch: Batch, theta: Tensor, share: float, draw: Draw) -> Tensor:
    """Narrow warps (n, 2, 3) to a window of `share` of the side, at the same resolution, wholly within the frame.

    In an abnormal film whose place is known it mostly lies over a finding, somewhere in it; else anywhere over the part of the frame that
    is not black.
    """
    over, which, *rest = draw.uniform(6).to(theta.device)
    along, jitter = torch.stack(rest[:2], 1), torch.stack(rest[2:], 1) * 2 - 1
    there = (batch.boxes[..., 2] > batch.boxes[..., 0]) & (batch.label > 0)[:, None]
    chosen = (there.cumsum(1) > (which * there.sum(1)).floor()[:, None]).int().argmax(1)  # one of the boxes, each as likely
    box = batch.boxes[torch.arange(len(chosen), device=chosen.device), chosen]
    found = (over < OVER_A_FINDING) & there.any(1)
    edges = zip(*(_lit(batch, axis) for axis in (0, 1)), strict=True)
    low, high = (torch.stack(edge, 1) / batch.image.shape[-1] * 2 - 1 for edge in edges)
    point = torch.where(found[:, None], (box[:, :2] + box[:, 2:]) / 2, torch.lerp(low, high, along))
    centre = _undone(theta, point[:, None])[:, 0] + torch.where(found[:, None], jitter * REACH * share, 0)
    centre = centre.clamp(share - 1, 1 - share)
    return torch.cat([theta[:, :, :2] * share, theta @ torch.cat([centre, torch.ones_like(centre[:, :1])], 1)[:, :, None]], 2)


def seen(batch: Batch, theta: Tensor) -> Batch:
    """Return what films (n) are within their windows: abnormal where the middle of a box of an abnormal film shows.

    Boxes whose middle does not show are left out. An abnormal film whose place is unknown weighs nothing, since its window may show
    nothing abnormal.
    """
    middle = _undone(theta, (batch.boxes[..., :2] + batch.boxes[..., 2:]) / 2)
    shows = (batch.boxes[..., 2] > batch.boxes[..., 0]) & (middle.abs() <= 1).all(-1)
    placed = _placed(batch)
    label = torch.where(placed, batch.label * shows.any(1), batch.label)
    return replace(batch, label=label, weight=batch.weight * placed, boxes=batch.boxes * shows[..., None])


def shrunk(image: Tensor, side: int) -> Tensor:
    """Return films (n, S, S) with a smaller side, as float32 (n, side, side), each pixel a mean over what it covers."""
    if image.shape[-1] == side:
        return image
    return F.interpolate(image[:, None].float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)[:, 0]


def cut(batch: Batch, other: Batch, chosen: Tensor, draw: Draw) -> Batch:
    """Give the chosen films (n,) a part of the other ones: all that lies beyond a line (CutMix, arXiv 1905.04899, by halves).

    The line runs across or along the frame, at 0.3 to 0.7 of its side, and the warp turns it. A joined film is abnormal where a box of an
    abnormal film is left in it. A film stays whole where the line would pass through a box of either film, or where either is abnormal
    and its place unknown. The weights' mean weighs it.
    """
    upright, at, first = draw.uniform(3).to(batch.boxes.device)
    line, along, keeps_first = ((at * 2 - 1) * CUT_REACH)[:, None], (upright < 0.5)[:, None], (first < 0.5)[:, None]
    boxes = torch.cat([batch.boxes, other.boxes], 1)
    there = boxes[..., 2] > boxes[..., 0]
    low, high = (torch.where(along, boxes[..., i], boxes[..., i + 1]) for i in (0, 2))
    done = chosen.to(line.device) & ~(there & (low < line) & (high > line)).any(1) & _placed(batch) & _placed(other)
    # A box is left if it lies on the side that its film keeps: the first films' boxes come first, the other films' after them.
    own = torch.arange(boxes.shape[1], device=boxes.device) < batch.boxes.shape[1]
    left = there & torch.where(done[:, None], (high <= line) == (keeps_first == own), own)
    abnormal = torch.maximum(batch.label * (left & own).any(1), other.label * (left & ~own).any(1))
    side = batch.image.shape[-1]
    centres = (torch.arange(side, device=line.device) * 2 + 1) / side - 1
    taken = ((centres < line) != keeps_first) & done[:, None]
    taken = torch.where(along[..., None], taken[:, None, :], taken[:, :, None])
    return Batch(
        image=torch.where(taken, other.image, batch.image),
        label=torch.where(done, abnormal, batch.label),
        weight=torch.where(done, (batch.weight + other.weight) / 2, batch.weight),
        boxes=boxes * left[..., None],
        boxed=batch.boxed & (other.boxed | ~done),
    )


def shares(chosen: Tensor, draw: Draw) -> Tensor:
    """Draw how much of each film is its own (n,): Beta(1/2, 1/2) in the chosen films, 1 in the others (MixUp, arXiv 1710.09412).

    The arcsine law is the Beta distribution that a uniform number makes without trials.
    """
    return torch.where(chosen, torch.sin(draw.uniform(1)[0] * (math.pi / 2)) ** 2, 1.0)


def mixed(image: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Return films (n, S, S) through which others shine, as float32."""
    return torch.lerp(other.float(), image.float(), share[:, None, None])


def collimate(batch: Batch, probability: float, draw: Draw) -> Batch:
    """Cover the border of some films as a collimator does: about two of the four edges, black or near-white, never over a box.

    The border is measured from the part of the frame that is not black, which holds the film. An abnormal film whose place is unknown
    stays as it is.
    """
    chance, kind, grey, *widths = draw.uniform(7).to(batch.boxes.device)
    chosen = (chance < probability) & _placed(batch)
    grey = torch.where(kind < 0.5, 0.0, WHITE + (255 - WHITE) * grey).to(torch.uint8)
    columns, rows = (
        _covered(batch, axis, (before * 2 - 1).clamp(min=0) * BORDER, (after * 2 - 1).clamp(min=0) * BORDER)
        for axis, (before, after) in enumerate((widths[:2], widths[2:]))
    )
    film = columns[0][:, None, :] & rows[0][:, :, None]
    open_ = columns[1][:, None, :] & rows[1][:, :, None]
    return replace(batch, image=torch.where(film & ~open_ & chosen[:, None, None], grey[:, None, None], batch.image))


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


def vary(image: Tensor, theta: Tensor, augmentation: Augmentation, draw: Draw, side: int) -> Tensor:
    """Warp films (n, S, S), 0 to 255, by `theta` and change their grey values; returns float32 (n, side, side), 0 to 255."""
    if augmentation == Augmentation() and side == image.shape[-1]:  # the warp that changes nothing would still round
        return image.float()
    grid = F.affine_grid(theta, [len(image), 1, side, side], align_corners=False)
    grey = F.grid_sample(image[:, None].float() / 255, grid, align_corners=False)[:, 0]
    a = augmentation
    changes = torch.stack([torch.exp(draw.signed() * a.gamma), 1 + draw.signed() * a.contrast, draw.signed() * a.brightness])
    gamma, contrast, brightness = changes.to(image.device)[:, :, None, None]
    # As an image comes about: the exposure's grain, the console's filters, the file's compression, and then how it is shown.
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


def _placed(batch: Batch) -> Tensor:
    """Return of which films (n,) it is known where their findings are."""
    return batch.boxed | (batch.label == 0)


def _undone(theta: Tensor, points: Tensor) -> Tensor:
    """Return which output points (n, k, 2) the warps (n, 2, 3) carry to these input points."""
    a, b, c, d = theta[:, None, :, :2].flatten(2).unbind(2)
    x, y = (points - theta[:, None, :, 2]).unbind(2)
    return torch.stack([d * x - b * y, a * y - c * x], 2) / (a * d - b * c)[..., None]


def _lit(batch: Batch, axis: int) -> tuple[Tensor, Tensor]:
    """Return at which pixels the film begins and ends along an axis (n,): the part of the frame that is not black."""
    lit = batch.image.amax(1 + axis) > 0
    return lit.int().argmax(1), lit.shape[1] - lit.flip(1).int().argmax(1)


def _covered(batch: Batch, axis: int, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Return which columns (axis 0) or rows (axis 1) hold film, and which are left open, both (n, S)."""
    side = batch.image.shape[-1]
    centres = torch.arange(side, device=before.device) + 0.5
    first, last = _lit(batch, axis)
    there = batch.boxes[..., 2] > batch.boxes[..., 0]
    low, high = ((batch.boxes[..., axis + i] + 1) / 2 * side for i in (0, 2))
    left = torch.minimum(first + before * (last - first), torch.where(there, low, side).amin(1))
    right = torch.maximum(last - after * (last - first), torch.where(there, high, 0).amax(1))
    film = (centres > first[:, None]) & (centres < last[:, None])
    return film, (centres >= left[:, None]) & (centres <= right[:, None])


def _erase(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    side = grey.shape[-1]
    chance, x, y, width, height = draw.uniform(5).to(grey.device)[..., None]
    along = (torch.arange(side, device=grey.device) + 0.5) / side
    columns = ((along - x).abs() < width * ERASED_SIDE / 2)[:, None, :]
    rows = ((along - y).abs() < height * ERASED_SIDE / 2)[:, :, None]
    return grey.masked_fill(columns & rows & (chance < probability)[:, None], 0.0)
