"""Analytic solids and the planes that cut them. Lengths are millimetres.

The beam runs along z; a film lies in the x-y plane, x to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ROWS = 256
"""Cross-sections that a tube's profile is tabulated at."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A tube's cross-sections from start to end, each (ROWS,).

    Attributes:
        across: Half-axis (mm) along the tube's `across` direction.
        deep: Half-axis (mm) along its `deep` direction.
        shift_across: Offset (mm) of the centre along `across`.
        shift_deep: Offset (mm) of the centre along `deep`.
        wall: Thickness (mm) of the wall.
        sponge: Share of the core that is cancellous bone, the rest being marrow.
    """

    across: Vector
    deep: Vector
    shift_across: Vector
    shift_deep: Vector
    wall: Vector
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
        offset = p.shift_across[row] * self.across + p.shift_deep[row] * self.deep
        return np.asarray(self.start + u * (self.end - self.start) + offset)


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """Half-axes as the rows of `axes` (mm), a wall of even thickness, and the share of sponge inside."""

    centre: Vector
    axes: Vector
    wall: float = 0.0
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
        return Tube(turn @ solid.start + shift, turn @ solid.end + shift, turn @ solid.across, turn @ solid.deep, solid.profile)
    return replace(solid, centre=turn @ solid.centre + shift, axes=solid.axes @ turn.T)


def scaled(solid: Solid, factor: float) -> Solid:
    """Return a solid enlarged about the origin."""
    if isinstance(solid, Tube):
        p = solid.profile
        lengths = [factor * v for v in (p.across, p.deep, p.shift_across, p.shift_deep, p.wall)]
        profile = Profile(lengths[0], lengths[1], lengths[2], lengths[3], lengths[4], p.sponge)
        return replace(solid, start=factor * solid.start, end=factor * solid.end, profile=profile)
    if isinstance(solid, Ellipsoid):
        return replace(solid, centre=factor * solid.centre, axes=factor * solid.axes, wall=factor * solid.wall)
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
