"""What each figure is called, what is to be seen in it, why that matters, and the same for who cannot see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from osteon.card_text import interval
from osteon.lab.exploration.count_figures import shown_types, title
from osteon.lab.exploration.counts import UNKNOWN
from osteon.lab.exploration.film_figures import MOST_ATTRIBUTES
from osteon.lab.exploration.records import (
    ABNORMAL,
    ALL,
    COUNTS,
    FILMS,
    NORMAL,
    SHORTCUTS,
    UNLABELLED,
    Attribute,
    Cell,
    Exploration,
    Figure,
    Spread,
    Tally,
)


def patients(e: Exploration) -> Figure:
    """Describe patients (or groups) per study type and split."""
    who = f"{e.who}s"
    lacking = " A patient with films of two study types counts in each."
    if e.patients is None:
        lacking = " No patient is named here: a group (neighbouring files, duplicates) stands for one."
    elif e.films_without_patient:
        lacking = f" Films that name no patient are left out: {e.films_without_patient:,}."
    return Figure(
        file="patients.png",
        section=COUNTS,
        title=f"{who.capitalize()} per study type and split",
        caption=f"{who.capitalize()} in all: {'; '.join(f'{c.split} {c.people:,}' for c in _cells(e, e.splits, [ALL]))}.{lacking}"
        f" Intervals rest on this number, not on the number of films: a study type with few {who} in a split is measured poorly there."
        + _cut(e),
        alt=f"Bars: {who} per study type and split. In all splits: "
        + _listed(f"{title(c.study_type)} {c.people:,}" for c in _cells(e, [ALL], shown_types(e))),
    )


def studies_per_patient(e: Exploration) -> Figure:
    """Describe studies per patient (or group)."""
    return Figure(
        file="studies-per-patient.png",
        section=COUNTS,
        title=f"Studies per {e.who}",
        caption=f"{_share_above_one(e.studies_per_patient):.1%} of the {e.who}s have more than one study."
        f" Their studies resemble each other: a split that tears a {e.who} apart lets a model recognise instead of read, so osteon"
        f" splits by {e.who}."
        f" The numbers over the columns count {e.who}s.",
        alt=f"Columns: share of {e.who}s by how many studies they have. {_sizes(e.studies_per_patient)}",
    )


def classes(e: Exploration) -> Figure:
    """Describe the class distribution per study type."""
    whole = e.cell()
    cells = [c for c in _cells(e, [ALL], shown_types(e)) if c.abnormal_share is not None]
    said = "No study has a label."
    if whole is not None and whole.abnormal_share is not None:
        unlabelled = f" {whole.unlabelled_studies:,} studies have no label." if whole.unlabelled_studies else ""
        said = f"{whole.abnormal_share:.1%} of the labelled studies are abnormal.{_extremes(cells)}{unlabelled}"
    return Figure(
        file="classes.png",
        section=COUNTS,
        title="Normal and abnormal studies per study type",
        caption=f"{said} Left the studies; right the abnormal share in each split with its 95 % interval. Where splits differ, accuracy,"
        " PPV and kappa of one cannot be expected in the other." + _cut(e),
        alt="Bars: normal and abnormal studies per study type, and the abnormal share. "
        + _listed(f"{title(c.study_type)} {c.abnormal_share:.0%} of {c.labelled_studies:,}" for c in cells),
    )


def films_per_study(e: Exploration) -> Figure:
    """Describe films per study."""
    return Figure(
        file="films-per-study.png",
        section=COUNTS,
        title="Films per study",
        caption=f"{_share_above_one(e.films_per_study):.1%} of the studies have more than one film."
        " Where a label is the study's, single films of an abnormal study may show nothing; its answer is pooled from its films. The"
        " numbers over the columns count studies.",
        alt=f"Columns: share of studies by how many films they have. {_sizes(e.films_per_study)}",
    )


def sizes(e: Exploration) -> Figure:
    """Describe film sizes."""
    first = e.sizes[0]
    return Figure(
        file="sizes.png",
        section=FILMS,
        title="Film sizes",
        caption="A mark is a size, its area the share of the label's films; on the dotted line films are square. The most frequent size is"
        f" {first.width} x {first.height} pixels ({first.films:,} of {e.films:,} films)."
        " Films are scaled to a network's input: the detail of larger ones is lost there, smaller ones have none to give. Clouds that"
        " differ between normal and abnormal are a possible shortcut.",
        alt=f"Width against height of the films by label. {_spread(e, 'width')} {_spread(e, 'height')}",
    )


def aspects(e: Exploration) -> Figure:
    """Describe aspect ratios."""
    return Figure(
        file="aspects.png",
        section=FILMS,
        title="Aspect ratios",
        caption="Width over height of the films of each label. Films are padded or stretched to a network's square input, so a shape that"
        " predicts the label shows there as black bars or as distortion. The lines should lie on each other.",
        alt=f"Distribution of width over height by label. {_spread(e, 'aspect')}",
    )


def greys(e: Exploration) -> Figure:
    """Describe intensity ranges."""
    whole = [r for r in e.ranges if r.study_type == ALL]
    levels = "; ".join(f"{r.label} {r.p1:.2f} to {r.p99:.2f}, middle {r.p50:.2f}, {r.black:.0%} black" for r in whole)
    return Figure(
        file="greys.png",
        section=FILMS,
        title="Grey levels",
        caption=f"{sum(r.films for r in whole):,} films, drawn at random, as many of each label as there are."
        " Thin: from the 1st to the 99th percentile of a film's pixels; thick: from the 25th to the 75th; stroke: the middle; each"
        " the median over films. Over all study"
        f" types: {levels}. A label that is darker or flatter than the other was exposed or saved in another way: a shortcut.",
        alt=f"Ranges of grey levels per study type and label. Over all study types: {levels}.",
    )


def shortcuts(e: Exploration) -> Figure:
    """Describe possible shortcuts."""
    measured = [a for a in e.attributes if a.auroc is not None]
    showing = [a for a in measured if a.shows]
    strongest = f" The strongest: {attribute_words(showing[0])}." if showing else ""
    sampled = " * on the films that were opened." if any(a.sampled for a in measured) else ""
    cut = f" The {MOST_ATTRIBUTES} strongest of {len(measured)} are shown." if len(measured) > MOST_ATTRIBUTES else ""
    return Figure(
        file="shortcuts.png",
        section=SHORTCUTS,
        title="Possible shortcuts: what predicts the label without a look at bone",
        caption="How well one attribute alone ranks abnormal above normal films, with its 95 % interval; 0.5 says nothing. Dots compare all"
        " films, squares only films of one study type: what is left there helps a model that knows the body part already."
        f"{strongest} Of {len(measured)} intervals {len(showing)} leave out 0.5 within study types; chance alone would give one in twenty."
        " What predicts the label here may not do so elsewhere: measure with and without it (osteon evaluate --by)." + sampled + cut,
        alt="AUROC of each attribute alone, over all films and within study types. "
        + _listed(f"{a.name} {a.auroc:.2f}" + ("" if a.within is None else f" and {a.within:.2f}") for a in measured[:MOST_ATTRIBUTES]),
    )


def hardware(e: Exploration) -> Figure:
    """Describe the share of films with metal implants."""
    said = "; ".join(f"{s.count:,} of {s.films:,} {s.label} films ({s.share:.1%})" for s in e.hardware if s.study_type == ALL)
    return Figure(
        file="hardware.png",
        section=SHORTCUTS,
        title="Films with metal implants",
        caption=f"Plates, screws, nails, wires: in {said}. A model can score by finding metal, which is easier than finding what is wrong"
        " with a bone; its results on films without metal are the ones to trust.",
        alt=f"Share of films with metal implants per study type and label. Over all study types: {said}.",
    )


def attribute_words(a: Attribute) -> str:
    """Return in a phrase how well one attribute alone predicts the label, by its AUROC within study types.

    >>> attribute_words(Attribute(name="width", films=9, abnormal=3, within=0.25, within_low=0.1, within_high=0.4))
    'width alone predicts the label: AUROC 0.250 (0.100, 0.400), less in abnormal films'
    """
    value = 0.5 if a.within is None else a.within
    words = f"{a.name} alone predicts the label: AUROC {value:.3f} {interval(a.within_low, a.within_high)}".strip()
    return f"{words}, {'more' if value > 0.5 else 'less'} in abnormal films"


def _cells(e: Exploration, splits: Sequence[str], types: Sequence[str]) -> list[Cell]:
    return [cell for split in splits for name in types if (cell := e.cell(split, name))]


def _extremes(cells: list[Cell]) -> str:
    """Return which study types are abnormal least and most often, "" where there are not two."""
    known = sorted((c for c in cells if c.study_type != UNKNOWN), key=lambda c: c.abnormal_share or 0)
    if len(known) < 2:
        return ""
    low, high = (f"{title(c.study_type)} ({c.abnormal_share:.0%})" for c in (known[0], known[-1]))
    return f" Least often in {low}, most often in {high}: the study type alone is a hint."


def _share_above_one(tallies: list[Tally]) -> float:
    return sum(t.count for t in tallies if t.size > 1) / max(1, sum(t.count for t in tallies))


def _sizes(tallies: list[Tally]) -> str:
    by_size: dict[int, int] = {}
    for t in tallies:
        by_size[t.size] = by_size.get(t.size, 0) + t.count
    return _listed(f"{size}: {count:,}" for size, count in sorted(by_size.items()))


def _spread(e: Exploration, name: str) -> str:
    order = (NORMAL, ABNORMAL, UNLABELLED)
    rows: list[Spread] = sorted((s for s in e.spreads if s.name == name), key=lambda s: order.index(s.label))
    return f"{name.capitalize()}: " + _listed(f"{s.label} {s.least:.4g} to {s.most:.4g}, median {s.median:.4g}" for s in rows)


def _listed(words: Iterable[str]) -> str:
    return ("; ".join(words) or "none") + "."


def _cut(e: Exploration) -> str:
    shown = len(shown_types(e))
    return f" The {shown} most frequent of {len(e.study_types)} study types are shown." if shown < len(e.study_types) else ""
