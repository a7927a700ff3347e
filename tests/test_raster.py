"""PNG, JPEG and TIFF: every sample kind, truncated files, bombs, and pictures that are no radiographs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from osteon.bounds import MOST_PIXELS
from osteon.errors import FilmError, OversizedFilm, UnreadableFilm, UnsupportedFilm
from osteon.film import film_of, read_film
from osteon.grey import WINDOW_CUT
from osteon.raster import raster_format, raster_size, read_raster

GREY = (np.add.outer(np.arange(48) * 2, np.arange(64) * 2) % 256).astype(np.uint8)
DEEP = (GREY.astype(np.uint16) << 8) + 7


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(content: bytes) -> NDArray[np.float32]:
    raster = read_raster(content, "film")
    assert raster.pixels.dtype == np.float32
    assert not raster.truncated
    return raster.pixels


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, body: bytes, bits: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


# ---- sample kinds


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_8_bits(kind: str) -> None:
    assert_array_equal(read(saved(Image.fromarray(GREY), kind)), (GREY / np.float32(255)).astype(np.float32))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits(kind: str) -> None:
    assert_allclose(read(saved(Image.fromarray(DEEP), kind)), DEEP / 65535, atol=1e-7)


def test_twelve_bits_in_16() -> None:
    assert_allclose(read(saved(Image.fromarray(DEEP >> 4))), (DEEP >> 4) / 4095, atol=1e-7)


def test_big_endian_tiff_of_16_bits() -> None:
    big = Image.frombytes("I;16B", GREY.shape[::-1], DEEP.astype(">u2").tobytes())
    content = saved(big, "TIFF")
    assert content[:2] == b"MM"
    assert_allclose(read(content), DEEP / 65535, atol=1e-7)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_in_disguise(kind: str) -> None:
    """RGB, a palette and alpha with three equal channels are grey films; some of MURA's are RGB."""
    grey = Image.fromarray(GREY)
    for mode in ("RGB", "RGBA", "LA"):
        assert_allclose(read(saved(grey.convert(mode), kind)), GREY / 255, atol=1e-6)
    palette = grey.copy()
    palette.putpalette([level for level in range(256) for _ in "rgb"])
    assert palette.mode == "P"
    assert_allclose(read(saved(palette, kind)), GREY / 255, atol=1e-6)


def test_transparent_pixels_are_black() -> None:
    image = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8) + 0 * GREY)))
    pixels = read(saved(image))
    assert not pixels[:, :32].any()
    assert_allclose(pixels[:, 32:], GREY[:, 32:] / 255, atol=1e-6)


def test_a_transparent_grey_is_black() -> None:
    pixels = read(saved(Image.fromarray(GREY), transparency=100))
    assert_allclose(pixels, np.where(GREY == 100, 0, GREY) / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits(bits: int) -> None:
    levels = np.arange(64, dtype=np.uint8) % 2**bits
    packed = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, -bits:].ravel())
    content = png(64, 48, zlib.compress((b"\0" + packed.tobytes()) * 48), bits)
    assert_allclose(read(content)[5], levels / (2**bits - 1), atol=1e-6)


