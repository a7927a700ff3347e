"""What another machine or a cast does to the same film: sharper or softer, flatter, grainy, compressed, behind plaster.

A network that has seen one hospital's films takes their texture for the world: grain of four grey levels in 256, which a person hardly
sees, was enough to spoil one (`docs/experiments.md`). All works on films as they are shown, (n, S, S) in [0, 1], on any device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.lab.training.batches import Draw

LEAST_GRAIN, MOST_GRAIN = 0.004, 0.06
"""Standard deviation of grain, as a share of white; drawn evenly in its logarithm."""

REACHES = (4, 8, 16, 32)
"""Pixels over which local contrast is raised: from a film's fine trabeculae to what CLAHE does with an eighth of a film."""

PLASTER = 0.8  # grey towards which a cast veils what lies behind it
LEAST_VEIL, MOST_VEIL = 0.1, 0.5
WEAVE = 0.03  # standard deviation of a cast's texture
MOST_RAISED = 2.0  # times the difference to the surroundings, added
WORST, BEST = 10, 80  # JPEG quality

_BLOCK = 8
# Annex K.1 of ITU-T T.81, the luminance table that nearly every encoder scales.
_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92), (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def sharpened(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Blur or sharpen some films: `g + strength (g - blurred)`, strength in [-1, 1].

    `blurred` is the binomial filter of five pixels each way, a Gaussian with a standard deviation of one pixel; a positive strength is
    unsharp masking, as many systems apply it before a film is shown.
    """
    chance, strength = draw.uniform(2)
    which = (chance < probability).nonzero()[:, 0]
    if not len(which):
        return grey
    strength, there = (strength[which] * 2 - 1).to(grey.device)[:, None, None], which.to(grey.device)
    films = grey[there]
    return grey.index_copy(0, there, torch.lerp(_blurred(films), films, 1 + strength).clamp(0, 1))


def raised(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Raise the local contrast of some films: `g + strength (g - surroundings)`, strength in [0, 2], as consoles and CLAHE do.

    The surroundings are means over squares of one of `REACHES`, bilinearly between their middles. Black stays black: there is no film.
    """
    chance, strength, reach = draw.uniform(3)

    def raise_(film: Tensor, i: int) -> Tensor:
        cells = F.avg_pool2d(film[None, None], REACHES[int(reach[i] * len(REACHES))], ceil_mode=True, count_include_pad=False)
        around = F.interpolate(cells, size=film.shape, mode="bilinear", align_corners=False)[0, 0]
        return (film + MOST_RAISED * float(strength[i]) * (film - around)).clamp(0, 1) * (film > 0)

    return _each(grey, chance < probability, raise_)


def plastered(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Lay some films' bones behind a cast: a band across the film, brighter and flatter by a veil of 0.1 to 0.5, with a coarse texture.

    The band has any direction, its middle lies within the middle half of the film, and it is a quarter of the side to the whole side wide.
    Black stays black: there is no film.
    """
    chance, veil, angle, middle, width, place = draw.uniform(6)
    side = grey.shape[-1]
    coarse = _grain(side // 4 + 1, grey.device)[1:, None]
    weave = F.interpolate(coarse, size=(2 * side, 2 * side), mode="bilinear", align_corners=False)[0, 0]
    along = (torch.arange(side, device=grey.device) + 0.5) / side - 0.5

    def plaster(film: Tensor, i: int) -> Tensor:
        turn, start = float(angle[i]) * math.pi, int(place[i] * side)
        across = along[None] * math.cos(turn) + along[:, None] * math.sin(turn) - (float(middle[i]) - 0.5) / 2
        inside = ((0.125 + 0.375 * float(width[i]) - across.abs()) * side / 4).sigmoid()
        strength = LEAST_VEIL + (MOST_VEIL - LEAST_VEIL) * float(veil[i])
        texture = WEAVE * weave[start : start + side, start : start + side]
        return (film + inside * (strength * (PLASTER - film) + texture)).clamp(0, 1) * (film > 0)

    return _each(grey, chance < probability, plaster)


def grainy(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Give some films grain: white noise, or as much of it smoothed, as a scintillator does. Black stays black.

    A film's grain is cut from one field at a place drawn for it, so that a film costs no random number a pixel.
    """
    chance, amount, coarse, top, left = draw.uniform(5)
    side = grey.shape[-1]
    fields = _grain(side, grey.device)

    def grain(film: Tensor, i: int) -> Tensor:
        y, x = int(top[i] * side), int(left[i] * side)
        deviation = LEAST_GRAIN * math.pow(MOST_GRAIN / LEAST_GRAIN, float(amount[i]))
        return (film + deviation * fields[int(coarse[i] * len(fields)), y : y + side, x : x + side]).clamp(0, 1) * (film > 0)

    return _each(grey, chance < probability, grain)


def compressed(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Compress some films as JPEG does: the cosine transform of 8 x 8 blocks, rounded to a quality of 10 to 80.

    The blocks begin anywhere, as they do in a film that was cut and scaled after it had been compressed.
    """
    chance, quality, top, left = draw.uniform(4)

    def compress(film: Tensor, i: int) -> Tensor:
        return _as_jpeg(film, WORST + (BEST - WORST) * float(quality[i]), (int(top[i] * _BLOCK), int(left[i] * _BLOCK)))

    return _each(grey, chance < probability, compress)


def _each(grey: Tensor, chosen: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return films (n, S, S) of which each chosen one (n,) is `change(film, number)`."""
    numbers: list[int] = chosen.nonzero()[:, 0].tolist()
    if not numbers:
        return grey
    return grey.index_copy(0, torch.tensor(numbers, device=grey.device), torch.stack([change(grey[i], i) for i in numbers]))


def _as_jpeg(film: Tensor, quality: float, start: tuple[int, int]) -> Tensor:
    """Return a film (h, w) after rounding in blocks of which one begins at `start`, rows and columns from the upper left."""
    (h, w), (top, left) = film.shape, ((_BLOCK - at) % _BLOCK for at in start)
    wide = F.pad(film[None, None], (left, -(left + w) % _BLOCK, top, -(top + h) % _BLOCK), mode="replicate")[0, 0]
    rows, columns = (side // _BLOCK for side in wide.shape)
    blocks = wide.reshape(rows, _BLOCK, columns, _BLOCK).transpose(1, 2) * 255 - 128
    cosines, step = _cosines(film.device), _steps(quality, film.device)
    rounded = torch.round(cosines @ blocks @ cosines.T / step) * step
    back = ((cosines.T @ rounded @ cosines).transpose(1, 2).reshape(wide.shape) + 128) / 255
    return back[top : top + h, left : left + w].clamp(0, 1)


def _steps(quality: float, device: torch.device) -> Tensor:
    """Return the table (8, 8) scaled to a quality, as the Independent JPEG Group's encoder does."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table: Tensor = torch.tensor(_TABLE, dtype=torch.float32, device=device)
    return ((table * scale + 50) / 100).floor().clamp(1, 255)


@functools.cache
def _cosines(device: torch.device) -> Tensor:
    """Return the orthonormal cosine transform of 8 numbers (8, 8), DCT-II."""
    order, place = torch.arange(_BLOCK, dtype=torch.float64)[:, None], torch.arange(_BLOCK, dtype=torch.float64)
    cosines = torch.cos(math.pi * (place + 0.5) * order / _BLOCK) * math.sqrt(2 / _BLOCK)
    cosines[0] /= math.sqrt(2)
    return cosines.float().to(device)


@functools.cache
def _grain(side: int, device: torch.device) -> Tensor:
    """Return white and smoothed noise of mean 0 and deviation 1, (2, 2 side, 2 side), the same in every process."""
    white = torch.randn(1, 2 * side, 2 * side, generator=torch.Generator().manual_seed(side))
    smooth = _blurred(white)
    return torch.cat([white, smooth / smooth.std()]).to(device)


def _blurred(films: Tensor) -> Tensor:
    wide = F.pad(films[:, None], (2, 2, 2, 2), mode="replicate")
    for _ in range(4):  # [1 1] / 2 four times is [1 4 6 4 1] / 16
        wide = (wide[..., 1:] + wide[..., :-1]) / 2
        wide = (wide[..., 1:, :] + wide[..., :-1, :]) / 2
    return wide[:, 0]
