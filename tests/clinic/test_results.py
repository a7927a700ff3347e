"""DICOM results: a report a study, a picture a film, in the patient's own study, the same bytes for the same answer."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from command_line import Typed
from made_dicom import DX
from made_results import CARD, ORIGIN, answer, film_file, made_picture, written
from osteon.clinic.results import write_results
from osteon.prediction import FilmPrediction, study_prediction

highdicom = pytest.importorskip("highdicom", reason="the extra [serve] is not installed")
CHECKER = shutil.which("dciodvfy")
needs_checker = pytest.mark.skipif(CHECKER is None, reason="dicom3tools is not installed: apt-get install dicom3tools")
pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom quotes the values that the tests break


def results(folder: Path, kind: str) -> list[Dataset]:
    return [dcmread(file) for file in sorted(folder.glob(f"{kind}-*.dcm"))]


def errors(folder: Path) -> list[str]:
    assert CHECKER is not None
    told = [subprocess.run([CHECKER, file], capture_output=True, text=True, check=False).stderr for file in folder.glob("*.dcm")]
    return [line for text in told for line in text.splitlines() if line.startswith("Error")]


def items(report: Dataset) -> list[tuple[str, str]]:
    """Return the concepts and values of a report's content, from top to bottom."""
    found = []
    for item in report.get("ContentSequence", []):
        name = item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""
        coded = item.ConceptCodeSequence[0].CodeValue if "ConceptCodeSequence" in item else ""
        number = str(item.MeasuredValueSequence[0].NumericValue) if "MeasuredValueSequence" in item else ""
        found += [(name, coded or number or str(item.get("TextValue", ""))), *items(item)]
    return found


@needs_checker
def test_a_study_gets_a_report_and_each_film_a_picture(tmp_path: Path) -> None:
    films = [answer(film_file(tmp_path / f"{i}.dcm", i), p) for i, p in ((1, 0.9), (2, 0.001))]
    made = written(tmp_path / "out", *films)
    assert (made.reports, made.captures, made.kept) == (1, 2, 0)
    [report], pictures = results(tmp_path / "out", "report"), results(tmp_path / "out", "picture")
    assert errors(tmp_path / "out") == []
    for one in (report, *pictures):
        assert (one.StudyInstanceUID, one.PatientID, one.StudyID, one.Manufacturer) == ("1.2.3", "4711", "S1", "osteon")
        assert "Research use only" in one.SeriesDescription
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    said = items(report)
    assert [value for name, value in said if name == "Answer that people see"] == [CARD.level(0.4505), "yes", "no"]
    assert [float(value) for name, value in said if name == "Probability"] == pytest.approx([45.05, 90, 0.1])
    assert ("Finding", "125605004") in said
    assert ("Algorithm Parameters", f"model SHA-256 {ORIGIN.model}") in said
    assert len([name for name, _ in said if name == "Image Region"]) == 1  # of the film that is "yes"
    assert {picture.BurnedInAnnotation for picture in pictures} == {"YES"}
    assert [p.SourceImageSequence[0].ReferencedSOPInstanceUID for p in pictures] in (["1.2.3.4.1", "1.2.3.4.2"], ["1.2.3.4.2", "1.2.3.4.1"])
    again = highdicom.sr.srread(next((tmp_path / "out").glob("report-*.dcm")))
    assert len(again.content.get_planar_roi_measurement_groups()) == 1


def test_the_strongest_place_stands_where_the_file_s_pixels_are(tmp_path: Path) -> None:
    written(tmp_path / "out", answer(film_file(tmp_path / "a.dcm", PixelSpacing=[0.4, 0.2])))
    [report] = results(tmp_path / "out", "report")
    group = highdicom.sr.srread(next((tmp_path / "out").glob("report-*.dcm"))).content.get_planar_roi_measurement_groups()[0]
    x, y = group.roi.value[0]
    assert (x, y) == pytest.approx((30.5, 20.5))  # a pixel is twice as high as wide: the film that osteon sees has twice the rows
    assert report.SpecificCharacterSet == "ISO_IR 192"


