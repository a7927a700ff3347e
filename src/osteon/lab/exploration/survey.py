"""Everything that is measured of an index, in one record."""

from __future__ import annotations

from collections import Counter

import polars as pl

from osteon.lab.data.index import Report
from osteon.lab.data.layouts import Problem
from osteon.lab.data.leaks import leaks
from osteon.lab.exploration import counts, samples, shortcuts
from osteon.lab.exploration.records import Exploration, Opened, Origin, Trouble

_OF_FILMS = ("unreadable", "truncated")  # told by the index itself
_ORDER = (*_OF_FILMS, "exact-duplicate", "near-duplicate", "label-conflict", "leak")


def survey(films: pl.DataFrame, problems: list[Problem], origin: Origin, greys: pl.DataFrame, opened: Opened | None) -> Exploration:
    """Measure an index.

    Args:
        films: With a word for every split and study type (`counts.named`).
        problems: What was found when the index was made.
        origin: What the figures are made of, and by which command.
        greys: Those of the films that were opened (`samples.with_greys`).
        opened: How many were, None where none was to be.
    """
    known = films.filter(pl.col("patient") != "")
    who = "patient" if known.height else "group"
    as_mura = films["study"].str.contains("^(train|valid)/XR_[A-Z]+/").any()
    hardware = counts.hardware(films)
    return Exploration(
        origin=origin,
        films=films.height,
        studies=films["study"].n_unique(),
        patients=known["patient"].n_unique() if known.height else None,
        groups=films["group"].n_unique(),
        films_without_patient=films.height - known.height,
        cells=counts.cells(films),
        studies_per_patient=counts.tally(films, who, "study"),
        films_per_study=counts.tally(films, "study", "path"),
        spreads=counts.spreads(films),
        sizes=counts.sizes(films),
        formats=counts.formats(films),
        hardware_known=bool(hardware),
        hardware=hardware,
        compared=counts.compared(films) if as_mura else [],
        attributes=shortcuts.strongest_first([*shortcuts.attributes(films), *(shortcuts.sampled_attributes(greys) if opened else [])]),
        ranges=samples.ranges(greys) if greys.height else [],
        troubles=troubles(films, problems),
        pixels=opened,
    )


def problems_of(films: pl.DataFrame, report: Report | None) -> list[Problem]:
    """Return the problems of the report beside the index; without one those that the hashes in the index tell."""
    if report is not None:
        return report.findings
    hashed = (
        films.filter(pl.col("sha256") != "")
        .group_by("sha256", maintain_order=True)
        .agg("path", "label")
        .filter(pl.col("path").list.len() > 1)
    )
    found = []
    for paths, labels in hashed.select("path", "label").iter_rows():
        found.append(Problem("exact-duplicate", tuple(paths), "the same bytes"))
        if len(set(labels) - {None}) > 1:
            found.append(Problem("label-conflict", tuple(paths), "duplicates of different labels"))
    return found


def troubles(films: pl.DataFrame, problems: list[Problem]) -> list[Trouble]:
    """Count what is wrong by kind: what the index says of single films by their label, leaks of its splits, the other problems."""
    rows = []
    for status in _OF_FILMS:
        label = films.filter(pl.col("status") == status)["label"]
        if len(label):
            rows.append(Trouble(status, len(label), int((label == 0).sum()), int((label == 1).sum())))
    kinds = Counter(f.kind for f in problems if f.kind not in (*_OF_FILMS, "leak"))
    kinds["leak"] = leaks(films.filter(pl.col("split") != counts.UNSPLIT)).height
    rows += [Trouble(kind, count) for kind, count in kinds.items() if count]
    place = {kind: k for k, kind in enumerate(_ORDER)}
    return sorted(rows, key=lambda t: (place.get(t.kind, len(place)), t.kind))
