"""A patient's build, and the shapes that bones and flesh take from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from osteon.lab.phantom.solids import ROWS, Ellipsoid, Profile, Tube, Vector

X, Y, Z = np.eye(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a patient is like; factors of 1 are an adult of middle size.

    Attributes:
        size: Length of everything.
        stout: Width of bones.
        cortex: Thickness of cortical bone.
        sponge: Amount of cancellous bone.
        flesh: Thickness of soft tissue.
        fat: Thickness of the fat under the skin, mm.
        growing: Growth plates are open.
        seed: Of the small differences from bone to bone.
    """

    size: float = 1.0
    stout: float = 1.0
    cortex: float = 1.0
    sponge: float = 1.0
    flesh: float = 1.0
    fat: float = 4.0
    growing: bool = False
    seed: int = 0


def draw_build(rng: np.random.Generator) -> Build:
    """Return a patient."""
    growing = bool(rng.random() < 0.08)
    return Build(
        size=float(rng.uniform(0.68, 0.85) if growing else np.clip(rng.normal(1, 0.07), 0.85, 1.18)),
        stout=float(np.clip(rng.normal(1, 0.08), 0.82, 1.2)),
        cortex=float(np.clip(rng.normal(1, 0.2), 0.55, 1.4)),
        sponge=float(np.clip(rng.normal(1, 0.2), 0.5, 1.4)),
        flesh=float(np.clip(rng.lognormal(0, 0.15), 0.75, 1.5)),
        fat=float(rng.uniform(1.5, 9)),
        growing=growing,
        seed=int(rng.integers(2**31)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A tubular bone from start to end, mm: half-widths, how far each end reaches in, cortex, bow and slant.

    Attributes:
        widths: Half-width across at start, middle and end.
        depths: The same for the depth; none = 0.85 of the widths.
        reach: How far the flare of each end reaches into the shaft.
        cortex: Thickness of the cortex in the middle.
        bow: Largest offset of the shaft, across and deep.
        slant: Offset of the very start and end across: a slanted joint surface.
        blunt: Exponent of the rounding of the ends; 2 is an ellipse, more is flatter.
    """

    widths: tuple[float, float, float]
    depths: tuple[float, float, float] | None = None
    reach: tuple[float, float] = (14.0, 14.0)
    cortex: float = 2.0
    bow: tuple[float, float] = (0.0, 0.0)
    slant: tuple[float, float] = (0.0, 0.0)
    blunt: float = 2.6


@dataclass(slots=True)
class Maker:
    """Makes bones of one patient; the small differences come from the patient's own stream, in the order of making."""

    build: Build
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.build.seed)

    def shaft(self, start: Vector, end: Vector, shape: Shape, across: Vector = X) -> Tube:
        """Return a tubular bone part from `start` to `end` (mm, before the patient's size)."""
        length = float(np.linalg.norm(end - start))
        across, deep = _frame(end - start, across)
        wobble = self._wobble()
        widths = np.array(shape.widths) * self.build.stout * self.rng.uniform(0.95, 1.05)
        depths = np.array(shape.depths or [0.85 * w for w in shape.widths]) * self.build.stout
        mm = np.linspace(0, length, ROWS)
        a, b = (_flared(w, mm, length, shape) * wobble for w in (widths, depths))
        end_share = np.maximum(_inside(mm, shape.reach[0]), _inside(length - mm, shape.reach[1]))
        thin = 0.9 * self.build.cortex**0.5
        cortex = shape.cortex * self.build.cortex
        profile = Profile(
            across=a,
            deep=b,
            shift_across=_offset(mm / length, shape.bow[0]) + _slanted(mm, length, shape, widths),
            shift_deep=_offset(mm / length, shape.bow[1]),
            wall=np.minimum(cortex + (thin - cortex) * end_share, 0.75 * np.minimum(a, b)),
            sponge=self.build.sponge * (0.12 + 0.95 * end_share),
        )
        return Tube(start, end, across, deep, profile)

    def blob(self, centre: Sequence[float] | Vector, half: Sequence[float], turn: Vector | None = None, wall: float = 1.0) -> Ellipsoid:
        """Return an ellipsoidal bone part; `half` are its half-axes along x, y, z before `turn` (3, 3)."""
        axes = np.diag(np.array(half, float) * self.build.stout * self.rng.uniform(0.94, 1.06, 3))
        axes = axes if turn is None else axes @ turn.T
        return Ellipsoid(np.array(centre, float), axes, wall * self.build.cortex**0.5, self.build.sponge)

    def _wobble(self) -> Vector:
        u = np.linspace(0, 2 * np.pi, ROWS)
        amplitude, phase = self.rng.normal(0, 0.012, 3), self.rng.uniform(0, 6.28, 3)
        return np.asarray(1 + sum(amplitude[k] * np.sin((k + 1.3) * u + phase[k]) for k in range(3)))


def flesh_tube(start: Vector, end: Vector, halves: Sequence[tuple[float, float]], fat: float, across: Vector = X) -> Tube:
    """Return a rounded tube of flesh; `halves` are half-axes (across, deep) at even steps from start to end, mm."""
    axis = end - start
    length = float(np.linalg.norm(axis))
    across, deep = _frame(axis, across)
    first, last = max(halves[0]), max(halves[-1])
    # The rounded caps reach beyond start and end, so that tubes in a row meet without a waist.
    first, last = min(first, 0.8 * length + 4), min(last, 0.8 * length + 4)
    start, end = start - axis / length * first, end + axis / length * last
    mm = np.linspace(-first, length + last, ROWS)
    knots = np.linspace(0, length, len(halves))
    cap = np.clip(np.minimum((mm + first) / first, (length + last - mm) / last), 0, 1)
    cap = np.sqrt(1 - (1 - cap) ** 2)
    a, b = (_steps(mm, knots, [h[k] for h in halves]) * cap for k in (0, 1))
    nothing = np.zeros(ROWS)
    return Tube(start, end, across, deep, Profile(a, b, nothing, nothing, np.full(ROWS, fat), nothing))


def wire(start: Vector, end: Vector, radius: float, wave: float = 0.0) -> Tube:
    """Return a round rod; `wave` (share of the radius) gives it a screw's thread of 1.75 mm pitch."""
    length = float(np.linalg.norm(end - start))
    across, deep = _frame(end - start, X)
    a = radius * (1 + wave * np.sin(np.linspace(0, 2 * np.pi * length / 1.75, ROWS)))
    nothing = np.zeros(ROWS)
    return Tube(start, end, across, deep, Profile(a, a, nothing, nothing, nothing, nothing))


def _frame(axis: Vector, across: Vector) -> tuple[Vector, Vector]:
    t = axis / np.linalg.norm(axis)
    across = across - (across @ t) * t
    across = across / np.linalg.norm(across)
    return across, np.cross(t, across)


def _steps(mm: Vector, knots: Vector, values: Sequence[float]) -> Vector:
    at = np.clip(np.searchsorted(knots, mm, side="right") - 1, 0, len(knots) - 2)
    s = np.clip((mm - knots[at]) / (knots[at + 1] - knots[at]), 0, 1)
    v = np.asarray(values, float)
    return np.asarray(v[at] + (v[at + 1] - v[at]) * s * s * (3 - 2 * s))


def _inside(mm: Vector, reach: float) -> Vector:
    s = np.clip((1.25 * reach - mm) / reach, 0, 1)
    return s * s * (3 - 2 * s)


def _flared(half: Vector, mm: Vector, length: float, shape: Shape) -> Vector:
    r0, r1 = min(shape.reach[0], 0.45 * length), min(shape.reach[1], 0.45 * length)
    knots = np.array([0, 0.25 * r0, r0, length - r1, length - 0.25 * r1, length])
    body = _steps(mm, knots, [half[0], half[0], half[1], half[1], half[2], half[2]])
    p = shape.blunt
    for distance, width in ((mm, half[0]), (length - mm, half[2])):
        s = np.clip(distance / (0.75 * width), 0, 1)
        body = body * (1 - (1 - s) ** p) ** (1 / p)
    return body


def _offset(u: Vector, bow: float) -> Vector:
    return np.asarray(bow * np.sin(np.pi * u) ** 2)


def _slanted(mm: Vector, length: float, shape: Shape, widths: Vector) -> Vector:
    first, last = (np.clip(1 - d / (0.75 * w), 0, 1) ** 2 for d, w in ((mm, widths[0]), (length - mm, widths[2])))
    return np.asarray(shape.slant[0] * first + shape.slant[1] * last)
