"""The page of an exploration: one file that opens offline, its figures inside it (`page.html.jinja`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteon.card_text import interval, number
from osteon.lab.data.index import KINDS
from osteon.lab.exploration.notes import notes
from osteon.lab.exploration.records import ALL, COUNTS, FAULTS, FILMS, SHORTCUTS, Exploration, Figure
from osteon.lab.pages import render, write_whole

SECTIONS = {
    COUNTS: "Patients, studies, films",
    FILMS: "The films",
    SHORTCUTS: "Possible shortcuts",
    FAULTS: "Problems",
}
"""The page's sections, in order."""

WORDS = ("what it is", "label", "study type", "note")
"""Columns of words, by their names."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page; `is_open` where it is shown without being asked for."""

    section: str
    title: str
    header: Row
    rows: Sequence[Row]
    note: str = ""
    is_open: bool = False

    @property
    def words(self) -> list[int]:
        """The columns that are read from the left."""
        return [place for place, name in enumerate(self.header) if name in WORDS]


def write_page(e: Exploration, folder: Path) -> Path:
    """Write `exploration.html` with the figures of a folder inside it."""
    shown = {"notes": notes(e), "sections": SECTIONS, "tables": tables(e), "figures": _by_section(e.figures)}
    path = folder / "exploration.html"
    write_whole(path, render("exploration/page.html.jinja", e=e, folder=folder, **shown))
    return path


def tables(e: Exploration) -> dict[str, list[Table]]:
    """Return the page's tables by section."""
    found: dict[str, list[Table]] = {section: [] for section in SECTIONS}
    for table in (*_counts(e), *_published(e), *_films(e), *_shortcuts(e), *_faults(e)):
        if table.rows:
            found[table.section].append(table)
    return found


def _by_section(figures: list[Figure]) -> dict[str, list[Figure]]:
    return {section: [f for f in figures if f.section == section] for section in SECTIONS}


def _counts(e: Exploration) -> Iterator[Table]:
    who = "groups" if e.patients is None else "patients"
    header = ("split", "study type", who, "studies", "normal", "abnormal", "no label", "films", "normal films", "abnormal films")
    rows = []
    for c in e.cells:
        people = c.groups if c.patients is None else c.patients
        numbers = (people, c.studies, c.normal_studies, c.abnormal_studies, c.unlabelled_studies, c.films, c.normal_films, c.abnormal_films)
        rows.append((c.split, c.study_type, *(f"{n:,}" for n in numbers)))
    yield Table(COUNTS, "All counts", header, rows)
    for title, part, tallies in (
        (f"Studies per {who.removesuffix('s')}", "studies", e.studies_per_patient),
        ("Films per study", "films", e.films_per_study),
    ):
        yield Table(COUNTS, title, ("split", part, "count"), [(t.split, f"{t.size}", f"{t.count:,}") for t in tallies])


def _published(e: Exploration) -> Iterator[Table]:
    cells: dict[tuple[str, str], list[str]] = {}
    for c in e.compared:
        differs = "" if c.here == c.published else f" ({c.here - c.published:+,})"
        cells.setdefault((c.split, c.study_type), []).append(f"{c.here:,} / {c.published:,}{differs}")
    header = ("split", "study type", "normal studies", "abnormal studies", "normal films", "abnormal films")
    note = "Here / as published (Rajpurkar et al., arXiv 1712.06957). A study counts in the split that MURA has it in."
    people = [(split, values[0]) for (split, kind), values in cells.items() if kind == ALL]
    yield Table(COUNTS, "Beside MURA's published counts", header, [(*k, *v) for k, v in cells.items() if k[1] != ALL], note, is_open=True)
    yield Table(COUNTS, "Beside MURA's published patients", ("split", "patients"), people, "Here / as published.")


def _films(e: Exploration) -> Iterator[Table]:
    header = ("measure", "label", "films", "least", "5 %", "median", "95 %", "most")
    spreads = [(s.name, s.label, f"{s.films:,}", *(f"{v:.4g}" for v in (s.least, s.p5, s.median, s.p95, s.most))) for s in e.spreads]
    yield Table(FILMS, "Sizes and shapes", header, spreads, "Width and height in pixels; aspect is width over height.")
    sizes = [(f"{s.width} x {s.height}", f"{s.films:,}", f"{s.films / e.films:.1%}") for s in e.sizes]
    yield Table(FILMS, "Most frequent sizes", ("width x height, pixels", "films", "share"), sizes)
    yield Table(FILMS, "File formats", ("format", "films"), [(kind, f"{count:,}") for kind, count in e.formats.items()])
    greys = [(r.study_type, r.label, f"{r.films:,}", *(f"{v:.3f}" for v in (r.p1, r.p25, r.p50, r.p75, r.p99, r.black))) for r in e.ranges]
    note = "Medians over sampled films; 0 black, 1 white. Black: the share of pixels below 3 of 255."
    yield Table(FILMS, "Grey levels", ("study type", "label", "films", "1 %", "25 %", "50 %", "75 %", "99 %", "black"), greys, note)


def _shortcuts(e: Exploration) -> Iterator[Table]:
    header = ("attribute", "all films: AUROC", "95 % interval", "within study types", "95 % interval", "films", "abnormal", "note")
    rows = []
    for a in e.attributes:
        note = "; ".join(text for text in ("sampled" if a.sampled else "", a.note) if text)
        alone = number(a.auroc), interval(a.low, a.high)
        rows.append((a.name, *alone, number(a.within), interval(a.within_low, a.within_high), f"{a.films:,}", f"{a.abnormal:,}", note))
    yield Table(SHORTCUTS, "Every attribute", header, rows, "Above 0.5: larger, or more often true, in abnormal films.")
    shares = [(s.study_type, s.label, f"{s.films:,}", f"{s.count:,}", f"{s.share:.3f}", interval(s.low, s.high)) for s in e.hardware]
    yield Table(SHORTCUTS, "Metal implants", ("study type", "label", "films", "with metal", "share", "95 % interval"), shares)


def _faults(e: Exploration) -> Iterator[Table]:
    rows = []
    for t in e.troubles:
        by_label = ("", "") if t.normal is None or t.abnormal is None else (f"{t.normal:,}", f"{t.abnormal:,}")
        rows.append((t.kind, f"{t.count:,}", *by_label, KINDS.get(t.kind, "")))
    note = "Their files are named in the report beside the index, in this order of kinds."
    yield Table(FAULTS, "Problems of the dataset", ("kind", "count", "normal", "abnormal", "what it is"), rows, note, is_open=True)
