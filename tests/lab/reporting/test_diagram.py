"""The network's picture: drawn for every network, the same twice, and told in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osteon.lab.reporting.diagram import described, draw_network
from osteon.lab.training.networks.summary import summary
from osteon.lab.training.recipe import recipe


@pytest.mark.parametrize("changes", [(), ("network=densenet121", "head=mean", "freeze=0"), ("evidence_stride=8", "head=pyramid")])
def test_a_network_is_drawn(tmp_path: Path, changes: tuple[str, ...]) -> None:
    network = summary(recipe("osteon", changes))
    file = draw_network(network, tmp_path / "network.png")
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] == 1440
    white = (pixels == 255).all(axis=2)
    assert 0.02 < 1 - white.mean() < 0.5
    assert white[:, 0].all()  # nothing runs over the edge
    assert white[:, -1].all()


def test_the_picture_in_words() -> None:
    network = summary(recipe("osteon"))
    words = described(network)
    assert all(stage.name in words for stage in network.stages)
    assert "evidence: one value a cell" in words
