"""Data sets in the three layouts, made of small films: for tests, and a MURA tree of full size for the benchmark."""

from __future__ import annotations

import csv
import json
import os
import random
import struct
import zlib
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MURA_STUDIES = {
    # study type: train normal, train abnormal, valid normal, valid abnormal (MURA's paper, table 1, by type)
    "ELBOW": (1094, 660, 92, 66),
    "FINGER": (1280, 655, 92, 83),
    "FOREARM": (590, 287, 69, 64),
    "HAND": (1497, 521, 101, 66),
    "HUMERUS": (321, 271, 68, 67),
    "SHOULDER": (1364, 1457, 99, 95),
    "WRIST": (2134, 1326, 140, 97),
}
MURA_FILMS = {
    # study type: train abnormal, train normal, valid abnormal, valid normal
    "ELBOW": (2006, 2925, 230, 235),
    "FINGER": (1968, 3138, 247, 214),
    "FOREARM": (661, 1164, 151, 150),
    "HAND": (1484, 4059, 189, 271),
    "HUMERUS": (599, 673, 140, 148),
    "SHOULDER": (4168, 4211, 278, 285),
    "WRIST": (3987, 5765, 295, 364),
}
MURA_PATIENTS = {"train": (11_184, 1_747), "valid": (783, 268)}
"""Patients, and how many of them have more than one study."""

MOST_FILMS = 11
"""Of one study."""


@dataclass(frozen=True)
class Visit:
    """A study to make."""

    study_type: str
    label: int
    films: int


def film(seed: int, width: int = 40, height: int = 48) -> NDArray[np.uint8]:
    """A made film (H, W): soft blobs, no two alike; like a film in that its detail is unlike another's."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (height // 4 + 2, width // 4 + 2))
    fine = np.kron(coarse, np.ones((4, 4)))[:height, :width]
    return np.clip(fine + rng.normal(0, 4, (height, width)), 0, 255).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)


def write(path: Path, content: bytes) -> Path:
    """Write a file, its folders first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def small_mura(root: Path) -> Path:
    """A MURA tree of 2 + 1 patients, 5 studies, 7 films, with its tables, hidden files and a stray.

    `train`: patient00001 has two studies of the hand, patient00002 one of the wrist; `valid`: patient11185 one of each.
    """
    studies = {
        "train/XR_HAND/patient00001/study1_positive": 2,
        "train/XR_HAND/patient00001/study2_negative": 1,
        "train/XR_WRIST/patient00002/study1_negative": 1,
        "valid/XR_HAND/patient11185/study1_positive": 1,
        "valid/XR_WRIST/patient11185/study1_negative": 2,
    }
    seed = count()
    for study, films in studies.items():
        for k in range(1, films + 1):
            write(root / study / f"image{k}.png", png(film(next(seed))))
        write(root / study / "._image1.png", b"\0\5\x16\7")
    write(root / "train" / ".DS_Store", b"")
    write(root / "train" / "XR_HAND" / "notes.txt", b"a stray")
    for split in ("train", "valid"):
        mine = {s: n for s, n in studies.items() if s.startswith(split)}
        labels = "".join(f"{root.name}/{s}/,{int(s.endswith('positive'))}\n" for s in mine)
        write(root / f"{split}_labeled_studies.csv", labels.encode())
        paths = "".join(f"{root.name}/{s}/image{k}.png\n" for s, n in mine.items() for k in range(1, n + 1))
        write(root / f"{split}_image_paths.csv", paths.encode())
    return root


def full_mura(root: Path, seed: int = 0) -> Path:
    """A tree with MURA's published counts: 40,005 hard links to one film of 1 kB."""
    rng = random.Random(seed)
    one = write(root.parent / f"{root.name}.one.png", png(film(0)))
    first = 1
    for at, split in enumerate(("train", "valid")):
        visits = [v for study_type in MURA_STUDIES for v in _visits(study_type, at, rng)]
        rng.shuffle(visits)
        patients, several = MURA_PATIENTS[split]
        _link(root / split, visits, _patients(len(visits), first, patients, several), one)
        first += patients
    return root


