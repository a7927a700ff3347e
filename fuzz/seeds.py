"""Make the fuzzer's first inputs: one small file of each kind that is read. `python fuzz/seeds.py` writes `fuzz/corpus/`."""

from __future__ import annotations

import io
import sys
import tempfile
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
from made_model import made_card, make_model  # noqa: E402
from made_network import make_network  # noqa: E402
from osteon.card import Calibration, Int8, Int8Cost, Pooling, Scope  # noqa: E402
from osteon.precision import Ranges, Rounding  # noqa: E402

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


def manifests() -> Iterator[tuple[str, bytes]]:
    """Yield tables of films."""
    rows = "path,study,label,study_type,patient,split,boxes\na.png,1,1,HAND,7,train,\nb/c.png,2,0,wrist,8,valid,1 2 3 4\n"
    for name, text in (("comma", rows), ("tab", rows.replace(",", "\t")), ("semicolon", rows.replace(",", ";"))):
        yield name, text.encode()
    yield "capitals", b'\xef\xbb\xbf Path , Label \r\n"a.png","abnormal"\r\n.\\\\a.png,normal\r\n'
    yield "sixteen", "path,study\na.png,\u00e9\n".encode("utf-16")


def cards() -> Iterator[tuple[str, bytes]]:
    """Yield cards, and what makes INT8 of a network."""
    isotonic = Calibration(kind="isotonic", logits=(-1.0, 2.0), probabilities=(0.1, 0.9))
    cost = Int8Cost(split="tune", films=10, changed=0)
    eight = Int8(calibrated_on="train", films=3, held="tune", layers=2, kept=0, near=0.1, costs=(cost,))
    yield "plain", made_card().to_json().encode()
    yield "all", made_card(calibration=isotonic, scope=Scope(threshold=1, split="train", rule="r"), int8=eight).to_json().encode()
    yield "ranges", RANGES.to_json().encode()


def models() -> Iterator[tuple[str, bytes]]:
    """Yield model files."""
    from onnx import helper, load_model

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.onnx"
        yield "logsumexp", make_model(file, made_card(32)).read_bytes()
        yield "mean", make_model(file, made_card(32, pooling=Pooling(kind="mean"))).read_bytes()
        model = load_model(make_network(file, made_card(32, int8=None)))
        yield "network", model.SerializeToString()
        helper.set_model_props(model, {"card": made_card(32).to_json(), "int8": RANGES.to_json()})
        yield "int8", model.SerializeToString()


_HIGH = np.float32(1).tobytes()
RANGES = Ranges(roundings=(Rounding(inputs=(("stem/WithoutBiases", 0),), levels=256, shape=(), low=bytes(4), high=_HIGH),))

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for kind, inputs in (("films", films), ("manifest", manifests), ("card", cards), ("model", models)):
        folder = HERE / "corpus" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, made in inputs():
            (folder / name).write_bytes(made)
