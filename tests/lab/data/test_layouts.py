"""Folders and manifests become rows; what does not fit is refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import made_trees
from osteon.errors import BadManifest, CountMismatch, DatasetError, EmptyDataset
from osteon.lab.data.layouts import read_dataset, walk
from osteon.lab.data.layouts.mura import PUBLISHED, check_counts


def row(films: pl.DataFrame, path: str) -> dict[str, object]:
    return films.row(by_predicate=pl.col("path") == path, named=True)


def reasons(problems: list[object], kind: str) -> list[tuple[tuple[str, ...], str]]:
    return [(f.names, f.reason) for f in problems if f.kind == kind]  # type: ignore[attr-defined]


# walk


def test_walk_accounts_for_every_file(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.dcm", "a.jpeg", "a.txt", ".DS_Store", "b/._1.dcm", ".git/config", "b/noname", "x.tif"):
        made_trees.write(tmp_path / name, b"")
    files = walk(tmp_path)
    assert files.films == ["a.jpeg", "b/1.dcm", "b/2.PNG", "x.tif"]
    assert files.hidden == [".DS_Store", ".git", "b/._1.dcm"]
    assert files.others == ["a.txt", "b/noname"]


def write_bytes_named(folder: Path, *names: bytes) -> None:
    for name in names:
        file = os.fsencode(folder) + b"/" + name
        os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120 - a path of bytes
        with open(file, "wb"):  # noqa: PTH123
            pass


def test_walk_tells_films_whose_names_are_no_unicode_from_other_files(tmp_path: Path) -> None:
    write_bytes_named(tmp_path, b"\xff.png", b"\xfe/a.png", b"\xfe/b.txt", b".\xff")
    files = walk(tmp_path)
    assert (files.films, files.unnamed) == ([], ["\\udcfe/a.png", "\\udcff.png"])
    assert (files.hidden, files.others) == ([".\\udcff"], ["\\udcfe/b.txt"])
    with pytest.raises(EmptyDataset, match="2 films whose names are no Unicode"):
        read_dataset(tmp_path)


def test_a_film_whose_name_is_no_unicode_is_a_problem_by_its_name(mura: Path) -> None:
    write_bytes_named(mura / "train/XR_HAND/patient00001/study1_positive", b"r\xf6ntgen.png")
    dataset = read_dataset(mura)
    [(names, reason)] = reasons(dataset.problems, "unnamed")
    assert names == ("train/XR_HAND/patient00001/study1_positive/r\\udcf6ntgen.png",) and reason.startswith("1 films have names")
    assert dataset.films.height == 7 and dataset.strays == ["train/XR_HAND/notes.txt"]


@pytest.mark.parametrize("name", ["study1-positive", "Study1Negative", "study1 abnormal", "study1-pos"])
def test_a_study_s_folder_with_a_label_in_another_form_is_refused_by_name(mura: Path, name: str) -> None:
    made_trees.write(mura / "train" / "XR_HAND" / "patient00009" / name / "image1.png", b"")
    with pytest.raises(DatasetError, match=f"patient00009/{name}: the label of this study"):
        read_dataset(mura)


def test_walk_enters_linked_folders_and_no_circle(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "elsewhere" / "1.png", b"")
    made_trees.write(tmp_path / "top" / "sub" / "2.png", b"")
    (tmp_path / "top" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "sub" / "round").symlink_to(tmp_path / "top")
    (tmp_path / "top" / "itself").symlink_to(tmp_path / "top" / "itself")
    assert walk(tmp_path / "top").films == ["linked/1.png", "sub/2.png"]


# MURA


@pytest.fixture
def mura(tmp_path: Path) -> Path:
    return made_trees.small_mura(tmp_path / "copy")


def test_mura_rows(mura: Path) -> None:
    dataset = read_dataset(mura)
    assert dataset.layout == "MURA" and dataset.root == mura
    assert dataset.films.height == 7 and dataset.films["path"].is_sorted()
    found = row(dataset.films, "train/XR_HAND/patient00001/study1_positive/image2.png")
    assert {k: found[k] for k in ("split", "study_type", "view", "patient", "study", "label", "group")} == {
        "split": "train", "study_type": "HAND", "view": "", "patient": "patient00001",
        "study": "train/XR_HAND/patient00001/study1", "label": 1, "group": "patient00001",
    }  # fmt: skip
    assert dataset.films["study"].n_unique() == 5
    assert dataset.problems == []
    assert len(dataset.hidden) == 6 and dataset.strays == ["train/XR_HAND/notes.txt"]


@pytest.mark.parametrize("below", ["", "..", "train", "valid", "valid/XR_WRIST", "train/XR_HAND/patient00001"])
def test_mura_rows_are_the_same_from_any_folder(mura: Path, below: str) -> None:
    whole, part = read_dataset(mura), read_dataset(mura / below)
    wanted = "" if below == ".." else below
    assert part.root == mura
    assert_frame_equal(part.films, whole.films.filter(pl.col("path").str.starts_with(wanted)))


def test_mura_rows_do_not_hang_on_the_order_of_the_folder(mura: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_dataset(mura).films
    real = os.scandir

    class Backwards:
        def __init__(self, path: str) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda e: e.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Backwards)
    assert_frame_equal(read_dataset(mura).films, before)


def test_mura_test_layout_has_no_labels(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "t" / "test" / "XR_ELBOW" / "patient11968" / "study1" / "image1.png", b"")
    films = read_dataset(tmp_path / "t").films
    assert films.select("split", "study", "label").row(0) == ("test", "test/XR_ELBOW/patient11968/study1", None)


def test_mura_table_gives_a_label_where_the_folder_gives_none(tmp_path: Path) -> None:
    root = tmp_path / "t"
    made_trees.write(root / "test" / "XR_ELBOW" / "patient11968" / "study1" / "image1.png", b"")
    made_trees.write(root / "test_labeled_studies.csv", b"MURA-v1.1/test/XR_ELBOW/patient11968/study1/,1\n")
    assert read_dataset(root).films["label"].to_list() == [1]


def test_mura_tables_are_compared_with_the_tree(mura: Path) -> None:
    (mura / "train_labeled_studies.csv").write_text(
        "copy/train/XR_HAND/patient00001/study1_positive/,0\ncopy/train/XR_HAND/patient99999/study1_negative/,0\n"
    )
    (mura / "valid_image_paths.csv").write_text("copy/valid/XR_HAND/patient11185/study1_positive/image9.png\n")
    found = read_dataset(mura).problems
    [(names, reason)] = reasons(found, "label-conflict")
    assert names == ("train/XR_HAND/patient00001/study1",) and "the folder counts" in reason
    assert [names for names, _ in reasons(found, "missing")] == [
        ("train/XR_HAND/patient99999/study1",),
        ("valid/XR_HAND/patient11185/study1_positive/image9.png",),
    ]


def test_boxes_beside_a_mura_tree(mura: Path) -> None:
    film = "train/XR_HAND/patient00001/study1_positive/image2.png"
    (mura / "boxes.csv").write_text(
        f"path,kind,x,y,width,height\n{film},fracture,1,2,3.5,4\n{film},hardware,5,6,7,8\ngone.png,fracture,1,1,1,1\n"
    )
    dataset = read_dataset(mura)
    found = row(dataset.films, film)
    assert found["boxes"] == [[1, 2, 3.5, 4], [5, 6, 7, 8]] and found["finding"] == "fracture"
    others = dataset.films.filter(pl.col("path") != film)
    assert set(others["finding"]) == {"none"} and others["boxes"].list.len().max() == 0
    assert reasons(dataset.problems, "missing")[0][0] == ("gone.png",) and dataset.strays == ["train/XR_HAND/notes.txt"]


@pytest.mark.parametrize("text", ["", "path,kind,x,y,width\n", "path,kind,x,y,width,height\na,fracture,one,2,3,4\n"])
def test_broken_boxes_beside_a_mura_tree(mura: Path, text: str) -> None:
    (mura / "boxes.csv").write_text(text)
    with pytest.raises(BadManifest, match=r"boxes\.csv"):
        read_dataset(mura)


def test_mura_study_with_both_labels_is_a_finding(mura: Path) -> None:
    made_trees.write(mura / "train" / "XR_HAND" / "patient00001" / "study1_negative" / "image1.png", b"")
    assert reasons(read_dataset(mura).problems, "label-conflict")[0][0] == ("train/XR_HAND/patient00001/study1",)


@pytest.mark.parametrize("text", ["no comma\n", "copy/train/XR_HAND/patient00001/study1_positive/,2\n", "elsewhere,1\n", ""])
def test_mura_broken_table(mura: Path, text: str) -> None:
    (mura / "train_labeled_studies.csv").write_text(text)
    with pytest.raises(BadManifest, match=r"train_labeled_studies\.csv"):
        read_dataset(mura)


def test_two_mura_trees(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made_trees.small_mura(tmp_path / name)
    with pytest.raises(DatasetError, match="2 MURA trees"):
        read_dataset(tmp_path)


def test_films_outside_a_study_are_a_problem_and_no_other_files(mura: Path) -> None:
    made_trees.write(mura / "cover.png", b"")
    made_trees.write(mura / "train" / "XR_HAND" / "patient00001" / "study1_abnormal" / "image", b"\x89PNG\r\n\x1a\n")
    dataset = read_dataset(mura)
    [(names, reason)] = reasons(dataset.problems, "unplaced")
    assert names == ("cover.png", "train/XR_HAND/patient00001/study1_abnormal/image") and dataset.strays == ["train/XR_HAND/notes.txt"]
    assert reason.startswith("2 films stand in folders that MURA does not have (., train/XR_HAND/patient00001/study1_abnormal)")


def test_other_spellings_of_mura_are_read(tmp_path: Path) -> None:
    for name in (
        "Train/XR_HAND/patient1/study1_positive",
        "Train/XR_HAND/patient1/study1_positive (1)",
        "validation/xr_WRIST/patient2/Study1_Negative",
    ):
        made_trees.write(tmp_path / "t" / name / "image1.png", b"")
    films = read_dataset(tmp_path / "t").films
    assert films.select("split", "study_type", "study", "label").rows() == [
        ("train", "HAND", "train/XR_HAND/patient1/study1", 1),
        ("train", "HAND", "train/XR_HAND/patient1/study1", 1),
        ("valid", "WRIST", "valid/XR_WRIST/patient2/study1", 0),
    ]


def test_a_mura_tree_of_which_one_label_is_understood_is_refused(tmp_path: Path) -> None:
    for name in ("study1_positive", "study2_healthy"):
        made_trees.write(tmp_path / "t" / "train" / "XR_HAND" / "patient1" / name / "image1.png", b"")
    with pytest.raises(
        DatasetError, match=r"1 films stand in folders that MURA does not have \(.*study2_healthy\), and all 1 others are abnormal"
    ):
        read_dataset(tmp_path / "t")


def test_contradicting_rows_of_mura_s_table_are_found(mura: Path) -> None:
    row = "copy/train/XR_HAND/patient00001/study1_positive/"
    (mura / "train_labeled_studies.csv").write_text(f"{row},1\n{row},0\n")
    [(names, reason)] = reasons(read_dataset(mura).problems, "label-conflict")
    assert names == ("train/XR_HAND/patient00001/study1",) and reason.startswith("rows of train_labeled_studies.csv give it both labels")


def test_only_a_tree_named_mura_claims_its_counts(mura: Path) -> None:
    check_counts(read_dataset(mura), mura)
    claims = mura.rename(mura.parent / "MURA-v1.1")
    with pytest.raises(CountMismatch, match=r"train: patients 2 instead of 11,184.*more.*--no-count-check"):
        check_counts(read_dataset(claims), claims)
    with pytest.raises(CountMismatch, match="valid WRIST: normal studies 1 instead of 140") as caught:
        check_counts(read_dataset(claims / "valid/XR_WRIST"), claims / "valid/XR_WRIST")
    assert "HAND" not in str(caught.value) and "train" not in str(caught.value)
    check_counts(read_dataset(claims / "valid/XR_WRIST/patient11185"), claims / "valid/XR_WRIST/patient11185")


def test_published_counts_agree_with_their_sums() -> None:
    sums = {split: [sum(column) for column in zip(*types.values(), strict=True)] for split, types in PUBLISHED.items()}
    assert sums == {"train": [8280, 5177, 21935, 14873], "valid": [661, 538, 1667, 1530]}
    for study_type, studies in made_trees.MURA_STUDIES.items():
        films = made_trees.MURA_FILMS[study_type]
        assert PUBLISHED["train"][study_type] == (*studies[:2], films[1], films[0])
        assert PUBLISHED["valid"][study_type] == (*studies[2:], films[3], films[2])


# FracAtlas


@pytest.fixture
def fracatlas(tmp_path: Path) -> Path:
    return made_trees.small_fracatlas(tmp_path / "FracAtlas")


def test_fracatlas_rows(fracatlas: Path) -> None:
    dataset = read_dataset(fracatlas)
    assert dataset.layout == "FracAtlas"
    films = dataset.films
    zero = row(films, "images/Fractured/IMG0000000.png")
    assert (zero["study_type"], zero["view"], zero["patient"], zero["split"]) == ("HAND", "FRONTAL", "", "")
    assert (zero["label"], zero["hardware"], zero["fracture_count"], zero["group"]) == (1, 1, 1, "block0")
    assert zero["boxes"] == [[4, 5, 6, 7], [10, 20, 3.5, 8]]
    assert row(films, "images/Non_fractured/IMG0000001.png")["view"] == "FRONTAL+LATERAL"
    two = row(films, "images/Non_fractured/IMG0000002.png")
    assert (two["study_type"], two["boxes"]) == ("MIXED", [])
    assert row(films, "images/Non_fractured/IMG0000040.png")["group"] == "block4"
    assert films["study"].n_unique() == films.height == 6


def test_fracatlas_folder_wins_over_the_table(fracatlas: Path) -> None:
    dataset = read_dataset(fracatlas)
    assert row(dataset.films, "images/Fractured/IMG0000003.png")["label"] == 1
    [(names, reason)] = reasons(dataset.problems, "label-conflict")
    assert names == ("images/Fractured/IMG0000003.png",)
    assert reason == "its folder says fractured, dataset.csv not fractured with fracture_count 1; the folder counts"


def test_fracatlas_says_what_is_missing_and_unlisted(fracatlas: Path) -> None:
    made_trees.write(fracatlas / "images" / "Fractured" / "IMG0000500.png", b"")
    made_trees.write(fracatlas / "images" / "spare.png", b"")
    dataset = read_dataset(fracatlas)
    assert reasons(dataset.problems, "missing") == [(("IMG0000099.png",), "rows of dataset.csv whose films are not in the folder")]
    assert [names for names, _ in reasons(dataset.problems, "unlisted")] == [("images/Fractured/IMG0000500.png",)]
    assert ("images/Fractured/IMG0000041.png",) in [names for names, _ in reasons(dataset.problems, "no-boxes")]
    assert [names for names, _ in reasons(dataset.problems, "unplaced")] == [("images/spare.png",)] and dataset.strays == []
    alone = row(dataset.films, "images/Fractured/IMG0000500.png")
    assert (alone["study_type"], alone["view"], alone["label"], alone["boxes"]) == ("", "", 1, None)


@pytest.mark.parametrize(("abnormal", "normal"), [("fractured", "Non-fractured"), ("FRACTURED", "non fractured")])
def test_fracatlas_in_other_spelling_is_read(fracatlas: Path, abnormal: str, normal: str) -> None:
    before = read_dataset(fracatlas).films["label"].sum()
    (fracatlas / "images" / "Fractured").rename(fracatlas / "images" / abnormal)
    (fracatlas / "images" / "Non_fractured").rename(fracatlas / "images" / normal)
    (fracatlas / "images").rename(fracatlas / "Images")
    dataset = read_dataset(fracatlas)
    assert dataset.films["label"].sum() == before and dataset.films.height == 6 and reasons(dataset.problems, "unplaced") == []


def test_fracatlas_with_a_folder_of_no_known_label_is_refused(fracatlas: Path) -> None:
    (fracatlas / "images" / "Non_fractured").rename(fracatlas / "images" / "healthy")
    with pytest.raises(
        DatasetError, match=r"films stand in folders that FracAtlas does not have \(images/healthy\), and all 3 others are abnormal"
    ):
        read_dataset(fracatlas)
    (fracatlas / "images" / "Fractured").rename(fracatlas / "images" / "broken")
    with pytest.raises(DatasetError, match=r"6 films stand in folders that FracAtlas does not have \(images/broken, images/healthy\)\."):
        read_dataset(fracatlas)


def test_fracatlas_is_found_in_the_folder_its_archive_makes(fracatlas: Path) -> None:
    assert read_dataset(fracatlas.parent).root == fracatlas


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("image_id,hand\na.jpg,1", "the column leg is missing"),
        ("", "no table"),
        ("{header}\na.jpg,1,x,0,0,0,0,0,0,0,0,0,0", "no whole number"),
        ("{header}\na.jpg,1,0,0,0,0,0,0,0,0,0,0,0\na.jpg,1,0,0,0,0,0,0,0,0,0,0,0", "a.jpg has more than one row"),
    ],
)
def test_fracatlas_broken_table(fracatlas: Path, table: str, said: str) -> None:
    header = (fracatlas / "dataset.csv").read_text().splitlines()[0]
    (fracatlas / "dataset.csv").write_text(table.format(header=header))
    with pytest.raises(BadManifest, match=said):
        read_dataset(fracatlas)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"images": [], "annotations": [{"image_id": 9, "bbox": [0, 0, 1, 1]}]})])
def test_fracatlas_broken_boxes(fracatlas: Path, text: str) -> None:
    (fracatlas / "Annotations" / "COCO JSON" / "COCO_fracture_masks.json").write_text(text)
    with pytest.raises(BadManifest, match="no COCO file"):
        read_dataset(fracatlas)


# Manifest


def test_manifest_rows(tmp_path: Path) -> None:
    table = made_trees.manifest(
        tmp_path / "mine",
        [
            {"path": "b/2.png", "patient": "p1", "study": "s1", "study_type": "xr_wrist", "view": "PA", "label": "Abnormal",
             "split": "train", "age": 41, "site": "A", "boxes": "[[1, 2, 3, 4]]"},
            {"path": "a/1.png", "label": "0"},
        ],
    )  # fmt: skip
    dataset = read_dataset(table)
    assert dataset.layout == "manifest" and dataset.root == tmp_path / "mine"
    one, two = dataset.films.to_dicts()
    assert one == {"path": "a/1.png", "split": "", "study_type": "", "view": "", "patient": "", "study": "", "group": "", "label": 0,
                   "boxes": None, "age": None, "site": ""}  # fmt: skip
    assert (two["study_type"], two["label"], two["group"], two["boxes"], two["age"]) == ("WRIST", 1, "p1", [[1, 2, 3, 4]], 41)
    [(_, reason)] = reasons(dataset.problems, "no-patient")
    assert reason.startswith("1 films name no patient")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_manifest_of_a_spreadsheet(tmp_path: Path, separator: str) -> None:
    made_trees.write(tmp_path / "ä.png", b"")
    text = f"﻿path{separator}label\r\nä.png{separator}1\r\n"
    (tmp_path / "films.csv").write_bytes(text.encode())
    assert read_dataset(tmp_path / "films.csv").films.select("path", "label").row(0) == ("ä.png", 1)


def test_manifest_in_a_folder_is_found(tmp_path: Path) -> None:
    made_trees.manifest(tmp_path, [{"path": "1.png"}], "manifest.csv")
    assert read_dataset(tmp_path).layout == "manifest"


def test_manifest_paths_may_be_absolute_or_lead_out_of_its_folder(tmp_path: Path) -> None:
    for name in ("there/1.png", "there/2.png"):
        made_trees.write(tmp_path / name, b"")
    made_trees.write(tmp_path / "here" / "films.csv", f"path\n{tmp_path}/there/1.png\n..\\there\\2.png\n".encode())
    assert read_dataset(tmp_path / "here" / "films.csv").films["path"].to_list() == ["../there/1.png", "../there/2.png"]


def test_manifest_columns_of_the_index_are_ignored_and_said(tmp_path: Path) -> None:
    table = made_trees.manifest(tmp_path, [{"path": "1.png", "width": 5}])
    dataset = read_dataset(table)
    assert "width" not in dataset.films.columns
    assert [names for names, _ in reasons(dataset.problems, "ignored-column")] == [("width",)]


def test_a_manifest_s_column_without_a_name(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "1.png", b"")
    made_trees.write(tmp_path / "films.csv", b"path,\n1.png,7\n")
    assert read_dataset(tmp_path / "films.csv").films["path"].to_list() == ["1.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("film,label\n1.png,1\n", "the column path is missing; its columns are film, label"),
        ("path,label\n1.png,maybe\n", "line 2: 'maybe' is no label that osteon knows"),
        ("path\n1.png\n1.png\n", "1.png stands in more than one row"),
        ("path\n1.png\nnowhere.png\n\n", r"rows lead to no file: line 3 \('nowhere.png'\)"),
        ("path,boxes\n1.png,here\n", "line 2: no boxes: 'here'"),
        ('path,boxes\n1.png,"[[1,2,3]]"\n', "a box has four numbers"),
        ("path,label\n1.png,1,2,3\n", "line 2: it has more cells than the header, 2"),
        ("path,hand, hand\n1.png,1,2\n", "two of its columns have one name"),
        ("", "the column path is missing; its columns are none"),
        ("path,Path\n1.png,1.png\n", "two of its columns have one name"),
        (f"path\n{'x' * 200_000}\n", "line 2: no table can be read from it"),
        (b"\xff\xfe\x00path", "no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no text in UTF-8"),
    ],
)
def test_manifest_that_does_not_fit(tmp_path: Path, text: str | bytes, said: str) -> None:
    made_trees.write(tmp_path / "1.png", b"")
    made_trees.write(tmp_path / "films.csv", text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadManifest, match=said) as caught:
        read_dataset(tmp_path / "films.csv")
    assert "\n" not in str(caught.value)


def test_manifest_without_rows(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "films.csv", b"path,label\n")
    with pytest.raises(EmptyDataset, match="no row"):
        read_dataset(tmp_path / "films.csv")


# Neither


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(EmptyDataset, match="no such folder"):
        read_dataset(tmp_path / "nowhere")


def test_folder_without_films(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "notes.txt", b"")
    made_trees.write(tmp_path / ".DS_Store", b"")
    with pytest.raises(EmptyDataset, match="1 other and 1 hidden files are there"):
        read_dataset(tmp_path)


def test_films_in_no_known_layout(tmp_path: Path) -> None:
    made_trees.write(tmp_path / "1.png", b"")
    with pytest.raises(DatasetError, match=r"neither MURA's folders .* List the films in a CSV"):
        read_dataset(tmp_path)
