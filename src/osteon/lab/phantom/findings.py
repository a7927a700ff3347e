"""What can be wrong: a fracture, hardware, a lytic lesion, a narrowed joint. Each changes a body and says where.

A finding names bones and places along them, so the same finding stands in every view of the same patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.anatomy import Range, Region
from osteon.lab.phantom.hardware import Hardware, draw_hardware, implant
from osteon.lab.phantom.skeleton import Body, Bone, Change, Joint
from osteon.lab.phantom.solids import ROWS, Cut, Ellipsoid, Profile, Solid, Tube, Vector

SHARES = {"fracture": 0.46, "hardware": 0.24, "lytic lesion": 0.14, "joint-space loss": 0.16}
"""How often each kind stands for an abnormal study."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LyticLesion:
    """Bone replaced by soft tissue: one hole, or several small ones ("moth-eaten").

    Attributes:
        bone: Which.
        at: Where along it, in [0, 1].
        size: Half-axes along, across and deep, in half-widths of the bone.
        offset: Offset across and deep, in half-widths.
        share: How much of the bone is gone, in [0, 1].
        rim: Share of sclerosis around it.
        holes: Offsets (n, 3) of small holes, in parts of `size`; none makes one hole.
    """

    bone: str
    at: float
    size: tuple[float, float, float]
    offset: tuple[float, float]
    share: float
    rim: float
    holes: Vector
    kind: str = "lytic lesion"


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSpaceLoss:
    """Bones that touch, with sclerosis under the joint surface and spurs at its rim.

    Attributes:
        joint: Which.
        loss: Share of the gap that is gone.
        sclerosis: Share of the spongy bone under the surface that is dense.
        spurs: Rows of (side -1 or 1, which bone 0 or 1, size mm, turn about the joint's axis in degrees).
    """

    joint: str
    loss: float
    sclerosis: float
    spurs: Vector
    kind: str = "joint-space loss"


Finding = Fracture | Hardware | LyticLesion | JointSpaceLoss


def draw_finding(rng: np.random.Generator, region: Region, growing: bool) -> Finding:
    """Return a finding of a region. Joints do not wear in patients whose growth plates are open."""
    shares = np.array([s if not (growing and kind == "joint-space loss") else 0 for kind, s in SHARES.items()])
    kind = str(rng.choice(list(SHARES), p=shares / shares.sum()))
    if kind == "fracture":
        return _draw_fracture(rng, region)
    if kind == "hardware":
        return draw_hardware(rng, region)
    if kind == "lytic lesion":
        return _draw_lesion(rng, region)
    return _draw_joint_loss(rng, region)


def apply(finding: Finding, body: Body) -> tuple[Body, Vector]:
    """Return a body with the finding in it, and points (n, 3), mm, that its box has to hold."""
    if isinstance(finding, Fracture):
        return _break(finding, body)
    if isinstance(finding, Hardware):
        return implant(finding, body)
    if isinstance(finding, LyticLesion):
        return _dissolve(finding, body)
    return _narrow(finding, body)


def pick(rng: np.random.Generator, places: Mapping[str, Range]) -> tuple[str, float]:
    """Return one of the bones and a place in its range."""
    name = list(places)[int(rng.integers(len(places)))]
    return name, float(rng.uniform(*places[name]))


