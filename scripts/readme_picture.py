"""Draws README's picture: a made film with a fracture, and beside it what the packaged model says of it.

python scripts/readme_picture.py [SEED STUDY_TYPE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import osteon
from osteon.lab.phantom.film import make_film

OUT = Path(__file__).parents[1] / "docs" / "images" / "overlay.png"


def main(seed: int = 28, study_type: str = "FOREARM") -> None:
    """Make the film, ask the model, put both side by side."""
    made = make_film(np.random.default_rng(seed), study_type, abnormal=True, size=480)
    model = osteon.load_model()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.png"
        Image.fromarray(made.pixels).save(path)
        film = osteon.read_film(path)
        prediction = model.predict([film])
        overlay = prediction.overlay(film)
    width, height = overlay.size
    picture = Image.new("RGB", (made.pixels.shape[1] + width, height))
    picture.paste(Image.fromarray(made.pixels).convert("RGB"), (0, 0))
    picture.paste(overlay, (made.pixels.shape[1], 0))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    picture.save(OUT, optimize=True)
    print(f"{OUT}: {study_type}, {prediction.level} {prediction.probability:.2f}, {model.card.reference}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 2 else main()
