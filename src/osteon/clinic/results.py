"""Answers -> a folder of DICOM results: a report a study, a picture a film, each with a name that tells nothing of a patient.

The same films, model and site file give the same bytes, whenever and wherever. What is there already stays; a report of a study that has
got another film, or another model, names the reports that it replaces.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from osteon.atomic import whole
from osteon.clinic.capture import capture
from osteon.clinic.identity import identity
from osteon.clinic.report import MANUFACTURER, Origin, Scored, encoded, study_report
from osteon.content import content_of
from osteon.dicom import is_dicom
from osteon.errors import FilmError, UsageError
from osteon.prediction import study_prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydicom.dataset import Dataset

    from osteon.prediction import Prediction

Place: TypeAlias = tuple[str, str, str]
"""StudyInstanceUID, PatientID and PatientName: senders reuse UIDs, and a report may not name another patient's as its predecessor."""


@dataclass(slots=True)
class Written:
    """What was written into a folder, and what a person should know of it.

    Attributes:
        reports: How many reports are new.
        captures: How many pictures are new.
        kept: How many results were there already, the same to the byte.
        remarks: What was repaired, and what has no result and why; a line each, without a patient's data.
    """

    reports: int = 0
    captures: int = 0
    kept: int = 0
    remarks: list[str] = field(default_factory=list)


def write_results(studies: Iterable[Prediction], files: Mapping[str, str], origin: Origin, folder: Path) -> Written:
    """Write the DICOM results of studies into a folder.

    Args:
        studies: With the overlays of their films (`overlay_file`), as `osteon.batch.answers` draws them.
        files: The file of each film, by the film's name.
        origin: What answered.
        folder: It is made; reports that are there already are those that new ones may replace.

    Raises:
        UsageError: a file cannot be written.
    """
    written = Written()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = _reports(folder)
        for study in studies:
            for films in _by_study(study, files, written.remarks):
                _write_study(study, films, origin, folder, before, written)
    except OSError as fault:
        raise UsageError(f"{folder}: results cannot be written there ({fault.strerror}). Make room, or name another folder.") from fault
    return written


def _by_study(study: Prediction, files: Mapping[str, str], remarks: list[str]) -> list[list[Scored]]:
    """Return the films of a study that are DICOM, apart by StudyInstanceUID and patient: a report stands in one study of the PACS."""
    found: defaultdict[Place, dict[str, Scored]] = defaultdict(dict)
    for film in study.films:
        try:
            content = content_of(files[film.film], film.film)
            if not is_dicom(content):
                remarks.append(f"{film.film}: it is no DICOM file, so it has no DICOM result.")
                continue
            whose = identity(content, film.film)
        except FilmError as refusal:
            remarks.append(str(refusal))
            continue
        remarks.extend(f"{film.film}: {repair}." for repair in whose.repairs)
        films, uid = found[_place(whose.ds)], str(whose.ds.SOPInstanceUID)
        if uid in films:
            remarks.append(f"{film.film}: another film of this study has its SOPInstanceUID (0008,0018), so it has no DICOM result.")
        films.setdefault(uid, Scored(film, whose))
    return [list(films.values()) for films in found.values()]


def _place(ds: Dataset) -> Place:
    return str(ds.StudyInstanceUID), str(ds.get("PatientID", "")), str(ds.get("PatientName", ""))


def _write_study(
    study: Prediction, films: list[Scored], origin: Origin, folder: Path, before: dict[Place, list[Dataset]], written: Written
) -> None:
    earlier = before[_place(films[0].identity.ds)]
    study = study_prediction(study.study, [one.film for one in films], origin.card)  # what else was pooled is of another study, or no DICOM
    report = _new_report(study, films, origin, earlier)
    if report is None:
        written.kept += 1
    else:
        _write(report, folder, "report")
        earlier.append(report)
        written.reports += 1
    for number, one in enumerate(sorted(films, key=lambda each: str(each.identity.ds.SOPInstanceUID)), 1):
        if one.film.overlay_file:
            new = _write(capture(one, Path(one.film.overlay_file), origin, number), folder, "picture")
            written.captures += new
            written.kept += not new


def _new_report(study: Prediction, films: Sequence[Scored], origin: Origin, earlier: Sequence[Dataset]) -> Dataset | None:
    """Return the report of a study, None where it is there: the UID of one that replaces others depends on which these are."""
    known = {str(report.SOPInstanceUID): report for report in earlier}
    for report in earlier:
        replaced = [known[uid] for uid in _replaced(report) if uid in known]
        if study_report(study, films, origin, replaced).SOPInstanceUID == report.SOPInstanceUID:
            return None
    old = {uid for report in earlier for uid in _replaced(report)}
    return study_report(study, films, origin, [report for uid, report in known.items() if uid not in old])


def _replaced(report: Dataset) -> list[str]:
    return [
        str(one.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]


def _reports(folder: Path) -> dict[Place, list[Dataset]]:
    """Return the reports of a folder by study and patient, in the order of their names."""
    found: defaultdict[Place, list[Dataset]] = defaultdict(list)
    for file in sorted(folder.glob("report-*.dcm")):
        try:
            report = dcmread(file)
            if report.get("Manufacturer") == MANUFACTURER and report.get("Modality") == "SR":
                found[_place(report)].append(report)
        except (InvalidDicomError, AttributeError, OSError, EOFError):
            continue  # another program's, or a part of one: what it says cannot be replaced
    return found


def _write(made: Dataset, folder: Path, kind: str) -> bool:
    """Write a result under a name made of its UID; False where it is there."""
    file = folder / f"{kind}-{int(str(made.SOPInstanceUID).rpartition('.')[2]):032x}.dcm"
    if file.exists():
        return False
    with whole(file) as part:
        part.write_bytes(encoded(made))
    return True
