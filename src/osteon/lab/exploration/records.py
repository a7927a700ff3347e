"""What an exploration says, as `exploration.json` has it. Nothing here names a patient, a study or a file."""

from __future__ import annotations

from msgspec import Struct

ALL = "all"
"""Name of the row that holds every split, or every study type."""

ABNORMAL, NORMAL, UNLABELLED = "abnormal", "normal", "no label"
WORDS = {1: ABNORMAL, 0: NORMAL, None: UNLABELLED}
"""How a label is called."""

COUNTS, FILMS, SHORTCUTS, FAULTS = "counts", "films", "shortcuts", "faults"
"""Sections of the page, in its order."""


class Origin(Struct, frozen=True, kw_only=True):
    """What made the figures: the command, and the index by the sha256 of its content.

    `layout` is "" where no report stands beside the index; `report_fits` is False where the report is of another state of the index,
    `decoded` where the index was made without opening films.
    """

    command: str
    fingerprint: str
    osteon: str
    dataset: str
    layout: str = ""
    split: str = ""
    report_fits: bool = True
    decoded: bool = True
    seed: int = 0

    @property
    def line(self) -> str:
        """The line that stands under every figure."""
        return f"{self.command} | index {self.fingerprint[:12]} | osteon {self.osteon}"


class Cell(Struct, frozen=True, kw_only=True):
    """Counts of one split and study type. `patients` is None where no patient is named; a patient with two types counts in each."""

    split: str
    study_type: str
    patients: int | None
    groups: int
    studies: int
    normal_studies: int
    abnormal_studies: int
    films: int
    normal_films: int
    abnormal_films: int

    @property
    def people(self) -> int:
        """Patients, or groups where no patient is named."""
        return self.groups if self.patients is None else self.patients

    @property
    def labelled_studies(self) -> int:
        """Studies whose label is known."""
        return self.normal_studies + self.abnormal_studies

    @property
    def abnormal_share(self) -> float | None:
        """Share of abnormal among the labelled studies, None without any."""
        return self.abnormal_studies / self.labelled_studies if self.labelled_studies else None

    @property
    def unlabelled_studies(self) -> int:
        """Studies whose label is unknown."""
        return self.studies - self.labelled_studies


class Tally(Struct, frozen=True):
    """How many things of a split (`count`) have `size` parts: patients with 2 studies, studies with 3 films."""

    split: str
    size: int
    count: int


class Spread(Struct, frozen=True, kw_only=True):
    """How a measure of films is distributed among those of one label."""

    name: str
    label: str
    films: int
    least: float
    p5: float
    median: float
    p95: float
    most: float


class Size(Struct, frozen=True):
    """How many films have one size, in pixels."""

    width: int
    height: int
    films: int


class Share(Struct, frozen=True, kw_only=True):
    """A share of films of one study type and label with its 95 % interval; None where there are too few groups."""

    study_type: str
    label: str
    films: int
    count: int
    share: float
    low: float | None
    high: float | None


class Compared(Struct, frozen=True):
    """A count of this data set beside MURA's published one."""

    split: str
    study_type: str
    what: str
    here: int
    published: int


class Attribute(Struct, frozen=True, kw_only=True):
    """How well one attribute alone tells abnormal from normal films.

    `auroc` is over all films, `within` compares films of the same study type only; above 0.5 the attribute is larger, or more often
    true, in abnormal films. None where it cannot be measured (`within` also where the attribute is the study type again), `note` then
    says why. `sampled`: measured on a sample of the films.
    """

    name: str
    films: int
    abnormal: int
    auroc: float | None = None
    low: float | None = None
    high: float | None = None
    within: float | None = None
    within_low: float | None = None
    within_high: float | None = None
    sampled: bool = False
    note: str = ""

    @property
    def strength(self) -> float:
        """AUROC within study types without its direction, 0.5 to 1; 0.5 where it was not measured."""
        return 0.5 if self.within is None else max(self.within, 1 - self.within)

    @property
    def shows(self) -> bool:
        """Whether the interval within study types leaves out 0.5: chance alone would not give it."""
        return self.within_low is not None and self.within_high is not None and not self.within_low <= 0.5 <= self.within_high


class Range(Struct, frozen=True, kw_only=True):
    """Medians over sampled films of one study type and label of their grey levels' percentiles, 0 black to 1 white."""

    study_type: str
    label: str
    films: int
    p1: float
    p25: float
    p50: float
    p75: float
    p99: float
    black: float


class Trouble(Struct, frozen=True):
    """How often one kind of fault was found, by the label of the films where it is one film's."""

    kind: str
    count: int
    normal: int | None = None
    abnormal: int | None = None


class Opened(Struct, frozen=True, kw_only=True):
    """How many films were sampled for their pixels, and what came of it."""

    asked: int = 0
    opened: int = 0
    missing: int = 0
    refused: int = 0


class Figure(Struct, frozen=True, kw_only=True):
    """A drawing: its file, what is to be seen in it, and why that matters. `alt` says the same to who cannot see it."""

    file: str
    title: str
    caption: str
    alt: str
    section: str


class Exploration(Struct, frozen=True, kw_only=True):
    """All of it. `pixels` is None where no film was to be opened, `hardware_known` False where the index does not say.

    `folder` is where it stands, for whoever has just made it; in the file itself it is "".
    """

    origin: Origin
    films: int
    studies: int
    patients: int | None
    groups: int
    films_without_patient: int
    cells: list[Cell]
    studies_per_patient: list[Tally]
    films_per_study: list[Tally]
    spreads: list[Spread]
    sizes: list[Size]
    formats: dict[str, int]
    hardware_known: bool
    hardware: list[Share]
    compared: list[Compared]
    attributes: list[Attribute]
    ranges: list[Range]
    troubles: list[Trouble]
    pixels: Opened | None
    figures: list[Figure] = []
    folder: str = ""

    def __fspath__(self) -> str:
        """Return the folder that it stands in."""
        return self.folder

    def __repr__(self) -> str:
        """Return the dataset, how large it is, and where the page stands."""
        return f"<Exploration {self.origin.dataset}: {self.films:,} films, {self.studies:,} studies, in {self.folder}>"

    @property
    def who(self) -> str:
        """What studies are counted by: "patient", or "group" where no patient is named."""
        return "group" if self.patients is None else "patient"

    def cell(self, split: str = ALL, study_type: str = ALL) -> Cell | None:
        """Return the counts of a split and study type."""
        return next((c for c in self.cells if (c.split, c.study_type) == (split, study_type)), None)

    @property
    def splits(self) -> list[str]:
        """The splits, train, tune, valid and test first."""
        return [c.split for c in self.cells if c.study_type == ALL and c.split != ALL]

    @property
    def study_types(self) -> list[str]:
        """The study types, those with most films first."""
        rows = [c for c in self.cells if c.split == ALL and c.study_type != ALL]
        return [c.study_type for c in sorted(rows, key=lambda c: (-c.films, c.study_type))]
