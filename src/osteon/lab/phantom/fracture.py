"""Fractures: a bone in two pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.anatomy import Region, pick
from osteon.lab.phantom.skeleton import Body, Bone
from osteon.lab.phantom.solids import ROWS, Cut, Ellipsoid, Profile, Solid, Tube, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Fracture:
    """A bone in two pieces.

    Attributes:
        bone: Which.
        at: Where along it, in [0, 1].
        pattern: "transverse", "oblique" or "spiral".
        tilt: Angle (degrees) between the plane's normal and the bone's axis.
        around: Direction of that tilt about the axis, degrees.
        gap: Width of the line, mm.
        step: Displacement of the fragments across and deep, in half-widths of the bone.
        bend: Angulation across and deep, degrees.
        waves: (n, 3) raggedness: amplitude (mm), wavelength (mm), phase.
    """

    bone: str
    at: float
    pattern: str
    tilt: float
    around: float
    gap: float
    step: tuple[float, float]
    bend: tuple[float, float]
    waves: Vector
    kind: str = "fracture"


def draw_fracture(rng: np.random.Generator, region: Region) -> Fracture:
    """Return a fracture of a region: a seventh are cracks in place, the others displaced by a little or by much."""
    bone, at = pick(rng, region.fractures)
    pattern = str(rng.choice(["transverse", "oblique", "spiral"], p=[0.45, 0.35, 0.2]))
    tilt = {"transverse": rng.uniform(0, 15), "oblique": rng.uniform(25, 55), "spiral": rng.uniform(52, 68)}[pattern]
    # A seventh are cracks without displacement; the others are displaced by up to the width of the bone.
    severity = 0.0 if rng.random() < 0.15 else float(rng.beta(2.0, 2.0))
    turn, lean = rng.uniform(0, 2 * np.pi, 2)
    step, bend = severity * rng.uniform(0.3, 1.3), severity * rng.uniform(6, 32)
    amplitude = np.array([rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.3)])
    waves = np.column_stack([amplitude, rng.uniform([5, 2.5, 1.2], [10, 4.5, 2.2]), rng.uniform(0, 6.28, 3)])
    return Fracture(
        bone=bone,
        at=at,
        pattern=pattern,
        tilt=float(tilt),
        around=float(rng.uniform(0, 360)),
        gap=float(rng.uniform(0.8, 2.0) + 2.5 * severity * rng.random()),
        step=(float(step * np.cos(turn)), float(step * np.sin(turn))),
        bend=(float(bend * np.cos(lean)), float(bend * np.sin(lean))),
        waves=waves,
    )


def fracture(f: Fracture, body: Body) -> tuple[Body, Vector]:
    """Return a body with the bone broken, and points (n, 3), mm, around the line: a fragment's far end moves too, by less."""
    bone = body.bone(f.bone)
    tube = bone.shaft
    if tube is None:
        return _crack(f, body, bone)
    normal, along = _plane(f, tube)
    half = _half_width(tube, f.at)
    lever = tube.length * f.at * (1 - f.at)
    middle = np.deg2rad(np.array(f.bend)) * lever
    # Fragments of a wide bone stay in touch.
    step = np.array(f.step) * min(half, 9.0)
    fragments, points = [], []
    for side, offset in ((-1, middle - step / 2), (1, middle + step / 2)):
        shift = offset[0] * tube.across + offset[1] * tube.deep
        cut = Cut(tube.at(f.at) + shift, side * normal, along, f.gap, _signed(f, half, side))
        parts = tuple(_displaced(p, tube, f.at, offset, side) for p in bone.parts)
        name = bone.name if side < 0 else f"{bone.name}.distal"
        fragments.append(Bone(name, parts, (*bone.cuts, cut), bone.changes))
        points.append(_site(f, tube, half) + shift)
    return body.with_bone(bone.name, *fragments), np.concatenate(points)


def _crack(f: Fracture, body: Body, bone: Bone) -> tuple[Body, Vector]:
    """A small bone breaks through its waist."""
    part = next(p for p in bone.parts if isinstance(p, Ellipsoid))
    length = np.linalg.norm(part.axes, axis=1)
    long, wide = part.axes[int(np.argmax(length))], part.axes[int(np.argmin(length))]
    normal, along = long / np.linalg.norm(long), wide / np.linalg.norm(wide)
    normal = normal * np.cos(np.deg2rad(f.tilt / 3)) + along * np.sin(np.deg2rad(f.tilt / 3))
    along = along - (along @ normal) * normal
    shift = normal * f.gap * 0.2 + along / np.linalg.norm(along) * min(abs(f.step[0]), 0.4) * 3
    fragments = []
    for side in (-1, 1):
        move = side * shift / 2
        cut = Cut(part.centre + move, side * normal, along / np.linalg.norm(along), f.gap, f.waves * (side * 0.7, 1, 1))
        parts = tuple(replace(p, centre=p.centre + move) for p in bone.parts if isinstance(p, Ellipsoid))
        fragments.append(Bone(bone.name if side < 0 else f"{bone.name}.distal", parts, (*bone.cuts, cut), bone.changes))
    points = np.concatenate([p.centre + s * a for p in bone.parts if isinstance(p, Ellipsoid) for s in (-1, 1) for a in [p.axes]])
    return body.with_bone(bone.name, *fragments), points


def _plane(f: Fracture, tube: Tube) -> tuple[Vector, Vector]:
    axis = (tube.end - tube.start) / tube.length
    tilt, around = np.deg2rad(f.tilt), np.deg2rad(f.around)
    side = np.cos(around) * tube.across + np.sin(around) * tube.deep
    normal = np.cos(tilt) * axis + np.sin(tilt) * side
    along = np.cross(axis, side)
    return normal, along


def _signed(f: Fracture, half: float, side: int) -> Vector:
    waves = f.waves
    if f.pattern == "spiral":
        # The plane of a spiral winds: a long wave of the bone's own width.
        waves = np.concatenate([waves, [[0.35 * half, 3.2 * half, 0.8]]])
    return waves * (side, 1, 1)


def _site(f: Fracture, tube: Tube, half: float) -> Vector:
    """Corners of where the plane leaves the bone, with a margin of a fifth of the width."""
    axis = (tube.end - tube.start) / tube.length
    reach = np.clip(half * np.tan(np.deg2rad(f.tilt)), 0.35 * half, 2.6 * half) + f.gap + 1.0
    ring = [c * tube.across + s * tube.deep for c, s in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    return np.stack([tube.at(f.at) + k * reach * axis + 1.15 * half * r for k in (-1, 1) for r in ring])


def _half_width(tube: Tube, u: float) -> float:
    row = round(u * (ROWS - 1))
    return float(max(tube.profile.across[row], tube.profile.deep[row]))


def _displaced(part: Solid, tube: Tube, at: float, offset: Vector, side: int) -> Solid:
    """A fragment keeps its far end where the neighbouring bones hold it; its broken end moves by `offset`."""
    if isinstance(part, Tube):
        u = np.linspace(0, 1, ROWS)
        ramp = u / at if side < 0 else (1 - u) / (1 - at)
        p = part.profile
        profile = Profile(p.across, p.deep, p.shift_across + offset[0] * ramp, p.shift_deep + offset[1] * ramp, p.wall, p.sponge)
        return replace(part, profile=profile)
    place = float(np.clip((part.centre - tube.start) @ (tube.end - tube.start) / tube.length**2, 0, 1))
    share = min(place / at if side < 0 else (1 - place) / (1 - at), 1.0)
    return replace(part, centre=part.centre + share * (offset[0] * tube.across + offset[1] * tube.deep))
