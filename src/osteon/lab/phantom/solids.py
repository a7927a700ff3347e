"""Analytic solids and their exact chords along a parallel beam.

Lengths are millimetres. The beam runs along z; a film lies in the x-y plane, x to the right and y down. A chord is the interval
[near, far] of z that a ray at (x, y) spends inside a solid; it is empty where far <= near. A source-image distance of more than a
metre makes the parallel beam a good approximation for a limb.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Plane = NDArray[np.float32]

ROWS = 384
"""Cross-sections that a tube's profile is tabulated at."""

GRAZING = 0.06
"""Smallest |z| of a cut's normal: a cut along the beam is spread over about a pixel, as a real detector would."""


@dataclass(frozen=True, slots=True, eq=False)
class Chord:
    """Where rays enter and leave a solid, and the hollow or spongy part of it.

    Attributes:
        near: Entry z (mm) of each ray.
        far: Exit z; at or below `near` where the ray misses.
        core_near: Entry into the part inside the shell.
        core_far: Exit from it.
    """

    near: Plane
    far: Plane
    core_near: Plane
    core_far: Plane


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A tube's cross-sections from start to end, each (ROWS,).

    Attributes:
        across: Half-axis (mm) along the tube's `across` direction.
        deep: Half-axis (mm) along its `deep` direction.
        shift_across: Offset (mm) of the centre along `across`.
        shift_deep: Offset (mm) of the centre along `deep`.
        shell: Thickness (mm) of the wall.
        sponge: Share of the core that is cancellous bone, the rest being marrow.
    """

    across: Vector
    deep: Vector
    shift_across: Vector
    shift_deep: Vector
    shell: Vector
    sponge: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A straight axis with elliptical cross-sections at right angles to it; their centres may leave the axis (a bow)."""

    start: Vector
    end: Vector
    across: Vector
    deep: Vector
    profile: Profile

    @property
    def length(self) -> float:
        """Length of the axis, mm."""
        return float(np.linalg.norm(self.end - self.start))

    def at(self, u: float) -> Vector:
        """Return the centre (3,) of the cross-section at `u` in [0, 1]."""
        row, p = round(u * (ROWS - 1)), self.profile
        return self.start + u * (self.end - self.start) + p.shift_across[row] * self.across + p.shift_deep[row] * self.deep


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """Half-axes as the rows of `axes` (mm), a shell of even thickness, and the share of sponge inside."""

    centre: Vector
    axes: Vector
    shell: float = 0.0
    sponge: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A solid block; half-edges as the rows of `axes` (mm)."""

    centre: Vector
    axes: Vector


Solid = Tube | Ellipsoid | Box


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A wavy plane; what lies behind it, or nearer to it than `gap / 2`, is taken away.

    Attributes:
        point: A point (mm) on the plane.
        normal: Unit vector to the side that is kept.
        along: Unit vector in the plane, the direction of the waves.
        gap: Width (mm) of what is taken away, half on each side.
        waves: Rows of (amplitude mm, wavelength mm, phase).
    """

    point: Vector
    normal: Vector
    along: Vector
    gap: float
    waves: Vector = field(default_factory=lambda: np.zeros((0, 3)))

    def flipped(self) -> Cut:
        """Return the same cut that keeps the other side."""
        return replace(self, normal=-self.normal, waves=self.waves * (-1, 1, 1))


def chord(solid: Solid, x: Plane, y: Plane) -> Chord:
    """Return where rays at `x` (1, w) and `y` (h, 1), in mm, run inside a solid: four (h, w) planes of z."""
    if isinstance(solid, Tube):
        return _tube_chord(solid, x, y)
    if isinstance(solid, Ellipsoid):
        return _ellipsoid_chord(solid, x, y)
    near, far = _box_span(solid, x, y)
    return Chord(near, far, near, near)


def cut_chord(c: Chord, cuts: Iterable[Cut], x: Plane, y: Plane) -> Chord:
    """Return a chord without what the cuts take away."""
    near, far, core_near, core_far = c.near, c.far, c.core_near, c.core_far
    for cut in cuts:
        plane = _cut_depth(cut, x, y)
        if cut.normal[2] >= 0:
            near, core_near = np.maximum(near, plane), np.maximum(core_near, plane)
        else:
            far, core_far = np.minimum(far, plane), np.minimum(core_far, plane)
    return Chord(near, far, core_near, core_far)


