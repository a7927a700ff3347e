"""Metal in bone: plates with screws, wires, nails and single screws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteon.lab.phantom.anatomy import Range, Region
from osteon.lab.phantom.build import wire
from osteon.lab.phantom.skeleton import Body, Bone, Piece
from osteon.lab.phantom.solids import ROWS, Box, Ellipsoid, Solid, Tube, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Implant:
    """An implant.

    Attributes:
        bone: Where.
        at: Where along it, in [0, 1].
        device: "plate", "wires", "nail" or "screw".
        metal: "titanium" or "steel".
        size: Length, in lengths that the device is usually given; 1 is a middle one.
        around: Side of the bone that it stands on, degrees about the axis.
        count: Screws of a plate or nail, or wires.
        angles: Tilt (degrees) of each wire against the bone's axis, and its turn about it: (count, 2).
    """

    bone: str
    at: float
    device: str
    metal: str
    size: float
    around: float
    count: int
    angles: Vector
    kind: str = "metal implant"


def draw_implant(rng: np.random.Generator, region: Region) -> Implant:
    """Return an implant of a region."""
    devices: dict[str, Mapping[str, Range]] = {"plate": region.plates, "wires": region.wires, "nail": region.nails, "screw": region.wires}
    weights = np.array([0.5, 0.26, 0.12, 0.12]) * [bool(d) for d in devices.values()]
    device = str(rng.choice(list(devices), p=weights / weights.sum()))
    places = devices[device]
    bone = list(places)[int(rng.integers(len(places)))]
    count = {"plate": int(rng.integers(4, 9)), "wires": int(rng.integers(1, 4)), "nail": int(rng.integers(2, 5)), "screw": 1}[device]
    return Implant(
        bone=bone,
        at=float(rng.uniform(*places[bone])),
        device=device,
        metal=str(rng.choice(["titanium", "steel"])),
        size=float(rng.uniform(0.75, 1.3)),
        around=float(rng.uniform(0, 360)),
        count=count,
        angles=np.column_stack([rng.uniform(6, 38, count), rng.uniform(0, 360, count)]),
    )


def implanted(h: Implant, body: Body) -> tuple[Body, Vector]:
    """Return a body with the implant in it, and points (n, 3) on its outline, mm."""
    bone = body.bone(h.bone)
    tube = bone.shaft
    if tube is None or h.device == "screw":
        solids = _screws(h, bone)
    else:
        solids = {"plate": _plate, "wires": _wires, "nail": _nail}[h.device](h, tube)
    points = np.concatenate([_outline(s) for s in solids])
    return replace(body, pieces=(*body.pieces, *(Piece(s, h.metal) for s in solids))), points


def _plate(h: Implant, tube: Tube) -> list[Solid]:
    half = _half(tube, h.at)
    length = float(np.clip(h.size * 9 * half, 18, 0.55 * tube.length))
    u0, u1 = (float(np.clip(h.at + s * length / 2 / tube.length, 0.02, 0.98)) for s in (-1, 1))
    side = _side(h, tube)
    thick = float(np.clip(0.3 * half, 0.8, 3.6)) / 2
    rows = np.arange(round(u0 * (ROWS - 1)), round(u1 * (ROWS - 1)) + 1)
    lift = float(np.percentile(_radius(tube, side, rows), 55)) + thick
    ends = [tube.at(u) for u in (u0, u1)]
    axis = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    side = side - (side @ axis) * axis
    side = side / np.linalg.norm(side)
    middle = (ends[0] + ends[1]) / 2 + lift * side
    width = float(np.clip(0.5 * half, 1.6, 6.5))
    box = Box(middle, np.stack([axis * length / 2, np.cross(axis, side) * width, side * thick]))
    screws: list[Solid] = []
    for k in range(h.count):
        # The two middle holes stay empty more often than not.
        if h.count > 5 and k in (h.count // 2, h.count // 2 - 1) and h.angles[k, 0] < 26:
            continue
        head = middle + axis * length * ((k + 0.5) / h.count - 0.5) + side * (thick + 0.6)
        screws.append(wire(head, head - side * (lift + 0.85 * half + thick), 0.42 * width, 0.12))
    return [box, *screws]


def _wires(h: Implant, tube: Tube) -> list[Solid]:
    half = _half(tube, h.at)
    radius = float(np.clip(0.1 * half, 0.45, 1.1))
    reach = float(np.clip(h.size * 3.6 * half, 12, 34))
    solids: list[Solid] = []
    for tilt, turn in np.deg2rad(h.angles):
        axis = (tube.end - tube.start) / tube.length
        direction = np.cos(tilt) * axis + np.sin(tilt) * (np.cos(turn) * tube.across + np.sin(turn) * tube.deep)
        middle = tube.at(h.at) + 0.25 * half * (np.cos(turn + 2) * tube.across + np.sin(turn + 2) * tube.deep)
        solids.append(wire(middle - reach * direction, middle + reach * direction, radius))
    return solids


def _nail(h: Implant, tube: Tube) -> list[Solid]:
    radius = float(np.clip(0.42 * _half(tube, 0.5), 1.2, 5))
    u = np.clip([0.04, 0.7 + 0.12 * h.size], 0, 0.93)
    top, tip = tube.at(float(u[0])), tube.at(float(u[1]))
    solids: list[Solid] = [wire(top, tip, radius)]
    side = _side(h, tube)
    for k in range(h.count):
        share = 0.1 + 0.06 * k if k < 2 else 0.97 - 0.06 * (k - 2)
        at = top + share * (tip - top)
        reach = 1.25 * _half(tube, float(np.clip(u[0] + share * (u[1] - u[0]), 0, 1)))
        solids.append(wire(at - reach * side, at + reach * side, 0.42 * radius, 0.12))
    return solids


def _screws(h: Implant, bone: Bone) -> list[Solid]:
    tube = bone.shaft
    if tube is None:
        part = next(p for p in bone.parts if isinstance(p, Ellipsoid))
        length = np.linalg.norm(part.axes, axis=1)
        reach = 0.85 * part.axes[int(np.argmax(length))]
        return [wire(part.centre - reach, part.centre + reach, float(np.clip(0.2 * length.min(), 1.0, 2.2)), 0.2)]
    half, tilt = _half(tube, h.at), np.deg2rad(60 + 0.6 * h.angles[0, 0])
    axis = (tube.end - tube.start) / tube.length
    direction = np.cos(tilt) * axis + np.sin(tilt) * _side(h, tube)
    reach = float(np.clip(1.2 * half, 5, 26))
    centre, radius = tube.at(h.at), float(np.clip(0.16 * half, 0.8, 2.4))
    head = centre + direction * reach
    return [
        wire(centre - reach * direction, head, radius, 0.18),
        wire(head - 0.4 * radius * direction, head + radius * direction, 1.7 * radius),
    ]


def _side(h: Implant, tube: Tube) -> Vector:
    a = np.deg2rad(h.around)
    return np.asarray(np.cos(a) * tube.across + np.sin(a) * tube.deep)


def _half(tube: Tube, u: float) -> float:
    row = round(u * (ROWS - 1))
    return float((tube.profile.across[row] + tube.profile.deep[row]) / 2)


def _radius(tube: Tube, side: Vector, rows: NDArray[np.intp]) -> Vector:
    """Distance from the axis of `at` to the surface in the direction of `side`, at each row."""
    c, s = side @ tube.across, side @ tube.deep
    a, b = tube.profile.across[rows], tube.profile.deep[rows]
    return np.asarray(a * b / np.sqrt((b * c) ** 2 + (a * s) ** 2 + 1e-9))


def _outline(solid: Solid) -> Vector:
    if isinstance(solid, Tube):
        r = float(solid.profile.across.max())
        return np.concatenate([solid.start + r * np.array([[1, 1, 0], [-1, -1, 0]]), solid.end + r * np.array([[1, 1, 0], [-1, -1, 0]])])
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    return np.asarray(solid.centre + signs @ solid.axes)
