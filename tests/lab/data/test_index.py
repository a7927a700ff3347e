"""From a folder to an index and its report; the index read and written; the commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import made_trees
from osteon.cli import app, data  # noqa: F401 - adds its sub-commands
from osteon.errors import BadManifest, CountMismatch, EmptyDataset, LeakySplit, OsteonError, UsageError
from osteon.lab.data.build import build_index
from osteon.lab.data.index import (
    COLUMNS,
    Ignored,
    Report,
    fingerprint,
    read_index,
    read_report,
    studies,
    study_table,
    write_article_csv,
    write_index,
)


@pytest.fixture
def mura(tmp_path: Path) -> Path:
    return made_trees.small_mura(tmp_path / "copy")


@pytest.fixture
def fracatlas(tmp_path: Path) -> Path:
    return made_trees.small_fracatlas(tmp_path / "FracAtlas")


def of_kind(report: Report, kind: str) -> list[tuple[tuple[str, ...], str]]:
    return [(f.names, f.reason) for f in report.findings if f.kind == kind]


def rows(table: Path) -> list[list[str]]:
    return list(csv.reader(table.read_text().splitlines()))


def osteon(*words: object) -> tuple[int, str]:
    """Exit status and what stood on the terminal, as `main` makes them of a refusal."""
    answer = CliRunner().invoke(app, [str(w) for w in words])
    if isinstance(answer.exception, OsteonError):
        return answer.exception.exit_status, str(answer.exception)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, answer.output


# Building


@pytest.mark.parametrize("decode", [True, False])
def test_index_has_the_columns_of_the_contract(mura: Path, decode: bool) -> None:
    films, report = build_index(mura, decode=decode)
    assert dict(films.schema) == {c: pl.DataType.from_python(str) if t == pl.String else t for c, t in COLUMNS.items()}
    assert films.height == 7 and films["path"].is_sorted()
    assert films["root"].unique().to_list() == [str(mura)]
    assert (films["width"] == 40).all() and (films["height"] == 48).all() and (films["format"] == "PNG").all()
    assert (films["sha256"].str.len_chars() == (64 if decode else 0)).all()
    assert (report.layout, report.decoded, report.findings) == ("MURA", decode, [])
    assert report.hidden.count == 6 and report.strays == Ignored(1, ["train/XR_HAND/notes.txt"])


def test_boxes_are_scaled_to_the_film(fracatlas: Path) -> None:
    films, report = build_index(fracatlas, decode=False)
    boxes = dict(films.select("path", "boxes").iter_rows())
    assert boxes["images/Fractured/IMG0000000.png"] == [[4, 5, 6, 7], [10, 20, 3.5, 8]]
    assert boxes["images/Fractured/IMG0000003.png"] == [[2, 4, 6, 8]]
    assert boxes["images/Non_fractured/IMG0000002.png"] == []
    assert boxes["images/Fractured/IMG0000041.png"] is None
    assert of_kind(report, "boxes-misfit") == [] and "boxes_width" not in films.columns


def test_boxes_of_another_shape_are_left_out(fracatlas: Path) -> None:
    made_trees.write(fracatlas / "images/Fractured/IMG0000003.png", made_trees.png(made_trees.film(3, 48, 40)))
    films, report = build_index(fracatlas, decode=False)
    assert of_kind(report, "boxes-misfit") == [(("images/Fractured/IMG0000003.png",), "boxes drawn on 20 x 24, film 48 x 40")]
    assert dict(films.select("path", "boxes").iter_rows())["images/Fractured/IMG0000003.png"] is None


def test_duplicates_are_listed_and_kept_together(fracatlas: Path) -> None:
    films, report = build_index(fracatlas)
    copies = ("images/Fractured/IMG0000041.png", "images/Non_fractured/IMG0000001.png")
    assert of_kind(report, "exact-duplicate") == [(copies, "the same bytes")]
    assert (copies, "duplicates with the labels 1, 0; each keeps its own") in of_kind(report, "label-conflict")
    assert films["group"].unique().to_list() == ["block0"]  # 1 joins block 0 with 41's block 4
    assert len(of_kind(report, "label-conflict")) == 2


def test_near_duplicates_join_groups_in_chains(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one = made_trees.film(1, 100, 120).astype(float)
    noisy = [np.clip(one + rng.normal(0, 2, one.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    other = [made_trees.film(seed, 100, 120) for seed in (2, 3)]
    for name, pixels in zip("abcde", [*noisy, *other], strict=True):
        made_trees.write(tmp_path / f"{name}.png", made_trees.png(pixels))
    rows: list[dict[str, object]] = [
        {"path": f"{n}.png", "patient": p, "label": 1} for n, p in zip("abcde", ("p3", "p2", "p4", "p1", "p4"), strict=True)
    ]
    films, report = build_index(made_trees.manifest(tmp_path, rows))
    assert films["group"].to_list() == ["p2", "p2", "p2", "p1", "p2"]
    assert [names for names, _ in of_kind(report, "near-duplicate")] == [("a.png", "b.png"), ("a.png", "c.png"), ("b.png", "c.png")]
    assert of_kind(report, "label-conflict") == []


def test_unwell_films_are_kept_with_their_reason(mura: Path) -> None:
    study = mura / "train/XR_HAND/patient00001/study1_positive"
    whole = (study / "image1.png").read_bytes()
    made_trees.write(study / "image1.png", whole[: len(whole) // 2])
    made_trees.write(study / "image2.png", b"")
    films, report = build_index(mura)
    assert films["status"].to_list()[:2] == ["truncated", "unreadable"]
    [(names, reason)] = of_kind(report, "unreadable")
    assert names == ("train/XR_HAND/patient00001/study1_positive/image2.png",) and "empty" in reason
    assert len(of_kind(report, "truncated")) == 1


def test_counts_of_a_tree_that_claims_to_be_mura(mura: Path) -> None:
    claims = mura.rename(mura.parent / "MURA-v1.1")
    with pytest.raises(CountMismatch):
        build_index(claims, decode=False)
    assert build_index(claims, decode=False, count_check=False)[0].height == 7


def test_dicom_says_what_the_manifest_does_not(shared_data: Path, tmp_path: Path) -> None:
    source = next((shared_data / "dicom").glob("**/RG3_J2KI*"))
    table = made_trees.write(tmp_path / "films.csv", f"path\n{source}\n".encode())
    films, _ = build_index(table)
    [row] = films.to_dicts()
    assert row["format"] == "DICOM" and row["width"] > 1000 and row["study"].startswith("study-")
    assert row["group"] == row["study"]
    [row] = build_index(table, decode=False)[0].to_dicts()
    assert (row["status"], row["format"], row["width"]) == ("ok", "DICOM", None)


def test_patient_and_study_stay_together_whatever_the_groups_say(tmp_path: Path) -> None:
    cells = (("p1", "s1", "g1"), ("p1", "s2", "g2"), ("p2", "s3", "g3"), ("", "s3", "g4"), ("", "", "g5"))
    table = made_trees.manifest(tmp_path, [{"path": f"{k}.png", "patient": p, "study": s, "group": g} for k, (p, s, g) in enumerate(cells)])
    for decode in (True, False):
        assert build_index(table, decode=decode)[0]["group"].to_list() == ["g1", "g1", "g3", "g3", "g5"]


def test_empty_files_are_no_duplicates(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        made_trees.write(tmp_path / name, b"")
    films, report = build_index(made_trees.manifest(tmp_path, [{"path": "1.png"}, {"path": "2.png"}]))
    assert report.findings and not of_kind(report, "exact-duplicate") and films["group"].n_unique() == 2


# Reading and writing


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_index_comes_back_as_it_was_written(fracatlas: Path, tmp_path: Path, suffix: str) -> None:
    films, report = build_index(fracatlas)
    out = tmp_path / "new" / f"index.{suffix}"
    written = write_index(films, out, report)
    back = read_index(out)
    assert_frame_equal(back, films, check_dtypes=suffix == "parquet")
    assert_frame_equal(back.select(*COLUMNS), films.select(*COLUMNS))
    assert fingerprint(back) == fingerprint(films) == written.fingerprint
    assert read_report(out) == written
    assert sorted(p.name for p in out.parent.iterdir()) == ["index." + s for s in sorted((suffix, "report.json", f"studies.{suffix}"))]
    assert (written.films, written.studies, written.patients, written.groups) == (6, 6, 0, 1)
    assert written.found["exact-duplicate"] == 1
    assert json.loads((out.parent / "index.report.json").read_text())["table"][0] == {
        "split": "", "study_type": "HAND", "label": 1, "films": 1, "studies": 1,
    }  # fmt: skip


def test_fingerprint_sees_what_a_training_sees(mura: Path) -> None:
    films, _ = build_index(mura)
    assert fingerprint(films.reverse()) == fingerprint(films)
    assert fingerprint(films.with_columns(root=pl.lit("elsewhere"))) == fingerprint(films)
    for change in (
        pl.lit("other").alias("split"),
        pl.lit(0, pl.Int8).alias("label"),
        pl.lit("x").alias("sha256"),
        pl.lit("g").alias("group"),
        pl.lit("X").alias("study_type"),
        pl.lit([[1.0, 2.0, 3.0, 4.0]], films.schema["boxes"]).alias("boxes"),
    ):
        assert fingerprint(films.with_columns(change)) != fingerprint(films)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.parquet", None, "no such index"),
        ("text.parquet", b"no parquet", "no index can be read"),
        ("other.csv", b"a,b\n1,2\n", "the column path is missing"),
        ("broken.csv", (",".join(COLUMNS) + "\n" + ",".join("x" for _ in COLUMNS)).encode(), "another type"),
    ],
)
def test_index_that_is_none(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadManifest, match=said) as caught:
        read_index(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_index_that_cannot_be_written_leaves_nothing(mura: Path, tmp_path: Path) -> None:
    films, report = build_index(mura, decode=False)
    (tmp_path / "index.parquet").mkdir()
    made_trees.write(tmp_path / "file", b"")
    for out in (tmp_path / "index.parquet", tmp_path / "file" / "index.csv"):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            write_index(films, out, report)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.part*"))


def test_studies(mura: Path) -> None:
    films, _ = build_index(mura)
    found = studies(films.reverse())
    assert [s.study for s in found] == sorted(films["study"].unique())
    first = found[0]
    assert (first.patient, first.group, first.study_type, first.split, first.label) == ("patient00001", "patient00001", "HAND", "train", 1)
    assert first.films == tuple(f"{mura}/train/XR_HAND/patient00001/study1_positive/image{k}.png" for k in (1, 2))


def test_study_table(mura: Path, fracatlas: Path) -> None:
    table = study_table(build_index(mura, decode=False)[0])
    assert table.row(0)[:4] == ("train/XR_HAND/patient00001/study1_positive", "train/XR_HAND/patient00001/study1", 2, 1)
    assert table.columns[:4] == ["path", "study", "films", "label"] and table.height == 5
    assert study_table(build_index(fracatlas, decode=False)[0])["path"][0] == "images/Fractured/IMG0000000.png"


def test_label_of_a_study_is_abnormal_where_any_film_is(tmp_path: Path) -> None:
    rows = [
        {"path": f"{k}.png", "study": s, "label": label}
        for k, (s, label) in enumerate((("a", 0), ("a", 1), ("b", ""), ("b", 0), ("c", "")))
    ]
    films, _ = build_index(made_trees.manifest(tmp_path, rows), decode=False)  # type: ignore[arg-type]
    assert [s.label for s in studies(films)] == study_table(films)["label"].to_list() == [1, 0, None]


def test_article_tables(mura: Path, tmp_path: Path) -> None:
    films, _ = build_index(mura, decode=False)
    written = write_article_csv(films, tmp_path / "article")
    assert sorted(p.name for p in written) == [f"{s}_{w}_data.csv" for s in ("train", "valid") for w in ("image", "study")]
    assert rows(tmp_path / "article" / "valid_study_data.csv") == [
        ["copy/valid/XR_HAND/patient11185/study1_positive/", "1", "1"],
        ["copy/valid/XR_WRIST/patient11185/study1_negative/", "2", "0"],
    ]
    images = rows(tmp_path / "article" / "train_image_data.csv")
    assert images[0] == ["copy/train/XR_HAND/patient00001/study1_positive/image1.png", "1"] and len(images) == 4
    listed = (mura / "train_image_paths.csv").read_text().split()
    assert sorted(path for path, _ in images) == sorted(listed)


def test_article_tables_need_a_split(fracatlas: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="osteon split"):
        write_article_csv(build_index(fracatlas, decode=False)[0], tmp_path)


# Commands


def test_index_command(mura: Path, tmp_path: Path) -> None:
    status, said = osteon("index", mura, "-o", tmp_path / "i.parquet", "--article-csv", tmp_path / "article")
    assert status == 0, said
    assert "MURA: 7 films, 5 studies, 3 patients, 3 groups\n" in said
    assert "6  hidden files, ignored" in said and "1  other files, ignored: train/XR_HAND/notes.txt" in said
    assert read_index(tmp_path / "i.parquet").height == 7 and len(list((tmp_path / "article").iterdir())) == 4


def test_index_command_ends_with_1_where_a_film_is_unreadable(mura: Path, tmp_path: Path) -> None:
    made_trees.write(mura / "train/XR_HAND/patient00001/study1_positive/image1.png", b"text")
    status, said = osteon("index", mura, "-o", tmp_path / "i.parquet")
    assert status == 1 and "1  unreadable: " in said
    assert read_index(tmp_path / "i.parquet").height == 7


def test_index_command_refuses_a_leak(mura: Path, tmp_path: Path) -> None:
    study = "XR_HAND/patient00001/study1_positive"
    made_trees.write(mura / "valid" / study / "image1.png", (mura / "train" / study / "image1.png").read_bytes())
    status, said = osteon("index", mura, "-o", tmp_path / "i.parquet")
    assert status == LeakySplit.exit_status and "study1_positive/image1.png (train) and valid/XR_HAND" in said
    assert not (tmp_path / "i.parquet").exists()
    status, said = osteon("index", mura, "-o", tmp_path / "i.parquet", "--allow-leaks")
    assert status == 0 and "1  leak: " in said and "1  exact-duplicate: " in said


def test_index_command_says_what_it_did_not_look_for(mura: Path, tmp_path: Path) -> None:
    status, said = osteon("index", mura, "-o", tmp_path / "i.csv", "--no-decode")
    assert status == 0 and "no film was decoded" in said


def test_index_command_refuses_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for words, error in (([tmp_path / "none"], EmptyDataset), ([tmp_path / "none", "-o", "index.xlsx"], UsageError)):
        status, said = osteon("index", *words)
        assert status == error.exit_status and "\n" not in said


def test_split_command(mura: Path, tmp_path: Path) -> None:
    index = tmp_path / "i.parquet"
    osteon("index", mura, "-o", index)
    status, said = osteon("split", index, "-o", tmp_path / "s.csv", "--parts", "a=0.5,b=0.5", "--seed", 3)
    assert status == 0 and "a      HAND" in said
    films = read_index(tmp_path / "s.csv")
    assert set(films["split"]) == {"a", "b"} and read_index(index)["split"].to_list() != films["split"].to_list()
    report = read_report(tmp_path / "s.csv")
    assert report and report.split == "a=0.5,b=0.5, seed 3" and report.layout == "MURA" and report.hidden.count == 6
    assert osteon("split", index, "-o", index)[0] == 0
    assert set(read_index(index)["split"]) <= {"train", "tune", "valid"}
    status, said = osteon("split", index)
    assert status == UsageError.exit_status and f"To write over {index}: -o {index}" in said
    assert osteon("split", index, "-o", index, "--folds", 3)[0] == 0 and sorted(set(read_index(index)["fold"])) == [0, 1, 2]


@pytest.mark.parametrize("parts", ["train", "a=0.5,b=x", "a=0.5", "=1"])
def test_split_command_refuses_parts_that_are_none(mura: Path, tmp_path: Path, parts: str) -> None:
    osteon("index", mura, "-o", tmp_path / "i.parquet", "--no-decode")
    status, said = osteon("split", tmp_path / "i.parquet", "-o", tmp_path / "o.parquet", "--parts", parts)
    assert status == UsageError.exit_status and "\n" not in said


# The real thing, and full size


def test_full_size_mura_tree_has_the_published_counts(tmp_path: Path) -> None:
    films, report = build_index(made_trees.full_mura(tmp_path / "MURA-v1.1"), decode=False)
    assert films.height == 40_005 and films["study"].n_unique() == 14_656 and report.findings == []
    several = films.group_by("split", "patient").agg(n=pl.n_unique("study")).filter(pl.col("n") > 1).group_by("split").len().sort("split")
    assert several.rows() == [("train", 1747), ("valid", 268)]


def part_of_fracatlas(whole: Path, part: Path) -> Path:
    """A folder of links to those FracAtlas films whose faults are known: cut off, twice there, labelled in two ways."""
    numbers = {3298, 2313, 2314, 2628, *range(7), *range(2291, 2301), *range(2645, 2655), *range(2880, 2890), *range(4000, 4384)}
    for film in sorted(whole.glob("images/*/*.jpg")):
        if int(film.stem[3:]) in numbers:
            link = part / film.relative_to(whole)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(film)
    (part / "dataset.csv").symlink_to(whole / "dataset.csv")
    (part / "Annotations").symlink_to(whole / "Annotations")
    return part


def test_real_films_report_their_faults_by_themselves(shared_data: Path, tmp_path: Path) -> None:
    part = part_of_fracatlas(shared_data / "fracatlas", tmp_path / "part")
    status, said = osteon("index", part, "-o", tmp_path / "i.parquet")
    assert status == 0, said
    report = faults(tmp_path / "i.parquet")
    assert set(of_kind(report, "exact-duplicate")) >= {
        (("images/Non_fractured/IMG0000001.jpg", "images/Non_fractured/IMG0002295.jpg"), "the same bytes"),
        (("images/Fractured/IMG0002299.jpg", "images/Fractured/IMG0002300.jpg"), "the same bytes"),
    }
    [missing] = of_kind(report, "missing")
    assert len(missing[0]) == 3253 - report.films


@pytest.mark.long
def test_all_real_films_report_their_faults_by_themselves(shared_data: Path, tmp_path: Path) -> None:
    status, said = osteon("index", shared_data / "fracatlas", "-o", tmp_path / "i.parquet")
    assert status == 0 and "56  truncated" in said
    report = faults(tmp_path / "i.parquet")
    assert (report.films, report.found["truncated"], report.found["exact-duplicate"]) == (3253, 56, 12)
    assert report.found["near-duplicate"] > 120 and report.found["label-conflict"] >= 13


def faults(index: Path) -> Report:
    """The report of an index of real films; asserts what every part of FracAtlas with the known faults must say."""
    report = read_report(index)
    assert report
    conflicts = of_kind(report, "label-conflict")
    assert any("IMG0003298" in names[0] and "dataset.csv not fractured" in reason for names, reason in conflicts)
    pair = ("images/Fractured/IMG0002886.jpg", "images/Non_fractured/IMG0004243.jpg")
    assert (pair, "duplicates with the labels 1, 0; each keeps its own") in conflicts
    near = [names for names, _ in of_kind(report, "near-duplicate")]
    assert ("images/Fractured/IMG0002653.jpg", "images/Fractured/IMG0004068.jpg") in near
    assert ("images/Fractured/IMG0002652.jpg", "images/Fractured/IMG0004067.jpg") in near  # the lower third is lost
    films = read_index(index)
    assert films.filter(pl.col("label") == 1)["boxes"].list.len().min() == 1
    edge = pl.col("boxes").list
    inside = films.explode("boxes").drop_nulls("boxes").select(
        (edge.get(0) + edge.get(2) <= pl.col("width") + 1) & (edge.get(1) + edge.get(3) <= pl.col("height") + 1)
    )  # fmt: skip
    assert inside.to_series().all()
    return report
