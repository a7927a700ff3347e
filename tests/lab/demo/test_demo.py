"""The demo: the whole chain on a few made films, stopped and gone on with, and its page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from osteon.card import Metric
from osteon.errors import UsageError
from osteon.lab.data.index import read_index
from osteon.lab.demo.folder import Demo, DemoPlan, DemoRecord
from osteon.lab.demo.page import figure, interval
from osteon.lab.demo.run import STAGES, run_demo
from osteon.lab.evaluation.folder import read_evaluation

PLAN = DemoPlan(studies=4, minutes=0, sizes=(128, 140), settings=("frame.size=64", "epochs=1", "keep=1", "freeze=8"))


class Stop(Exception):
    """What stops a demo in the middle."""


@dataclass
class Ran:
    demo: Demo
    stopped: DemoRecord
    record: DemoRecord
    told: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    demo = Demo(folder)

    def stop(stage: str, done: int, _total: int, _note: str) -> None:
        if stage == "train" and done:
            raise Stop

    with pytest.raises(Stop):
        run_demo(folder, PLAN, 0, stop)
    stopped = demo.record()
    assert stopped is not None
    told: list[tuple[str, str]] = []
    record = run_demo(folder, PLAN, 0, lambda stage, _done, _total, note: told.append((stage, note)))
    return Ran(demo, stopped, record, told)


def test_a_stopped_demo_goes_on_where_it_was(ran: Ran) -> None:
    assert set(ran.stopped.seconds) == {"films", "index"}
    assert set(ran.record.seconds) == set(STAGES)
    assert ran.record.seconds["films"] == ran.stopped.seconds["films"]
    assert {stage for stage, note in ran.told if note == "finished before"} == {"films", "index"}
    assert list(dict.fromkeys(stage for stage, _ in ran.told)) == list(STAGES)


def test_a_finished_demo_only_draws_its_page(ran: Ran) -> None:
    page = ran.demo.page.read_text(encoding="utf-8")
    told: list[str] = []
    run_demo(ran.demo.folder, PLAN, 0, lambda stage, _done, _total, note: told.append(note))
    assert told.count("finished before") == len(STAGES) - 1
    assert ran.demo.page.read_text(encoding="utf-8") == page


def test_the_index_has_boxes_and_kinds(ran: Ran) -> None:
    films = read_index(ran.demo.index)
    assert set(films["split"]) == {"train", "tune", "valid"}
    assert all(
        (label == 1) == bool(boxes) == (kind != "none") for label, boxes, kind in films.select("label", "boxes", "finding").iter_rows()
    )
    assert films.filter(films["split"] == "valid")["patient"].is_in(films.filter(films["split"] != "valid")["patient"].implode()).sum() == 0


class Reader(HTMLParser):
    """Collects what a page asks for, and what it lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.without_alt = 0
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.sources += [given[name] or "" for name in ("src", "href") if name in given]
        self.without_alt += tag == "img" and not given.get("alt")
        if tag not in ("img", "meta", "path", "circle", "polyline", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "circle", "polyline"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(ran: Ran) -> None:
    text = ran.demo.page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert reader.without_alt == 0
    assert len(reader.sources) > 14
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "<script" not in text
    assert "None" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert len(text) < 5e6
    assert str(ran.demo.folder) not in text


def test_the_page_tells_the_evaluation_s_figures(ran: Ran) -> None:
    text = ran.demo.page.read_text(encoding="utf-8")
    evaluation = read_evaluation(ran.demo.evaluation)
    auroc = evaluation.find("film", "all", "auroc")
    assert auroc is not None
    assert f"<strong>{figure(auroc)}</strong>" in text
    assert evaluation.origin.fingerprint[:12] in text
    assert all(note.split(":")[0] in text for note in ran.record.notes)


def test_a_figure_without_value_says_why() -> None:
    nothing = Metric(split="valid", level="film", group="all", name="auroc", value=None, note="one class")
    some = Metric(split="valid", level="film", group="all", name="auroc", value=0.914, low=0.88, high=0.949)
    assert (figure(nothing), interval(nothing)) == ("one class", "")
    assert (figure(some), interval(some)) == ("0.91", "0.88 to 0.95")


def test_another_plan_or_a_foreign_folder_is_refused(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other settings"):
        run_demo(ran.demo.folder, DemoPlan(studies=5), 0, lambda *_: None)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="no demo"):
        run_demo(tmp_path, PLAN, 0, lambda *_: None)
