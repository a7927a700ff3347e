"""Films that show the same exposure: found by small pictures of them, checked by registration.

A pair is a candidate where its detail (the picture less its blur) correlates as it stands, or where the detail's spectra correlate,
which a shift does not change. It is a duplicate where the detail correlates after the best shift, or over the upper rows as it stands:
the lower ones may be lost in one of the files. On FracAtlas every pair of the same exposure (saved twice, scaled, cut off) has 0.95 or
more, the closest pair of two people 0.94 over rows and 0.84 after the best shift. Mirrored and turned copies are not looked for.

One exposure that was processed in two ways (window, local contrast, marks) keeps its edges, not its greys. Such pairs are candidates where
the directions of the edges agree in the small pictures, and duplicates where they agree in larger ones too, for which the films are read
again. On FracAtlas two pairs beyond the others have 0.80 and 0.90 there, the closest pair of two exposures 0.70.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels of a small picture's side; both axes are scaled to it."""

SAME = 0.90
"""Correlation of the detail, after the best shift, from which two films are duplicates."""

SAME_ROWS = 0.95
"""Correlation of the detail over the upper rows, at least three eighths of them, from which two films are duplicates."""

SAME_EDGES = 0.75
"""Agreement of the directions of edges, in pictures of 256 pixels, from which two films are one exposure, processed in two ways."""

_EDGES_LEAST = 0.84
_EDGES_SIDE = 256
_FAINT = 2 / 255  # steps of a grey or two are noise, and have no direction
_HELD = 64  # films whose edges are kept, half a megabyte each
_DETAIL_LEAST, _SPECTRUM_LEAST = 0.60, 0.80
_BLUR = 2.0  # pixels of the small picture: what is coarser than a bone's width says little about which hand it is
_TAPER = 8  # the outer pixels fade out, so that film edges do not correlate
_COARSE = SIDE // 2
_FREQUENCIES = 16
_MOST_SHIFT = 8
_LEAST_ROWS = 24
_BLOCK = 512