def test_the_same_answer_gives_the_same_bytes_and_is_written_once(tmp_path: Path) -> None:
    films = [answer(film_file(tmp_path / f"{i}.dcm", i)) for i in (1, 2)]
    for folder in ("one", "other"):
        written(tmp_path / folder, *films)
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "other").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in names)
    again = written(tmp_path / "one", *films[::-1])
    assert (again.reports, again.captures, again.kept) == (0, 0, 3)


def test_a_late_film_makes_a_new_report_that_names_the_one_before(tmp_path: Path) -> None:
    first, late = (answer(film_file(tmp_path / f"{i}.dcm", i)) for i in (1, 2))
    out = tmp_path / "out"
    written(out, first)
    [before] = results(out, "report")
    for reports in (1, 0):
        assert written(out, first, late).reports == reports
    [after] = [report for report in results(out, "report") if report.SOPInstanceUID != before.SOPInstanceUID]
    named = after.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.SeriesInstanceUID == before.SeriesInstanceUID
    assert "PredecessorDocumentsSequence" not in before


def test_another_model_or_another_answer_is_another_uid(tmp_path: Path) -> None:
    film = answer(film_file(tmp_path / "a.dcm"))
    written(tmp_path / "a", film)
    written(tmp_path / "b", replace(film, probability=0.91))
    write_results([study_prediction("s", [film], CARD)], {film.film: film.film}, replace(ORIGIN, site="north 0123"), tmp_path / "c")
    assert len({report.SOPInstanceUID for name in "abc" for report in results(tmp_path / name, "report")}) == 3


@needs_checker
def test_what_is_out_of_scope_or_refused_says_so(tmp_path: Path) -> None:
    silent = answer(film_file(tmp_path / "a.dcm"), None)
    refused = FilmPrediction(str(film_file(tmp_path / "b.dcm", 2)), error="its pixels are broken. Send the film again.", card=CARD)
    made = written(tmp_path / "out", silent, refused)
    [report] = results(tmp_path / "out", "report")
    assert (made.reports, made.captures) == (1, 0)
    assert [value for name, value in items(report) if name == "Finding"] == ["373121007"] * 3
    comments = [value for name, value in items(report) if name == "Comment"]
    assert any("unlike the films" in text for text in comments)
    assert any("pixels are broken" in text for text in comments)
    assert not [name for name, _ in items(report) if name == "Probability"]
    assert errors(tmp_path / "out") == []


JAPANESE = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}
SPOILED: dict[str, tuple[dict[str, object], str]] = {
    "no StudyID": ({"StudyID": None}, "StudyID (0020,0010) is missing; left empty"),
    "no Modality": ({"Modality": None}, "Modality (0008,0060) is missing; taken from the SOP class"),
    "no PatientSex": ({"PatientSex": None}, "PatientSex (0010,0040) is missing; left empty"),
    "strange PatientSex": ({"PatientSex": "U?"}, "PatientSex (0010,0040) is none of M, F, O; left empty"),
    "bad date": ({"StudyDate": "20269999"}, "StudyDate (0008,0020) is no date; left empty"),
    "bad time": ({"StudyTime": "99:99"}, "StudyTime (0008,0030) is no time; left empty"),
    "unknown character set": ({"SpecificCharacterSet": "ISO_IR 999"}, "SpecificCharacterSet (0008,0005) is a character set"),
    "Japanese": (JAPANESE, ""),
    "Russian": ({"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Люкceмбypг"}, ""),
    "long name": ({"PatientName": "A" * 64_000}, "PatientName (0010,0010) is too long or holds characters"),
    "control characters": ({"PatientID": "47\x1b11\x07"}, "PatientID (0010,0020) is too long or holds characters"),
    "odd length": ({"AccessionNumber": "123"}, ""),
    "no orientation": ({"PatientOrientation": "", "Laterality": "B"}, "Laterality (0020,0060) is neither R nor L; left empty"),
    "name of one component": ({"ReferringPhysicianName": "ward"}, ""),
}