def test_interlaced_png() -> None:
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    rows = (
        b"\0\x64"
        + b"\0\x64"
        + b"\0\x64\x64"
        + 2 * b"\0\x64\x64"
        + 2 * b"\0\x64\x64\x64\x64"
        + 4 * (b"\0" + b"\x64" * 4)
        + 4 * (b"\0" + b"\x64" * 8)
    )
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert_allclose(read_raster(content, "film").pixels, 100 / 255, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_deeper_tiffs_are_stretched_from_their_own_range(dtype: type) -> None:
    values = (GREY * 1000.0 - 500).astype(dtype)
    assert_allclose(read(saved(Image.fromarray(values), "TIFF")), GREY / GREY.max(), atol=1e-6)


def test_floats_between_0_and_1_are_taken_as_they_are() -> None:
    values = (GREY / 512).astype(np.float32)
    assert_array_equal(read(saved(Image.fromarray(values), "TIFF")), values)


@pytest.mark.parametrize("hot", [-3e4, -1e3, 2e3, 65535, 1e9])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_hot_pixel_does_not_decide_the_range_of_a_deeper_tiff(hot: float, dtype: type) -> None:
    values = GREY.repeat(8, 0).repeat(8, 1).astype(dtype)
    plain = read(saved(Image.fromarray(values), "TIFF"))
    values[30, 40:45] = hot
    pixels = read(saved(Image.fromarray(values), "TIFF"))
    assert (pixels[30, 40:45] == (hot > 0)).all()
    pixels[30, 40:45] = plain[30, 40:45]
    assert_allclose(pixels, plain, atol=1e-6)


@pytest.mark.parametrize("hot", [-0.2, 1.5, 50])
def test_floats_of_which_a_few_are_not_between_0_and_1_are_clipped(hot: float) -> None:
    values = (GREY / 512).astype(np.float32).repeat(8, 0).repeat(8, 1)
    expected = values.copy()
    values[30, 40], expected[30, 40] = hot, hot > 0
    assert_array_equal(read(saved(Image.fromarray(values), "TIFF")), expected)


def test_a_single_bright_pixel_on_an_even_picture_is_its_range() -> None:
    values = np.full((64, 64), 7, np.int32)
    values[5, 6] = 900
    assert read(saved(Image.fromarray(values), "TIFF")).sum() == 1


def test_floats_that_are_no_numbers() -> None:
    values = (GREY / 512).astype(np.float32)
    values[3, 3] = np.nan
    with pytest.raises(UnsupportedFilm, match="not numbers"):
        read(saved(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(("pixels", "kind"), [(GREY, 255), (DEEP, 65535)])
def test_white_is_zero_tiff(pixels: NDArray[Any], kind: int) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    content = saved(Image.fromarray(pixels), "TIFF", tiffinfo=tags)
    black_is_zero, white_is_zero = struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
    assert content.count(black_is_zero) == 1
    assert_allclose(read(content.replace(black_is_zero, white_is_zero)), 1 - pixels / kind, atol=1e-6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_compressed_tiffs(compression: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    assert_allclose(read(saved(Image.fromarray(smooth), "TIFF", compression=compression)), smooth / 255, atol=0.03)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs(mode: str, progressive: bool) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    content = saved(Image.fromarray(smooth).convert("RGB").convert(mode), "JPEG", quality=95, progressive=progressive)
    assert_allclose(read(content), smooth / 255, atol=0.03)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_the_file_asks_for(kind: str, orientation: int) -> None:
    """Boxes are drawn on what a viewer shows: a turned FracAtlas film's box lies on the turned film."""
    image = Image.fromarray(np.add.outer(np.arange(32) * 4, np.arange(48) * 2).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(image, kind, exif=exif)
    straight, turned = np.asarray(image) / 255, read(content)
    expected = {
        1: straight,
        2: straight[:, ::-1],
        3: straight[::-1, ::-1],
        4: straight[::-1],
        5: straight.T,
        6: straight[::-1].T,
        7: straight[::-1, ::-1].T,
        8: straight[:, ::-1].T,
    }[orientation]
    assert_allclose(turned, expected, atol=0.03)
    assert raster_size(content, "film") == turned.shape[::-1]


# ---- depth of 16-bit samples


def deep_picture(bits: int, height: int = 96, width: int = 128) -> NDArray[np.uint16]:
    y, x = np.mgrid[:height, :width]
    return ((np.sin(x / 19) * np.cos(y / 13) + 1) / 2 * (2**bits - 1)).astype(np.uint16)


def deep_png(samples: NDArray[np.uint16], *extra: bytes, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return b"".join((b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")))


def deep_tiff(samples: NDArray[np.uint16], said: int = 0, **options: Any) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if said:
        tags[281] = said
    return saved(Image.fromarray(samples), "TIFF", tiffinfo=tags, **options)


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("marked", ["", "one pixel", "a mark"])
def test_the_bits_that_are_used_are_the_range(bits: int, marked: str) -> None:
    samples = deep_picture(bits)
    shares = np.minimum(samples / (2**bits - 1), 1)
    if marked == "one pixel":
        samples[40, 50], shares[40, 50] = 65535, 1
    elif marked:
        samples[4:14, 6:16], shares[4:14, 6:16] = 65535, 1
    for content in (deep_png(samples), deep_tiff(samples), deep_tiff(samples, compression="tiff_lzw")):
        assert_allclose(read(content), shares, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(("drawn", "wide"), [(65535, 1), (65535, 3), (65535, 8), (65535, 32), (40000, 12), (4095, 12)])
def test_a_border_does_not_decide_the_range(bits: int, drawn: int, wide: int) -> None:
    """The film is the same with it and without, grey or in three channels, and whatever the file says."""
    samples = deep_picture(bits, 128, 160)
    bordered = np.pad(samples, wide, constant_values=drawn)
    shares, inner = samples / (2**bits - 1), (slice(wide, -wide), slice(wide, -wide))
    for content in (deep_png(bordered), deep_png(bordered, chunk(b"sBIT", bytes([bits]))), deep_tiff(bordered)):
        assert_allclose(read(content)[inner], shares, atol=1e-6)
    assert_allclose(read(deep_png(np.stack([bordered] * 3, 2), colour=2))[inner], shares, atol=1e-6)
    assert_allclose(film_of(bordered, "film", "bright").pixels[inner], shares, atol=1e-6)


@pytest.mark.parametrize("sides", [(9, 0, 0, 0), (0, 9, 30, 0), (12, 4, 0, 9)])
def test_a_border_on_some_sides_does_not_decide_the_range(sides: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = sides
    samples = deep_picture(12, 128, 160)
    pixels = read(deep_png(np.pad(samples, ((top, bottom), (left, right)), constant_values=65535)))
    assert_allclose(pixels[top : top + 128, left : left + 160], samples / 4095, atol=1e-6)


@pytest.mark.parametrize("said", [10, 12, 14, 16])
def test_what_the_file_says_is_the_range_of_a_dim_film(said: int) -> None:
    samples = deep_picture(8)
    assert_allclose(read(deep_png(samples, chunk(b"sBIT", bytes([said])))), samples / (2**said - 1), atol=1e-6)
    assert_allclose(read(deep_tiff(samples, 2**said - 1)), samples / (2**said - 1), atol=1e-6)


def test_samples_that_png_has_scaled() -> None:
    """PNG scales samples of 12 bits to 16 and keeps the 12 in sBIT (third edition, 11.3.2.4)."""
    samples = deep_picture(12)
    content = deep_png(samples * np.uint16(16) + (samples >> np.uint16(8)), chunk(b"sBIT", b"\x0c"))
    assert_allclose(read(content), samples / 4095, atol=1e-3)


def test_more_than_the_tiff_says_is_a_guess_again() -> None:
    samples = deep_picture(14)
    assert_allclose(read(deep_tiff(samples, 255)), samples / 16383, atol=1e-6)


@pytest.mark.parametrize("bits", [12, 16])
def test_48_bits_and_grey_with_alpha(bits: int) -> None:
    samples, alpha = deep_picture(bits), np.full((96, 128), 65535, np.uint16)
    alpha[:, :20] = 0
    shown = np.where(alpha == 0, 0, samples / (2**bits - 1))
    assert_allclose(read(deep_png(np.stack([samples] * 3, 2), colour=2)), samples / (2**bits - 1), atol=1e-6)
    assert_allclose(read(deep_png(np.stack([samples, alpha], 2), colour=4)), shown, atol=1e-6)
    assert_allclose(read(deep_png(np.stack([samples, samples, samples, alpha], 2), colour=6)), shown, atol=1e-6)
    for compression in (None, "adobe_deflate"):
        grey = {"photometric": "minisblack", "compression": compression}
        colour = tiff_of(np.stack([samples] * 3, 2), photometric="rgb", compression=compression)
        assert_allclose(read(colour), samples / (2**bits - 1), atol=1e-6)
        assert_allclose(read(tiff_of(np.stack([samples, alpha], 2), extrasamples=["unassalpha"], **grey)), shown, atol=1e-6)


def tiff_of(samples: NDArray[np.uint16], **options: Any) -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def test_deep_colour_is_refused() -> None:
    samples = deep_picture(16)
    content = deep_png(np.stack([samples, samples[::-1], 65535 - samples], 2), colour=2)
    with pytest.raises(UnsupportedFilm, match="colour picture"):
        read(content)


# ---- what is no radiograph


def test_colour_is_refused(photographs: list[NDArray[np.uint8]]) -> None:
    for photograph in photographs:
        for kind in ("PNG", "JPEG", "TIFF"):
            with pytest.raises(UnsupportedFilm, match="colour picture"):
                read(saved(Image.fromarray(photograph), kind))


@pytest.fixture
def photographs() -> list[NDArray[np.uint8]]:
    from skimage import data

    return [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.immunohistochemistry()]


def test_a_small_coloured_mark_and_jpeg_noise_are_no_colour() -> None:
    rng = np.random.default_rng(0)
    film = np.repeat(np.clip(rng.normal(GREY.repeat(8, 0).repeat(8, 1), 6), 0, 255)[..., None], 3, 2).astype(np.uint8)
    film[20:40, 20:50] = (255, 0, 0)
    assert read(saved(Image.fromarray(film))).shape == (384, 512)
    noisy = np.clip(film + rng.normal(0, 5, film.shape), 0, 255).astype(np.uint8)
    assert read(saved(Image.fromarray(noisy), "JPEG", quality=60)).shape == (384, 512)


def window_of(film: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A screenshot: a blue title bar over the film, and a grey tool bar with coloured icons at its left."""
    picture = np.pad(np.repeat(film[..., None], 3, 2), ((40, 0), (48, 0), (0, 0)), constant_values=90)
    picture[:40] = (30, 90, 200)
    for top in range(60, 400, 60):
        picture[top : top + 30, 9:39] = (230, 120, 20)
    return picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_coloured_strip_of_a_viewers_window_is_cut_and_said(kind: str) -> None:
    shown = GREY.repeat(8, 0).repeat(8, 1)
    film = read_raster(saved(Image.fromarray(window_of(shown)), kind), "film")
    assert film.remarks == (WINDOW_CUT,)
    assert film.pixels.shape == (shown.shape[0] + 40, shown.shape[1] + 48)  # boxes and peaks keep their places
    assert film.pixels[:40].max() == film.pixels[:, :39].max() == 0
    assert_allclose(film.pixels[48:, 56:], shown[8:, 8:] / 255, atol=0.003 if kind == "PNG" else 0.1)
    assert read_raster(saved(Image.fromarray(shown)), "film").remarks == ()


def of_noise(height: int = 400, width: int = 512) -> NDArray[np.uint8]:
    """Return a film that has no line of one grey: a bright limb from side to side over dark air."""
    y, x = np.mgrid[:height, :width]
    limb = 150 * np.exp(-(((x - width / 2) / (width / 5)) ** 2)) + 20 * np.sin(y / 7)
    return np.clip(limb + 30 + np.random.default_rng(0).normal(0, 4, (height, width)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("share", [0.12, 0.3, 0.9])
@pytest.mark.parametrize("within", [0.04, 0.16])
def test_a_coloured_label_never_cuts_film(side: int, share: float, within: float) -> None:
    """Neither at the inner end of what a window's strip may take, nor near the edge: the label stays, or the picture is refused."""
    film = np.rot90(np.repeat(of_noise()[..., None], 3, 2), side).copy()
    top = int(within * len(film))
    film[top : top + 16, : int(share * film.shape[1])] = (255, 220, 0)
    content = saved(Image.fromarray(np.rot90(film, -side)))
    if share == 0.12:  # less than a hundredth of it
        raster = read_raster(content, "film")
        assert raster.remarks == ()
        assert (np.abs(raster.pixels - of_noise() / np.float32(255)) < 0.003).mean() > 0.99
    else:
        with pytest.raises(UnsupportedFilm, match="colour picture"):
            read(content)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_coloured_label_at_the_very_edge_cuts_no_film(share: float) -> None:
    film = np.repeat(of_noise()[..., None], 3, 2)
    film[:16, : int(share * film.shape[1])] = (255, 220, 0)
    with pytest.raises(UnsupportedFilm, match="colour picture"):
        read(saved(Image.fromarray(film)))


@pytest.mark.parametrize("letters", [0, 0.25])
def test_strips_within_strips_are_cut_up_to_the_film(letters: float) -> None:
    """A title bar with white letters, a grey tool bar below it, a coloured one, and the film."""
    shown = np.repeat(of_noise()[..., None], 3, 2)
    bars = np.full((60, 512, 3), 90, np.uint8)
    bars[:20], bars[40:] = (30, 90, 200), (200, 60, 30)
    bars[4:16, 12 : 12 + int(letters * 512)] = 255
    raster = read_raster(saved(Image.fromarray(np.concatenate([bars, shown]))), "film")
    assert raster.remarks == (WINDOW_CUT,)
    assert not raster.pixels[:60].any()
    assert_allclose(raster.pixels[64:], shown[4:, :, 0] / 255, atol=0.003)


def test_a_colour_picture_in_a_window_is_refused(photographs: list[NDArray[np.uint8]]) -> None:
    for photograph in photographs:
        framed = np.pad(photograph, ((30, 0), (0, 0), (0, 0)), constant_values=90)
        framed[:30] = (30, 90, 200)
        with pytest.raises(UnsupportedFilm, match="colour picture"):
            read(saved(Image.fromarray(framed)))


def test_black_and_white() -> None:
    for kind in ("PNG", "TIFF"):
        with pytest.raises(UnsupportedFilm, match="black and white"):
            read(saved(Image.fromarray(GREY > 90), kind))


def test_several_pages() -> None:
    page = Image.fromarray(GREY)
    for kind in ("TIFF", "PNG"):
        with pytest.raises(UnsupportedFilm, match="more than one page"):
            read(saved(page, kind, save_all=True, append_images=[Image.fromarray(GREY[::-1])]))


@pytest.mark.parametrize("content", [b"", b"GIF89a" + bytes(100), b"BM" + bytes(100), b"some text", b"%PDF-1.7"])
def test_other_formats(content: bytes) -> None:
    assert raster_format(content) is None
    with pytest.raises(UnreadableFilm, match="neither PNG, JPEG nor TIFF"):
        read_raster(content, "film")


# ---- truncated, broken, hostile


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpegs_are_read_as_far_as_they_go(progressive: bool) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (256, 256), dtype=np.uint8)
    content = saved(Image.fromarray(noise), "JPEG", quality=90, progressive=progressive)
    whole = read(content)
    half = read_raster(content[: len(content) // 2], "film")
    assert half.truncated
    if not progressive:
        assert_array_equal(half.pixels[:112], whole[:112])
        assert np.ptp(half.pixels[-64:]) < 0.02  # nothing was made up
    assert read_raster(content[:-3], "film").truncated


def test_a_truncated_jpeg_is_what_pillow_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(Image.fromarray(np.random.default_rng(2).integers(0, 256, (200, 200), dtype=np.uint8)), "JPEG")
    for end in (0.3, 0.6, 0.95):
        short = content[: int(end * len(content))]
        ours = read_raster(short, "film").pixels
        with monkeypatch.context() as patch:
            patch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
            theirs = np.asarray(Image.open(io.BytesIO(short))) / np.float32(255)
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "P", "LA"])
def test_truncated_pngs_are_read_as_far_as_they_go(mode: str) -> None:
    grey = np.random.default_rng(3).integers(0, 256, (120, 90), dtype=np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    content = saved(image)
    for cut in (4, 12, 20, 60, len(content) // 2):
        raster = read_raster(content[:-cut], "film")
        assert raster.truncated == (cut > 20)  # the last 20 bytes are sums and marks, no pixels
    rows = 50
    assert_allclose(raster.pixels[:rows], grey[:rows] / 255, atol=1e-6)
    assert not raster.pixels[-20:].any()
    for cut in (0.02, 0.09):
        with pytest.raises(UnreadableFilm, match=r"pixels begin|header is broken"):
            read_raster(content[: int(cut * len(content))], "film")


def test_truncated_tiffs_are_refused() -> None:
    with pytest.raises(UnreadableFilm, match="has not the pixels"):
        read(saved(Image.fromarray(GREY), "TIFF")[:-1000])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_files_that_end_before_their_pixels(kind: str) -> None:
    content = saved(Image.fromarray(GREY), kind)
    for end in (4, 10, 40):
        with pytest.raises(FilmError, match=r"^film: "):
            read_raster(content[:end], "film")


def test_a_header_bomb_is_refused_before_anything_is_allocated() -> None:
    content = png(100_000, 100_000, b"")
    for ask in (raster_size, read_raster):
        with pytest.raises(OversizedFilm, match="100000 x 100000"):
            ask(content, "film")
    assert MOST_PIXELS < 100_000**2


def test_a_zip_bomb_gives_its_own_pixels_and_no_more() -> None:
    """A 64 x 48 header over 50 MB of zeros in 50 KB."""
    pack = zlib.compressobj(9)
    body = b"".join(pack.compress(bytes(2**20)) for _ in range(50)) + pack.flush()
    assert len(body) < 60_000
    assert read_raster(png(64, 48, body), "film").pixels.shape == (48, 64)
    assert read_raster(png(64, 48, body)[:-2000], "film").pixels.shape == (48, 64)


def test_text_and_profiles_do_not_decide() -> None:
    """Two megabytes of text in two kilobytes, which Pillow refuses; the pixels are whole."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        text = chunk(kind, b"Comment\0\0" + zlib.compress(bytes(2**22), 9))
        rows = b"".join(b"\0" + row.tobytes() for row in GREY)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        assert_array_equal(read(content), GREY / np.float32(255))


def test_a_small_file_of_the_largest_size_is_the_most_that_is_read() -> None:
    side = int(MOST_PIXELS**0.5)
    body = bytes(2000)
    assert raster_size(png(side, side, body), "film") == (side, side)
    with pytest.raises(OversizedFilm):
        raster_size(png(side + 1, side, body), "film")


def test_a_small_png_that_promises_gigabytes_is_refused() -> None:
    for colour, bits in ((0, 16), (2, 8), (6, 16), (6, 8)):
        with pytest.raises(OversizedFilm, match="10000 x 10000"):
            read_raster(png(10_000, 10_000, b"", bits, colour), "film")
    with pytest.raises(OversizedFilm, match="10000 x 10000"):
        read_raster(png(10_000, 10_000, zlib.compress(bytes(10_000)), 8, 0), "film")


def test_pixels_whose_check_sum_is_wrong_are_refused() -> None:
    content = saved(Image.fromarray(np.random.default_rng(4).integers(0, 256, (90, 90), dtype=np.uint8)))
    for place in (300, 2000, 5000):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        with pytest.raises(UnreadableFilm, match="check sum"):
            read_raster(bytes(damaged), "film")


def test_millions_of_chunks_are_refused() -> None:
    content = saved(Image.fromarray(GREY))
    many = content[:33] + chunk(b"IDAT", b"") * 60_000 + content[33:]
    with pytest.raises(OversizedFilm, match="chunks"):
        read_raster(many, "film")


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_millions_of_entries_is_refused(big: bool) -> None:
    content = tiff_of(DEEP, bigtiff=big)
    form, size = ("<HHQ", 20) if big else ("<HHI", 12)
    at = content.index(struct.pack("<HH", 273, 16 if big else 4))
    huge = content[:at] + struct.pack(form, 273, 4, 2**28) + content[at + struct.calcsize(form) :]
    assert size
    for ask in (raster_size, read_raster):
        with pytest.raises(OversizedFilm, match="entries"):
            ask(huge, "film")


@pytest.mark.parametrize("tag", [257, 278])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_tiff_that_promises_more_than_it_has_is_refused(tag: int, compression: str | None, tile: tuple[int, int] | None) -> None:
    """More rows than its strips or tiles have, which decoders leave black."""
    content = tiff_of(DEEP, compression=compression, **({"tile": tile} if tile else {"rowsperstrip": 8}))
    tag = 323 if tile and tag == 278 else tag
    at = content.index(struct.pack("<H", tag), content.index(struct.pack("<HH", 256, 4)) if tag == 257 else 0)
    kind, count, old = struct.unpack_from("<HII", content, at + 2)
    wrong = 4 * old if tag == 257 else max(1, old // 2)
    changed = content[:at] + struct.pack("<HHII", tag, kind, count, wrong) + content[at + 12 :]
    for ask in (raster_size, read_raster):
        with pytest.raises(UnreadableFilm, match="has not the pixels that its TIFF header promises"):
            ask(changed, "film")


@pytest.mark.parametrize(
    ("damage", "reason"), [("cut", "it ends early"), ("hole", "ends early|more codes"), ("flip", "ends early|more codes")]
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_damaged_jpegs_are_refused(damage: str, reason: str, mode: str) -> None:
    """With an end that says they were whole; without one they end early, and are read as far as they go."""
    noise = np.random.default_rng(5).integers(0, 256, (160, 160), dtype=np.uint8)
    content = saved(Image.fromarray(noise).convert(mode), "JPEG")
    half = len(content) // 2
    if damage == "cut":
        content = content[:half] + b"\xff\xd9"
    elif damage == "hole":
        content = content[:half] + content[half + 900 :]
    else:
        content = content[:half] + bytes(40) + content[half + 40 :]
    with pytest.raises(UnreadableFilm, match=reason):
        read_raster(content, "film")


FILES = [
    saved(Image.fromarray(GREY)),
    saved(Image.fromarray(DEEP)),
    saved(Image.fromarray(GREY), "JPEG"),
    saved(Image.fromarray(GREY).convert("CMYK"), "JPEG"),
    saved(Image.fromarray(GREY), "TIFF"),
    saved(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"),
]


@pytest.mark.filterwarnings("ignore")  # `read_film` silences decoders, `read_raster` does not
@settings(max_examples=200)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0.3, 1))
def test_a_damaged_file_is_a_raster_or_a_refusal(content: bytes, changes: list[tuple[float, int]], end: float) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place * (len(damaged) - 1))] = value
    try:
        raster = read_raster(bytes(damaged[: int(end * len(damaged))]), "film")
    except FilmError as refusal:
        assert str(refusal).startswith("film: ")
        assert "\n" not in str(refusal)
    else:
        assert np.isfinite(raster.pixels).all()
        assert 0 <= raster.pixels.min() <= raster.pixels.max() <= 1


# ---- real films


def test_the_truncated_films_of_fracatlas(shared_data: Path) -> None:
    """56 of its JPEGs end early, all of them without a fracture; here the 28 with the highest numbers and some of their neighbours."""
    names = [f"IMG0004{number}.jpg" for number in range(280, 300)]
    paths = [path for path in (shared_data / "fracatlas" / "images" / "Non_fractured" / name for name in names) if path.exists()]
    truncated = [path.name for path in paths if read_film(path).truncated]
    refused = [path.name for path in paths if _refused_by_pillow(path)]
    assert truncated == refused != []


def _refused_by_pillow(path: Path) -> bool:
    with Image.open(path) as image:
        try:
            image.load()
        except OSError:
            return True
    return False
