"""What each figure of an exploration is called, what is to be seen in it, why that matters, and the same for who cannot see it."""

from __future__ import annotations

from osteon.lab.exploration.counts import UNKNOWN
from osteon.lab.exploration.count_figures import MOST_TYPES, title
from osteon.lab.exploration.film_figures import MOST_ATTRIBUTES
from osteon.lab.exploration.galleries import Gallery
from osteon.lab.exploration.records import ABNORMAL, ALL, NORMAL, UNLABELLED, WORDS, Attribute, Exploration, Figure, Spread, Tally

COUNTS, FILMS, SHORTCUTS, FAULTS = "counts", "films", "shortcuts", "faults"
"""Sections of the page."""


def patients(e: Exploration) -> Figure:
    """Describe patients (or groups) per study type and split."""
    who = "groups" if e.patients is None else "patients"
    said = "; ".join(f"{split}: {_people(e, split, ALL)}" for split in e.splits)
    lacking = (
        " This data set names no patient: a group is what must stay together (neighbouring numbers, duplicates), and stands in their place."
        if e.patients is None
        else f" {_films(e.films_without_patient)} no patient and are not counted here."
        if e.films_without_patient
        else " A patient with films of two study types counts in each."
    )
    return Figure(
        file="patients.png",
        section=COUNTS,
        title=f"{who.capitalize()} per study type and split",
        caption=f"{who.capitalize()} in all: {said}.{lacking} Intervals rest on this number, not on the number of films:"
        f" a study type with few {who} in the split that is measured gives a wide one." + _cut(e),
        alt=f"Bars: {who} per study type and split. "
        + "; ".join(f"{title(t)} {_people(e, ALL, t)}" for t in e.study_types[:MOST_TYPES])
        + ".",
    )


def studies_per_patient(e: Exploration) -> Figure:
    """Describe studies per patient (or group)."""
    who = "group" if e.patients is None else "patient"
    more = _share_above(e.studies_per_patient)
    return Figure(
        file="studies-per-patient.png",
        section=COUNTS,
        title=f"Studies per {who}",
        caption=f"{more:.1%} of the {who}s have more than one study. Their studies resemble each other, so a split that tears a {who} apart"
        f" lets a model recognise instead of read: osteon splits by {who}. Numbers over the columns are {who}s.",
        alt=f"Columns: share of {who}s with one, two and more studies. {_counted(e.studies_per_patient)}.",
    )


def classes(e: Exploration) -> Figure:
    """Describe the class distribution per study type."""
    whole = e.cell()
    shares = {t: s for t in e.study_types if (s := _abnormal(e, t)) is not None and t != UNKNOWN}
    apart = ""
    if len(shares) > 1:
        low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        apart = f" It is lowest for {title(low)} ({shares[low]:.0%}) and highest for {title(high)} ({shares[high]:.0%}): the study type alone is a hint."
    overall = _abnormal(e, ALL)
    told = "No study has a label." if overall is None else f"{overall:.1%} of the labelled studies are abnormal.{apart}"
    unlabelled = (
        f" {whole.unlabelled_studies:,} studies have no label." if whole and whole.unlabelled_studies and overall is not None else ""
    )
    return Figure(
        file="classes.png",
        section=COUNTS,
        title="Normal and abnormal studies per study type",
        caption=f"{told}{unlabelled} Left the studies, right the abnormal share in each split with its 95 % interval: where splits differ,"
        " accuracy, PPV and kappa of one cannot be expected in the other." + _cut(e),
        alt="Stacked bars of normal and abnormal studies per study type, and the abnormal share: "
        + ("; ".join(f"{title(t)} {share:.0%}" for t, share in list(shares.items())[:MOST_TYPES]) or "none is labelled")
        + ".",
    )


def films_per_study(e: Exploration) -> Figure:
    """Describe films per study."""
    more = _share_above(e.films_per_study)
    return Figure(
        file="films-per-study.png",
        section=COUNTS,
        title="Films per study",
        caption=f"{more:.1%} of the studies have more than one film. Labels are a study's, so in an abnormal study single films may show"
        " nothing; a study's answer is pooled from its films' answers. Numbers over the columns are studies.",
        alt=f"Columns: share of studies with one, two and more films. {_counted(e.films_per_study)}.",
    )


