"""The hand and its wrist: eight carpals, five rays, and their flesh. Origin: the wrist joint; the third ray runs along +y.

Sizes are those of an adult, mm, after anthropometric tables rounded to the millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.lab.phantom.build import Maker, Shape, Y, flesh_tube
from osteon.lab.phantom.skeleton import Body, Bone, Joint, joint
from osteon.lab.phantom.solids import Ellipsoid, Solid, Vector, rotation

CARPALS = {
    # name: centre (x, y, z), half-axes, turn in the plane (degrees)
    "scaphoid": ((-11.5, 9.5, -1), (7.2, 13.6, 7.4), 36),
    "lunate": ((2.0, 7.0, 0), (8.6, 8.2, 8.8), 10),
    "triquetrum": ((15, 10.5, 1), (7.2, 8.6, 7.2), -32),
    "pisiform": ((16, 12.5, -9), (4.8, 5.8, 4.4), 0),
    "trapezium": ((-20, 22.5, -4), (7.8, 8.2, 7.2), 28),
    "trapezoid": ((-9.5, 24.5, 1), (6.4, 7.0, 7.2), 0),
    "capitate": ((2, 22, 0), (7.8, 12.0, 8.2), 0),
    "hamate": ((14, 23.5, 0), (8.4, 10.0, 8.2), -14),
}
RAYS = (
    # base of the metacarpal, its direction from y (degrees), lengths: metacarpal, proximal, middle (0 = none), distal phalanx
    ((-26, 28.5, -6), 38, (45, 31, 0, 22)),
    ((-11, 32, 0), 9, (66, 40, 23, 17)),
    ((1, 34.5, 0), 1, (64, 44, 28, 18)),
    ((10, 33.5, 0), -7, (57, 41, 26, 18)),
    ((18.5, 32.2, 0), -16, (53, 32, 18, 16)),
)
GAPS = (2.0, 1.4, 1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPose:
    """Degrees: how far the fingers are spread, and each ray's flexion at its knuckle and at the joints beyond."""

    spread: float = 1.0
    knuckles: tuple[float, ...] = (8.0, 4.0, 4.0, 4.0, 4.0)
    curl: tuple[float, ...] = (8.0, 4.0, 4.0, 4.0, 4.0)


def hand(maker: Maker, pose: HandPose, rays: tuple[int, ...] = (1, 2, 3, 4, 5)) -> Body:
    """Return carpals, the given rays (1 = thumb) and their flesh. Bones: `scaphoid`, ..., `mc2`, `pp2`, `mp2`, `dp2`."""
    bones = [_carpal(maker, name) for name in CARPALS]
    joints = [joint("radiocarpal", ("radius", "scaphoid"), ((-9, -2, 0), (-9, 0.5, 0)), 13)]
    joints.append(joint("scaphotrapezial", ("scaphoid", "trapezium"), ((-15.5, 16.5, -1), (-16.5, 18, -1)), 6))
    flesh: list[Solid] = [
        flesh_tube(np.array([0, -12, 0.0]), np.array([0, 34, 0.0]), [(27, 19), (30, 17), (33, 14)], maker.build.fat),
        Ellipsoid(np.array([-22, 36, -7.0]), np.diag([15, 25, 13.0]) @ rotation(2, 35).T, maker.build.fat),
    ]
    for number in (1, 2, 3, 4, 5):
        # Every ray is made, shown or not: the patient's small differences follow the order of making.
        new = _ray(maker, pose, number)
        if number not in rays:
            continue
        bones, joints, flesh = bones + list(new.bones), joints + list(new.joints), flesh + list(new.flesh)
    return Body(tuple(bones), tuple(joints), tuple(flesh))


def _carpal(maker: Maker, name: str) -> Bone:
    # Two ellipsoids, one across the other, give the blunt corners of a small bone.
    centre, half, turn = CARPALS[name]
    lean = maker.rng.uniform(-14, 14)
    first = maker.blob(centre, half, rotation(2, turn + lean), wall=0.55)
    squat = (half[0] * 1.02, half[1] * 0.8, half[2] * 0.96)
    second = maker.blob(np.array(centre) + maker.rng.normal(0, 0.8, 3), squat, rotation(2, turn + 42 + lean), wall=0.55)
    return Bone(name, (first, second))


