"""A study's answer -> a structured report (TID 1500): what was found, how sure, where, and by what.

One UID has one content: the UIDs are made of the content itself, and its times are the films' or those that are given, never the clock's.
"""

from __future__ import annotations

import copy
import hashlib
import io
import uuid
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

from osteon.clinic import codes as told
from osteon.dicom import stored_point
from osteon.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.dataset import Dataset

    from osteon.card import Card
    from osteon.clinic.identity import Identity
    from osteon.prediction import FilmPrediction, Prediction

Image = TypeVar("Image", SourceImageForMeasurementGroup, SourceImageForRegion)
Group: TypeAlias = MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations

MANUFACTURER = "osteon"
RESEARCH = "Research use only. Not for diagnosis."
RINGED = ("doubt", "yes")
"""Answers of which the strongest place is shown."""

RING = 1 / 20
"""Radius of the circle round the strongest place, as a share of the film's shorter side."""

_NO_UID = "2.25.0"  # until the content has made one
_CLOCKS = ("InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture")
_SR_NUMBER = 9101  # SeriesNumber, far from those of a modality


@dataclass(frozen=True, slots=True)
class Origin:
    """What answered: the model's card, the SHA-256 of its file, and the site file's name and SHA-256, "" for none."""

    card: Card
    model: str
    site: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A film of a study, with whose it is."""

    film: FilmPrediction
    identity: Identity


def uid_of(*parts: str) -> str:
    """Return a UID that is the same for the same parts (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(('osteon', *parts))).int}"


def study_report(
    study: Prediction, films: Sequence[Scored], origin: Origin, previous: Sequence[Dataset] = (), *, three_d: bool = True
) -> Dataset:
    """Return the report of a study.

    Args:
        study: What the model says of it.
        films: Those of its films that are DICOM files, at least one, all of one StudyInstanceUID.
        origin: What answered.
        previous: Reports of this study that this one replaces: a film has come since, or the model is another one.
        three_d: Comprehensive 3D SR; else Comprehensive SR, which older systems know.

    Returns:
        The report, COMPLETE, UNVERIFIED and PRELIMINARY, ready for `encoded`.
    """
    films = sorted(films, key=lambda one: str(one.identity.ds.SOPInstanceUID))
    first = films[0].identity.ds
    device = DeviceObserverIdentifyingAttributes(
        uid=UID(uid_of("device", origin.model)), name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=origin.card.reference
    )
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    groups = [_of_study(study, films, origin), *(_of_film(one, origin) for one in films)]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=told.PROCEDURE,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    taken = max((one.identity.taken for one in films if one.identity.taken), default=None)
    kind = Comprehensive3DSR if three_d else ComprehensiveSR
    with warnings.catch_warnings(action="ignore"):  # of names of one component, which DICOM allows
        made = kind(
            evidence=[_referenced(one.identity.ds) for one in films],
            content=content[0],
            series_instance_uid=uid_of("reports", str(first.StudyInstanceUID), origin.model, origin.site, str(three_d)),
            series_number=_SR_NUMBER,
            sop_instance_uid=_NO_UID,
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            previous_versions=list(previous) or None,
            series_description=f"{MANUFACTURER}: {RESEARCH}",
            coding_schemes=[told.scheme()],
            **made_by(origin),
        )
    return finished(made, first, taken)


def finished(made: Dataset, source: Dataset, taken: datetime | None) -> Dataset:
    """Return a result with the source's patient and study, the times of its films, and a UID made of all that it says."""
    for element in source:
        if element.keyword not in ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "Modality", "BodyPartExamined", "Laterality"):
            made[element.tag] = element
    when = taken or datetime(1900, 1, 1, tzinfo=UTC)
    made.ContentDate, made.ContentTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    for keyword in (*_CLOCKS, "ContributingEquipmentSequence"):
        if keyword in made:
            delattr(made, keyword)
    made.SOPInstanceUID = _NO_UID
    made.file_meta.MediaStorageSOPInstanceUID = UID(_NO_UID)
    made.SOPInstanceUID = uid_of("content", hashlib.sha256(encoded(made)).hexdigest())
    made.file_meta.MediaStorageSOPInstanceUID = UID(made.SOPInstanceUID)
    return made


