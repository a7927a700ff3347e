"""What stands on a film and says nothing about the label: casts, rings, bracelets, buttons, side markers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from osteon.lab.phantom.physics import Plane, enlarge
from osteon.lab.phantom.skeleton import Body, Piece
from osteon.lab.phantom.solids import ROWS, Ellipsoid, Profile, Tube, rotation

CASTS = ("HAND", "WRIST", "FOREARM")
GLYPHS = {
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "K": "10001 10010 10100 11000 10100 10010 10001",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
}
"""Lead letters, five by seven."""


def clutter(body: Body, study_type: str, finger: int, rng: np.random.Generator) -> Body:
    """Return a body with what the patient wears; drawn without a look at the label."""
    pieces: list[Piece] = []
    cast, ring, bracelet, button = rng.random(4)
    if study_type in CASTS and cast < 0.09:
        thick = float(rng.uniform(4, 8))
        pieces += _cast(body, thick)
    if study_type in ("HAND", "FINGER", "WRIST") and ring < (0.1 if study_type != "FINGER" else 0.05):
        number = int(rng.integers(2, 6))
        name = f"pp{number}"
        if study_type != "FINGER" or number != finger:
            pieces += [_ring(b.shaft, rng) for b in body.bones if b.name == name and b.shaft is not None]
    if study_type in ("WRIST", "FOREARM", "HAND") and bracelet < 0.03:
        pieces += [_bracelet(b.shaft, rng) for b in body.bones if b.name == "radius" and b.shaft is not None]
    if study_type in ("SHOULDER", "HUMERUS") and button < 0.1:
        pieces += _buttons(rng)
    return replace(body, pieces=(*body.pieces, *pieces))


def lead_letter(text: str, height: int, degrees: float) -> Plane:
    """Return the share (h, w) of each pixel that lead letters cover, in [0, 1], turned by `degrees`."""
    rows = [" ".join(GLYPHS[c].split()[k] for c in text).replace(" ", "0") for k in range(7)]
    small = np.pad(np.array([[float(c) for c in row] for row in rows], np.float32), 1)
    step = max(1, round(height / 7))
    sharp = np.clip((enlarge(small, step) - 0.5) * 2.5 + 0.5, 0, 1)
    return _turned(sharp, degrees)


def _turned(plane: Plane, degrees: float) -> Plane:
    return np.asarray(np.clip(ndimage.rotate(plane, degrees, order=1, reshape=True), 0, 1), np.float32)


def _cast(body: Body, thick: float) -> list[Piece]:
    # A short arm cast: the stretch around the palm begins where the one around the forearm ends.
    forearm, palm = (s for s in body.flesh[:3] if isinstance(s, Tube))
    tubes, spans = (forearm, palm), ((0.3, 0.87), (0.25, 0.92))
    return [Piece(_wrapped(s, thick, span), "plaster", hollow=True) for s, span in zip(tubes, spans, strict=True)]


def _wrapped(flesh: Tube, thick: float, span: tuple[float, float]) -> Tube:
    p = flesh.profile
    u, old = np.linspace(*span, ROWS), np.linspace(0, 1, ROWS)
    wave = np.linspace(0, 1, ROWS)
    wrinkle = 1 + 0.012 * np.sin(31 * wave) + 0.008 * np.sin(77 * wave + 1) + 0.006 * np.sin(140 * wave)
    across, deep = ((np.interp(u, old, half) + 2 + thick) * wrinkle for half in (p.across, p.deep))
    zero = np.zeros(ROWS)
    axis = flesh.end - flesh.start
    profile = Profile(across, deep, zero, zero, thick * wrinkle**4, zero)
    return replace(flesh, start=flesh.start + span[0] * axis, end=flesh.start + span[1] * axis, profile=profile)


def _ring(phalanx: Tube, rng: np.random.Generator) -> Piece:
    metal = str(rng.choice(["gold", "steel", "titanium"]))
    return Piece(_hoop(phalanx, 0.42, (10.5, 9.5), float(rng.uniform(2, 5))), metal, hollow=True)


def _bracelet(radius: Tube, rng: np.random.Generator) -> Piece:
    hoop = _hoop(radius, 0.93, (33, 25), float(rng.uniform(3, 9)))
    return Piece(replace(hoop, start=hoop.start + 13 * radius.across, end=hoop.end + 13 * radius.across), "steel", hollow=True)


def _hoop(bone: Tube, u: float, halves: tuple[float, float], width: float) -> Tube:
    axis = (bone.end - bone.start) / bone.length
    middle, zero = bone.at(u), np.zeros(ROWS)
    profile = Profile(np.full(ROWS, halves[0]), np.full(ROWS, halves[1]), zero, zero, np.full(ROWS, 1.3), zero)
    return replace(bone, start=middle - axis * width / 2, end=middle + axis * width / 2, profile=profile)


def _buttons(rng: np.random.Generator) -> list[Piece]:
    at = np.array([rng.uniform(40, 90), rng.uniform(10, 80), -70])
    disc = np.diag([rng.uniform(4, 7)] * 2 + [1.2]) @ rotation(0, rng.uniform(0, 30)).T
    return [Piece(Ellipsoid(at + k * np.array([4, 34, 0]), disc), "steel") for k in range(int(rng.integers(1, 3)))]
