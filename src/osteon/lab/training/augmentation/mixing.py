"""Films mixed and collimated before they are warped.

All of it is done in the store's frame: there boxes still stand upright, so that whether a line or a border meets a finding is a comparison
of numbers, and both films of a mixed one are warped alike.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from osteon.lab.training.batches import Batch, Draw, sent

CUT_REACH = 0.4  # how far from the middle a cut may be; the edges are at -1 and 1
BORDER = 0.25  # of the film's width or height, at most
WHITE = 200  # of 255: the darkest of the near-white borders


def cutmix(batch: Batch, other: Batch, chosen: Tensor, draw: Draw) -> Batch:
    """Give the chosen films (n,) a part of the other ones: all that lies beyond a line (CutMix, arXiv 1905.04899, by halves).

    The line runs across or along the frame, at 0.3 to 0.7 of its side, and the warp turns it. A mixed film is abnormal where a box of an
    abnormal film is left in it. A film stays whole where the line would pass through a box of either film, or where either is abnormal
    and its place unknown. The weights' mean weighs it.
    """
    upright, at, first = sent(draw.uniform(3), batch.boxes.device)
    line, along, keeps_first = ((at * 2 - 1) * CUT_REACH)[:, None], (upright < 0.5)[:, None], (first < 0.5)[:, None]
    boxes = torch.cat([batch.boxes, other.boxes], 1)
    there = boxes[..., 2] > boxes[..., 0]
    low, high = (torch.where(along, boxes[..., i], boxes[..., i + 1]) for i in (0, 2))
    done = sent(chosen, line.device) & ~(there & (low < line) & (high > line)).any(1) & batch.placed & other.placed
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


def collimate(batch: Batch, probability: float, draw: Draw) -> Batch:
    """Cover the border of some films as a collimator does: about two of the four edges, black or near-white, never over a box.

    The border is measured from the part of the frame that is not black, which holds the film. An abnormal film whose place is unknown
    stays as it is.
    """
    chance, kind, grey, *widths = sent(draw.uniform(7), batch.boxes.device)
    chosen = (chance < probability) & batch.placed
    grey = torch.where(kind < 0.5, 0.0, WHITE + (255 - WHITE) * grey).to(torch.uint8)
    columns, rows = (
        _covered(batch, axis, (before * 2 - 1).clamp(min=0) * BORDER, (after * 2 - 1).clamp(min=0) * BORDER)
        for axis, (before, after) in enumerate((widths[:2], widths[2:]))
    )
    film = columns[0][:, None, :] & rows[0][:, :, None]
    open_ = columns[1][:, None, :] & rows[1][:, :, None]
    return replace(batch, image=torch.where(film & ~open_ & chosen[:, None, None], grey[:, None, None], batch.image))


def lit(batch: Batch, axis: int) -> tuple[Tensor, Tensor]:
    """Return at which pixels the film begins and ends along an axis (n,): the part of the frame that is not black."""
    lit = batch.image.amax(1 + axis) > 0
    return lit.int().argmax(1), lit.shape[1] - lit.flip(1).int().argmax(1)


def _covered(batch: Batch, axis: int, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Return which columns (axis 0) or rows (axis 1) hold film, and which are left open, both (n, S)."""
    side = batch.image.shape[-1]
    centres = torch.arange(side, device=before.device) + 0.5
    first, last = lit(batch, axis)
    there = batch.boxes[..., 2] > batch.boxes[..., 0]
    low, high = ((batch.boxes[..., axis + i] + 1) / 2 * side for i in (0, 2))
    left = torch.minimum(first + before * (last - first), torch.where(there, low, side).amin(1))
    right = torch.maximum(last - after * (last - first), torch.where(there, high, 0).amax(1))
    film = (centres > first[:, None]) & (centres < last[:, None])
    return film, (centres >= left[:, None]) & (centres <= right[:, None])
