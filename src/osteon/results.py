"""Predictions -> studies, JSON, CSV, and the CSV of MURA's competition."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from osteon.prediction import FilmPrediction, Prediction, study_prediction

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


class Predictions(list[Prediction]):
    """What was found: a list of studies, with the `card` of the model and the files that were left out (`ignored`, counted by reason)."""

    def __init__(self, studies: Iterable[Prediction], card: Card, ignored: dict[str, int]) -> None:
        super().__init__(studies)
        self.card, self.ignored = card, ignored

    def to_dict(self) -> dict[str, Any]:
        """Return what `osteon predict --json` writes."""
        return self.head() | {"studies": [study.to_dict() for study in self]}

    def head(self) -> dict[str, Any]:
        """Return what `to_dict` says beside the studies."""
        card, d = self.card, self.card.decision
        decision = {"threshold": d.threshold, "doubt_from": d.doubt_from, "doubt_to": d.doubt_to}
        return {
            "model": card.reference,
            "finding": card.finding,
            "study_pooling": card.study_pooling,
            "decision": decision,
            "ignored": dict(self.ignored),
        }

    def _repr_html_(self) -> str:
        """Show the first studies in a notebook."""
        more = f"<p>... and {len(self) - MOST_SHOWN} more studies.</p>" if len(self) > MOST_SHOWN else ""
        return "".join(study._repr_html_() for study in self[:MOST_SHOWN]) + more


def group(predictions: Iterable[FilmPrediction], sources: Sources, card: Card) -> Predictions:
    """Put films of one study together, studies in the order of their first films.

    Args:
        predictions: Of the films of `sources`, in their order.
        sources: Where the films came from.
        card: Of the model.
    """
    members: dict[tuple[bool, str], list[FilmPrediction]] = {}
    for source, film in zip(sources.films, predictions, strict=True):
        by_uid = source.ask_file and film.study_uid != ""
        members.setdefault((by_uid, film.study_uid if by_uid else source.study), []).append(film)
    in_folder = Counter(_folder(source) for source in sources.films)
    folders = {source.name: _folder(source) for source in sources.films}
    studies = (
        study_prediction(_name(films, folders, in_folder) if by_uid else name, films, card) for (by_uid, name), films in members.items()
    )
    return Predictions(studies, card, dict(sources.ignored))


def _name(films: Sequence[FilmPrediction], folders: dict[str, str], in_folder: Counter[str]) -> str:
    """Return what a study is called that its UID made: never the UID, but the folder that holds it alone, or its first film."""
    folder, first = folders[films[0].film], films[0].film
    if len(films) == 1:
        return first
    alone = in_folder[folder] == len(films) and all(folders[film.film] == folder for film in films)
    return folder if folder and alone else f"{first} and {len(films) - 1} more"


def _folder(source: Source) -> str:
    """Return the folder of a file, "" of a film without one."""
    return "" if source.held is not None else source.name.rpartition("/")[0] or "."


def as_json(studies: Predictions) -> Iterator[str]:
    """Yield `studies.to_dict()` as text, piece by piece."""
    yield json.dumps(studies.head(), ensure_ascii=False).removesuffix("}")
    separator = ', "studies": ['
    for study in studies:
        yield f"{separator}\n{json.dumps(study.to_dict(), ensure_ascii=False)}"
        separator = ","
    yield "\n]}\n"


def as_csv(studies: Iterable[Prediction]) -> Iterator[str]:
    """Yield one row a study and below it one a film, with `CSV_COLUMNS`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for s in studies:
        counts = {"films": len(s.films), "refused": len(s.refused), "out_of_scope": len(s.out_of_scope)}
        writer.writerow({"row": "study", **s.to_dict(), **counts})
        writer.writerows({"row": "film", "study": s.study, **film.to_dict(), "remarks": "; ".join(film.remarks)} for film in s.films)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def as_mura_csv(studies: Predictions) -> Iterator[str]:
    """Yield the competition's `<study folder>/,<0|1>` a line; a study that gave no number gets 0, what most studies are."""
    threshold = studies.card.decision.threshold
    yield from (f"{s.study},{int(s.probability is not None and s.probability >= threshold)}\n" for s in studies)