def _visits(study_type: str, at: int, rng: random.Random) -> list[Visit]:
    """The studies of one type in one split (0 train, 1 valid), their films dealt out at random, at least one a study."""
    visits = []
    for label in (0, 1):
        studies = MURA_STUDIES[study_type][2 * at + label]
        films = [1] * studies
        for _ in range(MURA_FILMS[study_type][2 * at + 1 - label] - studies):
            k = rng.randrange(studies)
            while films[k] == MOST_FILMS:
                k = rng.randrange(studies)
            films[k] += 1
        visits += [Visit(study_type, label, n) for n in films]
    return visits


def _patients(visits: int, first: int, patients: int, several: int) -> list[int]:
    """A patient for each visit: each patient has one, the first few have more."""
    again = [k % several for k in range(visits - patients)]
    return [first + k for k in [*range(patients), *again]]


def _link(folder: Path, visits: list[Visit], patients: list[int], one: Path) -> None:
    numbers: dict[tuple[str, int], int] = {}
    for visit, patient in zip(visits, patients, strict=True):
        number = numbers[visit.study_type, patient] = numbers.get((visit.study_type, patient), 0) + 1
        word = "positive" if visit.label else "negative"
        study = f"{folder}/XR_{visit.study_type}/patient{patient:05d}/study{number}_{word}"
        os.makedirs(study)  # noqa: PTH103 - 14,656 of them
        for k in range(1, visit.films + 1):
            os.link(one, f"{study}/image{k}.png")


def small_fracatlas(root: Path) -> Path:
    """A FracAtlas folder of 6 films: numbers 0 to 3 and 40, 41; a conflict (3), a row without a film (99), boxes on 0 and 3.

    Film 41 is film 1 again, byte by byte, with the other label; film 3's boxes were drawn on a picture of half the size.
    """
    header = "image_id,hand,leg,hip,shoulder,mixed,hardware,multiscan,fractured,fracture_count,frontal,lateral,oblique"
    rows = {
        0: (1, "1,0,0,0,0,1,0,1,1,1,0,0"),
        1: (0, "0,1,0,0,0,0,0,0,0,1,1,0"),
        2: (0, "1,1,0,0,1,0,1,0,0,0,0,1"),
        3: (1, "0,0,0,1,0,0,0,0,1,1,0,0"),
        40: (0, "0,0,1,0,0,0,0,0,0,1,0,0"),
        41: (1, "0,1,0,0,0,0,0,1,1,1,0,0"),
        99: (None, "0,1,0,0,0,0,0,0,0,1,0,0"),
    }
    table = [header]
    for number, (fractured, flags) in rows.items():
        table.append(f"IMG{number:07d}.png,{flags}")
        if fractured is not None:
            folder = "Fractured" if fractured else "Non_fractured"
            write(root / "images" / folder / f"IMG{number:07d}.png", png(film(100 + (1 if number == 41 else number))))
    write(root / "dataset.csv", "\n".join(table).encode())
    images = [(1, 0, 40, 48), (2, 3, 20, 24)]
    coco = {
        "images": [{"id": i, "file_name": f"IMG{n:07d}.png", "width": w, "height": h} for i, n, w, h in images],
        "annotations": [{"image_id": i, "bbox": box} for i, box in ((1, [4, 5, 6, 7]), (1, [10, 20, 3.5, 8]), (2, [1, 2, 3, 4]))],
    }
    write(root / "Annotations" / "COCO JSON" / "COCO_fracture_masks.json", json.dumps(coco).encode())
    return root


def manifest(root: Path, rows: list[dict[str, object]], name: str = "films.csv") -> Path:
    """A manifest, and a film for each of its paths that has none yet."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(rows):
        path = root / str(row["path"])
        if not path.exists():
            write(path, png(film(1000 + seed)))
    columns = list(dict.fromkeys(c for row in rows for c in row))
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    return root / name
