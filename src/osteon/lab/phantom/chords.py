"""The exact chords of solids along a parallel beam.

A chord is the interval [near, far] of z that a ray at (x, y) spends inside a solid; it is empty where far <= near. A source-image
distance of more than a metre makes the parallel beam a good approximation for a limb.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteon.lab.phantom.physics import Plane
from osteon.lab.phantom.solids import ROWS, Box, Cut, Ellipsoid, Solid, Tube, Vector

GRAZING = 0.06
"""Smallest |z| of a cut's normal: a cut along the beam is spread over about a pixel, as a real detector would."""


@dataclass(frozen=True, slots=True, eq=False)
class Chord:
    """Where rays enter and leave a solid, and the hollow or spongy part of it.

    Attributes:
        near: Entry z (mm) of each ray.
        far: Exit z; at or below `near` where the ray misses.
        core_near: Entry into the part inside the wall.
        core_far: Exit from it.
    """

    near: Plane
    far: Plane
    core_near: Plane
    core_far: Plane


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
    core = np.maximum(p.across - p.wall, 0), np.maximum(p.deep - p.wall, 0)
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
    if solid.wall <= 0:
        return Chord(near, far, near, near)
    length = np.linalg.norm(solid.axes, axis=1, keepdims=True)
    core = solid.axes * np.maximum(1 - solid.wall / length, 0.05)
    return Chord(near, far, *_ellipsoid_span(solid.centre, core, x, y))


def _ellipsoid_span(centre: Vector, axes: Vector, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    # q = inverse (r - centre) lies on the unit sphere where the ray meets the surface: a quadratic in z.
    m = np.linalg.inv(axes.T @ axes).astype(np.float32)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    b = dx * m[0, 2] + dy * m[1, 2]
    c = dx * dx * m[0, 0] + dy * dy * m[1, 1] + dx * dy * (2 * m[0, 1]) - 1
    half = np.asarray(np.sqrt(np.maximum(b * b - m[2, 2] * c, 0)) / m[2, 2], np.float32)
    middle = np.asarray(np.float32(centre[2]) - b / m[2, 2], np.float32)
    return middle - half, middle + half


def _box_span(box: Box, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    rows = np.linalg.inv(box.axes.T)
    dx, dy = x - np.float32(box.centre[0]), y - np.float32(box.centre[1])
    near: Plane = np.full((y.shape[0], x.shape[1]), -1e3, np.float32)
    far = -near
    for r in rows:
        flat = dx * np.float32(r[0]) + dy * np.float32(r[1])
        slope = float(np.copysign(max(abs(r[2]), GRAZING * float(np.linalg.norm(r))), r[2]))
        one, other = (-1 - flat) / np.float32(slope), (1 - flat) / np.float32(slope)
        near, far = np.maximum(near, np.minimum(one, other)), np.minimum(far, np.maximum(one, other))
    z = np.float32(box.centre[2])
    return np.asarray(near + z, np.float32), np.asarray(np.maximum(far, near) + z, np.float32)


def _cut_depth(cut: Cut, x: Plane, y: Plane) -> Plane:
    dx, dy = x - np.float32(cut.point[0]), y - np.float32(cut.point[1])
    level = np.float32(cut.gap / 2) - dx * np.float32(cut.normal[0]) - dy * np.float32(cut.normal[1])
    s = dx * np.float32(cut.along[0]) + dy * np.float32(cut.along[1])
    for amplitude, wavelength, phase in cut.waves:
        level = level - np.float32(amplitude) * np.sin(s * np.float32(2 * np.pi / wavelength) + np.float32(phase))
    slope = float(np.copysign(max(abs(cut.normal[2]), GRAZING), cut.normal[2]))
    return np.asarray(np.float32(cut.point[2]) + level / np.float32(slope), np.float32)
