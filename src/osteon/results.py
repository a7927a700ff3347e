"""Predictions -> studies, JSON, CSV, and the CSV of the competition."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osteon.prediction import Prediction, study_prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from osteon.batch import Answer
    from osteon.card import Card
    from osteon.sources import Sources

CSV_COLUMNS = (
    "row", "study", "film", "level", "probability", "logit", "films", "refused", "out_of_scope", "study_type", "truncated", "overlay",
    "reason", "error",
)  # fmt: skip
"""`films`, `refused` and `out_of_scope` count a study's; `reason` says why a film is out of scope, `error` why it could not be used."""


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
