"""Data as people have it: folders a class, boxes beside films, GRAZPEDWRI-DX, tables with names of their own, tables of studies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from command_line import Typed
from made_dicom import content, radiograph
from made_trees import film
from osteon.errors import BadManifest, DatasetError, UsageError
from osteon.lab.data.build import build_index
from osteon.lab.data.layouts import Named, read_dataset


def films(top: Path, *paths: str, size: tuple[int, int] = (40, 48)) -> Path:
    for i, path in enumerate(paths):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(film(i, *size)).save(top / path)
    return top


def labels(given: Path | Named) -> dict[str, int | None]:
    return dict(read_dataset(given).films.select("path", "label").iter_rows())


def problems(given: Path | Named) -> dict[str, str]:
    return {problem.kind: problem.reason for problem in read_dataset(given).problems}


# ---- a folder a class


@pytest.mark.parametrize(
    ("abnormal", "normal"),
    [("fractured", "normal"), ("Fractured", "Non-fractured"), ("POSITIVE", "negative"), ("abnormal", "not fractured"), ("1", "0")],
)
def test_folders_that_say_a_label(tmp_path: Path, abnormal: str, normal: str) -> None:
    top = films(tmp_path, f"{abnormal}/a.png", f"{normal}/b.png", f"{normal}/deeper/c.png")
    assert labels(top) == {f"{abnormal}/a.png": 1, f"{normal}/b.png": 0, f"{normal}/deeper/c.png": 0}
    assert "no patient is named" in problems(top)["no-patient"]
    assert f"{abnormal}: 1 abnormal" in problems(top)["classes"]


def test_splits_stand_above_the_classes(tmp_path: Path) -> None:
    top = films(tmp_path, "train/fractured/a.png", "Val/normal/b.png", "test/normal/c.png")
    found = read_dataset(top).films
    assert dict(found.select("path", "split").iter_rows()) == {
        "Val/normal/b.png": "valid", "test/normal/c.png": "test", "train/fractured/a.png": "train"
    }  # fmt: skip


def test_other_names_need_a_word(tmp_path: Path) -> None:
    top = films(tmp_path, "broken/a.png", "intact/b.png", "intact/c.png")
    with pytest.raises(DatasetError, match="--abnormal"):
        read_dataset(top)
    assert labels(Named(top, abnormal="Broken")) == {"broken/a.png": 1, "intact/b.png": 0, "intact/c.png": 0}
    with pytest.raises(DatasetError, match=r"no film stands in a folder 'bruch'; there are: broken, intact"):
        read_dataset(Named(top, abnormal="bruch"))


@pytest.mark.parametrize("stray", ["unsure/c.png", "c.png"])
def test_a_stray_folder_or_film_is_refused_by_name(tmp_path: Path, stray: str) -> None:
    top = films(tmp_path, "fractured/a.png", "normal/b.png", stray)
    with pytest.raises(DatasetError, match=r"say no label: (unsure|the folder itself) \(1\)"):
        read_dataset(top)


@pytest.mark.parametrize("below", ["", "normal"])
def test_normal_films_alone_will_do(tmp_path: Path, below: str) -> None:
    films(tmp_path, "normal/a.png", "normal/deep/b.png" if below == "" else "normal/b.png")
    assert set(labels(tmp_path / below).values()) == {0}
    with pytest.raises(DatasetError, match="in no layout that is known"):
        read_dataset(films(tmp_path / "other", "a.png"))


def test_a_third_folder_is_not_normal_because_another_is_abnormal(tmp_path: Path) -> None:
    top = films(tmp_path, "broken/a.png", "intact/b.png", "unsure/c.png")
    with pytest.raises(DatasetError, match=r"broken is abnormal, but intact, unsure need not be normal"):
        read_dataset(Named(top, abnormal="broken"))


def test_folders_give_labels_and_files_beside_them_boxes(tmp_path: Path) -> None:
    top = films(tmp_path, "fractured/a.png", "fractured/b.png", "normal/c.png", "normal/d.png")
    (top / "fractured/a.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    (top / "fractured/b.txt").write_text("")
    (top / "normal/d.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    found, report = build_index(top)
    assert found["label"].to_list() == [1, 1, 0, 0]
    assert found["boxes"].to_list() == [[pytest.approx([10, 18, 20, 12])], [], None, [pytest.approx([10, 18, 20, 12])]]
    conflicts = [problem.names[0] for problem in report.findings if problem.kind == "label-conflict"]
    assert conflicts == ["fractured/b.png", "normal/d.png"]


def test_what_is_said_in_vain_is_refused(tmp_path: Path) -> None:
    top = films(tmp_path / "classes", "fractured/a.png", "normal/b.png")
    with pytest.raises(UsageError, match="columns are said of a table"):
        read_dataset(Named(top, label="diagnosis"))
    with pytest.raises(UsageError, match="GRAZPEDWRI-DX says itself what is abnormal"):
        read_dataset(Named(grazpedwri(tmp_path / "graz"), abnormal="metal"))


# ---- tables


def test_columns_and_values_by_their_own_names(tmp_path: Path) -> None:
    films(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "t.csv").write_text("File;Diagnosis;label\na.png;Fractured;x\nb.png;healthy;y\nc.png;;z\n")
    named = Named(tmp_path / "t.csv", "file", "diagnosis", "fractured")
    assert labels(named) == {"a.png": 1, "b.png": 0, "c.png": None}
    assert (
        problems(named)["classes"]
        == "labels come from the column diagnosis (Fractured: 1 abnormal, healthy: 1 normal, nothing: 1 without a label)"
    )
    with pytest.raises(BadManifest, match=r"no diagnosis is 'broken'; there are: Fractured, healthy"):
        read_dataset(Named(tmp_path / "t.csv", "file", "diagnosis", "broken"))
    with pytest.raises(BadManifest, match=r"there is no column film; its columns are File, Diagnosis, label"):
        read_dataset(Named(tmp_path / "t.csv", "film"))


# ---- boxes beside films


def voc(name: str, box: tuple[int, int, int, int], size: tuple[int, int] = (40, 48)) -> str:
    edges = "".join(f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation>{shape}<object><name>{name}</name><bndbox>{edges}</bndbox></object></annotation>"


def made(top: Path, kind: str) -> Path:
    """Return four films: a fracture, metal, nothing, and one that nobody looked at."""
    films(top, *(f"images/{name}.png" for name in "abcd"))
    if kind == "yolo":
        (top / "labels").mkdir()
        (top / "labels/a.txt").write_text("3 0.5 0.5 0.5 0.25\n")
        (top / "labels/b.txt").write_text("4 0.25 0.25 0.5 0.5\n")
        (top / "labels/c.txt").write_text("")
    elif kind == "voc":
        (top / "Annotations").mkdir()
        (top / "Annotations/a.xml").write_text(voc("3", (10, 18, 30, 30)))
        (top / "Annotations/b.xml").write_text(voc("4", (0, 0, 20, 24)))
        (top / "Annotations/c.xml").write_text("<annotation><size><width>40</width><height>48</height></size></annotation>")
    else:
        images = [{"id": i, "file_name": f"{name}.png", "width": 80, "height": 96} for i, name in enumerate("abc")]
        notes = [{"image_id": 0, "category_id": 3, "bbox": [20, 36, 40, 24]}, {"image_id": 1, "category_id": 4, "bbox": [0, 0, 40, 48]}]
        (top / "boxes.json").write_text(json.dumps({"images": images, "annotations": notes}))
    return top


@pytest.mark.parametrize("kind", ["yolo", "voc", "coco"])
def test_boxes_beside_films(tmp_path: Path, kind: str) -> None:
    top = made(tmp_path, kind)
    found, report = build_index(top)
    assert dict(found.select("path", "label").iter_rows()) == {"images/a.png": 1, "images/b.png": 1, "images/c.png": 0}
    boxes = dict(found.select("path", "boxes").iter_rows())
    assert boxes["images/a.png"] == [pytest.approx([10, 18, 20, 12])]  # pixels of the film, whatever they were drawn on
    assert boxes["images/c.png"] == []
    assert ("unplaced", ("images/d.png",)) in [(problem.kind, problem.names) for problem in report.findings]
    one = read_dataset(Named(top, abnormal="3")).films
    assert one["label"].to_list() == [1, 0, 0]
    with pytest.raises(DatasetError, match=r"no box is of the class 'fracture'; there are: 3 \(1\), 4 \(1\)"):
        read_dataset(Named(top, abnormal="fracture"))


def coco(path: Path, *names: str, box: list[int] | None = None) -> None:
    images = [{"id": i, "file_name": name, "width": 40, "height": 48} for i, name in enumerate(names)]
    notes = [{"image_id": 0, "category_id": 1, "bbox": box}] if box else []
    path.write_text(json.dumps({"images": images, "annotations": notes}))


def test_films_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    top = films(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    coco(top / "boxes.json", "a/1.png", "2.png", box=[1, 1, 9, 9])
    assert labels(top) == {"a/1.png": 1, "b/2.png": 0}  # nothing is said of b/1.png
    (top / "boxes.json").unlink()
    coco(top / "a/boxes.json", "1.png", box=[1, 1, 9, 9])
    coco(top / "b/boxes.json", "1.png", "2.png")
    assert labels(top) == {"a/1.png": 1, "b/1.png": 0, "b/2.png": 0}
    coco(top / "b/again.json", "1.png", box=[1, 1, 9, 9])
    with pytest.raises(BadManifest, match="has boxes already"):
        read_dataset(top)


@pytest.mark.parametrize("line", ["3 0.9 0.5 0.5 0.2", "3 0.5 0.5 nan 0.2", "3 0.5 0.5 -0.1 0.2", "3 0.5 0.5", "fracture 0.5 0.5 0.1 0.1"])
def test_broken_boxes_are_refused_with_file_and_line(tmp_path: Path, line: str) -> None:
    made(tmp_path, "yolo")
    (tmp_path / "labels/b.txt").write_text(f"4 0.25 0.25 0.5 0.5\n{line}\n")
    with pytest.raises(BadManifest, match=r"labels/b\.txt, line 2"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("box", [(0, 0, 90, 24), (10, 10, 5, 20), (-9, 0, 10, 10)])
def test_boxes_outside_their_picture_are_refused(tmp_path: Path, box: tuple[int, int, int, int]) -> None:
    made(tmp_path, "voc")
    (tmp_path / "Annotations/a.xml").write_text(voc("fracture", box))
    with pytest.raises(BadManifest, match=r"a\.xml: a box of fracture lies outside the picture of 40 x 48"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_xml_that_could_grow_is_refused(tmp_path: Path, encoding: str) -> None:
    made(tmp_path, "voc")
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
    (tmp_path / "Annotations/a.xml").write_bytes((bomb + voc("&c;", (0, 0, 9, 9))).encode(encoding))
    with pytest.raises(BadManifest, match="document type"):
        read_dataset(tmp_path)


# ---- GRAZPEDWRI-DX

HEADER = "filestem,patient_id,study_number,timehash,gender,age,laterality,projection,cast,fracture_visible,metal"


def grazpedwri(top: Path) -> Path:
    films(top, "images_part1/0001_1_01_WRI-L1_M014.png", "images_part2/0001_2_02_WRI-L2_M014.png", "images_part2/0002_3_01_WRI-R1_F010.png")
    rows = [
        "0001_1_01_WRI-L1_M014,1,1,1,M,14.1,L,1,,1,",
        "0001_2_02_WRI-L2_M014,1,2,2,M,14.1,L,2,1,,",
        "0009_9_01_WRI-R1_F010,9,1,3,F,9,R,1,,1,",
    ]
    rows.append("0002_3_01_WRI-R1_F010,2,1,4,F,10,R,3,,1,1")
    (top / "dataset.csv").write_text("\ufeff" + "\n".join([HEADER, *rows]) + "\n")
    (top / "labels").mkdir()
    (top / "labels/0001_1_01_WRI-L1_M014.txt").write_text("3 0.5 0.5 0.5 0.25\n8 0.1 0.1 0.1 0.1\n")
    return top


def test_grazpedwri_as_published(tmp_path: Path) -> None:
    found, report = build_index(grazpedwri(tmp_path))
    assert found["label"].to_list() == [1, 0, 1]
    assert found["patient"].to_list() == ["patient1", "patient1", "patient2"]
    assert found["study"].to_list() == ["patient1/study1", "patient1/study2", "patient2/study1"]
    assert found["view"].to_list() == ["AP", "LATERAL", "OBLIQUE"]
    assert found["boxes"].to_list() == [[pytest.approx([10, 18, 20, 12])], None, None]
    assert found["metal"].to_list() == [0, 0, 1]
    assert report.layout == "GRAZPEDWRI-DX"
    kinds = [problem.kind for problem in report.findings]
    assert "missing" in kinds and "no-boxes" in kinds
    assert not {"age", "gender", "timehash"} & set(found.columns)


def test_a_word_in_the_place_of_a_flag_is_refused_and_a_contradiction_said(tmp_path: Path) -> None:
    top = grazpedwri(tmp_path)
    (top / "labels/0001_2_02_WRI-L2_M014.txt").write_text("3 0.5 0.5 0.5 0.25\n")
    assert "a box of one is on it" in problems(top)["label-conflict"]
    table = (top / "dataset.csv").read_text("utf-8")
    (top / "dataset.csv").write_text(table.replace("L,1,,1,", "L,1,,maybe,"))
    with pytest.raises(BadManifest, match="'maybe' for fracture_visible"):
        read_dataset(top)


def test_the_twelve_real_films(shared_data: Path) -> None:
    found, report = build_index(shared_data / "grazpedwri")
    assert (found.height, found["status"].unique().to_list(), found["study_type"].unique().to_list()) == (12, ["ok"], ["WRIST"])
    assert report.layout == "GRAZPEDWRI-DX"
    assert 0 < found["label"].sum() < 12


# ---- a table of studies


def test_a_dicom_folder_with_a_table_of_studies(tmp_path: Path, osteon: Typed) -> None:
    for i, (uid, patient) in enumerate([("1.2.3", "A"), ("1.2.3", "A"), ("1.2.4", "B"), ("1.2.5", "C")]):
        pixels = film(i, 64, 64).astype("<u2") * 10
        made = radiograph(pixels, StudyInstanceUID=uid, PatientID=patient, SOPInstanceUID=f"1.2.9.{i}", SeriesInstanceUID="1.2.8")
        (tmp_path / f"{i}.dcm").write_bytes(content(made))
    (tmp_path / "labels.csv").write_text("studyinstanceuid,label,age\n1.2.3,1,40\n1.2.4,0,50\n1.2.6,0,60\n")
    assert osteon("index", str(tmp_path / "labels.csv"), "-o", "i.parquet")[0] == 0
    found = pl.read_parquet(osteon.folder / "i.parquet")
    assert dict(found.select("path", "label").iter_rows()) == {"0.dcm": 1, "1.dcm": 1, "2.dcm": 0}
    assert found["study"].n_unique() == 2
    assert not any("1.2.3" in str(value) for row in found.iter_rows() for value in row)
    report = json.loads((osteon.folder / "i.report.json").read_text())
    told = {problem["kind"]: problem["reason"] for problem in report["findings"]}
    assert told["missing"] == "1 of its 3 studies have no film below its folder"
    assert "not name" in told["unlisted"]
    (tmp_path / "labels.csv").write_text("StudyInstanceUID,label\n1.2.3,1\n,0\n")
    with pytest.raises(BadManifest, match="line 3: it names no study"):
        read_dataset(tmp_path / "labels.csv")
    (tmp_path / "files.csv").write_text("File,StudyInstanceUID,label\n0.dcm,1.2.3,1\n")
    assert labels(Named(tmp_path / "files.csv", "File")) == {"0.dcm": 1}
    (tmp_path / "labels.csv").write_text("StudyInstanceUID,label\n1.2.7,1\n")
    with pytest.raises(BadManifest, match="none of the 4 films"):
        read_dataset(tmp_path / "labels.csv")


def test_the_command_says_where_labels_come_from(osteon: Typed) -> None:
    films(osteon.folder / "films", "fractured/a.png", "normal/b.png", size=(64, 64))
    status, out, _ = osteon("index", "films", "-o", "i.parquet")
    assert status == 0
    assert "sources that name no patient" in out
    assert np.array_equal(pl.read_parquet(osteon.folder / "i.parquet")["label"].to_numpy(), [1, 0])