def encoded(made: Dataset) -> bytes:
    """Return a result as the bytes of a DICOM file, Explicit VR Little Endian."""
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def made_by(origin: Origin) -> dict[str, Any]:
    """Return what made a result, as the General Equipment module has it."""
    versions = f"osteon {__version__}"
    return {"manufacturer_model_name": origin.card.reference[:64], "software_versions": versions, "device_serial_number": origin.model[:16]}


def _referenced(ds: Dataset) -> Dataset:
    """Return a copy with what highdicom demands of an image that is referred to; the patient's name comes later."""
    bare = copy.deepcopy(ds)
    bare.PatientName = ""
    return bare


def _algorithm(origin: Origin) -> AlgorithmIdentification:
    edges = origin.card.decision
    parameters = [
        f"model SHA-256 {origin.model}",
        f"site file {origin.site or 'none'}",
        f"no below {edges.doubt_from:.6g}, yes from {edges.doubt_to:.6g}, uncertain between",
        f"osteon {__version__}",
    ]
    return AlgorithmIdentification(
        origin.card.name, origin.card.version, parameters, told.ARTIFICIAL_INTELLIGENCE, manufacturer=MANUFACTURER
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What a group of a report is about: the study or a film, told by the UIDs of its films."""

    what: str
    films: tuple[str, ...]
    said: Prediction | FilmPrediction
    words: tuple[str, ...]
    study_type: str = ""


def _of_study(study: Prediction, films: Sequence[Scored], origin: Origin) -> Group:
    part = _Part("study", tuple(str(one.identity.ds.SOPInstanceUID) for one in films), study, (RESEARCH,))
    return _group(part, origin, [_image(SourceImageForMeasurementGroup, one) for one in films])


def _of_film(one: Scored, origin: Origin) -> Group:
    film, remark = one.film, one.film.remark
    words = (f"{remark[:1].upper()}{remark[1:]}",)
    part = _Part("film", (str(one.identity.ds.SOPInstanceUID),), film, words, film.study_type)
    ringed = film.level in RINGED and film.peak is not None
    return _group(part, origin, _ring(one) if ringed else [_image(SourceImageForMeasurementGroup, one)])


def _group(part: _Part, origin: Origin, where: ImageRegion | Sequence[SourceImageForMeasurementGroup]) -> Group:
    share, level = part.said.probability, str(part.said.level)
    scored = share is not None and level in told.ANSWERS
    site = told.site(part.study_type)
    answer = QualitativeEvaluation(told.ANSWER, told.ANSWERS[level]) if scored else QualitativeEvaluation(told.FINDING, told.NOT_DONE)
    tracking = UID(uid_of("tracking", part.what, origin.model, *part.films))
    facts: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(tracking, f"{MANUFACTURER} {part.what}"),
        "finding_type": told.finding(origin.card.finding) if scored else None,
        "algorithm_id": _algorithm(origin),
        "finding_sites": [FindingSite(site)] if site else None,
        "measurements": None if share is None else [_probability(share)],
        "qualitative_evaluations": [answer],
    }
    if isinstance(where, ImageRegion):
        made: Group = PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=where, **facts)
    else:
        made = MeasurementsAndQualitativeEvaluations(source_images=where, **facts)
    for word in filter(None, part.words):
        made[0].ContentSequence.append(TextContentItem(told.COMMENT, word, RelationshipTypeValues.CONTAINS))
    return made


def _probability(share: float) -> Measurement:
    unit = CodedConcept("%", "UCUM", "Percent")
    return Measurement(told.PROBABILITY, round(100 * share, 2), unit)


def _image(kind: type[Image], one: Scored) -> Image:
    ds = one.identity.ds
    return kind(referenced_sop_class_uid=str(ds.SOPClassUID), referenced_sop_instance_uid=str(ds.SOPInstanceUID))


def _ring(one: Scored) -> ImageRegion:
    """Return a circle round a film's strongest place, in the pixels of its file."""
    assert one.film.peak is not None
    source = one.identity.source
    x, y = stored_point(one.film.peak[0], one.film.peak[1], source)
    return ImageRegion(GraphicTypeValues.CIRCLE, np.array([[x, y], [x + radius_of(one), y]]), _image(SourceImageForRegion, one))


def radius_of(one: Scored) -> float:
    """Return the radius of the circle round a film's strongest place, pixels."""
    source = one.identity.source
    return max(1.0, RING * min(int(source.Rows), int(source.Columns)))
