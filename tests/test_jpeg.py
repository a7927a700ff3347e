"""What a JPEG promises and what it holds: sound ones pass with the decoder's own pixels, cut and damaged ones never silently."""

from __future__ import annotations

import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from osteon.bounds import MOST_SCANS
from osteon.jpeg import BrokenJpeg, EndlessJpeg, check_scans, jpeg_markers

RNG = np.random.default_rng(0)


def picture(height: int = 120, width: int = 90, most: int = 255) -> NDArray[np.uint16]:
    y, x = np.mgrid[:height, :width]
    noise = RNG.normal(0, most / 40, (height, width))
    return np.clip((np.sin(x / 9) * np.cos(y / 13) + 1) / 2 * most + noise, 0, most).astype(np.uint16)


def sequential(bits: int = 8, **options: Any) -> bytes:
    words = picture(most=2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)
    return imagecodecs.jpeg8_encode(words, level=92, bitspersample=bits, **options)


def lossless(bits: int, predictor: int) -> bytes:
    words = picture(most=2**bits - 1).astype(np.uint8 if bits <= 8 else np.uint16)
    return imagecodecs.jpeg8_encode(words, lossless=True, bitspersample=bits, predictor=predictor)


def by_pillow(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture().astype(np.uint8)).save(file, "JPEG", quality=92, **options)
    return file.getvalue()


SOUND = {
    "8": sequential(),
    "12": sequential(12),
    "optimised": by_pillow(optimize=True),
    "progressive": by_pillow(progressive=True),
    "restarts": by_pillow(restart_marker_rows=2),
    **{f"lossless {bits} {predictor}": lossless(bits, predictor) for bits in (8, 12, 16) for predictor in range(1, 8)},
}


def checked(content: bytes) -> NDArray[np.integer]:
    markers = jpeg_markers(content)
    if markers is None or not markers.ended:
        raise BrokenJpeg("no end")
    return check_scans(content, markers, imagecodecs.jpeg8_decode)


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_jpeg_passes_with_the_decoders_own_pixels(kind: str) -> None:
    assert_array_equal(checked(SOUND[kind]), imagecodecs.jpeg8_decode(SOUND[kind]))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 8), (16, 17), (33, 64), (7, 100), (100, 7)])
@pytest.mark.parametrize("grey", [0, 128, 255, None])
def test_flat_and_small_pictures_pass(height: int, width: int, grey: int | None) -> None:
    """Of a mid-grey picture the arbitrary block may be grey, too: then the tail decides."""
    pixels = np.full((height, width), grey, np.uint8) if grey is not None else RNG.integers(0, 256, (height, width), np.uint8)
    assert_array_equal(checked(imagecodecs.jpeg8_encode(pixels)).shape, pixels.shape)
    assert_array_equal(checked(imagecodecs.jpeg8_encode(pixels, lossless=True)), pixels)


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("closed", [False, True])
def test_a_cut_jpeg_is_found(kind: str, share: float, closed: bool) -> None:
    whole = SOUND[kind]
    markers = jpeg_markers(whole)
    assert markers
    start, end = markers.scans[0][0], markers.scans[-1][1]
    cut = whole[: int(start + share * (end - start))].rstrip(b"\xff") + (b"\xff\xd9" if closed else b"")
    with pytest.raises(BrokenJpeg):
        checked(cut)


@pytest.mark.parametrize("kind", [kind for kind in SOUND if not kind.startswith("restarts")])
def test_a_hole_is_found(kind: str) -> None:
    whole = SOUND[kind]
    markers = jpeg_markers(whole)
    assert markers
    start, end = markers.scans[0]
    middle = (start + end) // 2
    length = max(20, (end - start) // 10)
    with pytest.raises(BrokenJpeg):
        checked(whole[:middle].rstrip(b"\xff") + whole[middle + length :].lstrip(b"\x00"))


def test_changed_bytes_are_found_where_codes_fall_out_of_step() -> None:
    """As libjpeg's own warnings do (djpeg prints them). What changes a value and no length leaves no trace in a JPEG."""
    whole, rng = SOUND["8"], np.random.default_rng(1)
    markers = jpeg_markers(whole)
    assert markers
    found = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(markers.scans[0][0], markers.scans[0][1] - 8)] ^= 1 << int(rng.integers(8))
        try:
            checked(bytes(damaged))
        except BrokenJpeg:
            found += 1
    assert found > 20


def test_missing_restart_intervals_are_found() -> None:
    whole = SOUND["restarts"]
    first, second = whole.index(b"\xff\xd1"), whole.index(b"\xff\xd2")
    with pytest.raises(BrokenJpeg, match="restart markers are missing"):
        checked(whole[:first] + whole[second:])


def test_missing_scans_are_found() -> None:
    whole = SOUND["progressive"]
    markers = jpeg_markers(whole)
    assert markers
    assert len(markers.scans) > 3
    with pytest.raises(BrokenJpeg, match="last scans are missing"):
        checked(whole[: markers.scans[2][1]] + b"\xff\xd9")


def test_more_scans_than_is_sane() -> None:
    whole = SOUND["progressive"]
    markers = jpeg_markers(whole)
    assert markers
    start = whole.rindex(b"\xff\xda")
    scan = whole[start : markers.scans[-1][1]]
    with pytest.raises(EndlessJpeg, match="more than"):
        jpeg_markers(whole[:-2] + scan * MOST_SCANS + b"\xff\xd9")
    large = bytearray(whole)
    large[markers.frame + 5 : markers.frame + 9] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(EndlessJpeg, match="60000 x 60000"):
        jpeg_markers(bytes(large))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG", SOUND["8"][:40], b"\xff\xd8" + b"\xff" * 50])
def test_what_is_no_jpeg(content: bytes) -> None:
    assert jpeg_markers(content) is None
