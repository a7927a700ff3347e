"""What another machine does to the same film: sharper or softer, flatter, grainy, compressed.

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

from osteon.lab.training.batches import Draw, sent

LEAST_GRAIN, MOST_GRAIN = 0.004, 0.06
"""Standard deviation of grain, as a share of white; drawn evenly in its logarithm."""

REACHES = (4, 8, 16, 32)
"""Pixels over which local contrast is raised: from a film's fine trabeculae to what CLAHE does with an eighth of a film."""

MOST_RAISED = 2.0  # times the difference to the surroundings, added
WORST, BEST = 10, 80  # JPEG quality

AT_ONCE = {"cpu": 1}
"""How many films are changed together: on a CPU one, which stays in its cache; elsewhere all, since what a GPU is told costs time."""

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

    def sharpen(films: Tensor, which: Tensor) -> Tensor:
        return torch.lerp(_blurred(films), films, _of_films(strength[which] * 2, films)).clamp(0, 1)

    return _changed(grey, chance < probability, sharpen)


def raised(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Raise the local contrast of some films: `g + strength (g - surroundings)`, strength in [0, 2], as consoles and CLAHE do.

    The surroundings are means over squares of one of `REACHES`, bilinearly between their middles. Black stays black: there is no film.
    """
    chance, strength, reach = draw.uniform(3)
    reach = (reach * len(REACHES)).long()

    def around(films: Tensor, pixels: int) -> Tensor:
        cells = F.avg_pool2d(films[:, None], pixels, ceil_mode=True, count_include_pad=False)
        return F.interpolate(cells, size=films.shape[1:], mode="bilinear", align_corners=False)[:, 0]

    def raise_(films: Tensor, which: Tensor) -> Tensor:
        surroundings = films
        for number in reach[which].unique().tolist():
            its = _of_films(reach[which] == number, films)
            surroundings = torch.where(its, around(films, REACHES[number]), surroundings)
        more = _of_films(MOST_RAISED * strength[which], films)
        return (films + more * (films - surroundings)).clamp(0, 1) * (films > 0)

    return _changed(grey, chance < probability, raise_)


def grainy(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Give some films grain: white noise, or as much of it smoothed, as a scintillator does. Black stays black.

    A film's grain is cut from one field at a place drawn for it, so that a film costs no random number a pixel.
    """
    chance, amount, coarse, top, left = draw.uniform(5)
    side = grey.shape[-1]
    fields = _grain(side, grey.device)
    deviation = LEAST_GRAIN * (MOST_GRAIN / LEAST_GRAIN) ** amount
    places = torch.stack([coarse * len(fields), top * side, left * side]).long()

    def grain(films: Tensor, which: Tensor) -> Tensor:
        noise = _windows(fields, places[:, which], (side, side))
        return (films + _of_films(deviation[which], films) * noise).clamp(0, 1) * (films > 0)

    return _changed(grey, chance < probability, grain)


def compressed(grey: Tensor, probability: float, draw: Draw) -> Tensor:
    """Compress some films as JPEG does: the cosine transform of 8 x 8 blocks, rounded to a quality of 10 to 80.

    The blocks begin anywhere, as they do in a film that was cut and scaled after it had been compressed.
    """
    chance, quality, top, left = draw.uniform(4)
    quality, starts = WORST + (BEST - WORST) * quality, (torch.stack([top, left]) * _BLOCK).long()
    return _changed(grey, chance < probability, lambda films, which: _as_jpeg(films, quality[which], starts[:, which]))


def _changed(grey: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return films (n, S, S) of which each chosen one (n,) is changed; `change` is given films and, in the CPU's memory, which."""
    numbers = chosen.nonzero()[:, 0]
    if not len(numbers):
        return grey
    device = grey.device
    parts = torch.split(numbers, AT_ONCE.get(device.type, len(numbers)))
    made = [change(grey[sent(some, device)], some) for some in parts]
    return grey.index_copy(0, sent(numbers, device), torch.cat(made))


def _of_films(numbers: Tensor, films: Tensor) -> Tensor:
    """Return numbers of the CPU, a film each (..., n), beside the films, (..., n, 1, 1)."""
    return sent(numbers, films.device)[..., None, None]


def _windows(fields: Tensor, places: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return a part (n, *shape) of fields (k, h, w) for each place (3, n), of the CPU: which field, first row, first column."""
    field, top, left = sent(places, fields.device)
    return fields.unfold(1, shape[0], 1).unfold(2, shape[1], 1)[field, top, left]


def _as_jpeg(films: Tensor, quality: Tensor, starts: Tensor) -> Tensor:
    """Return films (n, h, w) after rounding, to a quality (n,) each, in blocks of which one begins at its start (2, n), row and column."""
    h, w = films.shape[1:]
    rows, columns = (-(-(side + _BLOCK - 1) // _BLOCK) for side in (h, w))  # so many blocks have room for every start
    wide = F.pad(films[:, None], (_BLOCK, columns * _BLOCK - w, _BLOCK, rows * _BLOCK - h), mode="replicate")[:, 0]
    number, before = torch.arange(len(films))[None], (_BLOCK - starts) % _BLOCK
    placed = _windows(wide, torch.cat([number, _BLOCK - before]), (rows * _BLOCK, columns * _BLOCK))
    blocks = placed.reshape(-1, rows, _BLOCK, columns, _BLOCK).transpose(2, 3) * 255 - 128
    cosines, step = _cosines(films.device), _steps(quality, films)[:, None, None]
    rounded = torch.round(cosines @ blocks @ cosines.T / step) * step
    back = ((cosines.T @ rounded @ cosines).transpose(2, 3).reshape(placed.shape) + 128) / 255
    return _windows(back, torch.cat([number, before]), (h, w)).clamp(0, 1)


def _steps(quality: Tensor, films: Tensor) -> Tensor:
    """Return the table scaled to each quality (n,), as the Independent JPEG Group's encoder does, beside the films, (n, 8, 8)."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return ((_table(films.device) * _of_films(scale, films) + 50) / 100).floor().clamp(1, 255)


@functools.cache
def _table(device: torch.device) -> Tensor:
    return torch.tensor(_TABLE, dtype=torch.float32, device=device)


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
