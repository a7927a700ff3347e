"""Make the fuzzer's first films: one small file of each kind that is read. `python fuzz/seeds.py` writes `fuzz/corpus/films/`."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import uid

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from made_dicom import bare, compressed, content, encapsulated, lut, radiograph, steps  # noqa: E402

GREY = (steps() >> 4).astype(np.uint8)
LOSSLESS = (uid.RLELossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.HTJ2KLossless)
PLAIN = (uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian)


def films() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes of each film."""
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    for syntax in PLAIN:
        yield syntax, content(radiograph(**window), syntax)
    for syntax in LOSSLESS:
        yield syntax, compressed(radiograph(**window), syntax)
    yield "baseline", content(encapsulated(imagecodecs.jpeg8_encode(GREY), BitsAllocated=8, BitsStored=8), uid.JPEGBaseline8Bit)
    yield "extended", content(encapsulated(imagecodecs.jpeg8_encode(steps(), bitspersample=12)), uid.JPEGExtended12Bit)
    yield "bare", bare(radiograph(GREY))
    yield "tables", content(radiograph(GREY, VOILUTSequence=[lut(0, list(range(256)), 8)], ModalityLUTSequence=[lut(0, [5] * 9, 16)]))
    shutter = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [16, 20], "RadiusOfCircularShutter": 9}
    yield "geometry", content(radiograph(GREY, PixelAspectRatio=[2, 1], **shutter))
    yield from rasters()


def rasters() -> Iterator[tuple[str, bytes]]:
    """Yield PNG, JPEG and TIFF."""
    grey, deep = Image.fromarray(GREY), Image.fromarray(steps())
    for name, image in (("8", grey), ("16", deep), ("rgb", grey.convert("RGB")), ("la", grey.convert("LA")), ("p", grey.convert("P"))):
        yield f"png-{name}", saved(image, "PNG")
    yield "png-48", imagecodecs.png_encode(np.stack([steps()] * 3, 2))
    for name, options in (("plain", {}), ("progressive", {"progressive": True}), ("restarts", {"restart_marker_rows": 1})):
        yield f"jpeg-{name}", saved(grey, "JPEG", **options)
        yield f"jpeg-rgb-{name}", saved(grey.convert("RGB"), "JPEG", **options)
    for compression in (None, "tiff_lzw", "packbits", "jpeg"):
        yield f"tiff-{compression}", saved(grey, "TIFF", compression=compression)
    yield "tiff-16", saved(deep, "TIFF")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    folder = HERE / "corpus" / "films"
    folder.mkdir(parents=True, exist_ok=True)
    for film, made in films():
        (folder / film).write_bytes(made)
