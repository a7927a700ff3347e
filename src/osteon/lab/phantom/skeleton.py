"""What a phantom is made of: bones, joints, flesh and pieces of other things.

Frame of the right arm hanging down, palm forward turned to the detector: x to the little-finger side (medial), y distal, z dorsal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.solids import Cut, Ellipsoid, Solid, Tube, Vector, moved, moved_cut


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Part of a bone that turned into something else: "soft" (a lysis) or "cortical" (sclerosis), by `share` in [0, 1]."""

    shape: Ellipsoid
    to: str
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Bone:
    """One bone, or a fragment: the union of its parts without what the cuts take away."""

    name: str
    parts: tuple[Solid, ...]
    cuts: tuple[Cut, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def shaft(self) -> Tube | None:
        """The tubular part, if the bone has one."""
        return next((p for p in self.parts if isinstance(p, Tube)), None)


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Where two bones meet: names, the middle of the gap, the unit vector from the first to the second, half the width (mm)."""

    name: str
    bones: tuple[str, str]
    point: Vector
    axis: Vector
    half_width: float


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Something that is neither bone nor flesh: a solid of one material, hollow (only its wall counts) or not."""

    solid: Solid
    material: str
    hollow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Everything in the beam. Flesh has fat as its wall; `air` takes flesh away by three quarters (lung)."""

    bones: tuple[Bone, ...] = ()
    joints: tuple[Joint, ...] = ()
    flesh: tuple[Solid, ...] = ()
    air: tuple[Ellipsoid, ...] = ()
    pieces: tuple[Piece, ...] = ()

    def __add__(self, other: Body) -> Body:
        return Body(
            self.bones + other.bones,
            self.joints + other.joints,
            self.flesh + other.flesh,
            self.air + other.air,
            self.pieces + other.pieces,
        )

    def bone(self, name: str) -> Bone:
        """Return the bone of that name."""
        return next(b for b in self.bones if b.name == name)

    def with_bone(self, name: str, *fragments: Bone) -> Body:
        """Return a body in which `fragments` stand for one bone."""
        at = next(i for i, b in enumerate(self.bones) if b.name == name)
        return replace(self, bones=self.bones[:at] + fragments + self.bones[at + 1 :])


def moved_body(body: Body, turn: Vector, shift: Vector) -> Body:
    """Return a body after x -> turn @ x + shift; `turn` may mirror and, flesh apart, scale is left alone."""
    return Body(
        tuple(moved_bone(b, turn, shift) for b in body.bones),
        tuple(replace(j, point=turn @ j.point + shift, axis=turn @ j.axis) for j in body.joints),
        tuple(moved(s, turn, shift) for s in body.flesh),
        tuple(_ellipsoid(a, turn, shift) for a in body.air),
        tuple(replace(p, solid=moved(p.solid, turn, shift)) for p in body.pieces),
    )


def moved_bone(bone: Bone, turn: Vector, shift: Vector) -> Bone:
    """Return a bone after x -> turn @ x + shift."""
    return Bone(
        bone.name,
        tuple(moved(p, turn, shift) for p in bone.parts),
        tuple(moved_cut(c, turn, shift) for c in bone.cuts),
        tuple(replace(c, shape=_ellipsoid(c.shape, turn, shift)) for c in bone.changes),
    )


def joint(name: str, bones: tuple[str, str], points: tuple[Iterable[float], Iterable[float]], half_width: float) -> Joint:
    """Return the joint between a point on the first bone's surface and one on the second's."""
    a, b = (np.array(list(p), float) for p in points)
    return Joint(name, bones, (a + b) / 2, (b - a) / np.linalg.norm(b - a), half_width)


def _ellipsoid(solid: Ellipsoid, turn: Vector, shift: Vector) -> Ellipsoid:
    return replace(solid, centre=turn @ solid.centre + shift, axes=solid.axes @ turn.T)
