"""What a newcomer wants to see first: a verdict in a sentence, the main metrics, how it learned, and films with their heat maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from osteon.card import Metric
from osteon.card_text import interval, levels_measured, metric_name, number
from osteon.lab.evaluation.evaluation import ALL
from osteon.lab.evaluation.tables import finest
from osteon.lab.reporting.document import Headline, Picture, Section, Text
from osteon.lab.reporting.material import Material

HEADLINE = ("auroc", "sensitivity", "specificity", "kappa")
FOUND = 4
"""Films that were found, on the front: from the surest to the least sure."""


def headline(m: Material) -> list[Headline]:
    """Return the metrics of the studies that a reader wants first."""
    found = [(name, m.measured.evaluation.find("study", ALL, name)) for name in HEADLINE]
    return [Headline(f"{metric_name(name)}, studies", number(metric.value if metric else None), _spread(metric)) for name, metric in found]


def answers(m: Material) -> Text:
    """Return what the three answers that people see are worth, in words; empty where there are none."""
    evaluation = m.measured.evaluation
    return Text(" ".join(levels_measured(evaluation.metrics, finest(evaluation))), m.origins.evaluation)


def front_pictures(sections: Iterable[Section]) -> Iterator[Picture]:
    """Yield pictures that the sections show again further down.

    The training's curves, films as this and another model see them or else some that were found, one missed, one false alarm.
    """
    pictures = {section.name: [block for block in section.blocks if isinstance(block, Picture)] for section in sections}
    yield from pictures.get("training", [])[:1]
    found, wrong = (_films(pictures.get(name, [])) for name in ("found", "failures"))
    yield from pictures.get("beside") or _spaced(found, FOUND)
    for kind in ("missed", "false alarm"):
        yield from [picture for picture in wrong if picture.title.endswith(kind)][:1]


def _films(pictures: Sequence[Picture]) -> list[Picture]:
    return [picture for picture in pictures if picture.file.suffix == ".jpg"]


def _spaced(pictures: Sequence[Picture], most: int) -> list[Picture]:
    places = sorted({round(k * (len(pictures) - 1) / (most - 1)) for k in range(most)}) if pictures else []
    return [pictures[place] for place in places]


def _spread(metric: Metric | None) -> str:
    return (metric and interval(metric.low, metric.high)) or f"({_why(metric)})"


def _why(metric: Metric | None) -> str:
    return (metric and metric.note) or "not measured"
