"""A data set of synthetic films in MURA's layout, with the boxes of the findings beside it.

    <folder>/<name>/{train,valid}/XR_HAND/patient00001/study1_positive/image1.png
    <folder>/<name>/{train,valid}_image_paths.csv          a path a line, no header
    <folder>/<name>/{train,valid}_labeled_studies.csv      <study folder>/,<0|1>, no header
    <folder>/<name>/boxes.csv                              path,kind,x,y,width,height: relative to <folder>/<name>, film pixels
    <folder>/<name>/phantom.json                           the settings, and what was made

As in the published archive, hidden strays (`.DS_Store`, `._image1.png`) stand among the files, and some films are RGB.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from osteon.errors import DatasetError, UsageError
from osteon.lab.phantom.anatomy import REGIONS
from osteon.lab.phantom.build import draw_build
from osteon.lab.phantom.film import PhantomFilm, draw_patient, take
from osteon.lab.phantom.findings import SHARES
from osteon.lab.progress import Count
from osteon.regions import MURA_STUDY_TYPES

RECORD = "phantom.json"
CHUNK = 4
"""Studies that a worker makes at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """What to make.

    Attributes:
        studies: Studies of each study type.
        seed: The same seed and settings give the same bytes, whatever `workers` is.
        valid_share: Share of the patients that stand in `valid`.
        abnormal_share: Chance of a study to be abnormal; MURA has 0.39.
        sizes: Longest side of a film, pixels: the shortest and the longest of the even draw.
        study_types: Which; MURA's seven unless told otherwise.
        findings: Kinds of finding, of `findings.SHARES`; one besides worn joints, which growing patients do not have.
        name: Root folder; not MURA's own name, so that nobody takes it for the published data.
        workers: Processes that make films; 0 makes them in this one.
    """

    studies: int = 30
    seed: int = 0
    valid_share: float = 0.15
    abnormal_share: float = 0.42
    sizes: tuple[int, int] = (256, 384)
    study_types: tuple[str, ...] = MURA_STUDY_TYPES
    findings: tuple[str, ...] = tuple(SHARES)
    name: str = "PHANTOM-v1"
    workers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStudy:
    """One study to make: all that it depends on."""

    split: str
    study_type: str
    patient: int
    number: int
    abnormal: bool
    films: int
    patient_seed: int
    seed: int

    @property
    def folder(self) -> str:
        """Path of the study relative to the root."""
        suffix = "positive" if self.abnormal else "negative"
        return f"{self.split}/XR_{self.study_type}/patient{self.patient:05d}/study{self.number}_{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFilm:
    """What is written down about a film."""

    path: str
    kind: str
    boxes: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made: root folder, patients, studies, films, abnormal studies, and abnormal films by kind."""

    root: str
    patients: int
    studies: int
    films: int
    abnormal_studies: int
    kinds: dict[str, int]


def make_dataset(folder: str | Path, spec: DatasetSpec, progress: Count | None = None) -> Made:
    """Write a data set of synthetic films.

    Args:
        folder: Where the root folder `spec.name` is made.
        spec: What to make.
        progress: Called with (films done, films in all).

    Raises:
        UsageError: settings that do not fit.
        DatasetError: the root is there already and holds something else, or phantoms of other settings.
    """
    _check(spec)
    root = Path(folder) / spec.name
    _claim(root, spec)
    plan = plan_dataset(spec)
    total, films = sum(s.films for s in plan), list[MadeFilm]()
    for made in _make(root, plan, spec):
        films += made
        if progress:
            progress(len(films), total)
    return _write_tables(root, plan, films, spec)


def plan_dataset(spec: DatasetSpec) -> list[PlannedStudy]:
    """Return the studies to make, sorted by folder; patients have one to three, all in one split."""
    rng = np.random.default_rng([spec.seed, 0])
    todo = [t for t in spec.study_types for _ in range(spec.studies)]
    order = [todo[k] for k in rng.permutation(len(todo))]
    patients = _patients(order, rng)
    held = round(len(patients) * spec.valid_share)
    plan = []
    # As in MURA, patients of `valid` carry the last numbers.
    for number, types in enumerate(patients, 1):
        split = "valid" if number > len(patients) - held else "train"
        patient_seed = int(rng.integers(2**62))
        for k, study_type in enumerate(types):
            plan.append(
                PlannedStudy(
                    split=split,
                    study_type=study_type,
                    patient=number,
                    number=types[: k + 1].count(study_type),
                    abnormal=bool(rng.random() < spec.abnormal_share),
                    films=int(rng.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.38, 0.12])),
                    patient_seed=patient_seed,
                    seed=int(rng.integers(2**62)),
                )
            )
    return sorted(plan, key=lambda s: s.folder)


def make_study(study: PlannedStudy, sizes: tuple[int, int], findings: Collection[str] = tuple(SHARES)) -> list[PhantomFilm]:
    """Return a study's films: views of the same limb with the same finding, of one of some kinds."""
    build = draw_build(np.random.default_rng(study.patient_seed))
    patient_rng, order_rng, *film_rngs = np.random.default_rng(study.seed).spawn(2 + study.films)
    patient = draw_patient(patient_rng, study.study_type, study.abnormal, build, findings)
    views = REGIONS[study.study_type].views
    order = order_rng.permutation(len(views))
    films = []
    for k, rng in enumerate(film_rngs):
        size = int(rng.integers(sizes[0], sizes[1] + 1))
        films.append(take(patient, views[order[k % len(views)]], size, rng))
    return films


