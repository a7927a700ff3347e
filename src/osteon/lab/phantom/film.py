"""One synthetic film: a patient's limb in a view, framed, exposed and developed.

Streams of chance spawned from the given one keep the parts of a film apart: patient, finding, pose and clutter, exposure, grain,
quanta. The label touches none but the finding, so a film with and without it is the same film otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteon.errors import UsageError
from osteon.lab.phantom.anatomy import REGIONS, View, anatomy, core_points, region
from osteon.lab.phantom.build import Build, draw_build
from osteon.lab.phantom.clutter import clutter, lead_letter
from osteon.lab.phantom.findings import SHARES, Finding, apply, draw_finding
from osteon.lab.phantom.physics import Exposure, Plane, Processing, collimator, develop, expose, line_integral
from osteon.lab.phantom.projection import Detector, thicknesses
from osteon.lab.phantom.skeleton import Body, moved_body
from osteon.lab.phantom.solids import Vector, rotation

METALS = ("titanium", "steel", "gold", "lead")
MARKER_SPOTS = ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9), (0.1, 0.5), (0.9, 0.5), (0.5, 0.08), (0.5, 0.92))
"""Where a side marker may stand: x and y in parts of the film."""

Box = tuple[float, float, float, float]

THICKNESS = {"FINGER": 0.0, "HAND": 0.1, "WRIST": 0.15, "FOREARM": 0.3, "ELBOW": 0.4, "HUMERUS": 0.7, "SHOULDER": 1.0}
"""How thick a study type is in the beam, 0 to 1: what exposure and processing follow, as an exposure table does."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomFilm:
    """A synthetic film.

    Attributes:
        pixels: (H, W) uint8, bone bright.
        study_type: One of MURA's seven.
        view: Name of the projection.
        label: 1 abnormal, 0 normal.
        kind: "fracture", "metal implant", "lytic lesion", "joint-space loss", or "" for a normal film.
        boxes: x, y, width, height (film pixels) of each finding.
    """

    pixels: NDArray[np.uint8]
    study_type: str
    view: str
    label: int
    kind: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One limb of one patient in one study: the same bones, and the same finding, in all its films."""

    build: Build
    study_type: str
    finger: int
    mirrored: bool
    finding: Finding | None


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A film before it is exposed: what is in the beam, where the detector lies, and the finding's box."""

    body: Body
    detector: Detector
    box: Box | None


def make_film(rng: np.random.Generator, study_type: str, abnormal: bool, size: int = 320, view: str = "") -> PhantomFilm:
    """Return a synthetic film of a new patient.

    Args:
        rng: Source of all chance; the same state gives the same film.
        study_type: One of MURA's seven.
        abnormal: Whether there is a finding.
        size: Longer side, pixels, 128 or more.
        view: Name of the projection; "" draws one.

    Raises:
        UsageError: no such study type or view, or too small.
    """
    if study_type not in REGIONS:
        raise UsageError(f"no phantom of study type {study_type}. Choose one of {', '.join(REGIONS)}.")
    views = [v for v in REGIONS[study_type].views if view in ("", v.name)]
    if not views:
        raise UsageError(f"{study_type} has no view {view}. Choose one of {', '.join(v.name for v in REGIONS[study_type].views)}.")
    patient_rng, film_rng = rng.spawn(2)
    patient = draw_patient(patient_rng, study_type, abnormal)
    return take(patient, views[int(film_rng.integers(len(views)))], size, film_rng)


def draw_patient(
    rng: np.random.Generator, study_type: str, abnormal: bool, build: Build | None = None, kinds: Collection[str] = tuple(SHARES)
) -> Patient:
    """Return a limb to take films of; `build` where the patient is known already, `kinds` of finding that it may have."""
    build_rng, side_rng, finding_rng = rng.spawn(3)
    build = build or draw_build(build_rng)
    finger, mirrored = int(side_rng.integers(2, 6)), bool(side_rng.random() < 0.5)
    finding = draw_finding(finding_rng, region(study_type, finger), build.growing, kinds) if abnormal else None
    return Patient(build=build, study_type=study_type, finger=finger, mirrored=mirrored, finding=finding)


