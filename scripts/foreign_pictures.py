"""Gathers pictures that are no bone radiographs, in grey, from packages that `[dev]` installs, to measure a guard on (docs/guard.md).

python scripts/foreign_pictures.py FOLDER

They are the half that was not looked at while the guard was made: fifteen photographs, paintings, micrographs and patterns in
FOLDER/pictures, four sections (CT, MR, dose) in FOLDER/sections.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread

PICTURES = {
    "skimage/data": (
        "brick.png", "cell.png", "chessboard_GRAY.png", "clock_motion.png", "coins.png", "grass.png", "horse.png", "ihc.png",
        "microaneurysms.png", "motorcycle_left.png", "page.png", "retina.jpg", "text.png",
    ),
    "sklearn/datasets/images": ("flower.jpg",),
    "matplotlib/mpl-data/sample_data": ("Minduka_Present_Blue_Pack.png",),
}  # fmt: skip
"""The files by their folder in a package."""

SECTIONS = ("JPEG2000.dcm", "MR_small.dcm", "liver_1frame.dcm", "rtdose_1frame.dcm")
"""Of pydicom's own test files."""


def main(folder: Path) -> None:
    """Write both folders."""
    for kind in ("pictures", "sections"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for place, names in PICTURES.items():
        for name in names:
            Image.open(_folder(place) / name).convert("L").save(folder / "pictures" / f"{Path(name).stem}.png")
    for name in SECTIONS:
        values = np.squeeze(dcmread(_folder("pydicom/data/test_files") / name).pixel_array).astype(np.float64)
        grey = (values - values.min()) / (np.ptp(values) or 1)
        Image.fromarray(np.uint8(255 * grey)).save(folder / "sections" / f"{Path(name).stem}.png")
    print(f"{folder}: {len(list(folder.glob('*/*.png')))} pictures")


def _folder(place: str) -> Path:
    package, _, below = place.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed. Install osteon with: pip install -e '.[lab,dev]'")
    return Path(spec.origin).parent / below


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
