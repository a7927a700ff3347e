"""A film's answer -> a secondary capture: the film with its heat map, for whoever looks at pictures alone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from osteon.clinic.report import MANUFACTURER, RESEARCH, RINGED, Origin, Scored, finished, made_by, radius_of, uid_of

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 2_048
"""Pixels of the longer side: what a screen shows, and 12 MB."""

UNPAIRED = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "CHEST", "CHESTABDOMEN", "COCCYX", "CSPINE", "CTSPINE", "HEAD", "HEADNECK", "LSPINE", "LSSPINE", "MANDIBLE",
    "MAXILLA", "NECK", "NOSE", "PELVIS", "SACRUM", "SKULL", "SPINE", "SSPINE", "STERNUM", "TLSPINE", "TSPINE", "WHOLEBODY",
})  # fmt: skip
"""Body parts (PS3.16 annex L) that have no side."""

_NUMBER = 9102  # SeriesNumber, after that of the reports


def capture(one: Scored, overlay: Path, origin: Origin, number: int) -> Dataset:
    """Return the capture of a film.

    Args:
        one: The film, and whose it is.
        overlay: PNG of the film with its heat map and a legend, as `FilmPrediction.overlay` draws it.
        origin: What answered.
        number: InstanceNumber, from 1 on.

    Returns:
        An RGB picture, uncompressed, which every PACS shows, ready for `report.encoded`.
    """
    ds = one.identity.ds
    with Image.open(overlay) as image:
        picture = _ringed(image.convert("RGB"), one)
    picture.thumbnail((LONGEST, LONGEST))
    with warnings.catch_warnings(action="ignore"):
        made: Dataset = SCImage(
            pixel_array=np.asarray(picture),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            study_instance_uid=str(ds.StudyInstanceUID),
            series_instance_uid=uid_of("captures", str(ds.StudyInstanceUID), origin.model, origin.site),
            series_number=_NUMBER,
            sop_instance_uid="2.25.0",
            instance_number=number,
            manufacturer=MANUFACTURER,
            patient_orientation=("L", "F"),  # highdicom demands one; a picture for eyes claims none, below
            series_description=f"{MANUFACTURER}: {RESEARCH}",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            specific_character_set=ds.SpecificCharacterSet,
            **made_by(origin),
        )
    made.PatientOrientation = None
    made.BurnedInAnnotation = "YES"
    part = str(ds.get("BodyPartExamined", ""))
    if part:
        made.BodyPartExamined = part
    if ds.get("Laterality") or part.upper() not in UNPAIRED:  # type 2C: empty where it is not known, absent where there is none
        made.Laterality = ds.get("Laterality", "")
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.DerivationDescription = f"{RESEARCH} Heat map and answer of {origin.card.reference} over the film"[:1024]
    made.LossyImageCompression = "01" if str(one.identity.source.get("LossyImageCompression", "")) == "01" else "00"
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    made.SourceImageSequence = [source]
    return finished(made, ds, one.identity.taken)


def _ringed(picture: Image.Image, one: Scored) -> Image.Image:
    """Draw the ring of the report round the strongest place, where the answer is uncertain or yes: faint heat is easily missed."""
    if one.film.peak is None or one.film.level not in RINGED:
        return picture
    x, y, _ = one.film.peak
    radius = radius_of(one)
    wide = max(2, round(radius / 20))
    for colour, away in (("black", wide), ("white", 0)):
        edge = radius + away
        ImageDraw.Draw(picture).ellipse((x - edge, y - edge, x + edge, y + edge), outline=colour, width=wide)
    return picture