def _ray(maker: Maker, pose: HandPose, number: int) -> Body:
    base, degrees, lengths = RAYS[number - 1]
    lean = degrees * pose.spread if number > 1 else degrees
    turn = rotation(2, lean) @ (rotation(1, 55) if number == 1 else np.eye(3))
    names = [f"{kind}{number}" for kind, length in zip(("mc", "pp", "mp", "dp"), lengths, strict=True) if length]
    present = [length for length in lengths if length]
    start, bones, joints, flesh = np.array(base, float), [], [], []
    for k, (name, length) in enumerate(zip(names, present, strict=True)):
        if k:
            turn = turn @ rotation(0, -(pose.knuckles if k == 1 else pose.curl)[number - 1])
            if k == 1 and number > 1:
                turn = turn @ rotation(2, (degrees * 0.35) * (pose.spread - 1))
        end = start + turn @ Y * length
        bones.append(Bone(name, (maker.shaft(start, end, _shape(name, number), turn[:, 0]),)))
        flesh.append(_finger_flesh(maker, name, start, end, turn[:, 0]))
        if k < len(names) - 1:
            nxt = end + turn @ Y * GAPS[min(k, 2)]
            joints.append(_knuckle(name, names[k + 1], (end, nxt)))
            start = nxt
    if number > 1:
        joints.append(_base_joint(number, np.array(base, float), rotation(2, degrees)))
    return Body(tuple(bones), tuple(joints), tuple(flesh))


def _shape(name: str, number: int) -> Shape:
    thin = {1: 1.12, 2: 1.0, 3: 1.0, 4: 0.94, 5: 0.86}[number]
    kind = name[:2]
    halves, depths, reach, cortex = {
        "mc": ((7.6, 4.1, 7.0), (7.4, 4.4, 7.2), (14, 13), 1.9),
        "pp": ((7.4, 4.4, 5.8), (5.8, 3.6, 4.6), (11, 8), 1.6),
        "mp": ((6.6, 3.8, 5.0), (5.0, 3.1, 3.8), (8, 6), 1.3),
        "dp": ((5.6, 2.3, 3.7), (4.2, 2.0, 1.9), (7, 5), 0.9),
    }[kind]
    wide = tuple(thin * h for h in halves)
    deep = tuple(thin * d for d in depths)
    return Shape(
        widths=(wide[0], wide[1], wide[2]),
        depths=(deep[0], deep[1], deep[2]),
        reach=(float(reach[0]), float(reach[1])),
        cortex=cortex,
        bow=(0, -1.0 if kind != "dp" else 0),
        blunt=3.2 if kind != "dp" else 2.6,
    )


def _finger_flesh(maker: Maker, name: str, start: Vector, end: Vector, across: Vector) -> Solid:
    f, fat = maker.build.flesh, min(maker.build.fat, 2.5)
    if name.startswith("mc"):
        # The web reaches beyond the knuckle, as far as the middle of the first phalanx.
        return flesh_tube(start, end + (end - start) * 0.12, [(11.5 * f, 12 * f), (13 * f, 11 * f), (12 * f, 9.5 * f)], fat, across)
    halves = {"pp": [(11, 10), (9.4, 8.8)], "mp": [(9.6, 8.6), (8.8, 7.6)], "dp": [(8.6, 7.2), (7.4, 5.8)]}[name[:2]]
    return flesh_tube(start, end, [(a * f**0.6, b * f**0.6) for a, b in halves], fat, across)


def _knuckle(first: str, second: str, ends: tuple[Vector, Vector]) -> Joint:
    kind = {"mc": "mcp", "pp": "pip" if second.startswith("mp") else "ip", "mp": "dip"}[first[:2]]
    return joint(f"{kind}{first[2:]}", (first, second), ends, {"mcp": 7.0, "pip": 6.0, "ip": 6.0, "dip": 5.0}[kind])


def _base_joint(number: int, base: Vector, turn: Vector) -> Joint:
    carpal = {2: "trapezoid", 3: "capitate", 4: "hamate", 5: "hamate"}[number]
    return joint(f"cmc{number}", (carpal, f"mc{number}"), (base - turn @ Y * 1.5, base), 6.0)
