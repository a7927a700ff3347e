"""What stands in a tag comes out nowhere: films with planted values in every tag, and every byte that osteon makes of them.

OSTEON_PLANTED=50 python -m pytest tests/test_planted.py        # the figure of docs/reliability.md
"""

from __future__ import annotations

import base64
import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydicom.config import disable_value_validation
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import made_dicom
from tiny_training import SETTINGS

FILMS = int(os.environ.get("OSTEON_PLANTED", "6"))
WORD, DIGITS = "Qzxplanted", "8642097531"
MANY = 20
FURTHER = (
    "predict ../films -o answers",
    "split index.parquet -o index.parquet --parts train=0.4,tune=0.3,valid=0.3",
    f"train index.parquet -o run {' '.join(f'--set {setting}' for setting in (*SETTINGS, 'epochs=1'))}",
    "report run",
)
"""Commands for many films."""

VALUES: dict[str, object] = {
    **dict.fromkeys(("LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE"), WORD),
    **dict.fromkeys(("CS",), WORD.upper()),
    **dict.fromkeys(("DS", "IS", "TM", "DA", "DT"), DIGITS),
    **dict.fromkeys(("OB", "UN"), WORD.encode()),
    "UI": f"1.2.{DIGITS}",
}
KEPT = {0x0000, 0x0002, 0x0028, 0x7FE0}  # groups of another place, and those that say how pixels are read: planted one by one, below
SHOWN = (
    "BodyPartExamined", "ViewPosition", "Modality", "PhotometricInterpretation", "VOILUTFunction", "SOPClassUID", "PresentationIntentType",
    "PresentationLUTShape", "ConversionType", "BurnedInAnnotation", "SpecificCharacterSet", "PixelSpacing", "WindowCenter", "WindowWidth",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelAspectRatio", "ImagerPixelSpacing", "ShutterShape", "NumberOfFrames",
    "PixelIntensityRelationship", "StudyInstanceUID", "WindowCenterWidthExplanation", "ImageType", "TransferSyntaxUID",
)  # fmt: skip
"""Attributes that a reader looks at: each film has another one planted as well, which some are refused for."""


def planted(number: int) -> bytes:
    """Return a film with planted values in all tags, private and nested ones too, and in one that is looked at."""
    with warnings.catch_warnings(action="ignore"), disable_value_validation():
        return _planted(number)


