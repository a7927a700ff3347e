"""Predictions -> studies, JSON, CSV, and the CSV of MURA's competition."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from osteon.content import printable
from osteon.prediction import FilmPrediction, Prediction, study_prediction
from osteon.sources import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from osteon.card import Card
    from osteon.sources import Source, Sources

MOST_SHOWN = 20
"""Studies whose pictures a notebook shows."""

CSV_COLUMNS = (
    "row", "study", "film", "level", "probability", "logit", "films", "refused", "out_of_scope", "study_type", "truncated", "overlay",
    "reason", "error", "remarks",
)  # fmt: skip
"""`films`, `refused` and `out_of_scope` count a study's; `reason` says why a film is out of scope, `error` why it could not be used."""

_Place: TypeAlias = tuple[bool, str, str]
"""Of a study: whether a UID made it, UID or name, and what tells it from others of that name."""

_FORMULA = re.compile(r"[' ]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet may compute, or `cell` has made text of."""


class Studies(Protocol):
    """Studies to write: gone through as often as needed, with the card of the model, the files that were left out, and what made them."""

    card: Card
    ignored: dict[str, int]
    made_by: dict[str, str]

    def __iter__(self) -> Iterator[Prediction]:
        """Yield them in order."""

    def __len__(self) -> int:
        """Return how many there are."""


class Predictions(list[Prediction]):
    """What was found: a list of studies, with the `card` of the model and the files that were left out (`ignored`, counted by reason).

    `made_by` has the version of osteon, the SHA-256 of the model file and the precision, as `Model.made_by` says.
    """

    def __init__(self, studies: Iterable[Prediction], card: Card, ignored: dict[str, int]) -> None:
        super().__init__(studies)
        self.card, self.ignored, self.made_by = card, ignored, dict[str, str]()

    def to_dict(self) -> dict[str, Any]:
        """Return what `osteon predict --json` writes."""
        return _head(self) | {"studies": [study.to_dict() for study in self]}

    def _repr_html_(self) -> str:
        """Show the first studies in a notebook."""
        more = f"<p>... and {len(self) - MOST_SHOWN} more studies.</p>" if len(self) > MOST_SHOWN else ""
        return "".join(study._repr_html_() for study in self[:MOST_SHOWN]) + more


def _head(studies: Studies) -> dict[str, Any]:
    """Return what is said beside the studies."""
    card, d = studies.card, studies.card.decision
    return {
        "model": card.reference,
        "site": card.site or None,
        "made_by": dict(studies.made_by),
        "finding": card.finding,
        "study_pooling": card.study_pooling,
        "decision": {"threshold": d.threshold, "doubt_from": d.doubt_from, "doubt_to": d.doubt_to},
        "ignored": dict(studies.ignored),
    }


def group(predictions: Iterable[FilmPrediction], sources: Sources, card: Card) -> Predictions:
    """Put films of one study together, studies in the order of their first films.

    Args:
        predictions: Of the films of `sources`, in their order.
        sources: Where the films came from.
        card: Of the model.
    """
    films = list(predictions)
    groups = grouped(sources, [(film.study_uid, film.patient) for film in films])
    studies = (study_prediction(name, [films[i] for i in members], card) for name, members in groups)
    return Predictions(studies, card, dict(sources.ignored))


def grouped(sources: Sources, told: Sequence[tuple[str, str]]) -> list[tuple[str, list[int]]]:
    """Return the name of each study and the places of its films in `sources`, studies in the order of their first films.

    Args:
        sources: The films.
        told: The `study_uid` and the `patient` of each film's prediction, or what stands for them: they are compared alone.
    """
    members = _by_patient([_study(source, *said) for source, said in zip(sources.films, told, strict=True)])
    in_folder = Counter(map(folder_of, sources.films))
    names = [_name([sources.films[i] for i in places], in_folder) if by_uid else name for ((by_uid, name, _), _), places in members.items()]
    return list(zip(_distinct(names), members.values(), strict=True))


def _study(source: Source, uid: str, patient: str) -> tuple[_Place, str]:
    """Return a film's study, by its UID or by where the film stands, and its patient where its file is asked."""
    if not source.ask_file:
        return (False, source.study, source.apart), ""
    return (uid != "", uid or source.study, source.apart), patient


def _by_patient(films: Sequence[tuple[_Place, str]]) -> dict[tuple[_Place, str], list[int]]:
    """Part studies by patient. A film without UID that names no patient, a broken one too, is of the one patient of its study."""
    patients: defaultdict[_Place, set[str]] = defaultdict(set)
    for study, patient in films:
        patients[study].update({patient} - {""})
    members: dict[tuple[_Place, str], list[int]] = {}
    for i, (study, patient) in enumerate(films):
        joins = not patient and not study[0] and len(patients[study]) == 1
        members.setdefault((study, min(patients[study]) if joins else patient), []).append(i)
    return members


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Yield names, each once: the second study of one name is called `name (2)`."""
    taken, count = set(names), Counter[str]()
    for name in names:
        count[name] += 1
        told = name
        while count[name] > 1 and (told := f"{name} ({count[name]})") in taken:
            count[name] += 1
        taken.add(told)
        yield told


def _name(films: Sequence[Source], in_folder: Counter[str]) -> str:
    """Return what a study is called that its UID made: never the UID, but the folder that holds it alone, or its first film."""
    folder, first = folder_of(films[0]), films[0].name
    if len(films) == 1:
        return first
    alone = in_folder[folder] == len(films) and all(folder_of(film) == folder for film in films)
    return folder if folder and alone else f"{first} and {len(films) - 1} more"


def cell(text: str) -> str:
    r"""Return a text as a cell of a table that does no harm: `uncell` takes the apostrophe away again.

    Control and direction characters are escapes, as on the terminal, and what a spreadsheet might compute (it begins with `=`, `+`, `-` or
    `@`, after blanks or apostrophes) gets an apostrophe in front, by which spreadsheets know a text.

    >>> print(cell("=1+1.png"), cell("a\n.png"))
    '=1+1.png a\n.png
    """
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def uncell(told: str) -> str:
    """Return the text that `cell` was given, its escapes left as they are."""
    return told[1:] if told.startswith("'") and _FORMULA.match(told) else told


def as_json(studies: Studies) -> Iterator[str]:
    """Yield what `Predictions.to_dict` returns as text, piece by piece."""
    yield _json(_head(studies)).removesuffix("}")
    separator = ', "studies": ['
    for study in studies:
        yield f"{separator}\n{_json(study.to_dict())}"
        separator = ","
    yield "\n]}\n"


def _json(told: dict[str, Any]) -> str:
    text = json.dumps(told, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(told)


def as_csv(studies: Iterable[Prediction]) -> Iterator[str]:
    """Yield one row a study and below it one a film, with `CSV_COLUMNS`; texts as `cell` writes them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for s in studies:
        counts = {"films": len(s.films), "refused": len(s.refused), "out_of_scope": len(s.out_of_scope)}
        writer.writerow(_row("study", s.to_dict() | counts))
        writer.writerows(map(partial(_row, "film"), film_rows(s)))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def film_rows(study: Prediction) -> Iterator[dict[str, Any]]:
    """Yield what is said of each film of a study, with its study."""
    for film in study.films:
        yield film.to_dict() | {"study": study.study, "remarks": "; ".join(film.remarks)}


def _row(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    row = {"row": kind} | {name: told[name] for name in CSV_COLUMNS if name in told and (kind == "film" or name != "film")}
    return {name: cell(value) if isinstance(value, str) else value for name, value in row.items()}


def as_mura_csv(studies: Studies) -> Iterator[str]:
    """Yield the competition's `<study folder>/,<0|1>` a line; a study that gave no number gets 0, what most studies are."""
    threshold = studies.card.decision.threshold
    yield from (f"{s.study},{int(s.probability is not None and s.probability >= threshold)}\n" for s in studies)
