"""An index becomes figures, numbers and a page: complete, offline, without a name."""

from __future__ import annotations

import re
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from made_exploration import SECRETS, mixture, mura_table, table, written
from made_index import made_films, made_index
from osteon.errors import BadManifest, EmptyDataset, UsageError
from osteon.lab.data.index import Report, write_index
from osteon.lab.data.layouts import Problem
from osteon.lab.exploration.folder import explore, read_exploration
from osteon.lab.exploration.records import Exploration, Opened

COUNTED = {"patients.png", "studies-per-patient.png", "classes.png", "films-per-study.png", "sizes.png", "aspects.png", "shortcuts.png"}
COMMAND = "osteon explore index.parquet"


class Page(HTMLParser):
    """What stands in a page: images, links, names to link to, tags that are still open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.ids.append(told.get("id") or "")
        if tag == "img":
            self.images.append(told)
        if tag == "a":
            self.links.append(told["href"] or "")
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(folder: Path, name: str = "exploration.html") -> str:
    return (folder / name).read_text(encoding="utf-8")


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exploration]:
    """The folder of an index with its exploration in `out`: faults of every kind, secret names."""
    folder = tmp_path_factory.mktemp("made")
    films = made_films(folder / "SMITH", {"train": 12, "valid": 12})
    secret = pl.format("{}-MRN4711", "patient")
    films = films.with_columns(patient=secret, group=secret, study=pl.format("{}-MRN4711", "study"))
    films = films.with_columns(
        status=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("truncated")).otherwise("status"), hardware=pl.col("label") == 1
    )
    path = films["path"].to_list()
    findings = [
        Problem("near-duplicate", (path[1], path[2]), ""),
        Problem("exact-duplicate", (path[0], path[1], path[3]), ""),
        Problem("label-conflict", (films["study"][0],), "SMITH"),
    ]
    write_index(films, folder / "index.parquet", Report(dataset="made", layout="manifest", decoded=True, findings=findings))
    return folder, explore(folder / "index.parquet", folder / "out", COMMAND, sample=10)


def test_every_figure_and_what_is_read_back(made: tuple[Path, Exploration]) -> None:
    folder, e = made
    pictures = {"normal-films.png", "abnormal-films.png", "duplicates.png", "label-conflicts.png", "truncated.png"}
    drawn = COUNTED | pictures | {"greys.png", "hardware.png"}
    assert files(folder / "out") == drawn | {"exploration.json", "exploration.html"}
    assert {f.file for f in e.figures} == drawn
    assert read_exploration(folder / "out") == e
    assert e.pixels is not None
    assert (e.pixels.missing, e.pixels.refused) == (0, 0)
    assert (e.films, e.studies, e.patients, e.splits) == (24, 12, 12, ["train", "valid"])
    duplicates = next(f for f in e.figures if f.file == "duplicates.png")
    assert "2 of 2 sets" in duplicates.caption
    assert "1 of the pairs shown have different labels" in duplicates.caption


def test_a_figure_carries_its_origin_and_fits_a_column(made: tuple[Path, Exploration]) -> None:
    folder, e = made
    for figure in e.figures:
        with Image.open(folder / "out" / figure.file) as picture:
            assert picture.info["Description"] == f"{COMMAND} | index {e.origin.fingerprint[:12]} | osteon {e.origin.osteon}"
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            assert picture.width == 1020  # 86 mm


def test_the_page_opens_offline_and_says_what_a_picture_shows(made: tuple[Path, Exploration]) -> None:
    folder, e = made
    text = text_of(folder / "out")
    page = Page(text)
    assert page.open == []
    assert len(page.images) == len(e.figures)
    assert all(len(image["alt"] or "") > 30 and (image["src"] or "").startswith("data:image/png;base64,") for image in page.images)
    assert re.findall(r"https?://|src=\"(?!data:)|@import|url\(", text) == []
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert text.count(f"| index {e.origin.fingerprint[:12]} |") >= len(e.figures)
    assert e.origin.fingerprint in text


def test_no_patient_study_or_file_is_named(made: tuple[Path, Exploration]) -> None:
    folder, _ = made
    for name in ("exploration.html", "exploration.json"):
        text = re.sub(r"base64,[^\"]*", "", text_of(folder / "out", name))
        assert [word for word in (*SECRETS, "image0", "patient0", "study1") if word in text] == []


def test_the_same_bytes_again_and_nothing_of_an_earlier_exploration(made: tuple[Path, Exploration], tmp_path: Path) -> None:
    folder, _ = made
    again = tmp_path / "again"
    shutil.copytree(folder / "out", again)
    (again / "mine.png").write_bytes(b"")
    explore(folder / "index.parquet", again, COMMAND, sample=0)
    assert files(again) == COUNTED | {"hardware.png", "mine.png", "exploration.json", "exploration.html"}
    (again / "exploration.json").write_bytes(b"{")
    explore(folder / "index.parquet", again, COMMAND, sample=10)
    for name in files(folder / "out"):
        assert (again / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_without_pixels_no_film_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osteon.lab.exploration.samples.look", lambda file: pytest.fail(f"opened {file}"))
    e = explore(made_index(tmp_path), tmp_path / "out", COMMAND, sample=0)
    assert e.pixels is None
    assert {f.file for f in e.figures} == COUNTED
    assert not any(a.sampled for a in e.attributes)


def test_films_that_are_not_there(tmp_path: Path) -> None:
    e = explore(written(mixture(40), tmp_path), tmp_path / "out", COMMAND, sample=10)
    assert e.pixels is not None
    assert e.pixels == Opened(asked=e.pixels.asked, missing=e.pixels.asked)
    assert {f.file for f in e.figures} == COUNTED


STRANGE = {
    "no label": [{"label": None, "width": 100 + k} for k in range(30)],
    "200 study types in 3 splits": [{"label": k % 2, "study_type": f"TYPE{k % 200}", "split": f"part{k % 3}"} for k in range(800)],
    "one film": [{"label": 1}],
    "all unreadable": [{"label": k % 2, "status": "unreadable", "width": None, "height": None, "format": ""} for k in range(9)],
    "12 splits, large and small": [
        {"label": k % 2, "split": f"{k % 12}", "width": 40 + 300 * k, "height": 5000 - 150 * k} for k in range(30)
    ],
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_data_sets_are_drawn(name: str, tmp_path: Path) -> None:
    explore(written(table(STRANGE[name]), tmp_path), tmp_path / "out", COMMAND, sample=4)
    assert Page(text_of(tmp_path / "out")).open == []


def test_names_of_any_kind(tmp_path: Path) -> None:
    films = table([{"label": k % 2, "split": "<b>$x_1$</b> & co"} for k in range(30)])
    films = films.with_columns(pl.Series("金属 " + 60 * "long ", [True, False, False] * 10))
    explore(written(films, tmp_path), tmp_path / "out", COMMAND, sample=0)
    assert "&lt;b&gt;$x_1$&lt;/b&gt; &amp; co" in text_of(tmp_path / "out")
    assert "<b>" not in text_of(tmp_path / "out")


def test_full_size_in_seconds_as_csv_too(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    write_index(mura_table(), index, Report(dataset="", layout="MURA", decoded=False))
    began = time.process_time()
    e = explore(index, tmp_path / "out", COMMAND, sample=0)
    assert time.process_time() - began < 15
    assert (e.films, e.origin.dataset, e.origin.decoded, e.origin.report_fits) == (40_005, "index", False, True)


def test_what_cannot_be_explored(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="no such index"):
        explore(tmp_path / "absent.parquet", tmp_path / "out", COMMAND)
    with pytest.raises(EmptyDataset, match="it has no film"):
        explore(written(table([{}]).clear(), tmp_path), tmp_path / "out", COMMAND)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        explore(written(mixture(8), tmp_path), tmp_path / "file", COMMAND, sample=0)
    with pytest.raises(UsageError, match="osteon explore"):
        read_exploration(tmp_path)