def take(patient: Patient, view: View, size: int, rng: np.random.Generator) -> PhantomFilm:
    """Return one film of a patient in a view, its longer side `size` pixels."""
    pose_rng, exposure_rng, grain_rng, quanta_rng = rng.spawn(4)
    scene = stage(patient, view, size, pose_rng)
    exposure, processing = _technique(patient.study_type, scene.detector, exposure_rng)
    matter = thicknesses(scene.body, scene.detector, grain_rng)
    open_field = collimator(matter["soft"].shape, exposure.field, scene.detector.pitch)
    matter["lead"] = _marker(line_integral(matter), open_field, patient.mirrored, exposure_rng)
    metal = sum((matter[m] for m in METALS if m in matter), np.float32(0))
    intensity = expose(line_integral(matter), open_field, exposure, scene.detector.pitch, quanta_rng)
    pixels = develop(intensity, open_field, np.asarray(metal < 0.05), processing, scene.detector.pitch)
    boxes = () if scene.box is None else (scene.box,)
    kind = patient.finding.kind if patient.finding else ""
    return PhantomFilm(pixels, patient.study_type, view.name, int(bool(kind)), kind, boxes)


def stage(patient: Patient, view: View, size: int, rng: np.random.Generator) -> Scene:
    """Return what is in the beam, posed, dressed, hung and framed."""
    study_type, finger = patient.study_type, patient.finger
    body = anatomy(patient.build, study_type, view, finger, rng)
    body = clutter(body, study_type, finger, rng)
    turn = _hanging(body, study_type, view, finger, rng)
    turn = np.diag([-1.0, 1, 1]) @ turn if patient.mirrored else turn
    core = moved_body(body, turn, np.zeros(3))
    points = core_points(core, region(study_type, finger).core)
    second = study_type == "HAND" and view.azimuth == 0 and rng.random() < 0.08
    other = _other_side(core, points) if second else Body()
    points = np.concatenate([points, core_points(other, REGIONS["HAND"].core)]) if second else points
    detector = _frame(points, size, rng)
    if patient.finding is None:
        return Scene(core + other, detector, None)
    body, site = apply(patient.finding, body)
    return Scene(moved_body(body, turn, np.zeros(3)) + other, detector, _box(site @ turn.T, detector))


def _hanging(body: Body, study_type: str, view: View, finger: int, rng: np.random.Generator) -> Vector:
    """Turn about the limb, and in the plane as films are hung: most upright, some lying."""
    turn = rotation(1, view.azimuth + rng.normal(0, 4))
    roll = 180.0 if REGIONS[study_type].upside_down else 0.0
    if study_type == "FINGER":
        tube = body.bone(f"pp{finger}").shaft
        if tube is not None:
            axis = turn @ (tube.end - tube.start)
            roll = -90 - float(np.rad2deg(np.arctan2(axis[1], axis[0])))
    quarter = float(rng.choice([0, 90, -90, 180], p=[0.88, 0.05, 0.05, 0.02]))
    return np.asarray(rotation(2, roll + rng.normal(0, 7) + quarter) @ turn)


def _other_side(body: Body, points: Vector) -> Body:
    gap = 2 * float(points[:, 0].max()) + 24
    return moved_body(body, np.diag([-1.0, 1, 1]), np.array([gap, 0, 0]))


