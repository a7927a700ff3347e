"""A body in the beam: how much of each material every ray crosses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from osteon.lab.phantom.chords import chord, cut_chord
from osteon.lab.phantom.physics import Plane, enlarge, wide_blur
from osteon.lab.phantom.skeleton import Body, Bone, Change, Piece
from osteon.lab.phantom.solids import ROWS, Ellipsoid, Solid, Tube, bounds

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
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    outer, core = _Union(shape), _Union(shape)
    sponge = np.zeros(shape, np.float32)
    for part in bone.parts:
        _add_part(part, bone, detector, window, (outer, core, sponge))
    sponge /= np.maximum(core.total, 1e-3)
    inside, wall = core.length(), np.maximum(outer.length() - core.length(), 0)
    for change in bone.changes:
        inside, wall = _changed(change, detector.grid(*window), (outer, core), inside, wall)
    out["cortical"][window] += wall
    out["cancellous"][window] += sponge * inside
    out["marrow"][window] += (1 - sponge) * inside


Window = tuple[slice, slice]


class _Union:
    """Union of intervals along the beam: the hull where they overlap, the sum where they do not (exact for two)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.near, self.far = np.full(shape, 1e4, np.float32), np.full(shape, -1e4, np.float32)
        self.total = np.zeros(shape, np.float32)

    def add(self, at: Window, near: Plane, far: Plane) -> Plane:
        hit = far > near
        length = np.asarray(np.where(hit, far - near, 0), np.float32)
        self.near[at] = np.minimum(self.near[at], np.where(hit, near, np.float32(1e4)))
        self.far[at] = np.maximum(self.far[at], np.where(hit, far, np.float32(-1e4)))
        self.total[at] += length
        return length

    def length(self) -> Plane:
        return np.asarray(np.minimum(self.total, np.maximum(self.far - self.near, 0)), np.float32)


def _add_part(part: Solid, bone: Bone, detector: Detector, window: Window, into: tuple[_Union, _Union, Plane]) -> None:
    own = detector.window(bounds(part))
    if own is None:
        return
    outer, core, sponge = into
    at = (
        slice(own[0].start - window[0].start, own[0].stop - window[0].start),
        slice(own[1].start - window[1].start, own[1].stop - window[1].start),
    )
    x, y = detector.grid(*own)
    c = cut_chord(chord(part, x, y), bone.cuts, x, y)
    outer.add(at, c.near, c.far)
    sponge[at] += core.add(at, c.core_near, c.core_far) * _part_sponge(part, x, y)


def _changed(change: Change, grid: tuple[Plane, Plane], spans: tuple[_Union, _Union], inside: Plane, wall: Plane) -> tuple[Plane, Plane]:
    """Return core and wall (mm) after a part of them has turned to soft tissue, or of the core to cortical bone."""
    outer, core = spans
    c = chord(change.shape, *grid)
    in_core = np.maximum(np.minimum(core.far, c.far) - np.maximum(core.near, c.near), 0)
    taken = np.minimum(in_core, inside) * np.float32(change.share)
    if change.to == "cortical":
        return inside - taken, wall + taken
    in_all = np.maximum(np.minimum(outer.far, c.far) - np.maximum(outer.near, c.near), 0)
    return inside - taken, np.maximum(wall - np.float32(change.share) * np.maximum(in_all - in_core, 0), 0)


def _part_sponge(part: Solid, x: Plane, y: Plane) -> Plane | np.float32:
    """Share of the core that is cancellous bone."""
    if not isinstance(part, Tube):
        return np.float32(part.sponge if isinstance(part, Ellipsoid) else 0)
    axis = part.end[:2] - part.start[:2]
    axis = axis / max(float(axis @ axis), 1e-6)
    u = (x - np.float32(part.start[0])) * np.float32(axis[0]) + (y - np.float32(part.start[1])) * np.float32(axis[1])
    row = np.clip(u * (ROWS - 1), 0, ROWS - 1).astype(np.int32)
    return np.asarray(np.take(part.profile.sponge.astype(np.float32), row), np.float32)


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
    skins, muscles = _Union(shape), _Union(shape)
    for solid in body.flesh:
        window = coarse.window(bounds(solid))
        if window is not None:
            c = chord(solid, *coarse.grid(*window))
            skins.add(window, c.near, c.far)
            muscles.add(window, c.core_near, c.core_far)
    skin, muscle = skins.length(), muscles.length()
    for lung in body.air:
        window = coarse.window(bounds(lung))
        if window is not None:
            c = chord(lung, *coarse.grid(*window))
            taken = 0.75 * np.maximum(np.minimum(c.far, muscles.far[window]) - np.maximum(c.near, muscles.near[window]), 0)
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
