"""Lytic lesions: bone replaced by soft tissue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.anatomy import Region, pick
from osteon.lab.phantom.skeleton import Body, Bone, Change
from osteon.lab.phantom.solids import ROWS, Ellipsoid, Vector


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


def draw_lesion(rng: np.random.Generator, region: Region) -> LyticLesion:
    """Return a lesion of a region: one hole, with or without a dense rim, or many small ones."""
    bone, at = pick(rng, region.lesions)
    across, deep = rng.uniform(0.7, 1.15, 2)
    moth_eaten = rng.random() < 0.3
    holes = rng.uniform(-0.9, 0.9, (int(rng.integers(4, 9)), 3)) if moth_eaten else np.zeros((0, 3))
    return LyticLesion(
        bone=bone,
        at=at,
        size=(float(across * rng.uniform(1.0, 2.2)), float(across), float(deep)),
        offset=(float(rng.uniform(-0.45, 0.45)), float(rng.uniform(-0.45, 0.45))),
        share=float(rng.uniform(0.75, 1)),
        rim=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.4 else 0.0,
        holes=holes,
    )


def dissolve(f: LyticLesion, body: Body) -> tuple[Body, Vector]:
    """Return a body with the hole in its bone, and points (n, 3), mm, around it."""
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