def _check(spec: DatasetSpec) -> None:
    unknown = [t for t in spec.study_types if t not in REGIONS]
    if unknown:
        raise UsageError(f"no phantoms of study type {unknown[0]}. Choose from {', '.join(REGIONS)}.")
    if not set(spec.findings) - {"joint-space loss"} or not set(spec.findings) <= set(SHARES):
        told = ", ".join(spec.findings) or "none"
        raise UsageError(f"no finding can be drawn from {told}. Choose from {', '.join(SHARES)}, and not joint-space loss alone.")
    if spec.studies < 1 or not 0 <= spec.valid_share < 1:
        raise UsageError("a phantom data set needs at least one study of each type, and a validation share from 0 to below 1.")
    if not 128 <= spec.sizes[0] <= spec.sizes[1] <= 4096:
        raise UsageError(f"sizes {spec.sizes[0]} to {spec.sizes[1]} do not fit. Give the longest side in pixels, from 128 to 4096.")
    if spec.name.upper().startswith("MURA"):
        raise UsageError(f"synthetic films must not carry the name {spec.name}. Choose a name that is not MURA's.")


def _settings(spec: DatasetSpec) -> dict[str, object]:
    told = {name: value for name, value in asdict(spec).items() if name != "workers"}
    return told | {"sizes": list(spec.sizes), "study_types": list(spec.study_types), "findings": list(spec.findings)}


def _claim(root: Path, spec: DatasetSpec) -> None:
    """Make the root, or take one that was begun with the same settings: whatever is there will be the same again."""
    record = root / RECORD
    if root.is_dir() and any(root.iterdir()):
        try:
            begun = msgspec.json.decode(record.read_bytes())["settings"]
        except (OSError, msgspec.MsgspecError, KeyError, TypeError) as fault:
            raise DatasetError(f"{root}: already holds something that is no phantom data set. Choose another folder.") from fault
        if begun != _settings(spec):
            raise DatasetError(f"{root}: already holds phantoms of other settings ({record.name} has them). Choose another folder.")
        return
    root.mkdir(parents=True, exist_ok=True)
    record.write_bytes(msgspec.json.format(msgspec.json.encode({"settings": _settings(spec)}), indent=1))


def _patients(order: list[str], rng: np.random.Generator) -> list[list[str]]:
    patients, at = [], 0
    while at < len(order):
        n = int(rng.choice([1, 2, 3], p=[0.86, 0.11, 0.03]))
        patients.append(order[at : at + n])
        at += n
    return patients


def _make(root: Path, plan: list[PlannedStudy], spec: DatasetSpec) -> Iterator[list[MadeFilm]]:
    if spec.workers < 1:
        yield from (_write_study(root, study, spec) for study in plan)
        return
    # A fresh interpreter for each worker: a forked one may inherit locks of threads that do not live in it.
    with ProcessPoolExecutor(spec.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        n = len(plan)
        yield from pool.map(_write_study, [root] * n, plan, [spec] * n, chunksize=CHUNK)


def _write_study(root: Path, study: PlannedStudy, spec: DatasetSpec) -> list[MadeFilm]:
    folder = root / study.folder
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng([study.seed, 1])
    colour, stray, store = chance.random(3)
    made = []
    for k, film in enumerate(make_study(study, spec.sizes, spec.findings), 1):
        # Some of MURA's files are RGB with three equal channels; the label has no part in it.
        pixels = np.repeat(film.pixels[:, :, None], 3, axis=2) if colour < 0.06 else film.pixels
        Image.fromarray(pixels).save(folder / f"image{k}.png")
        made.append(MadeFilm(path=f"{study.folder}/image{k}.png", kind=film.kind, boxes=film.boxes))
    if stray < 0.02:
        (folder / "._image1.png").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    if store < 0.02:
        (folder.parent / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    return made


def _write_tables(root: Path, plan: list[PlannedStudy], films: list[MadeFilm], spec: DatasetSpec) -> Made:
    for split in ("train", "valid"):
        paths = [f"{spec.name}/{f.path}\n" for f in films if f.path.startswith(split)]
        studies = [f"{spec.name}/{s.folder}/,{int(s.abnormal)}\n" for s in plan if s.split == split]
        (root / f"{split}_image_paths.csv").write_text("".join(paths))
        (root / f"{split}_labeled_studies.csv").write_text("".join(studies))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "kind", "x", "y", "width", "height"])
    table.writerows([f.path, f.kind, *box] for f in films for box in f.boxes)
    (root / "boxes.csv").write_text(text.getvalue(), encoding="utf-8")
    made = Made(
        root=str(root),
        patients=len({s.patient for s in plan}),
        studies=len(plan),
        films=len(films),
        abnormal_studies=sum(s.abnormal for s in plan),
        kinds={kind: sum(f.kind == kind for f in films) for kind in sorted({f.kind for f in films} - {""})},
    )
    counts = {name: value for name, value in asdict(made).items() if name != "root"}
    record = {"settings": _settings(spec), "made": counts}
    (root / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    return made
