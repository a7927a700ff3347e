"""The shoulder girdle and the upper chest. Origin: the centre of the humeral head; x to the middle of the body, y down.

Sizes are those of an adult, mm.
"""

from __future__ import annotations

import numpy as np

from osteon.lab.phantom.build import Maker, Shape, X, Z, flesh_tube
from osteon.lab.phantom.skeleton import Body, Bone, joint
from osteon.lab.phantom.solids import Ellipsoid, Vector, rotation


def _v(*xyz: float) -> Vector:
    return np.array(xyz, float)


def girdle(maker: Maker) -> Body:
    """Return scapula, clavicle, ribs and lung. Bones: `glenoid`, `scapula`, `acromion`, `clavicle`, `rib1`..."""
    bones = (*_scapula(maker), _clavicle(maker))
    joints = (
        joint("glenohumeral", ("humerus", "glenoid"), ((22.5, 0, 2), (26.5, 0, 3)), 16),
        joint("acromioclavicular", ("acromion", "clavicle"), ((8, -35, 9), (11, -35.5, 9)), 6),
    )
    f, fat = maker.build.flesh, maker.build.fat
    flesh = (
        Ellipsoid(_v(-2, 16, 0), np.diag([54 * f, 66.0, 50 * f]), fat),
        flesh_tube(_v(2, -6, 4), _v(170, -62, 0), [(42 * f, 46 * f), (50 * f, 54 * f), (60, 60)], fat),
        flesh_tube(_v(30, 20, 0), _v(120, 60, 0), [(44 * f, 52 * f), (66 * f, 66 * f)], fat),
        Ellipsoid(_v(62, 62, 4), np.diag([52 * f, 66.0, 46 * f]) @ rotation(2, -22).T, fat),
    )
    return Body(bones, joints, flesh) + _chest(maker)


def _scapula(maker: Maker) -> list[Bone]:
    blade = Ellipsoid(_v(76, 42, 16), np.diag([36.0, 62.0, 2.6]) @ rotation(2, 8).T, 0.7, 0.8)
    border = maker.shaft(_v(36, 20, 8), _v(74, 108, 14), Shape(widths=(6, 3.6, 4.5), reach=(18, 12), cortex=1.5))
    neck = maker.blob((45, 4, 8), (15, 13, 7), wall=1.0)
    spine = maker.shaft(_v(108, -4, 22), _v(4, -30, 22), Shape(widths=(3.5, 5, 8.5), reach=(14, 34), cortex=1.2))
    tip = maker.blob((-4, -34, 12), (20, 7, 14), rotation(2, 12), wall=1.0)
    coracoid = maker.shaft(_v(42, -16, 2), _v(18, -9, -26), Shape(widths=(7.5, 5.5, 6), reach=(10, 8), cortex=1.3, bow=(3, 0)), across=Z)
    glenoid = maker.blob((32, 1, 5), (5.6, 18, 12), rotation(2, -4), wall=1.3)
    return [
        Bone("glenoid", (glenoid, neck)),
        Bone("scapula", (blade, border)),
        Bone("acromion", (spine, tip)),
        Bone("coracoid", (coracoid,)),
    ]


def _clavicle(maker: Maker) -> Bone:
    shape = Shape(widths=(8.5, 5.6, 10), depths=(6, 5.6, 10), reach=(30, 24), cortex=1.9, bow=(-6, -10))
    return Bone("clavicle", (maker.shaft(_v(12, -36, 9), _v(148, -50, -14), shape, across=_v(0.1, 1, 0)),))


def _chest(maker: Maker) -> Body:
    ribs = []
    for k in range(6):
        y, reach = -36 + 27 * k, 30 + 10 * min(k, 4)
        tube = maker.shaft(
            _v(162, y - 6, 55),
            _v(162 - reach - 36, y + 16, 20),
            Shape(widths=(5.5, 5.8, 5.2), depths=(3.6, 3.6, 3.6), reach=(8, 8), cortex=1.1, bow=(-7 - k, 0)),
            across=-X + 3 * _v(0, 1, 0),
        )
        front = maker.shaft(
            _v(162 - reach - 36, y + 17, 10),
            _v(150, y + 62, -60),
            Shape(widths=(5.2, 6, 6.5), depths=(3.4, 3.4, 3.4), reach=(8, 8), cortex=0.9, bow=(6, 0)),
            across=_v(0, 1, 0),
        )
        ribs += [Bone(f"rib{k + 1}", (tube,)), Bone(f"rib{k + 1}.front", (front,))]
    lung = Ellipsoid(_v(150, 105, 0), np.diag([68.0, 138.0, 78.0]))
    trunk = Ellipsoid(_v(190, 150, 0), np.diag([130.0, 205.0, 96.0 * maker.build.flesh**0.5]), maker.build.fat)
    return Body(tuple(ribs), (), (trunk,), (lung,))
