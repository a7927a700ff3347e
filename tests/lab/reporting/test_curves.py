"""A training's curves: whole epochs, nothing cut off, and a form for a paper."""

from __future__ import annotations

from pathlib import Path

import matplotlib.figure
import pytest

from osteon.lab.progress import Epoch
from osteon.lab.reporting.curves import draw_curves


def epochs(count: int) -> list[Epoch]:
    return [
        Epoch(epoch=k, loss=0.6 / (k + 1), select_loss=0.9 / (k + 1), select_auroc=0.8, rate=1e-3, films_per_second=3, seconds=1)
        for k in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_epochs_are_whole_and_no_point_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    seen = []
    written = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, *a, **k: seen.append(self) or written(self, *a, **k))
    draw_curves(epochs(count), [0], tmp_path / "curves.png")
    for axes in seen[0].axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks and all(tick == int(tick) for tick in ticks)
        low, high = axes.get_ylim()
        assert all(low <= y <= high for line in axes.lines for y in line.get_ydata())


def test_it_is_drawn_for_a_paper_too_and_twice_the_same(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        file = draw_curves(epochs(2), [0], tmp_path / f"{name}.png")
        made.append([file.with_suffix(suffix).read_bytes() for suffix in (".png", ".svg", ".pdf")])
    assert made[0] == made[1]
    assert made[0][1].startswith(b"<?xml") and made[0][2].startswith(b"%PDF")