def _draw_fracture(rng: np.random.Generator, region: Region) -> Fracture:
    bone, at = pick(rng, region.fractures)
    pattern = str(rng.choice(["transverse", "oblique", "spiral"], p=[0.45, 0.35, 0.2]))
    tilt = {"transverse": rng.uniform(0, 15), "oblique": rng.uniform(25, 55), "spiral": rng.uniform(52, 68)}[pattern]
    # A quarter are cracks without displacement; the others are displaced by up to the width of the bone.
    severity = 0.0 if rng.random() < 0.25 else float(rng.beta(1.3, 1.8))
    turn, lean = rng.uniform(0, 2 * np.pi, 2)
    step, bend = severity * rng.uniform(0.2, 1.3), severity * rng.uniform(4, 30)
    amplitude = np.array([rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.3)])
    waves = np.column_stack([amplitude, rng.uniform([5, 2.5, 1.2], [10, 4.5, 2.2]), rng.uniform(0, 6.28, 3)])
    return Fracture(
        bone=bone,
        at=at,
        pattern=pattern,
        tilt=float(tilt),
        around=float(rng.uniform(0, 360)),
        gap=float(rng.uniform(0.5, 1.4) + 1.6 * severity * rng.random()),
        step=(float(step * np.cos(turn)), float(step * np.sin(turn))),
        bend=(float(bend * np.cos(lean)), float(bend * np.sin(lean))),
        waves=waves,
    )


def _draw_lesion(rng: np.random.Generator, region: Region) -> LyticLesion:
    bone, at = pick(rng, region.lesions)
    across, deep = rng.uniform(0.5, 0.95, 2)
    moth_eaten = rng.random() < 0.3
    holes = rng.uniform(-0.9, 0.9, (int(rng.integers(4, 9)), 3)) if moth_eaten else np.zeros((0, 3))
    return LyticLesion(
        bone=bone,
        at=at,
        size=(float(across * rng.uniform(0.9, 1.9)), float(across), float(deep)),
        offset=(float(rng.uniform(-0.45, 0.45)), float(rng.uniform(-0.45, 0.45))),
        share=float(rng.uniform(0.65, 1)),
        rim=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.4 else 0.0,
        holes=holes,
    )


def _draw_joint_loss(rng: np.random.Generator, region: Region) -> JointSpaceLoss:
    n = int(rng.integers(1, 5))
    spurs = np.column_stack([rng.choice([-1, 1], n), rng.integers(0, 2, n), rng.uniform(0.15, 0.34, n), rng.normal(0, 25, n)])
    return JointSpaceLoss(
        joint=region.joints[int(rng.integers(len(region.joints)))],
        loss=float(rng.uniform(0.7, 1.15)),
        sclerosis=float(rng.uniform(0.15, 0.55)),
        spurs=spurs,
    )


def _break(f: Fracture, body: Body) -> tuple[Body, Vector]:
    bone = body.bone(f.bone)
    tube = bone.shaft
    if tube is None:
        return _crack(f, body, bone)
    normal, along = _plane(f, tube)
    half = _half_width(tube, f.at)
    lever = tube.length * f.at * (1 - f.at)
    middle = np.deg2rad(np.array(f.bend)) * lever
    step = np.array(f.step) * half
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
        profile = Profile(p.across, p.deep, p.shift_across + offset[0] * ramp, p.shift_deep + offset[1] * ramp, p.shell, p.sponge)
        return replace(part, profile=profile)
    u = float(np.clip((part.centre - tube.start) @ (tube.end - tube.start) / tube.length**2, 0, 1))
    ramp = min(u / at if side < 0 else (1 - u) / (1 - at), 1.0)
    return replace(part, centre=part.centre + ramp * (offset[0] * tube.across + offset[1] * tube.deep))


def _dissolve(f: LyticLesion, body: Body) -> tuple[Body, Vector]:
    bone = body.bone(f.bone)
    centre, along, across, deep = _local(bone, f.at)
    centre = centre + f.offset[0] * across + f.offset[1] * deep
    axes = np.stack([along * f.size[0], across * f.size[1], deep * f.size[2]])
    whole = Ellipsoid(centre, axes)
    changes = [Change(replace(whole, axes=axes * 1.15), "cortical", f.rim)] if f.rim else []
    if len(f.holes):
        changes += [Change(Ellipsoid(centre + hole @ axes, 0.42 * axes), "soft", f.share) for hole in f.holes]
    else:
        changes.append(Change(whole, "soft", f.share))
    points = np.concatenate([centre + s * 1.35 * axes for s in (-1, 1)])
    return body.with_bone(bone.name, replace(bone, changes=(*bone.changes, *changes))), points