@needs_checker
@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_sources_are_repaired_and_each_repair_is_told_by_its_tag(tmp_path: Path, name: str) -> None:
    attributes, remark = SPOILED[name]
    file = film_file(tmp_path / "a.dcm", **attributes)
    made = written(tmp_path / "out", answer(file))
    assert (made.reports, made.captures) == (1, 1)
    assert errors(tmp_path / "out") == []
    assert any(remark in told for told in made.remarks) or not remark
    assert not any(str(value) in told for told in made.remarks for value in attributes.values() if value and len(str(value)) > 3)


def test_names_keep_their_letters(tmp_path: Path) -> None:
    for folder, attributes in (("japanese", JAPANESE), ("russian", SPOILED["Russian"][0])):
        written(tmp_path / folder, answer(film_file(tmp_path / f"{folder}.dcm", **attributes)))
        [report] = results(tmp_path / folder, "report")
        assert str(report.PatientName) == attributes["PatientName"]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("value", [None, "../../etc/x", "1." * 40 + "1"])
def test_without_a_uid_there_is_no_result_and_the_tag_is_named(tmp_path: Path, keyword: str, value: str | None) -> None:
    made = written(tmp_path / "out", answer(film_file(tmp_path / "a.dcm", **{keyword: value})))
    assert (made.reports, made.captures) == (0, 0)
    assert any(keyword in told for told in made.remarks)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_writes_results_and_says_what_has_none(osteon: Typed) -> None:
    film_file(osteon.folder / "a.dcm", SOPClassUID=DX, Modality="DX", StudyID=None)
    made_picture(osteon.folder / "b.png")
    status, _, err = osteon("predict", "a.dcm", "b.png", "--dicom-out", "out", "--no-guard")
    assert status == 0
    assert "a.dcm: StudyID (0020,0010) is missing; left empty." in err
    assert "b.png: it is no DICOM file, so it has no DICOM result." in err
    assert "out: 1 reports and 1 pictures written" in err
    assert len(list((osteon.folder / "out").iterdir())) == 2
    assert "DOE" not in err
    assert osteon("predict", "a.dcm", "--dicom-out", "out", "--no-guard", "-o", "answers")[0] == 0
    assert len(list((osteon.folder / "out").iterdir())) == 2


def test_what_cannot_be_written_is_told_before_films_are_read(osteon: Typed) -> None:
    film_file(osteon.folder / "a.dcm")
    (osteon.folder / "file").touch()
    status, _, err = osteon("predict", "a.dcm", "--dicom-out", "file")
    assert status == 64 and "file: this is a file, and DICOM results go into a folder" in err


def test_two_patients_under_one_study_uid_get_reports_that_do_not_name_each_other(tmp_path: Path) -> None:
    one = answer(film_file(tmp_path / "a.dcm", 1), 0.9)
    other = answer(film_file(tmp_path / "b.dcm", 2, PatientID="0815", PatientName="ROE^JOHN"), 0.001)
    assert written(tmp_path / "out", one, other).reports == 2
    reports = results(tmp_path / "out", "report")
    assert {report.PatientID for report in reports} == {"4711", "0815"}
    assert not any("PredecessorDocumentsSequence" in report for report in reports)
    shares = {r.PatientID: [float(value) for name, value in items(r) if name == "Probability"] for r in reports}
    assert shares == {"4711": pytest.approx([90, 90]), "0815": pytest.approx([0.1, 0.1])}  # each pooled by itself


def test_one_film_under_two_names_counts_once(tmp_path: Path) -> None:
    made = written(tmp_path / "out", answer(film_file(tmp_path / "a.dcm")), answer(film_file(tmp_path / "b.dcm"), 0.2))
    assert (made.reports, made.captures) == (1, 1)
    assert any("b.dcm: another film of this study has its SOPInstanceUID" in told for told in made.remarks)