def _planted(number: int) -> bytes:
    pixels = np.clip(made_dicom.steps() + np.random.default_rng(number).integers(0, 400, (32, 40)), 0, 4095).astype("<u2")
    ds = made_dicom.radiograph(np.kron(pixels, np.ones((4, 4), "<u2")))
    ds.update({tag: element for tag, element in _everywhere().items() if tag not in ds or element.VR in ("PN", "LO")})
    ds.StudyInstanceUID = f"1.2.{DIGITS}.{number // 2}"
    keyword = SHOWN[number % len(SHOWN)]
    if number >= 2 and keyword != "TransferSyntaxUID":  # the first two are whole films of one study
        tag = tag_for_keyword(keyword)
        vr = dictionary_VR(keyword)
        ds[tag] = DataElement(tag, "LO" if vr in ("DS", "IS", "CS", "UI") else vr, WORD, validation_mode=0)
    content = made_dicom.content(
        ds,
        further={
            "SourceApplicationEntityTitle": WORD,
            "ImplementationVersionName": WORD,
            "PrivateInformationCreatorUID": f"1.2.{DIGITS}",
            "PrivateInformation": WORD.encode(),
        },
    )
    if number >= 2 and keyword == "TransferSyntaxUID":
        content = content.replace(b"1.2.840.10008.1.2.1\0", (WORD + "." * 20)[:20].encode(), 1)
    return content if number % 7 != 6 else content[: len(content) // 2]


@functools.cache
def _everywhere() -> Dataset:
    """Every attribute that the reader does not look at, and private ones."""
    ds, nested = Dataset(), Dataset()
    nested.PatientName, nested.PatientComments = WORD, WORD
    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if tag >> 16 in KEPT or keyword in SHOWN:
            continue
        if vr == "SQ":
            ds.add_new(tag, vr, Sequence([nested]))
        elif vr in VALUES:
            ds[tag] = DataElement(tag, vr, VALUES[vr], validation_mode=0)
    block = ds.private_block(0x0011, WORD, create=True)
    block.add_new(1, "LO", WORD)
    block.add_new(2, "SQ", [nested])
    return ds


def forms() -> dict[str, bytes]:
    """Return what is looked for: the planted words as text, in two bytes a letter, in hexadecimal digits, in base64 at each place."""
    found = {}
    for word in (WORD, WORD.upper(), DIGITS):
        raw = word.encode()
        found |= {
            word: raw,
            f"{word} UTF-16": word.encode("utf-16-le"),
            f"{word} UTF-16 BE": word.encode("utf-16-be"),
            f"{word} hex": raw.hex().encode(),
        }
        for place in range(3):
            found[f"{word} base64 {place}"] = base64.b64encode(bytes(place) + raw)[4 if place else 0 : -4]
    return found


def hits(folder: Path) -> list[str]:
    """Return the files and forms in which a planted value stands; tables are unpacked."""
    wanted = forms()
    return [f"{file}: {name}" for file, content in _contents(folder) for name, form in wanted.items() if form in content]


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in (path for path in folder.rglob("*") if path.is_file()):
        yield str(file.relative_to(folder)), file.read_bytes()
        if file.suffix == ".parquet":
            yield f"{file.name} unpacked", pl.read_parquet(file).select(pl.exclude(pl.Binary)).write_json().encode()


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" + base64.b64encode(b"12" + WORD.encode() + b"34"))
    pl.DataFrame({"study": [f"1.2.{DIGITS}"] * 50}).write_parquet(tmp_path / "b.parquet", compression="zstd")
    assert {hit.partition(":")[0] for hit in hits(tmp_path)} >= {"a", "b.parquet unpacked"}
    (tmp_path / "c.dcm").write_bytes(planted(0))
    assert len([hit for hit in hits(tmp_path) if hit.startswith("c.dcm")]) >= 3


@pytest.mark.timeout(3000 if FILMS >= MANY else 300)
def test_no_value_of_a_tag_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films, made = tmp_path / "films", tmp_path / "made"
    films.mkdir()
    made.mkdir()
    for number in range(FILMS):
        (films / f"{number:03d}.dcm").write_bytes(planted(number))
    (films / "films.csv").write_text("path,label\n" + "".join(f"{n:03d}.dcm,{n % 2}\n" for n in range(FILMS)))
    environment = os.environ | {"OSTEON_CACHE": str(made / "cache"), "OSTEON_DEBUG": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    statuses = {}
    for command in (
        f"predict {films} --no-guard --json a.json --csv a.csv --overlay overlays",
        f"index {films}/films.csv -o index.parquet",
        "evaluate --index index.parquet --split all -o evaluation",
        "explore index.parquet -o exploration",
        *(FURTHER if FILMS >= MANY else ()),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "osteon", *command.split()], cwd=made, env=environment, capture_output=True, check=False
        )
        statuses[command.split()[0]] = ran.returncode
        (made / f"{len(statuses)}.out").write_bytes(ran.stdout + ran.stderr)
    assert set(statuses.values()) <= {0, 1}, statuses  # 1: films were refused
    index = pl.read_parquet(made / "index.parquet")
    assert index["study"].str.starts_with("study-").any() and index["study"][0] == index["study"][1]
    assert (made / "overlays").is_dir() and (made / "evaluation").is_dir() and (made / "exploration").is_dir()
    assert FILMS < MANY or (made / "run" / "report" / "report.html").is_file()
    assert hits(made) == []
