"""The section on the data: where it comes from, how much there is in each split, how these are kept apart, its problems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from osteon.lab.data.leaks import leaks
from osteon.lab.reporting.document import Block, Gap, Section, Table, Text
from osteon.lab.reporting.material import Material


def data_section(m: Material) -> Section:
    """Return the section; where the index is gone it says so, and how to name its new place."""
    blocks: list[Block] = [_sources(m)]
    if m.films is None:
        index = m.request.index_path(m.record)
        blocks.append(Gap(f"The index is not at {index} any more, so the data cannot be counted. Name its new place (index, --index)."))
    else:
        blocks += [_counts(m, m.films), *_apart(m, m.films), _files(m, m.films), *_problems(m)]
        blocks.append(Gap(f"Possible shortcuts are measured by: osteon explore {m.request.index_path(m.record)}"))
    return Section("data", "Data", blocks)


def splits_apart(films: pl.DataFrame) -> tuple[int, int, int]:
    """Return how many groups, named patients and files (sha256) stand in more than one split."""
    placed = films.filter(pl.col("split") != "")
    crossing = (_in_two_splits(placed, column) for column in ("patient", "sha256"))
    return len(leaks(films)), *crossing  # type: ignore[return-value]


def _in_two_splits(films: pl.DataFrame, column: str) -> int:
    known = films.filter(pl.col(column) != "")
    return known.group_by(column).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height


def _sources(m: Material) -> Table:
    rows = [
        (d.name or "not named", d.source or "not stated", d.licence or "not stated", d.split, f"{d.films:,}", f"{d.abnormal_films:,}")
        for d in m.card.data
    ]
    note = "As the model's card has it. Source and licence are set with osteon card --facts."
    header = ("trained on", "source", "licence", "split", "films", "abnormal films")
    return Table("What the model was trained on", header, rows, m.origins.model, note, (1, 2, 3))


def _counts(m: Material, films: pl.DataFrame) -> Table:
    people = "patients" if (films["patient"] != "").all() else "groups"
    column = "patient" if people == "patients" else "group"
    label = pl.col("label")
    study = films.group_by("study").agg(pl.first("split", "study_type"), pl.col("label").max())
    rows = []
    for split, kind in films.select("split", "study_type").unique().sort("split", "study_type").iter_rows():
        part = films.filter((pl.col("split") == split) & (pl.col("study_type") == kind))
        whole = study.filter((pl.col("split") == split) & (pl.col("study_type") == kind))
        counts = (len(part), int((part["label"] == 1).sum()), int((part["label"] == 0).sum()), part["label"].null_count())
        more = (len(whole), whole.filter(label == 1).height, part[column].n_unique())
        rows.append((split or "none", kind.lower() or "unknown", *(f"{n:,}" for n in (*counts, *more))))
    header = ("split", "study type", "films", "abnormal", "normal", "no label", "studies", "abnormal studies", people)
    report = m.index_report
    divided = f"Split by osteon split: {report.split}." if report and report.split else "The splits are those of the dataset."
    grouped = "" if people == "patients" else " No patient is named: a group (duplicates and neighbouring files) stands for one."
    return Table("Films by split and study type", header, rows, m.origins.data, divided + grouped, (1,))


def _apart(m: Material, films: pl.DataFrame) -> Iterator[Text]:
    groups, patients, files = splits_apart(films)
    named = (films["patient"] != "").any()
    crossing = [(groups, "groups"), *([(patients, "patients")] if named else []), (files, "files with the same bytes")]
    said = ", ".join(f"{count:,} {what}" for count, what in crossing)
    yield Text(f"In more than one split: {said}.", m.origins.data, warns=any(count for count, _ in crossing))


def _files(m: Material, films: pl.DataFrame) -> Table:
    def spread(column: str) -> str:
        middle, least, most = films.select(pl.median(column), pl.min(column).alias("least"), pl.max(column).alias("most")).row(0)
        return "unknown" if middle is None else f"{middle:.0f} ({least} to {most})"

    kinds = ", ".join(f"{kind} {count:,}" for kind, count in films["format"].value_counts(sort=True).iter_rows())
    status = ", ".join(f"{word} {count:,}" for word, count in films["status"].value_counts(sort=True).iter_rows())
    boxed = films.filter(pl.col("boxes").list.len() > 0).height
    rows = [
        ("dataset", Path(films["root"][0]).name if len(films) else ""),
        ("layout", m.index_report.layout if m.index_report else "unknown: the index has no report beside it"),
        ("file formats", kinds),
        ("files", status),
        ("width, pixels: median (least to most)", spread("width")),
        ("height, pixels: median (least to most)", spread("height")),
        ("films with a marked finding", f"{boxed:,}"),
    ]
    return Table("Files", ("", "films"), rows, m.origins.data, words=(1,))


def _problems(m: Material) -> Iterator[Block]:
    if m.index_report is None:
        yield Gap(
            "No report stands beside the index, so that duplicates, conflicts and unreadable films are not known. Make it: osteon index"
        )
        return
    rows = [(kind.replace("-", " "), f"{count:,}") for kind, count in sorted(m.index_report.found.items())]
    ignored = [("hidden files, ignored", m.index_report.hidden.count), ("other files, ignored", m.index_report.strays.count)]
    rows += [(what, f"{count:,}") for what, count in ignored if count]
    checked = "Every film was decoded." if m.index_report.decoded else "No film was decoded: names and headers alone were read."
    if rows:
        yield Table(
            "Problems of the dataset", ("problem", "count"), rows, m.origins.data, f"{checked} The report beside the index names the files."
        )
    else:
        yield Text(f"{checked} No problem was found.", m.origins.data)
