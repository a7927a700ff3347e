"""What a person should know first: an exploration in a few sentences, the warnings before the rest."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.lab.data.index import KINDS
from osteon.lab.exploration.captions import attribute_words
from osteon.lab.exploration.records import ALL, COUNTS, FAULTS, SHORTCUTS, Exploration

STRONG = 0.6
"""AUROC of an attribute alone, in either direction, from which it is warned of."""

NAMED = 3
"""How many attributes a warning names."""

_FAULTS = ("leak", "label-conflict", "unreadable", "truncated", "exact-duplicate", "near-duplicate")


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence, whether it warns, and the section of the page that says more ("" = none)."""

    text: str
    warns: bool = False
    section: str = ""


def notes(e: Exploration) -> list[Note]:
    """Return the notes on an exploration, warnings first."""
    found = [*_faults(e), *_shortcuts(e), *_pixels(e), *_unknown(e), *_published(e)]
    return sorted(found, key=lambda note: not note.warns)


def _faults(e: Exploration) -> list[Note]:
    counts = {t.kind: t.count for t in e.troubles}
    return [Note(f"{counts[kind]:,} {KINDS[kind]}.", kind != "unreadable", FAULTS) for kind in _FAULTS if counts.get(kind)]


def _shortcuts(e: Exploration) -> list[Note]:
    strong = [a for a in e.attributes if a.shows and a.strength >= STRONG]
    if strong:
        more = f" So do {len(strong) - NAMED} more." if len(strong) > NAMED else ""
        first, *others = [Note(f"Possible shortcut: {attribute_words(a)}.", True, SHORTCUTS) for a in strong[:NAMED]]
        return [first, *others[:-1], *(Note(last.text + more, True, SHORTCUTS) for last in others[-1:])]
    measured = [a for a in e.attributes if a.within_low is not None]
    if measured:
        return [Note(f"No attribute of {len(measured)} alone predicts the label with an AUROC of {STRONG} or more.", section=SHORTCUTS)]
    whole = e.cell()
    if whole is None or not whole.normal_films + whole.abnormal_films:
        return [Note("No film has a label: shortcuts cannot be measured.", section=SHORTCUTS)]
    if not whole.normal_films or not whole.abnormal_films:
        return [Note("All labelled films have the same label: shortcuts cannot be measured.", True, SHORTCUTS)]
    return [Note("Too few groups of one label: shortcuts cannot be measured.", section=SHORTCUTS)]


def _pixels(e: Exploration) -> list[Note]:
    if e.pixels is None:
        return [Note("No film was opened (--sample 0): samples, grey levels and duplicates side by side are left out.")]
    of = f"of the {e.pixels.asked:,} films to be opened"
    again = "Index the dataset again, where it stands now."
    faults = ((e.pixels.missing, "are not where the index says"), (e.pixels.refused, "cannot be read"))
    return [Note(f"{count:,} {of} {fault}. {again}", True) for count, fault in faults if count]


def _unknown(e: Exploration) -> list[Note]:
    found = []
    if e.patients is None:
        found.append(Note("No patient is named; the index's groups stand for patients."))
    if not e.hardware_known:
        found.append(Note("Metal implants are not known: the index has no column `hardware`. A manifest can bring one.", section=SHORTCUTS))
    if not e.origin.layout:
        found.append(Note("No report stands beside the index: near duplicates and other problems are not known.", section=FAULTS))
    elif not e.origin.report_fits:
        found.append(Note("The report beside the index was made of another state of it; its problems may not fit.", True, FAULTS))
    elif not e.origin.decoded:
        found.append(Note("The index was made without decoding: truncated files and duplicates are not known.", section=FAULTS))
    return found


def _published(e: Exploration) -> list[Note]:
    if not e.compared:
        return []
    other = [c for c in e.compared if c.here != c.published]
    if other:
        first = other[0]
        where = first.split if first.study_type == ALL else f"{first.split} {first.study_type.capitalize()}"
        told = f"{len(other)} of {len(e.compared)} counts are not those of MURA as published, the first: {where}, {first.what}"
        return [Note(f"{told} {first.here:,} instead of {first.published:,}.", section=COUNTS)]
    return [Note(f"All {len(e.compared)} counts are those of MURA as published.", section=COUNTS)]
