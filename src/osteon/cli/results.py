"""Predictions -> a table for people, JSON, CSV, and the competition's CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osteon.prediction import OUT_OF_SCOPE, Prediction, study_prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from osteon.card import Card
    from osteon.cli.answers import Answer
    from osteon.cli.inputs import Sources

MOST_ROWS = 200
"""Rows of the table where the same stands in a file anyway."""

WIDE = 10_000
"""Characters."""

CSV_COLUMNS = (
    "row", "study", "film", "level", "probability", "logit", "films", "refused", "out_of_scope", "study_type", "truncated", "overlay",
    "reason", "error",
)  # fmt: skip
"""`films`, `refused` and `out_of_scope` count a study's; `reason` says why a film is out of scope, `error` why it could not be used."""

_COLOURS = {"yes": "bold red", "doubt": "yellow", "no": "green", OUT_OF_SCOPE: "cyan", None: "magenta"}


@dataclass(frozen=True, slots=True)
class Study:
    """One study's prediction and what became of each of its films, in the same order."""

    prediction: Prediction
    answers: tuple[Answer, ...]

    @property
    def is_its_film(self) -> bool:
        """Whether a single film is the study."""
        return len(self.answers) == 1 and self.answers[0].source.name == self.prediction.study

    @property
    def is_loose(self) -> bool:
        """Whether nothing said which study the film belongs to."""
        return self.is_its_film and self.answers[0].source.ask_file and not self.answers[0].uid


def group(answers: Iterable[Answer], card: Card) -> list[Study]:
    """Put films of one study together, studies in the order of their first films."""
    members: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        by_file = answer.source.ask_file and answer.uid
        members.setdefault(("uid", answer.uid) if by_file else ("name", answer.source.study), []).append(answer)
    in_folder = Counter(_folder(a) for films in members.values() for a in films)
    return [
        Study(study_prediction(_name(kind, name, films, in_folder), [a.prediction for a in films], card), tuple(films))
        for (kind, name), films in members.items()
    ]


def _name(kind: str, name: str, films: Sequence[Answer], in_folder: Counter[str]) -> str:
    """Return what a study is called: never its UID, but the folder that holds it alone, or its first film."""
    if kind == "name":
        return name
    folder, first = _folder(films[0]), films[0].source.name
    if len(films) == 1:
        return first
    alone = in_folder[folder] == len(films) and all(_folder(a) == folder for a in films)
    return folder if alone else f"{first} and {len(films) - 1} more"


def _folder(answer: Answer) -> str:
    return answer.source.name.rpartition("/")[0] or "."


def as_json(studies: Sequence[Study], sources: Sources, card: Card) -> Iterator[str]:
    """Yield all that was found as one JSON object, piece by piece."""
    decision = {"threshold": card.decision.threshold, "doubt_from": card.decision.doubt_from, "doubt_to": card.decision.doubt_to}
    head = {"model": card.reference, "finding": card.finding, "study_pooling": card.study_pooling, "decision": decision}
    yield json.dumps(head | {"ignored": dict(sources.ignored)}, ensure_ascii=False).removesuffix("}")
    separator = ', "studies": ['
    for study in studies:
        yield f"{separator}\n{json.dumps(_study(study), ensure_ascii=False)}"
        separator = ","
    yield "\n]}\n"


def _study(study: Study) -> dict[str, Any]:
    p = study.prediction
    return {"study": p.study, "level": p.level, "probability": p.probability, "films": [_film(a) for a in study.answers]}


def _film(answer: Answer) -> dict[str, Any]:
    p = answer.prediction
    told: dict[str, Any] = {"film": answer.source.name, "level": p.level, "probability": p.probability, "logit": p.logit}
    told |= {"study_type": p.study_type, "truncated": p.truncated}
    if answer.peak is not None:
        told["peak"] = dict(zip(("x", "y", "evidence"), answer.peak, strict=True))
    if answer.overlay:
        told["overlay"] = answer.overlay
    return told | {"reason": p.reason, "error": answer.error}


