"""Films side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from osteon.lab.tiles import Shown, draw_tiles, read_tile


def test_a_gallery_shows_films_and_leaves_a_place_for_those_it_cannot_read(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))).save(tmp_path / "film.png")
    (tmp_path / "broken.png").write_bytes(b"no film")
    tiles = [read_tile(tmp_path / name) for name in ("film.png", "absent.png", "broken.png")]
    assert [tile.reason for tile in tiles] == ["", "missing", "not readable"]
    draw_tiles([Shown(tile, "1: abnormal", ((4, 4, 20, 10),)) for tile in tiles], tmp_path / "gallery.png", columns=2)
    with Image.open(tmp_path / "gallery.png") as image:
        grey = np.asarray(image.convert("L"))
    assert grey.shape[1] == 1020
    assert len(np.unique(grey)) > 60
