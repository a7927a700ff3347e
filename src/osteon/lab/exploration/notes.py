"""What a person should know first: an exploration in a few sentences, the warnings before the rest."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.lab.exploration.captions import FAULTS, SHORTCUTS, attribute_words
from osteon.lab.exploration.records import ALL, Exploration

STRONG = 0.6
"""AUROC of an attribute alone, in either direction, from which it is warned of."""

NAMED = 3
"""How many attributes a warning names."""


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
    words = {
        "leak": "groups (patients, duplicates) stand in more than one split: figures measured on these splits are too good",
        "label-conflict": "contradictory labels: folder against table, or duplicates with different labels",
        "unreadable": "films cannot be read; they are in the index and never used",
        "truncated": "files end early and are read as far as they go",
        "exact-duplicate": "sets of files have the same bytes",
        "near-duplicate": "pairs of files show the same exposure",
    }
    counts = {t.kind: t.count for t in e.troubles}
    return [Note(f"{counts[kind]:,} {text}.", kind != "unreadable", FAULTS) for kind, text in words.items() if counts.get(kind)]


def _shortcuts(e: Exploration) -> list[Note]:
    strong = [a for a in e.attributes if a.shows and a.strength >= STRONG]
    if strong:
        told = "; ".join(attribute_words(a) for a in strong[:NAMED])
        more = f"; and {len(strong) - NAMED} more" if len(strong) > NAMED else ""
        return [Note(f"Goes with the label by itself: {told}{more}.", True, SHORTCUTS)]
    measured = [a for a in e.attributes if a.low is not None]
    if measured:
        return [
            Note(
                f"None of {len(measured)} attributes tells abnormal from normal by itself with an AUROC of {STRONG} or more.",
                False,
                SHORTCUTS,
            )
        ]
    whole = e.cell()
    if whole is None or not whole.normal_films + whole.abnormal_films:
        return [Note("No film has a label: what goes with it cannot be measured.", False, SHORTCUTS)]
    if not whole.normal_films or not whole.abnormal_films:
        return [Note("All labelled films have the same label: what goes with it cannot be measured.", True, SHORTCUTS)]
    return [Note("Too few groups of one label: what goes with it cannot be measured.", False, SHORTCUTS)]


def _pixels(e: Exploration) -> list[Note]:
    if e.pixels is None:
        return [Note("No film was opened (--no-pixels): samples, grey levels and duplicates side by side are left out.")]
    found = []
    if e.pixels.missing:
        found.append(
            Note(
                f"{e.pixels.missing:,} of the {e.pixels.asked:,} films to be opened are not where the index says."
                " Index the data set again where it stands now.",
                True,
            )
        )
    if e.pixels.refused:
        found.append(
            Note(f"{e.pixels.refused:,} of the {e.pixels.asked:,} films to be opened cannot be read. Index the data set again.", True)
        )
    return found


def _unknown(e: Exploration) -> list[Note]:
    found = []
    if e.patients is None:
        found.append(Note("No patient is named; what stays together are the index's groups."))
    if not e.hardware_known:
        found.append(Note("Hardware is not known: the index has no column hardware. A manifest can bring one.", False, SHORTCUTS))
    if not e.origin.layout:
        found.append(
            Note("No report stands beside the index: near duplicates and the findings of its making are not known.", False, FAULTS)
        )
    elif not e.origin.report_fits:
        found.append(Note("The report beside the index was made of another state of it; its findings may not fit.", True, FAULTS))
    elif not e.origin.decoded:
        found.append(Note("The index was made without decoding: truncated files and duplicates are not known.", False, FAULTS))
    return found


def _published(e: Exploration) -> list[Note]:
    if not e.compared:
        return []
    other = [c for c in e.compared if c.here != c.published]
    if other:
        first = other[0]
        where = first.split if first.study_type == ALL else f"{first.split} {first.study_type.capitalize()}"
        told = (
            f"{len(other)} of {len(e.compared)} counts differ from MURA's published ones, the first: {where}, {first.what} {first.here:,}"
        )
        return [Note(f"{told} instead of {first.published:,}. Only the published data set has its counts.")]
    return [Note(f"All {len(e.compared)} counts are those that MURA was published with.")]
