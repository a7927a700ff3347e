"""What can be wrong: a fracture, a metal implant, a lytic lesion, a narrowed joint. Each changes a body and says where.

A finding names bones and places along them, so the same finding stands in every view of the same patient.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from osteon.lab.phantom.anatomy import Region
from osteon.lab.phantom.fracture import Fracture, draw_fracture, fracture
from osteon.lab.phantom.implant import Implant, draw_implant, implanted
from osteon.lab.phantom.joint_loss import JointSpaceLoss, draw_joint_loss, narrow
from osteon.lab.phantom.lesion import LyticLesion, dissolve, draw_lesion
from osteon.lab.phantom.skeleton import Body
from osteon.lab.phantom.solids import Vector

SHARES = {"fracture": 0.45, "metal implant": 0.25, "lytic lesion": 0.15, "joint-space loss": 0.15}
"""How often each kind stands for an abnormal study."""


Finding = Fracture | Implant | LyticLesion | JointSpaceLoss


def draw_finding(rng: np.random.Generator, region: Region, growing: bool, kinds: Collection[str] = tuple(SHARES)) -> Finding:
    """Return a finding of a region, of one of some kinds. Joints do not wear in patients whose growth plates are open."""
    possible = [kind in kinds and not (growing and kind == "joint-space loss") for kind in SHARES]
    shares = np.array(list(SHARES.values())) * possible
    kind = str(rng.choice(list(SHARES), p=shares / shares.sum()))
    if kind == "fracture":
        return draw_fracture(rng, region)
    if kind == "metal implant":
        return draw_implant(rng, region)
    if kind == "lytic lesion":
        return draw_lesion(rng, region)
    return draw_joint_loss(rng, region)


def apply(finding: Finding, body: Body) -> tuple[Body, Vector]:
    """Return a body with the finding in it, and points (n, 3), mm, that its box has to hold."""
    if isinstance(finding, Fracture):
        return fracture(finding, body)
    if isinstance(finding, Implant):
        return implanted(finding, body)
    if isinstance(finding, LyticLesion):
        return dissolve(finding, body)
    return narrow(finding, body)