def _local(bone: Bone, at: float) -> tuple[Vector, Vector, Vector, Vector]:
    """Centre, and the directions along, across and deep, each as long as the bone is wide there."""
    tube = bone.shaft
    if tube is None:
        part = next(p for p in bone.parts if isinstance(p, Ellipsoid))
        half = float(np.median(np.linalg.norm(part.axes, axis=1)))
        unit = part.axes / np.linalg.norm(part.axes, axis=1, keepdims=True)
        return part.centre, half * unit[1], half * unit[0], half * unit[2]
    row = round(at * (ROWS - 1))
    axis = (tube.end - tube.start) / tube.length
    a, b = tube.profile.across[row], tube.profile.deep[row]
    return tube.at(at), max(a, b) * axis, a * tube.across, b * tube.deep


def _narrow(f: JointSpaceLoss, body: Body) -> tuple[Body, Vector]:
    j = next(joint for joint in body.joints if joint.name == f.joint)
    lateral = _lateral(j, body)
    gap = 2.0
    for k, name in enumerate(j.bones):
        bone = body.bone(name)
        toward = j.axis if k == 0 else -j.axis
        parts = [_reached(p, j, toward * f.loss * gap / 2) for p in bone.parts]
        surface = j.point - toward * gap * (1 - min(f.loss, 1)) / 2
        band = Ellipsoid(surface - toward * 2.2, _band(j, lateral))
        for side, which, size, turn in f.spurs:
            if int(which) == k:
                parts.append(_spur(j, surface - toward * 0.8, _turned(lateral, j.axis, turn) * side, size))
        bone = replace(bone, parts=tuple(parts), changes=(*bone.changes, Change(band, "cortical", f.sclerosis)))
        body = body.with_bone(name, bone)
    reach = 1.45 * j.half_width
    other = np.cross(j.axis, lateral)
    points = np.stack([j.point + a * reach * lateral + b * reach * other + c * 0.75 * reach * j.axis for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    return body, points


def _lateral(j: Joint, body: Body) -> Vector:
    tube = body.bone(j.bones[1]).shaft or body.bone(j.bones[0]).shaft
    across = tube.across if tube is not None else np.array([1.0, 0, 0])
    across = across - (across @ j.axis) * j.axis
    return np.asarray(across / np.linalg.norm(across))


def _turned(vector: Vector, axis: Vector, degrees: float) -> Vector:
    a = np.deg2rad(degrees)
    return np.asarray(np.cos(a) * vector + np.sin(a) * np.cross(axis, vector))


def _band(j: Joint, lateral: Vector) -> Vector:
    return np.stack([0.95 * j.half_width * lateral, 0.95 * j.half_width * np.cross(j.axis, lateral), 2.8 * j.axis])


def _spur(j: Joint, at: Vector, direction: Vector, size: float) -> Ellipsoid:
    half = size * j.half_width
    other = np.cross(j.axis, direction)
    axes = np.stack([1.2 * half * direction, 0.75 * half * j.axis, half * other])
    return Ellipsoid(at + direction * 1.02 * j.half_width, axes, 0.8, 1.0)


def _reached(part: Solid, j: Joint, shift: Vector) -> Solid:
    """Move the end of a part that lies at the joint."""
    if isinstance(part, Tube):
        to_start, to_end = (float(np.linalg.norm(p - j.point)) for p in (part.start, part.end))
        if min(to_start, to_end) > 2.5 * j.half_width:
            return part
        return replace(part, start=part.start + shift) if to_start < to_end else replace(part, end=part.end + shift)
    reach = float(np.linalg.norm(part.axes, axis=1).max()) + 4
    return replace(part, centre=part.centre + shift) if np.linalg.norm(part.centre - j.point) < reach else part
