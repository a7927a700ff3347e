"""What a report is made of, before it becomes a page or Markdown: sections of blocks, each with the command and the index that made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Row = tuple[str, ...]
State = Literal["from the record", "in part", "blank"]


@dataclass(frozen=True, slots=True)
class Origin:
    """What made some numbers.

    Attributes:
        mark: Its letter in the list of origins.
        what: Which numbers, in words.
        command: What a reader would type to get the same.
        fingerprint: Of the index (sha256), "" where no index had a part.
        further: The model file's hash, a version, a commit.
    """

    mark: str
    what: str
    command: str
    fingerprint: str
    further: str = ""

    @property
    def line(self) -> str:
        """The origin in one line, as it stands below what it made."""
        index = f"index {self.fingerprint[:12]}" if self.fingerprint else "no index"
        return f"[{self.mark}] {self.command} | {index}"


@dataclass(frozen=True, slots=True)
class Text:
    """Sentences; `warns` where a reader must not pass them by."""

    words: str
    origin: Origin
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the row, those in `words` are read from the left, the others are numbers."""

    title: str
    header: Row
    rows: Sequence[Row]
    origin: Origin
    note: str = ""
    words: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file (PNG or JPEG), and what it shows; `wide` where it takes the page's whole width."""

    file: Path
    title: str
    caption: str
    alt: str
    origin: Origin
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """What is not here, and how to get it."""

    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of a checklist: what it asks (in our words), what the record says to it, and what is left to the author."""

    number: int
    section: str
    item: str
    said: str
    left: str
    origins: tuple[Origin, ...] = ()

    @property
    def state(self) -> State:
        """How much of it the record fills."""
        if not self.said:
            return "blank"
        return "in part" if self.left else "from the record"


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist, in the order of its items."""

    entries: tuple[Entry, ...]

    def count(self, state: State) -> int:
        """Return how many items are in a state."""
        return sum(entry.state == state for entry in self.entries)


Block = Text | Table | Picture | Gap | Checklist


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report; `name` is its address on the page."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Headline:
    """A number that stands at the top: its name, value and interval."""

    name: str
    value: str
    interval: str


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A whole report, and the folder that it stands in.

    The front is what a reader wants first: the `verdict` in a sentence, what the three `answers` are worth, the `headline` numbers of the
    origin `measured`, and `pictures` that stand in a section as well.
    """

    title: str
    verdict: Text
    answers: Text
    warnings: Sequence[Text]
    headline: Sequence[Headline]
    pictures: Sequence[Picture]
    measured: Origin
    sections: Sequence[Section]
    origins: Sequence[Origin]
    osteon: str
    folder: Path

    def __fspath__(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def __repr__(self) -> str:
        """Return what it is of, its verdict, and where it stands."""
        return f"<Report {self.title}: {self.verdict.words} In {self.folder}>"
