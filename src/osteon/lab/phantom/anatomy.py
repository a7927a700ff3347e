"""The seven study types: which bones a film shows, in which poses and views it is taken, and where findings of each kind sit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from osteon.lab.phantom.arm import FOREARM, HEAD, forearm, upper_arm
from osteon.lab.phantom.build import Build, Maker
from osteon.lab.phantom.hand import HandPose, hand
from osteon.lab.phantom.shoulder import girdle
from osteon.lab.phantom.skeleton import Body, Bone, moved_body
from osteon.lab.phantom.solids import Cut, Ellipsoid, Tube, Vector, rotation, scaled

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A projection: the turn about the limb's long axis (degrees), the elbow's flexion, the fan of the fingers, the upper arm's pose."""

    name: str
    azimuth: float
    flexion: float = 0.0
    fan: float = 0.0
    abduction: float = 12.0
    humeral_turn: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What belongs to a study type.

    Attributes:
        views: Projections that a study's films are taken in.
        core: Bones, and the part of each, that the film is framed on.
        upside_down: The distal end points up, as hands are hung.
        fractures: Where bones break: bone and the range along it.
        plates: Bones that are plated, with the range of the plate's middle.
        wires: Bones that are wired or screwed.
        nails: Bones that are nailed.
        lesions: Bones with a lysis.
        joints: Joints that wear.
    """

    views: tuple[View, ...]
    core: Mapping[str, Range]
    upside_down: bool = False
    fractures: Mapping[str, Range]
    plates: Mapping[str, Range]
    wires: Mapping[str, Range]
    nails: Mapping[str, Range]
    lesions: Mapping[str, Range]
    joints: tuple[str, ...]


FINGERS = (2, 3, 4, 5)
_LONG = {f"{kind}{n}": (0.22, 0.85) for kind in ("mc", "pp") for n in FINGERS} | {f"mp{n}": (0.25, 0.8) for n in FINGERS}
_THUMB = {"mc1": (0.12, 0.8), "pp1": (0.2, 0.8)}
_MC = {f"mc{n}": (0.25, 0.85) for n in (1, *FINGERS)}
_HAND_CORE = {f"{kind}{n}": (0.0, 1.0) for kind in ("mc", "dp") for n in (1, *FINGERS)} | {"lunate": (0.0, 1.0)}
_DISTAL_FOREARM = {"radius": (0.86, 0.955), "ulna": (0.9, 0.965)}

REGIONS: dict[str, Region] = {
    "HAND": Region(
        views=(View(name="PA", azimuth=0), View(name="oblique", azimuth=42, fan=0.35), View(name="lateral", azimuth=80, fan=1)),
        core=_HAND_CORE,
        upside_down=True,
        fractures=_LONG | _THUMB | {"scaphoid": (0.5, 0.5)},
        plates=_MC | {f"pp{n}": (0.4, 0.6) for n in FINGERS},
        wires=_MC | {f"pp{n}": (0.4, 0.7) for n in FINGERS},
        nails={},
        lesions=dict.fromkeys((*_MC, *(f"pp{n}" for n in FINGERS)), (0.15, 0.85)),
        joints=tuple(f"{j}{n}" for j in ("mcp", "pip", "dip") for n in FINGERS),
    ),
    "FINGER": Region(
        views=(View(name="PA", azimuth=0), View(name="oblique", azimuth=45), View(name="lateral", azimuth=88)),
        core={},
        upside_down=True,
        fractures={"pp": (0.15, 0.9), "mp": (0.15, 0.88), "dp": (0.2, 0.8)},
        plates={"pp": (0.4, 0.6)},
        wires={"pp": (0.3, 0.7), "mp": (0.3, 0.7), "dp": (0.3, 0.6)},
        nails={},
        lesions={"pp": (0.12, 0.85), "mp": (0.15, 0.85), "dp": (0.3, 0.7)},
        joints=("mcp", "pip", "dip"),
    ),
    "WRIST": Region(
        views=(View(name="PA", azimuth=0), View(name="oblique", azimuth=40), View(name="lateral", azimuth=86)),
        core={"radius": (0.74, 1), "ulna": (0.74, 1), "mc2": (0, 0.55), "mc5": (0, 0.55), "trapezium": (0, 1)},
        upside_down=True,
        fractures=_DISTAL_FOREARM | {"scaphoid": (0.5, 0.5)},
        plates={"radius": (0.86, 0.9)},
        wires={"radius": (0.9, 0.95), "scaphoid": (0.5, 0.5)},
        nails={},
        lesions={"radius": (0.86, 0.96), "ulna": (0.88, 0.96), "capitate": (0.5, 0.5)},
        joints=("radiocarpal", "scaphotrapezial"),
    ),
    "FOREARM": Region(
        views=(View(name="AP", azimuth=0), View(name="lateral", azimuth=88, flexion=88)),
        core={"radius": (0, 1), "ulna": (0, 1)},
        fractures={"radius": (0.25, 0.9), "ulna": (0.25, 0.9)},
        plates={"radius": (0.35, 0.75), "ulna": (0.35, 0.75)},
        wires={"radius": (0.85, 0.94), "ulna": (0.4, 0.7)},
        nails={"ulna": (0.08, 0.9)},
        lesions={"radius": (0.12, 0.94), "ulna": (0.2, 0.94)},
        joints=("radiocarpal", "humeroradial"),
    ),
    "ELBOW": Region(
        views=(
            View(name="AP", azimuth=0),
            View(name="lateral", azimuth=90, flexion=90),
            View(name="oblique", azimuth=38),
        ),
        core={"humerus": (0.76, 1), "radius": (0, 0.26), "ulna": (0, 0.26)},
        fractures={"humerus": (0.86, 0.92), "radius": (0.045, 0.13), "ulna": (0.06, 0.16)},
        plates={"humerus": (0.78, 0.84), "ulna": (0.16, 0.2)},
        wires={"humerus": (0.9, 0.93), "ulna": (0.1, 0.14), "radius": (0.05, 0.1)},
        nails={},
        lesions={"humerus": (0.82, 0.93), "radius": (0.05, 0.14), "ulna": (0.1, 0.22)},
        joints=("humeroradial", "humeroulnar"),
    ),
    "HUMERUS": Region(
        views=(View(name="AP", azimuth=0, abduction=10), View(name="lateral", azimuth=0, abduction=16, humeral_turn=-80, flexion=55)),
        core={"humerus": (0, 1), "glenoid": (0, 1)},
        fractures={"humerus": (0.16, 0.86)},
        plates={"humerus": (0.3, 0.75)},
        wires={"humerus": (0.88, 0.93)},
        nails={"humerus": (0.02, 0.82)},
        lesions={"humerus": (0.08, 0.88)},
        joints=("glenohumeral", "humeroradial"),
    ),
    "SHOULDER": Region(
        views=(
            View(name="AP external", azimuth=0, humeral_turn=25),
            View(name="AP internal", azimuth=0, humeral_turn=-50),
            View(name="Grashey", azimuth=28, abduction=20),
        ),
        core={"humerus": (0, 0.33), "glenoid": (0, 1), "clavicle": (0, 0.6), "acromion": (0.5, 1)},
        fractures={"humerus": (0.1, 0.24), "clavicle": (0.2, 0.65)},
        plates={"humerus": (0.16, 0.22), "clavicle": (0.35, 0.55)},
        wires={"humerus": (0.08, 0.12), "glenoid": (0.5, 0.5), "clavicle": (0.04, 0.1)},
        nails={},
        lesions={"humerus": (0.09, 0.26), "clavicle": (0.2, 0.8), "glenoid": (0.5, 0.5)},
        joints=("glenohumeral", "acromioclavicular"),
    ),
}
"""By MURA's study types. In FINGER, names lack the finger's number."""

GROWTH_PLATES = {"radius": 0.965, "ulna": 0.97, "mc1": 0.1} | {f"mc{n}": 0.87 for n in FINGERS}
GROWTH_PLATES |= {f"{kind}{n}": 0.11 for kind in ("pp", "mp", "dp") for n in (1, *FINGERS)} | {"humerus": 0.07}


def region(study_type: str, finger: int) -> Region:
    """Return what belongs to a study type; in FINGER, of the finger with that number (2 to 5)."""
    r = REGIONS[study_type]
    if study_type != "FINGER":
        return r

    def named(of: Mapping[str, Range]) -> dict[str, Range]:
        return {f"{name}{finger}": span for name, span in of.items()}

    return replace(
        r,
        core=named({"mc": (0.7, 1), "pp": (0, 1), "mp": (0, 1), "dp": (0, 1)}),
        fractures=named(r.fractures),
        plates=named(r.plates),
        wires=named(r.wires),
        lesions=named(r.lesions),
        joints=tuple(f"{j}{finger}" for j in r.joints),
    )


def anatomy(build: Build, study_type: str, view: View, finger: int = 3, rng: np.random.Generator | None = None) -> Body:
    """Return a patient's right limb as a study type shows it; `rng` makes the pose a little different each time.

    The bones depend on `build` alone: the same patient in another view has the same bones.
    """
    rng = rng or np.random.default_rng(0)
    maker = Maker(build)
    body = _limb(maker, study_type, view, finger, rng)
    body = _grown(body, build.size)
    return _with_growth_plates(body) if build.growing else body


def _limb(maker: Maker, study_type: str, view: View, finger: int, rng: np.random.Generator) -> Body:
    # Order matters: a maker's small differences follow the order of making, and must not depend on the view.
    if study_type == "FINGER":
        return hand(maker, _hand_pose(view, rng), _rays(view, finger, rng))
    arm = Body() if study_type == "SHOULDER" else forearm(maker)
    if study_type in ("HAND", "WRIST", "FOREARM"):
        palm = hand(maker, _hand_pose(view, rng))
        arm += moved_body(palm, rotation(1, rng.normal(0, 3)), np.array([0, FOREARM, 0.0]))
    if study_type in ("HAND", "WRIST"):
        return arm
    arm = moved_body(arm, rotation(0, -float(np.clip(view.flexion + rng.normal(0, 4), 0, 120))), np.zeros(3))
    carry = rotation(2, rng.normal(-6, 2))
    arm += moved_body(upper_arm(maker), carry, np.zeros(3))
    if study_type in ("FOREARM", "ELBOW"):
        return arm
    head = carry @ HEAD
    turn = rotation(2, view.abduction + rng.normal(0, 4)) @ rotation(1, view.humeral_turn + rng.normal(0, 8))
    return moved_body(arm, turn, -turn @ head) + girdle(maker)


def _rays(view: View, finger: int, rng: np.random.Generator) -> tuple[int, ...]:
    # Seen from the side, the other fingers are folded away.
    if view.azimuth > 30:
        return (finger,)
    return (1, *FINGERS) if rng.random() < 0.6 else (finger,)


def _hand_pose(view: View, rng: np.random.Generator) -> HandPose:
    fan = np.array([10, 62, 42, 22, 6]) * view.fan + rng.normal(6, 3, 5)
    curl = np.array([10, 4, 6, 8, 8]) * (1 + 1.5 * view.fan) + rng.normal(0, 3, 5)
    return HandPose(spread=float(rng.uniform(0.7, 1.5)), knuckles=tuple(fan.clip(0, 80).tolist()), curl=tuple(curl.clip(-2, 60).tolist()))


def _grown(body: Body, size: float) -> Body:
    def ellipsoid(e: Ellipsoid) -> Ellipsoid:
        return replace(e, centre=size * e.centre, axes=size * e.axes, wall=size * e.wall)

    bones = tuple(
        replace(
            b,
            parts=tuple(scaled(p, size) for p in b.parts),
            changes=tuple(replace(c, shape=ellipsoid(c.shape)) for c in b.changes),
        )
        for b in body.bones
    )
    joints = tuple(replace(j, point=size * j.point, half_width=size * j.half_width) for j in body.joints)
    return Body(bones, joints, tuple(scaled(s, size) for s in body.flesh), tuple(ellipsoid(a) for a in body.air))


def _with_growth_plates(body: Body) -> Body:
    for bone in body.bones:
        u, tube = GROWTH_PLATES.get(bone.name), bone.shaft
        if u is None or tube is None:
            continue
        axis = (tube.end - tube.start) / tube.length
        waves = np.array([[0.5, 7.0, 1.0], [0.3, 3.1, 0.0]])
        cut = Cut(tube.at(u), -axis if u > 0.5 else axis, tube.across, 1.4, waves)
        epiphysis = Bone(f"{bone.name}.epiphysis", bone.parts, (*bone.cuts, cut.flipped()))
        body = body.with_bone(bone.name, replace(bone, cuts=(*bone.cuts, cut)), epiphysis)
    return body


def core_points(body: Body, core: Mapping[str, Range]) -> Vector:
    """Return points (n, 3) on the outline of the parts of bones that a film is framed on."""
    points = [_outline(body.bone(name), span) for name, span in core.items()]
    return np.concatenate(points)


def _outline(bone: Bone, span: Range) -> Vector:
    tube = bone.shaft
    if tube is None:
        return np.concatenate(
            [np.stack([p.centre + s * a for a in p.axes for s in (-1, 1)]) for p in bone.parts if not isinstance(p, Tube)]
        )
    rows = []
    for u in np.linspace(*span, 7):
        half = tube.profile.across[round(u * (len(tube.profile.across) - 1))]
        rows += [tube.at(u) + s * half * tube.across for s in (-1, 1)]
    return np.stack(rows)


def pick(rng: np.random.Generator, places: Mapping[str, Range]) -> tuple[str, float]:
    """Return one of the bones and a place in its range."""
    name = list(places)[int(rng.integers(len(places)))]
    return name, float(rng.uniform(*places[name]))
