"""Which share of films the search for duplicates finds again after another processing: docs/experiments.md has the table.

python scripts/processed_twice.py INDEX
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteon.film import read_film
from osteon.lab.data.duplicates import near_duplicates, processed_twice, thumbnail
from osteon.lab.data.index import read_index

FILMS = 120
Pixels = NDArray[np.float32]


def alike(film: Pixels) -> Pixels:
    """Make local mean and contrast the same everywhere."""
    width = 0.05 * max(film.shape)
    mean = gaussian_filter(film, width)
    spread = np.sqrt(gaussian_filter((film - mean) ** 2, width))
    return np.asarray(np.clip(0.5 + 0.2 * (film - mean) / (spread + 0.02), 0, 1), np.float32)


def raised(film: Pixels) -> Pixels:
    """Raise the detail at three scales."""
    return np.asarray(np.clip(film**0.7 + sum(0.8 * (film - gaussian_filter(film, width)) for width in (2, 6, 18)), 0, 1), np.float32)


PROCESSINGS: dict[str, Callable[[Pixels], Pixels]] = {
    "gamma 0.5": lambda film: film**0.5,
    "gamma 2": lambda film: film**2,
    "gamma 3": lambda film: film**3,
    "logarithm": lambda film: np.log1p(20 * film) / np.log(21),
    "window 0.2 to 0.6": lambda film: np.clip((film - 0.2) / 0.4, 0, 1),
    "alike": alike,
    "raised": raised,
    "raised, blurred": lambda film: gaussian_filter(raised(film), 1),
    "blurred, gamma 2": lambda film: gaussian_filter(film, 2) ** 2,
}


def main(index: str) -> None:
    """Process films, look for them, print the shares."""
    rows = read_index(index).filter(status="ok").sample(FILMS, seed=1)
    films = [read_film(Path(root) / path).pixels for root, path in rows.select("root", "path").iter_rows()]
    for name, process in PROCESSINGS.items():
        both = [*films, *(np.asarray(process(film), np.float32) for film in films)]
        small = np.stack([thumbnail(film) for film in both])
        near = near_duplicates(small)
        pairs = {(p.first, p.second) for p in near}
        further = {(p.first, p.second) for p in processed_twice(small, near, both.__getitem__, [""] * len(small))}
        wanted = {(k, k + FILMS) for k in range(FILMS)}
        print(f"{name}: {len(wanted & (pairs | further)) / FILMS:.0%}, by detail alone {len(wanted & pairs) / FILMS:.0%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