def bounds(solid: Solid) -> tuple[float, float, float, float]:
    """Return x0, y0, x1, y1 (mm) of a rectangle that holds a solid's shadow."""
    if isinstance(solid, Tube):
        p = solid.profile
        reach = float(np.max(np.maximum(p.across, p.deep) + np.hypot(p.shift_across, p.shift_deep)))
        ends = np.stack([solid.start, solid.end])
        low, high = ends.min(axis=0) - reach, ends.max(axis=0) + reach
    else:
        half = np.abs(solid.axes).sum(axis=0) if isinstance(solid, Box) else np.linalg.norm(solid.axes, axis=0)
        low, high = solid.centre - half, solid.centre + half
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def moved(solid: Solid, turn: Vector, shift: Vector) -> Solid:
    """Return a solid after x -> turn @ x + shift; `turn` (3, 3) is orthogonal, and may mirror."""
    if isinstance(solid, Tube):
        return Tube(
            turn @ solid.start + shift, turn @ solid.end + shift, turn @ solid.across, turn @ solid.deep, solid.profile
        )
    return replace(solid, centre=turn @ solid.centre + shift, axes=solid.axes @ turn.T)


def scaled(solid: Solid, factor: float) -> Solid:
    """Return a solid enlarged about the origin."""
    if isinstance(solid, Tube):
        p = solid.profile
        profile = Profile(
            *(factor * v for v in (p.across, p.deep, p.shift_across, p.shift_deep, p.shell)), sponge=p.sponge
        )
        return replace(solid, start=factor * solid.start, end=factor * solid.end, profile=profile)
    if isinstance(solid, Ellipsoid):
        return replace(solid, centre=factor * solid.centre, axes=factor * solid.axes, shell=factor * solid.shell)
    return replace(solid, centre=factor * solid.centre, axes=factor * solid.axes)


def moved_cut(cut: Cut, turn: Vector, shift: Vector) -> Cut:
    """Return a cut after x -> turn @ x + shift."""
    return replace(cut, point=turn @ cut.point + shift, normal=turn @ cut.normal, along=turn @ cut.along)


def rotation(axis: int, degrees: float) -> Vector:
    """Return the (3, 3) rotation about the x, y or z axis (0, 1, 2)."""
    a = np.deg2rad(degrees)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.eye(3)
    turn[i, i] = turn[j, j] = np.cos(a)
    turn[i, j], turn[j, i] = -np.sin(a), np.sin(a)
    return turn


def _tube_chord(tube: Tube, x: Plane, y: Plane) -> Chord:
    axis = tube.end - tube.start
    plane_length = max(float(np.hypot(axis[0], axis[1])), 0.15 * tube.length)
    t = axis[:2] / max(float(np.hypot(axis[0], axis[1])), 1e-9)
    n = np.array([-t[1], t[0]])
    steep = plane_length / tube.length
    dx, dy = x - np.float32(tube.start[0]), y - np.float32(tube.start[1])
    u = dx * np.float32(t[0] / plane_length) + dy * np.float32(t[1] / plane_length)
    row = np.clip(u * (ROWS - 1) + 0.5, 0, ROWS - 1).astype(np.int32)
    d = dx * np.float32(n[0]) + dy * np.float32(n[1])

    p = tube.profile
    shift = p.shift_across * (tube.across[:2] @ n) + p.shift_deep * (tube.deep[:2] @ n)
    middle = tube.start[2] + np.linspace(0, 1, ROWS) * axis[2] + p.shift_across * tube.across[2] + p.shift_deep * tube.deep[2]
    d = d - _at(shift, row)
    middle_z = _at(middle, row)
    inside = (u >= 0) & (u <= 1)
    near, far = _section(tube, p.across, p.deep, (d, row, middle_z, inside, n, steep))
    core = np.maximum(p.across - p.shell, 0), np.maximum(p.deep - p.shell, 0)
    core_near, core_far = _section(tube, *core, (d, row, middle_z, inside, n, steep))
    return Chord(near, far, core_near, core_far)