Thumbnails = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two films (their positions, the smaller first) and how well their detail agrees, up to 1."""

    first: int
    second: int
    correlation: float


def thumbnail(pixels: NDArray[np.float32]) -> Thumbnails:
    """Return a small picture of a film: (64, 64), 0 to 255, by averaging areas.

    Args:
        pixels: (H, W) in [0, 1].
    """
    return np.rint(255 * _averaged(pixels, SIDE)).astype(np.uint8)


def _averaged(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    rows, columns = (np.linspace(0, n, side + 1).astype(np.int64) for n in pixels.shape)
    if min(pixels.shape) < side:
        return pixels[np.ix_(rows[:-1], columns[:-1])]
    sums = np.add.reduceat(np.add.reduceat(pixels, rows[:-1], axis=0), columns[:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(rows), np.diff(columns)), np.float32)


def near_duplicates(thumbnails: Thumbnails) -> list[Pair]:
    """Return the pairs of films that show the same exposure, in order of position.

    Args:
        thumbnails: (n, 64, 64), one a film.
    """
    if len(thumbnails) < 2:
        return []
    pairs: list[Pair] = []
    for first, second in _candidates(thumbnails):
        a, b = _detail(thumbnails[first]), _detail(thumbnails[second])
        shifted, upper = _registered(a, b), _upper_rows(a, b)
        best = np.maximum(shifted, upper)
        same = np.flatnonzero((shifted >= SAME) | (upper >= SAME_ROWS))
        pairs += [Pair(int(first[k]), int(second[k]), float(best[k])) for k in same]
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def processed_twice(
    thumbnails: Thumbnails, known: list[Pair], pixels: Callable[[int], NDArray[np.float32]], patients: Sequence[str], workers: int = 1
) -> list[Pair]:
    """Return the further pairs of films that show one exposure with other greys, in order of position.

    Edges alone may agree in two people's films, all the more the more films there are: two named patients are never joined by them.

    Args:
        thumbnails: (n, 64, 64), one a film.
        known: What `near_duplicates` found, and need not be found again.
        pixels: Called with a position: the film's pixels (H, W) in [0, 1].
        patients: Of each film, "" where none is named.
        workers: Films that are read side by side.
    """
    if len(thumbnails) < 2:
        return []
    edges = lru_cache(_HELD)(lambda k: _edges(_averaged(pixels(k), _EDGES_SIDE)[None])[0])
    found = {(pair.first, pair.second) for pair in known}
    pairs = [pair for pair in _alike(thumbnails) if pair not in found and len({patients[k] for k in pair} - {""}) < 2]
    with ThreadPoolExecutor(workers) as pool:
        agreement = pool.map(lambda pair: float(np.vdot(edges(pair[0]), edges(pair[1]))), pairs)
        return [Pair(*pair, same) for pair, same in zip(pairs, agreement, strict=True) if same >= SAME_EDGES]


def _alike(thumbnails: Thumbnails) -> Iterator[tuple[int, int]]:
    """Yield the pairs whose edges agree in the small pictures, less what all films have in common."""
    n = len(thumbnails)
    coarse = np.empty((n, 2 * _COARSE**2), np.float32)
    for start in range(0, n, _BLOCK):
        edges = _edges(np.asarray(thumbnails[start : start + _BLOCK] / 255, np.float32))
        coarse[start : start + _BLOCK] = edges.reshape(-1, 2, _COARSE, 2, _COARSE, 2).sum(axis=(3, 5)).reshape(len(edges), -1)
    coarse = _unit(coarse - coarse.mean(axis=0))
    for start in range(0, n, _BLOCK):
        first, second = np.nonzero(np.triu(coarse[start : start + _BLOCK] @ coarse[start:].T >= _EDGES_LEAST, 1))
        yield from zip((first + start).tolist(), (second + start).tolist(), strict=True)


def _edges(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, 2, S, S) of length 1: the direction of each edge down and across, faint ones less (normalised gradient fields).

    Haber and Modersitzki, "Intensity gradient based registration and fusion of multi-modal images", MICCAI 2006.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(pictures, (0, 1, 1), mode="nearest")
    steps = np.stack(np.gradient(smooth, axis=(1, 2)), axis=1)
    steps /= np.sqrt((steps**2).sum(axis=1, keepdims=True) + _FAINT**2)
    fade = _fade(smooth.shape[-1])
    return _unit((steps * fade[:, None] * fade).reshape(len(pictures), -1)).reshape(steps.shape)


def _fade(side: int) -> NDArray[np.float32]:
    ramp = np.minimum(1, (np.arange(side) + 1) * SIDE / (side * _TAPER))
    return np.minimum(ramp, ramp[::-1]).astype(np.float32)


def _candidates(thumbnails: Thumbnails) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield candidate pairs, each once, in blocks."""
    n = len(thumbnails)
    coarse, spectra = np.empty((n, _COARSE**2), np.float32), np.empty((n, (2 * _FREQUENCIES - 1) * _FREQUENCIES), np.float32)
    for start in range(0, n, _BLOCK):
        detail = _detail(thumbnails[start : start + _BLOCK])
        coarse[start : start + _BLOCK] = _unit(detail.reshape(-1, _COARSE, 2, _COARSE, 2).sum(axis=(2, 4)).reshape(len(detail), -1))
        spectra[start : start + _BLOCK] = _spectrum(detail)
    spectra = _unit(spectra - spectra.mean(axis=0))
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        likely = (coarse[block] @ coarse[start:].T >= _DETAIL_LEAST) | (spectra[block] @ spectra[start:].T >= _SPECTRUM_LEAST)
        first, second = np.nonzero(np.triu(likely, 1))
        for part in range(0, len(first), _BLOCK):
            yield first[part : part + _BLOCK] + start, second[part : part + _BLOCK] + start


def _detail(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Return (n, 64, 64) of mean 0 and length 1: the pictures less their blur, faded out at the edge."""
    from scipy.ndimage import gaussian_filter  # not at the top: an index without decoding does not wait for it

    pictures = thumbnails.astype(np.float32)
    fade = _fade(SIDE)
    detail = (pictures - gaussian_filter(pictures, (0, _BLUR, _BLUR), mode="nearest")) * fade[:, None] * fade
    return _unit((detail - detail.mean(axis=(1, 2), keepdims=True)).reshape(len(detail), -1)).reshape(detail.shape)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def _spectrum(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    low = np.r_[0:_FREQUENCIES, SIDE - _FREQUENCIES + 1 : SIDE]
    spectra = np.fft.rfft2(detail)[:, low, :_FREQUENCIES]
    return np.sqrt(np.abs(spectra)).reshape(len(detail), -1).astype(np.float32)


def _registered(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the correlation (n,) of each pair after the best shift of at most an eighth of the film."""
    correlation = np.fft.irfft2(np.fft.rfft2(a) * np.conj(np.fft.rfft2(b)), s=(SIDE, SIDE))
    near = np.r_[0 : _MOST_SHIFT + 1, SIDE - _MOST_SHIFT : SIDE]
    return np.asarray(correlation[:, near][:, :, near].max(axis=(1, 2)), np.float32)


def _upper_rows(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the correlation (n,) of each pair over the best number of upper rows."""
    ab, aa, bb = (np.cumsum((x * y).sum(axis=2), axis=1)[:, _LEAST_ROWS - 1 :] for x, y in ((a, b), (a, a), (b, b)))
    energy = np.sqrt(aa * bb)
    return np.asarray((ab / np.where(energy > 0, energy, np.inf)).max(axis=1), np.float32)