def sample(label: int | None, gallery: Gallery) -> Figure:
    """Describe a sample of films of a label."""
    word, shown = WORDS[label], gallery.films.height
    kinds = [title(t) for t in gallery.films["study_type"].unique(maintain_order=True)]
    boxed = bool(gallery.films["boxes"].list.len().fill_null(0).sum())
    boxes = " Orange frames are the findings that the data set marks." if boxed else ""
    why = {
        1: "Look for what is abnormal in each: where only metal or a cast can be seen, a model learns that.",
        0: "Look for findings that were missed, for casts and metal, and for how the films differ from the abnormal ones in anything else.",
        None: "Look whether they are of the same kind as the labelled ones.",
    }[label]
    name = {1: "abnormal", 0: "normal", None: "unlabelled"}[label]
    return Figure(
        file=f"{name}-films.png",
        section=FILMS,
        title=f"{name.capitalize()} films" if label is not None else "Films without a label",
        caption=f"{shown} of {gallery.total:,} films, drawn at random, each study type in turn.{boxes} {why}",
        alt=f"{shown} small radiographs ({word}) of: {', '.join(kinds)}.",
    )


def sizes(e: Exploration) -> Figure:
    """Describe film sizes."""
    first = e.sizes[0]
    wide, high = (_spread(e, name) for name in ("width", "height"))
    return Figure(
        file="sizes.png",
        section=FILMS,
        title="Film sizes",
        caption=f"A mark is a size, its area the share of the label's films; on the dotted line films are square. The most frequent size is"
        f" {first.width} x {first.height} pixels ({first.films:,} of {e.films:,} films). Films are scaled to the network's input: detail of larger"
        " films is lost there, smaller ones have none to give. Clouds that differ between normal and abnormal are a shortcut.",
        alt=f"Width against height of the films by label. {_told(wide)} {_told(high)}",
    )


def aspects(e: Exploration) -> Figure:
    """Describe aspect ratios."""
    found = _spread(e, "aspect")
    return Figure(
        file="aspects.png",
        section=FILMS,
        title="Aspect ratios",
        caption="Width over height of the films of each label. Where a network's input is a square, films are padded or stretched to it: a"
        " shape that goes with the label then shows as black bars or as distortion. The lines should lie on each other.",
        alt=f"Distribution of width over height by label. {_told(found)}",
    )


def greys(e: Exploration) -> Figure:
    """Describe intensity ranges."""
    whole = [r for r in e.ranges if r.study_type == ALL]
    opened = e.pixels.opened if e.pixels else 0
    levels = "; ".join(f"{r.label}: {r.p1:.2f} to {r.p99:.2f}, middle {r.p50:.2f}, {r.black:.0%} black" for r in whole)
    return Figure(
        file="greys.png",
        section=FILMS,
        title="Grey levels",
        caption=f"Of {sum(r.films for r in whole):,} films (of {opened:,} opened, drawn at random, as many of each label): thin from the 1st to the"
        " 99th percentile of a film's pixels, thick from the 25th to the 75th, a stroke at the middle, each the median of its films. Medians over"
        f" all study types: {levels}. Films that use little of the scale, or a label that is darker than the other, come from how they were"
        " exposed and saved, not from what they show.",
        alt=f"Ranges of grey levels per study type and label. {levels}.",
    )


def shortcuts(e: Exploration) -> Figure:
    """Describe what goes with the label."""
    showing = [a for a in e.attributes if a.shows]
    sampled = " * measured on the films that were opened." if any(a.sampled and a.auroc is not None for a in e.attributes) else ""
    strongest = f"The strongest is {attribute_words(showing[0])}." if showing else "No interval leaves out 0.5."
    count = sum(a.auroc is not None for a in e.attributes)
    cut = f" The {MOST_ATTRIBUTES} strongest of {count} are shown." if count > MOST_ATTRIBUTES else ""
    return Figure(
        file="shortcuts.png",
        section=SHORTCUTS,
        title="What tells abnormal from normal without looking at bone",
        caption=f"How well one attribute alone ranks abnormal above normal films, with its 95 % interval; 0.5 says nothing, 1 or 0 all."
        f" {strongest} {len(showing)} of {count} intervals leave out 0.5; by chance alone one in twenty would. Squares compare films of one study"
        " type only: what is left there, a model can use even when it knows the body part. Such an attribute goes with the label in this data"
        f" set, and may not elsewhere; evaluate with and without it (osteon evaluate --by).{sampled}{cut}",
        alt="AUROC of each attribute alone: " + "; ".join(_attribute(a) for a in e.attributes if a.auroc is not None) + ".",
    )