_Rays = tuple[Plane, NDArray[np.int32], Plane, NDArray[np.bool_], Vector, float]


def _section(tube: Tube, a: Vector, b: Vector, rays: _Rays) -> tuple[Plane, Plane]:
    """Chord of an ellipse with half-axes a and b at lateral offset d: half = a b sqrt(w^2 - d^2) / w^2 with w its half-shadow."""
    d, row, middle, inside, n, steep = rays
    m1, m2 = tube.across[2] / steep, tube.deep[2] / steep
    c1, c2 = tube.across[:2] @ n, tube.deep[:2] @ n
    w2 = np.maximum(m1**2 * b**2 + m2**2 * a**2, 1e-6)
    half = np.sqrt(np.maximum(_at(w2, row) - d * d, 0)) * _at(a * b / w2 / steep, row)
    half *= inside
    centre = middle - d * _at((c1 * m1 * b**2 + c2 * m2 * a**2) / w2 / steep, row)
    return centre - half, centre + half


def _at(table: Vector, row: NDArray[np.int32]) -> Plane:
    return np.take(table.astype(np.float32), row)


def _ellipsoid_chord(solid: Ellipsoid, x: Plane, y: Plane) -> Chord:
    near, far = _ellipsoid_span(solid.centre, solid.axes, x, y)
    if solid.shell <= 0:
        return Chord(near, far, near, near)
    length = np.linalg.norm(solid.axes, axis=1, keepdims=True)
    core = solid.axes * np.maximum(1 - solid.shell / length, 0.05)
    return Chord(near, far, *_ellipsoid_span(solid.centre, core, x, y))


def _ellipsoid_span(centre: Vector, axes: Vector, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    # q = inverse (r - centre) lies on the unit sphere where the ray meets the surface: a quadratic in z.
    m = np.linalg.inv(axes.T @ axes)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    a = m[2, 2]
    b = dx * np.float32(m[0, 2]) + dy * np.float32(m[1, 2])
    c = dx * dx * np.float32(m[0, 0]) + dy * dy * np.float32(m[1, 1]) + dx * dy * np.float32(2 * m[0, 1]) - 1
    half = np.sqrt(np.maximum(b * b - np.float32(a) * c, 0)) / np.float32(a)
    middle = np.float32(centre[2]) - b / np.float32(a)
    return middle - half, middle + half


def _box_span(box: Box, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    rows = np.linalg.inv(box.axes.T)
    dx, dy = x - np.float32(box.centre[0]), y - np.float32(box.centre[1])
    near = np.full((y.shape[0], x.shape[1]), -1e3, np.float32)
    far = -near
    for r in rows:
        flat = dx * np.float32(r[0]) + dy * np.float32(r[1])
        slope = float(np.copysign(max(abs(r[2]), GRAZING * float(np.linalg.norm(r))), r[2]))
        one, other = (-1 - flat) / np.float32(slope), (1 - flat) / np.float32(slope)
        near, far = np.maximum(near, np.minimum(one, other)), np.minimum(far, np.maximum(one, other))
    return near + np.float32(box.centre[2]), np.maximum(far, near) + np.float32(box.centre[2])


def _cut_depth(cut: Cut, x: Plane, y: Plane) -> Plane:
    dx, dy = x - np.float32(cut.point[0]), y - np.float32(cut.point[1])
    level = np.float32(cut.gap / 2) - dx * np.float32(cut.normal[0]) - dy * np.float32(cut.normal[1])
    s = dx * np.float32(cut.along[0]) + dy * np.float32(cut.along[1])
    for amplitude, wavelength, phase in cut.waves:
        level = level - np.float32(amplitude) * np.sin(s * np.float32(2 * np.pi / wavelength) + np.float32(phase))
    slope = float(np.copysign(max(abs(cut.normal[2]), GRAZING), cut.normal[2]))
    return np.float32(cut.point[2]) + level / np.float32(slope)
