"""Forearm and upper arm. Origin: the middle of the elbow's hinge; the forearm runs along +y, the upper arm along -y.

Sizes are those of an adult, mm.
"""

from __future__ import annotations

import numpy as np

from osteon.lab.phantom.build import Maker, Shape, flesh_tube
from osteon.lab.phantom.skeleton import Body, Bone, Change, joint
from osteon.lab.phantom.solids import Ellipsoid, Vector, rotation

FOREARM = 245.0
"""From the elbow's hinge to the wrist joint."""
UPPER_ARM = 300.0
"""From the centre of the humeral head to the elbow's hinge."""
HEAD = np.array([13, -UPPER_ARM, 3.0])
"""The centre of the humeral head."""


def _v(*xyz: float) -> Vector:
    return np.array(xyz, float)


def forearm(maker: Maker) -> Body:
    """Return radius and ulna with their flesh. Bones: `radius`, `ulna`."""
    radius = maker.shaft(
        _v(-13, 11.5, 0),
        _v(-9, FOREARM - 2, 0),
        Shape(
            widths=(11, 6.6, 15.5),
            depths=(11, 6.2, 10.5),
            reach=(17, 38),
            cortex=3.0,
            bow=(-6, 2),
            slant=(0, -6.5),
            blunt=3.0,
        ),
    )
    tuberosity = maker.blob((-8.5, 40, -2), (5, 10, 5), wall=1.5)
    ulna = maker.shaft(
        _v(8, -2, 12.5),
        _v(17.5, FOREARM - 8, 2),
        Shape(widths=(10.5, 6.2, 8.2), depths=(8.5, 6.4, 8), reach=(55, 20), cortex=2.9, bow=(2, 3), blunt=3.0),
    )
    olecranon = maker.blob((8, -6, 12), (10, 10, 8), rotation(0, 20), wall=0.8)
    coronoid = maker.blob((8, 17, 3), (8, 6.5, 9), rotation(0, -28), wall=0.6)
    styloid = maker.blob((22, FOREARM - 8, 3), (3, 7, 3), rotation(2, 8), wall=0.7)
    bones = (Bone("radius", (radius, tuberosity)), Bone("ulna", (ulna, olecranon, coronoid, styloid)))
    joints = (
        joint("humeroradial", ("humerus", "radius"), ((-13, 9, 0), (-13, 11.5, 0)), 10),
        joint("humeroulnar", ("humerus", "ulna"), ((8, 10.5, 0), (8, 13, 1)), 9),
    )
    f = maker.build.flesh
    halves = [(40 * f, 35 * f), (43 * f, 35 * f), (39 * f, 30 * f), (31 * f**0.7, 22 * f**0.7), (27, 19)]
    flesh = (
        flesh_tube(_v(0, 5, 3), _v(3, FOREARM, 0), halves, maker.build.fat),
        Ellipsoid(_v(3, 0, 6), np.diag([38 * f**0.8, 36 * f, 32 * f]), maker.build.fat),
    )
    return Body(bones, joints, flesh)


def upper_arm(maker: Maker) -> Body:
    """Return the humerus with its flesh, the elbow extended. Bone: `humerus`."""
    shaft = maker.shaft(
        _v(-3, -UPPER_ARM - 2, 0),
        _v(0, 1, -2),
        Shape(
            widths=(19, 10.8, 25),
            depths=(18, 10.8, 8.0),
            reach=(52, 56),
            cortex=4.2,
            bow=(0, 3),
            slant=(5, 1),
            blunt=3.4,
        ),
    )
    head = maker.blob(HEAD, (22.5, 22.5, 22.5), wall=0.8)
    tubercle = maker.blob((-14, -UPPER_ARM + 8, 0), (9, 15, 13), rotation(2, -12), wall=0.9)
    medial = maker.blob((16, 1.5, -1), (8.5, 10.5, 10.5), wall=0.5)
    groove = maker.blob((3, -1, -2), (17, 9.5, 9), wall=0.5)
    capitulum = maker.blob((-13, 0, -3), (11.5, 9.5, 9.5), wall=0.5)
    epicondyle = maker.blob((21, -13, 0), (9, 13, 6.5), rotation(2, 30), wall=0.5)
    fossa = Change(Ellipsoid(_v(2, -22, 2), np.diag([11.0, 9.0, 6.0])), "soft", 0.7)
    bone = Bone("humerus", (shaft, head, tubercle, medial, groove, capitulum, epicondyle), changes=(fossa,))
    f = maker.build.flesh
    halves = [(50 * f, 48 * f), (46 * f, 46 * f), (42 * f, 42 * f), (40 * f, 36 * f), (38 * f, 33 * f)]
    return Body((bone,), (), (flesh_tube(_v(0, -UPPER_ARM + 20, 0), _v(0, -2, 2), halves, maker.build.fat),))