def hardware(e: Exploration) -> Figure:
    """Describe the share of films with hardware."""
    told = "; ".join(f"{s.count:,} of {s.films:,} {s.label} films ({s.share:.1%})" for s in e.hardware if s.study_type == ALL)
    return Figure(
        file="hardware.png",
        section=SHORTCUTS,
        title="Films with hardware",
        caption=f"Plates, screws, nails and wires: {told}. A model can score by finding metal, which is easier than finding a fracture; its"
        " figure on films without hardware is the one to trust.",
        alt=f"Share of films with hardware per study type and label: {told}.",
    )


def duplicates(gallery: Gallery) -> Figure:
    """Describe duplicates."""
    pairs = gallery.films.height // 2
    differing = sum(gallery.warns) // 2
    warned = f" Red frames: {differing} of the pairs shown have two different labels, so one of them is wrong." if differing else ""
    return Figure(
        file="duplicates.png",
        section=FAULTS,
        title="Duplicates side by side",
        caption=f"{pairs} of {gallery.total:,} sets of files that show the same exposure, those with different labels and those in different"
        f" splits first.{warned} A duplicate on both sides of a split is known by heart; osteon split keeps them together.",
        alt=f"{pairs} pairs of radiographs, each pair the same exposure twice; {differing} pairs have different labels.",
    )


def conflicts(gallery: Gallery) -> Figure:
    """Describe films of contradictory labels."""
    return Figure(
        file="label-conflicts.png",
        section=FAULTS,
        title="Films with contradictory labels",
        caption=f"{gallery.films.height} of {gallery.total:,} films to which two sources (folder, table, a duplicate of the film) give different"
        " labels; written above is the one that counts in the index. A person should look at them: no model can be right on both.",
        alt=f"{gallery.films.height} radiographs with contradictory labels.",
    )


def truncated(gallery: Gallery) -> Figure:
    """Describe films whose file ends early."""
    normal, abnormal = gallery.by_label
    return Figure(
        file="truncated.png",
        section=FAULTS,
        title="Files that end early",
        caption=f"{gallery.films.height} of {gallery.total:,} films whose file was cut off ({normal:,} normal, {abnormal:,} abnormal); what is"
        " missing is a strip of one grey at the lower edge, often too thin to see. They are read as far as they go. If they go with one"
        " label, the strip is a shortcut.",
        alt=f"{gallery.films.height} radiographs whose files end early.",
    )


def attribute_words(a: Attribute) -> str:
    """Return one attribute as a phrase.

    >>> attribute_words(Attribute(name="width", films=9, abnormal=3, auroc=0.25, low=0.1, high=0.4))
    'width (AUROC 0.25, 0.10 to 0.40: less in abnormal films)'
    """
    more = "more" if (a.auroc or 0.5) > 0.5 else "less"
    ends = f", {a.low:.2f} to {a.high:.2f}" if a.low is not None else ""
    return f"{a.name} (AUROC {a.auroc:.2f}{ends}: {more} in abnormal films)"


def _attribute(a: Attribute) -> str:
    within = f", within study types {a.within:.2f}" if a.within is not None else ""
    return f"{a.name} {a.auroc:.2f}{within}"


def _people(e: Exploration, split: str, study_type: str) -> str:
    cell = e.cell(split, study_type)
    return f"{(cell.groups if cell.patients is None else cell.patients) if cell else 0:,}"


def _abnormal(e: Exploration, study_type: str) -> float | None:
    cell = e.cell(ALL, study_type)
    labelled = cell.normal_studies + cell.abnormal_studies if cell else 0
    return cell.abnormal_studies / labelled if cell and labelled else None


def _share_above(tallies: list[Tally]) -> float:
    return sum(t.count for t in tallies if t.size > 1) / max(1, sum(t.count for t in tallies))


def _counted(tallies: list[Tally]) -> str:
    by_size: dict[int, int] = {}
    for t in tallies:
        by_size[t.size] = by_size.get(t.size, 0) + t.count
    return "; ".join(f"{size}: {count:,}" for size, count in sorted(by_size.items())[:12])


def _spread(e: Exploration, name: str) -> list[Spread]:
    return [s for s in e.spreads if s.name == name]


def _told(spreads: list[Spread]) -> str:
    order = (NORMAL, ABNORMAL, UNLABELLED)
    rows = sorted(spreads, key=lambda s: order.index(s.label))
    return (
        f"{rows[0].name.capitalize()}: " + "; ".join(f"{s.label} {s.least:.4g} to {s.most:.4g}, median {s.median:.4g}" for s in rows) + "."
    )


def _films(count: int) -> str:
    return f"{count:,} films name" if count != 1 else "1 film names"


def _cut(e: Exploration) -> str:
    return f" The {MOST_TYPES} most frequent of {len(e.study_types)} study types are shown." if len(e.study_types) > MOST_TYPES else ""
