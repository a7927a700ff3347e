"""Joints that have lost their space."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.anatomy import Region
from osteon.lab.phantom.skeleton import Body, Change, Joint
from osteon.lab.phantom.solids import Ellipsoid, Solid, Tube, Vector

CORNERS = tuple((a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1))


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


def draw_joint_loss(rng: np.random.Generator, region: Region) -> JointSpaceLoss:
    """Return a worn joint of a region."""
    n = int(rng.integers(2, 6))
    spurs = np.column_stack([rng.choice([-1, 1], n), rng.integers(0, 2, n), rng.uniform(0.22, 0.5, n), rng.normal(0, 25, n)])
    return JointSpaceLoss(
        joint=region.joints[int(rng.integers(len(region.joints)))],
        loss=float(rng.uniform(0.7, 1.15)),
        sclerosis=float(rng.uniform(0.35, 0.85)),
        spurs=spurs,
    )


def narrow(f: JointSpaceLoss, body: Body) -> tuple[Body, Vector]:
    """Return a body with the joint worn, and points (n, 3), mm, around it."""
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
    points = np.stack([j.point + a * reach * lateral + b * reach * other + c * 0.75 * reach * j.axis for a, b, c in CORNERS])
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
