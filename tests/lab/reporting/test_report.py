"""The report as a whole: what it needs is made once, every number has an origin, the page stands alone, and what is missing is said."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from made_run import Made, made_run
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.reporting.curves import ORANGE, draw_curves
from osteon.lab.reporting.data_card import data_section
from osteon.lab.reporting.document import Checklist, Gap, Picture, Report, Section, Table, Text
from osteon.lab.reporting.folder import report_run
from osteon.lab.reporting.learning import training_section
from osteon.lab.reporting.material import warnings
from osteon.lab.reporting.reliability import calibration_section
from osteon.lab.reporting.supply import MEASURE, SCORE, WRITE
from osteon.lab.training.run import RunFolder

SECTIONS = ["data", "training", "network", "evaluation", "calibration", "subgroups", "found", "failures", "model-card", "claim"]


@dataclass
class Written:
    made: Made
    out: Path
    report: Report
    stages: list[str] = field(default_factory=list)

    @property
    def html(self) -> str:
        return (self.out / "report.html").read_text(encoding="utf-8")

    @property
    def markdown(self) -> str:
        return (self.out / "report.md").read_text(encoding="utf-8")

    def section(self, name: str) -> Section:
        return next(section for section in self.report.sections if section.name == name)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    made, stages = made_run(folder), list[str]()
    out = folder / "out"
    report = report_run(made.request(out), lambda progress: stages.append(progress.stage))
    return Written(made, out, report, stages)


def gaps(section: Section) -> str:
    return "\n".join(block.words for block in section.blocks if isinstance(block, Gap))


def test_all_sections_are_there(written: Written) -> None:
    assert [section.name for section in written.report.sections] == SECTIONS
    for section in written.report.sections:
        assert section.blocks
        assert f'<section id="{section.name}">' in written.html
        assert f"## {section.title}" in written.markdown


def test_every_number_has_a_command_and_an_index(written: Written) -> None:
    index = fingerprint(read_index(written.made.index))
    told = [b.origin for s in written.report.sections for b in s.blocks if isinstance(b, Text | Table | Picture)]
    told += [o for s in written.report.sections for b in s.blocks if isinstance(b, Checklist) for e in b.entries for o in e.origins]
    assert len(told) > 30
    for origin in {*told, written.report.measured}:
        assert origin.command.startswith("osteon ")
        assert origin.fingerprint == index
        assert origin in written.report.origins
        assert f"index {index}" in written.html
    for entry in (e for s in written.report.sections for b in s.blocks if isinstance(b, Checklist) for e in b.entries):
        assert bool(entry.said) == bool(entry.origins), f"item {entry.number}"


def test_the_commands_are_those_that_make_it(written: Written) -> None:
    commands = {origin.mark: origin.command for origin in written.report.origins}
    assert re.fullmatch(r"osteon evaluate --model \S+ --index \S+ --split valid -o \S+", commands["E"])
    assert commands["T"].startswith(f"osteon train {written.made.index} --recipe osteon --set frame.size=64")
    assert "--set epochs=2" in commands["T"]


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := given.get(name))]
        assert tag not in ("script", "link", "iframe")
        if tag == "img":
            self.pictures += 1
            assert len(given.get("alt") or "") > 10


def test_the_page_stands_alone(written: Written) -> None:
    page = _Addresses()
    page.feed(written.html)
    assert page.pictures >= 8
    assert all(address.startswith(("#", "data:image/")) for address in page.found)
    assert "url(" not in written.html
    targets = {address[1:] for address in page.found if address.startswith("#")}
    assert targets <= set(re.findall(r'id="([^"]+)"', written.html))


def test_markdown_has_its_pictures_beside_it(written: Written) -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", written.markdown)
    assert len(pictures) >= 8
    assert all((written.out / picture).is_file() for picture in pictures)
    for line in written.markdown.splitlines():
        assert line.count("**To be filled by the author:**") <= 1


def test_no_patient_or_file_is_named(written: Written) -> None:
    films = read_index(written.made.index)
    for text in (written.html, written.markdown):
        for column in ("patient", "path", "study"):
            assert not [value for value in films[column].unique() if value in text]
    assert "image" in (written.out / "failures.csv").read_text()  # the list of failures beside it does name the files


def test_a_second_report_makes_nothing_again(written: Written) -> None:
    assert SCORE in written.stages
    assert MEASURE in written.stages
    stages: list[str] = []
    again = report_run(written.made.request(written.out), lambda progress: stages.append(progress.stage))
    assert set(stages) == {WRITE}
    assert again.headline == written.report.headline


def test_what_is_missing_is_said(written: Written) -> None:
    assert "not calibrated" in gaps(written.section("calibration"))
    assert "osteon calibrate --model" in gaps(written.section("calibration"))
    assert "There are no subgroups" in gaps(written.section("subgroups"))
    assert "No report stands beside the index" in gaps(written.section("data"))
    assert "carries no metrics" in gaps(written.section("model-card"))
    assert "Whether this training has ended cannot be told" in written.report.warnings[0].words
    assert written.html.count("Not here.") >= 5


def test_an_index_that_is_gone(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    told = made.material(tmp_path / "out")
    assert "films by split" in [block.title.lower()[:14] for block in data_section(told).blocks if isinstance(block, Table)]
    gone = replace(told, films=None)
    assert "Name its new place (index, --index)" in gaps(data_section(gone))
    assert not [words for words, _ in warnings(gone) if "fingerprint" in words]


def test_an_index_that_has_changed_is_told(tmp_path: Path) -> None:
    made = made_run(tmp_path)
    films = read_index(made.index)
    films.with_columns(study_type=films["study_type"].str.replace("HAND", "ELBOW")).write_parquet(made.index)
    told = " ".join(words for words, _ in warnings(made.material(tmp_path / "out")))
    assert "The index has the fingerprint" in told
    assert "another index" not in told


def test_an_evaluation_of_another_index_is_told(tmp_path: Path) -> None:
    told = made_run(tmp_path).material(tmp_path / "out")
    origin = msgspec.structs.replace(told.measured.evaluation.origin, fingerprint="f00d")
    elsewhere = replace(told.measured, evaluation=msgspec.structs.replace(told.measured.evaluation, origin=origin))
    assert "of another index than the training" in " ".join(words for words, _ in warnings(replace(told, measured=elsewhere)))


@pytest.mark.parametrize(("split", "said"), [("train", "how well it remembers"), ("tune", "optimistic")])
def test_a_split_that_the_training_has_seen_is_told(tmp_path: Path, split: str, said: str) -> None:
    assert said in " ".join(words for words, _ in warnings(made_run(tmp_path).material(tmp_path / "out", split)))


def test_a_training_that_has_not_ended_is_told(tmp_path: Path) -> None:
    told = made_run(tmp_path).material(tmp_path / "out")
    assert "has not ended: 3 epochs so far" in " ".join(words for words, _ in warnings(replace(told, ended=False)))
    assert not list(warnings(replace(told, ended=True)))


def unselected(folder: Path, learn: str) -> Made:
    """A run whose passes were chosen on nothing."""
    made = made_run(folder)
    run = RunFolder(made.run)
    record = run.record()
    plan = msgspec.structs.replace(record.plan, train=learn, select="")
    run.record_file.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, plan=plan)))
    run.write_history([msgspec.structs.replace(row, select_loss=None, select_auroc=None) for row in run.history()])
    return made


def test_a_training_that_selected_on_nothing_is_told_as_such(tmp_path: Path) -> None:
    material = unselected(tmp_path, "train, tune").material(tmp_path / "out")
    blocks = training_section(material, tmp_path / "out").blocks
    words = " ".join(block.words for block in blocks if isinstance(block, Text))
    assert "The last epoch, 3, is kept: no films were set aside to choose on." in words
    cells = [cell for block in blocks if isinstance(block, Table) for row in block.rows for cell in row]
    assert "the last of 3 epochs; no films were set aside to choose on" in cells
    [picture] = [block for block in blocks if isinstance(block, Picture)]
    assert picture.alt == "Loss, learning rate over 3 epochs"
    assert "--train 'train, tune' --select none" in material.origins.training.command
    assert "--split SPLIT -o calibrated.onnx" in gaps(calibration_section(material, tmp_path / "out"))


@pytest.mark.parametrize(("learn", "split"), [("train, tune", "tune"), ("train,tune", "train"), ("all", "valid")])
def test_every_split_that_was_learned_from_is_told(tmp_path: Path, learn: str, split: str) -> None:
    told = " ".join(words for words, _ in warnings(unselected(tmp_path, learn).material(tmp_path / "out", split)))
    assert f"split {split!r}, whose films the model was trained on" in told


def test_curves_without_a_selection_show_no_selection(tmp_path: Path) -> None:
    def orange(made: Made) -> int:
        pixels = np.asarray(Image.open(draw_curves(RunFolder(made.run).history(), [2], made.run / "curves.png")).convert("RGB"))
        return int((np.abs(pixels - 255 * np.array(to_rgb(ORANGE))).max(axis=-1) < 2).sum())

    assert orange(made_run(tmp_path / "selected")) > 1000
    assert orange(unselected(tmp_path / "unselected", "all")) == 0