def as_csv(studies: Sequence[Study]) -> Iterator[str]:
    """Yield one row a study and below it one a film, with `CSV_COLUMNS`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for study in studies:
        p = study.prediction
        row = {"row": "study", "study": p.study, "level": p.level, "probability": p.probability}
        writer.writerow(row | {"films": len(p.films), "refused": len(p.refused), "out_of_scope": len(p.out_of_scope)})
        writer.writerows({"row": "film", "study": p.study} | _film(a) for a in study.answers)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def as_mura_csv(studies: Sequence[Study], card: Card) -> Iterator[str]:
    """Yield the competition's `<study folder>/,<0|1>` a line; a study that gave no number gets 0, what most studies are."""
    decided = ((s.prediction.study, s.prediction.probability) for s in studies)
    yield from (f"{study},{int(p is not None and p >= card.decision.threshold)}\n" for study, p in decided)


def show(studies: Sequence[Study], most: int) -> None:
    """Print the table; beyond `most` rows it says how many more there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Where no person looks, a row stays one line however long its path is.
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table("study / film", "level", "probability", "remark", box=None, pad_edge=False, header_style="bold")
    for study in studies:
        if table.row_count >= most:
            break
        p, alone = study.prediction, study.is_its_film
        told = "" if p.probability is None else f"{p.probability:.3f}"
        remark = _remark(study.answers[0]) if alone else _counts(p)
        table.add_row(Text(p.study, "bold"), Text(p.level or "-", _COLOURS[p.level]), told, Text(remark))
        for a in () if alone else study.answers:
            f = a.prediction
            told = "" if f.probability is None else f"{f.probability:.3f}"
            name = a.source.name.removeprefix(f"{p.study.rstrip('/')}/")
            table.add_row(Text(f"  {name}"), Text(f.level or "-", _COLOURS[f.level]), told, Text(_remark(a)))
    console.print(table)
    shown = table.row_count
    total = sum(1 if s.is_its_film else 1 + len(s.answers) for s in studies)
    if shown < total:
        console.print(f"... and {total - shown} more rows, in the file.")


def _remark(answer: Answer) -> str:
    p = answer.prediction
    parts = ("refused: " + answer.error if answer.error else "", p.reason, "the file ends early" if p.truncated else "", answer.overlay)
    return "; ".join(part for part in parts if part)


def _counts(prediction: Prediction) -> str:
    films = f"{len(prediction.films)} film{'s' if len(prediction.films) > 1 else ''}"
    apart = {"refused": len(prediction.refused), OUT_OF_SCOPE: len(prediction.out_of_scope)}
    return ", ".join([films, *(f"{count} {name}" for name, count in apart.items() if count)])


def summary(studies: Sequence[Study], sources: Sources, card: Card) -> str:
    """Return two lines: how many of what, and what the numbers are."""
    levels = Counter(s.prediction.level for s in studies)
    films = sum(len(s.answers) for s in studies)
    refused = sum(len(s.prediction.refused) for s in studies)
    outside = sum(len(s.prediction.out_of_scope) for s in studies)
    parts = [f"{levels[level]} {level}" for level in ("yes", "doubt", "no", OUT_OF_SCOPE) if levels[level]]
    parts += [f"{levels[None]} without an answer"] if levels[None] else []
    counts = f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}, {films} film{'' if films == 1 else 's'}: {', '.join(parts)}"
    counts += f"; {refused} film{'' if refused == 1 else 's'} refused" if refused else ""
    counts += f"; {outside} film{'' if outside == 1 else 's'} out of scope" if outside else ""
    counts += f"; ignored: {sources.ignored_text()}" if sources.ignored else ""
    d = card.decision
    levels_text = f"yes from {d.doubt_to:.2g}" + (f", doubt from {d.doubt_from:.2g}" if d.doubt_from < d.doubt_to else "")
    return f"{counts}.\n{card.reference}: probability of {card.finding}, {levels_text}. Not for diagnosis."
