"""What a newcomer wants to see first: a verdict in a sentence, the main metrics, how it learned, and films with their heat maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from osteon.card import Metric
from osteon.card_text import interval, metric_name, number
from osteon.lab.evaluation.evaluation import ALL
from osteon.lab.reporting.document import Headline, Picture, Section, Text
from osteon.lab.reporting.material import Material

HEADLINE = ("auroc", "sensitivity", "specificity", "kappa")
FOUND = 4
"""Films that were found, on the front: from the surest to the least sure."""

CLEAR = 0.7
"""AUROC that the whole interval has to reach to be called good at telling films apart."""


def headline(m: Material) -> list[Headline]:
    """Return the metrics of the studies that a reader wants first."""
    found = [(name, m.measured.evaluation.find("study", ALL, name)) for name in HEADLINE]
    return [Headline(f"{metric_name(name)}, studies", number(metric.value if metric else None), _spread(metric)) for name, metric in found]


def verdict(m: Material) -> Text:
    """Return in a sentence or two what the model is worth on the measured films."""
    evaluation = m.measured.evaluation
    area, sensitivity, specificity = (evaluation.find("study", ALL, name) for name in ("auroc", "sensitivity", "specificity"))
    if area is None or area.value is None:
        return Text(f"Whether the model finds {m.card.finding} could not be measured: {_why(area)}.", m.origins.evaluation)
    counts = evaluation.counts
    films = f"{counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal) of split {evaluation.plan.split!r}"
    words = f"On {films} the model {_how(area)}: AUROC {number(area.value)} {_spread(area)}, where 1 is perfect and 0.5 is chance."
    if sensitivity and specificity and sensitivity.value is not None and specificity.value is not None:
        found, alarms = sensitivity.value, 1 - specificity.value
        words += f" At its threshold it finds {found:.0%} of the abnormal studies; {alarms:.0%} of the normal ones raise a false alarm."
    return Text(words.replace("%", " %"), m.origins.evaluation)


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


def _how(area: Metric) -> str:
    if area.low is None or area.low <= 0.5:
        return "has not been shown to tell abnormal from normal better than chance"
    return "tells abnormal from normal well" if area.low >= CLEAR else "tells abnormal from normal better than chance, but not well"


def _spread(metric: Metric | None) -> str:
    return (metric and interval(metric.low, metric.high)) or f"({_why(metric)})"


def _why(metric: Metric | None) -> str:
    return (metric and metric.note) or "not measured"