def _frame(points: Vector, size: int, rng: np.random.Generator) -> Detector:
    """Lay the detector around the points with uneven margins; no side shorter than MURA's shortest, 89 pixels."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    span = high - low
    before, after = rng.uniform(0.06, 0.24, 2) * span.max(), rng.uniform(0.06, 0.24, 2) * span.max()
    low, span = low - before, span + before + after
    wanted = np.maximum(span, span.max() * max(rng.uniform(0.4, 0.8), 89 / size))
    low = low - (wanted - span) * rng.uniform(0.35, 0.65)
    pitch = float(wanted.max() / size)
    width, height = (max(89, round(float(s) / pitch)) for s in wanted)
    return Detector(left=float(low[0]), top=float(low[1]), pitch=pitch, height=height, width=width)


def _box(site: Vector, detector: Detector) -> Box:
    """Return the rectangle, at least 6 pixels a side, that holds the points as far as they lie on the film."""
    size = np.array([detector.width, detector.height])
    corner = np.array([detector.left, detector.top])
    low = (site[:, :2].min(axis=0) - corner) / detector.pitch - 1.5
    high = (site[:, :2].max(axis=0) - corner) / detector.pitch + 1.5
    low = np.clip(low, 0, size - 6)
    x, y, width, height = np.concatenate([low, np.maximum(np.minimum(high, size) - low, 6)]).round(1).tolist()
    return x, y, width, height


def _technique(study_type: str, detector: Detector, rng: np.random.Generator) -> tuple[Exposure, Processing]:
    thick = THICKNESS[study_type]
    collimated = rng.random() < 0.55
    narrow = rng.uniform(0.0, 0.05, 2) if collimated else np.array([-0.2, -0.2])
    field = (
        float(rng.uniform(0.48, 0.52)),
        float(rng.uniform(0.48, 0.52)),
        float(0.5 - narrow[0]),
        float(0.5 - narrow[1]),
        float(rng.normal(0, 3)) if collimated else 0.0,
    )
    exposure = Exposure(
        quanta=float(np.exp(rng.uniform(np.log(9000), np.log(60000))) * detector.pitch**2 * (1 + 6 * thick)),
        scatter=float(np.clip(0.08 + 0.35 * thick + rng.normal(0, 0.04), 0.02, 0.6)),
        scatter_mm=float(rng.uniform(15, 35)),
        heel=float(rng.uniform(0, 0.25)),
        heel_degrees=float(rng.choice([0, 90, 180, 270])),
        blur_px=float(rng.uniform(0.35, 0.8)),
        field=field,
    )
    processing = Processing(
        sharpen=float(rng.uniform(0.2, 0.8) + 0.5 * thick),
        sharpen_mm=float(rng.uniform(8, 16) + 16 * thick),
        low=float(rng.uniform(0.5, 4)),
        high=float(rng.uniform(99.4, 99.95)),
        gamma=float(rng.uniform(0.85, 1.25) + 0.35 * thick),
        shutter=0.0 if rng.random() < 0.7 else None,
    )
    return exposure, processing


def _marker(attenuation: Plane, open_field: Plane, mirrored: bool, rng: np.random.Generator) -> Plane:
    """Return the thickness (H, W), mm, of the lead letters, laid where the film is emptiest; a third of the films have none."""
    text = ("L" if mirrored else "R") + ("".join(rng.choice(list("AEJKMST"), 2)) if rng.random() < 0.25 else "")
    shown, size, degrees = rng.random() < 0.65, rng.uniform(0.04, 0.075), rng.normal(0, 12)
    letters = lead_letter(text, max(8, round(size * max(attenuation.shape))), degrees)
    lead = np.zeros_like(attenuation)
    if not shown:
        return lead
    crowded = attenuation + 5 * (1 - open_field)
    places = [_spot(attenuation.shape, letters.shape, at) for at in rng.permutation(MARKER_SPOTS)]
    place = min(places, key=lambda p: float(crowded[p].mean()))
    lead[place] = 0.8 * letters[: lead[place].shape[0], : lead[place].shape[1]]
    return lead


def _spot(film: tuple[int, ...], letters: tuple[int, ...], at: Vector) -> tuple[slice, slice]:
    top, left = (
        int(np.clip(share * side - extent / 2, 2, max(2, side - extent - 2)))
        for share, side, extent in zip(at[::-1], film, letters, strict=True)
    )
    return slice(top, top + letters[0]), slice(left, left + letters[1])
