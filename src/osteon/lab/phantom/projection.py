"""A body in the beam: how much of each material every ray crosses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from osteon.lab.phantom.physics import enlarge, wide_blur
from osteon.lab.phantom.skeleton import Body, Bone, Piece
from osteon.lab.phantom.solids import Chord, Plane, Solid, bounds, chord, cut_chord

SOFT_STEP = 2
"""Flesh is smooth: it is worked out on every second pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Where a film lies in the plane: x and y (mm) of its upper left corner, pixel pitch (mm), height and width (pixels)."""

    left: float
    top: float
    pitch: float
    height: int
    width: int

    def window(self, box: tuple[float, float, float, float]) -> tuple[slice, slice] | None:
        """Return the rows and columns that a rectangle (mm) touches; none where it misses the film."""
        x0, x1 = ((v - self.left) / self.pitch for v in (box[0], box[2]))
        y0, y1 = ((v - self.top) / self.pitch for v in (box[1], box[3]))
        columns = slice(max(0, int(x0) - 1), min(self.width, int(x1) + 2))
        rows = slice(max(0, int(y0) - 1), min(self.height, int(y1) + 2))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def grid(self, rows: slice, columns: slice) -> tuple[Plane, Plane]:
        """Return x (1, w) and y (h, 1) of pixel centres, mm."""
        x = self.left + (np.arange(columns.start, columns.stop) + 0.5) * self.pitch
        y = self.top + (np.arange(rows.start, rows.stop) + 0.5) * self.pitch
        return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


def thicknesses(body: Body, detector: Detector, grain: np.random.Generator | None = None) -> dict[str, Plane]:
    """Return the thickness (H, W), mm, of each material along the rays.

    Args:
        body: What stands in the beam. Pieces of metal and plaster come on top: what they displace is not taken away.
        detector: Where the rays are counted.
        grain: Source of the trabecular pattern and of the streaks in muscle; none leaves both out.
    """
    shape = (detector.height, detector.width)
    out = {m: np.zeros(shape, np.float32) for m in ("cortical", "cancellous", "marrow")}
    for bone in body.bones:
        _add_bone(out, bone, detector)
    skin, muscle = _flesh(body, detector)
    if grain is not None:
        # Trabeculae in front of each other average out: the pattern grows as the square root of the depth.
        pattern = 0.26 * _mottle(shape, 0.55 / detector.pitch, grain) / np.sqrt(1 + out["cancellous"] / 6)
        out["cancellous"] *= np.maximum(1 + pattern, 0)
        muscle *= 1 + 0.012 * _mottle(shape, 5 / detector.pitch, grain)
        muscle = np.minimum(muscle, skin)
    bony = out["cortical"] + out["cancellous"] + out["marrow"]
    out["soft"] = np.maximum(muscle - bony, 0)
    out["fat"] = np.maximum(skin - np.maximum(muscle, bony), 0)
    for piece in body.pieces:
        _add_piece(out, piece, detector)
    return out


def _add_bone(out: dict[str, Plane], bone: Bone, detector: Detector) -> None:
    window = detector.window(_union_box(bone.parts))
    if window is None:
        return
    x, y = detector.grid(*window)
    chords = [cut_chord(chord(part, x, y), bone.cuts, x, y) for part in bone.parts]
    outer, core = _union([(c.near, c.far) for c in chords]), _union([(c.core_near, c.core_far) for c in chords])
    wall = np.maximum(outer.length - core.length, 0)
    sponge = _sponge(bone, chords, core.length, (x, y))
    for change in bone.changes:
        c = chord(change.shape, x, y)
        inside = np.maximum(np.minimum(core.far, c.far) - np.maximum(core.near, c.near), 0)
        whole = np.maximum(np.minimum(outer.far, c.far) - np.maximum(outer.near, c.near), 0)
        taken = np.minimum(inside, core.length) * np.float32(change.share)
        if change.to == "soft":
            wall = np.maximum(wall - np.float32(change.share) * np.maximum(whole - inside, 0), 0)
        else:
            wall = wall + taken
        core = _Union(core.near, core.far, core.length - taken)
    out["cortical"][window] += wall
    out["cancellous"][window] += sponge * core.length
    out["marrow"][window] += (1 - sponge) * core.length


def _sponge(bone: Bone, chords: Sequence[Chord], core: Plane, grid: tuple[Plane, Plane]) -> Plane:
    """Share of the core that is cancellous: of each part along the beam, weighted by its length."""
    total, weight = np.zeros_like(core), np.full_like(core, 1e-3)
    for part, c in zip(bone.parts, chords, strict=True):
        length = np.maximum(c.core_far - c.core_near, 0)
        total += length * _part_sponge(part, grid)
        weight += length
    return total / weight


def _part_sponge(part: Solid, grid: tuple[Plane, Plane]) -> Plane | np.float32:
    profile = getattr(part, "profile", None)
    if profile is None:
        return np.float32(getattr(part, "sponge", 0.0))
    axis = part.end[:2] - part.start[:2]  # type: ignore[union-attr]
    square = max(float(axis @ axis), 1e-6)
    u = (grid[0] - np.float32(part.start[0])) * np.float32(axis[0] / square)  # type: ignore[union-attr]
    u = u + (grid[1] - np.float32(part.start[1])) * np.float32(axis[1] / square)  # type: ignore[union-attr]
    row = np.clip(u * (len(profile.sponge) - 1), 0, len(profile.sponge) - 1).astype(np.int32)
    return np.take(profile.sponge.astype(np.float32), row)


@dataclass(frozen=True, slots=True, eq=False)
class _Union:
    near: Plane
    far: Plane
    length: Plane


def _union(spans: Iterable[tuple[Plane, Plane]]) -> _Union:
    """Union of intervals: the hull where they overlap, the sum where they do not (exact for two)."""
    near = far = length = None
    for a, b in spans:
        hit = b > a
        own = np.where(hit, b - a, 0)
        low, high = np.where(hit, a, np.float32(1e4)), np.where(hit, b, np.float32(-1e4))
        if near is None or far is None or length is None:
            near, far, length = low, high, own
        else:
            near, far, length = np.minimum(near, low), np.maximum(far, high), length + own
    if near is None or far is None or length is None:
        raise ValueError("a bone has no part")
    return _Union(near, far, np.minimum(length, np.maximum(far - near, 0)))


def _flesh(body: Body, detector: Detector) -> tuple[Plane, Plane]:
    step = SOFT_STEP
    coarse = Detector(
        left=detector.left,
        top=detector.top,
        pitch=detector.pitch * step,
        height=-(-detector.height // step),
        width=-(-detector.width // step),
    )
    shape = (coarse.height, coarse.width)
    hull = [np.full(shape, v, np.float32) for v in (1e4, -1e4, 0, 1e4, -1e4, 0)]
    for solid in body.flesh:
        window = coarse.window(bounds(solid))
        if window is None:
            continue
        c = chord(solid, *coarse.grid(*window))
        for k, (a, b) in ((0, (c.near, c.far)), (3, (c.core_near, c.core_far))):
            hit = b > a
            hull[k][window] = np.minimum(hull[k][window], np.where(hit, a, 1e4))
            hull[k + 1][window] = np.maximum(hull[k + 1][window], np.where(hit, b, -1e4))
            hull[k + 2][window] += np.where(hit, b - a, 0)
    skin, muscle = (np.minimum(hull[k + 2], np.maximum(hull[k + 1] - hull[k], 0)) for k in (0, 3))
    for lung in body.air:
        window = coarse.window(bounds(lung))
        if window is not None:
            c = chord(lung, *coarse.grid(*window))
            taken = 0.75 * np.maximum(np.minimum(c.far, hull[4][window]) - np.maximum(c.near, hull[3][window]), 0)
            muscle[window] -= np.minimum(taken, 0.75 * muscle[window])
            skin[window] -= np.minimum(taken, 0.75 * skin[window])
    smooth = [ndimage.gaussian_filter(t, 1.2 / coarse.pitch, truncate=3) for t in (skin, muscle)]
    large = [enlarge(t, step)[: detector.height, : detector.width] for t in smooth]
    return large[0], large[1]


def _mottle(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Plane:
    """Smooth noise (H, W) of unit variance."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, 0.6, truncate=2.5) if sigma < 2 else wide_blur(noise, sigma)
    return np.asarray(smooth / np.float32(max(float(smooth.std()), 1e-6)), np.float32)


def _add_piece(out: dict[str, Plane], piece: Piece, detector: Detector) -> None:
    window = detector.window(bounds(piece.solid))
    if window is None:
        return
    c = chord(piece.solid, *detector.grid(*window))
    length = np.maximum(c.far - c.near, 0)
    if piece.hollow:
        length = length - np.maximum(c.core_far - c.core_near, 0)
    shape = (detector.height, detector.width)
    out.setdefault(piece.material, np.zeros(shape, np.float32))[window] += length


def _union_box(parts: Sequence[Solid]) -> tuple[float, float, float, float]:
    boxes = np.array([bounds(p) for p in parts])
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])
