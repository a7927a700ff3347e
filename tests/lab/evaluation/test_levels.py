"""The three answers: how often each is given and is right, against plain counting."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from osteon.card import Card, Decision, Frame, Metric, Pooling
from osteon.card_text import LEVELS, levels_measured, metric_name
from osteon.lab.evaluation.bootstrap import cluster_weights
from osteon.lab.evaluation.levels import PREVALENCES, Edges, level_metrics
from osteon.lab.evaluation.metrics import Sample

EDGES = Edges(0.2, 0.6)
CARD = Card(
    name="made",
    version="1.0.0",
    frame=Frame(size=64),
    pooling=Pooling(kind="mean"),
    decision=Decision(threshold=0.4, doubt_from=EDGES.doubt_from, doubt_to=EDGES.doubt_to),
)


def measured(sample: Sample, edges: Edges = EDGES) -> dict[str, Metric]:
    row = partial(Metric, split="valid", level="film", group="all", n=len(sample), positives=int(sample.label.sum()))
    weights = cluster_weights(int(sample.cluster.max()) + 1, 300)
    return {m.name: m for m in level_metrics(sample, edges, weights, row)}


def spread(n: int = 300) -> Sample:
    rng = np.random.default_rng(3)
    label = rng.random(n) < 0.3
    score = np.clip(rng.normal(0.3 + 0.35 * label, 0.2), 0, 1)
    score[:3] = EDGES.doubt_from, EDGES.doubt_to, 1.0
    return Sample(label, score, rng.integers(0, 60, n))


def test_an_answer_is_counted_where_the_card_gives_it() -> None:
    sample = spread()
    answers = np.array([CARD.level(float(p)) for p in sample.probability])
    found = {name: m.value for name, m in measured(sample).items()}
    for level in LEVELS:
        given = answers == level
        assert found[f"share of {level}"] == pytest.approx(given.mean())
        assert found[f"share of {level} among normal"] == pytest.approx(given[~sample.label].mean())
        assert found[f"share of {level} among abnormal"] == pytest.approx(given[sample.label].mean())
        assert found[f"share of abnormal among {level}"] == pytest.approx(sample.label[given].mean())


def test_predictive_values_are_bayes() -> None:
    sample = spread()
    found = measured(sample)
    yes = sample.probability >= EDGES.doubt_to
    no = sample.probability < EDGES.doubt_from
    for p in PREVALENCES:
        right, wrong = p * yes[sample.label].mean(), (1 - p) * yes[~sample.label].mean()
        assert found[f"ppv of yes at {p:g}"].value == pytest.approx(right / (right + wrong))
        right, wrong = (1 - p) * no[~sample.label].mean(), p * no[sample.label].mean()
        assert found[f"npv of no at {p:g}"].value == pytest.approx(right / (right + wrong))


def test_every_metric_lies_in_its_interval_and_has_a_name_for_people() -> None:
    for name, m in measured(spread()).items():
        assert m.value is not None
        assert m.low is not None
        assert m.high is not None
        assert m.low <= m.value <= m.high
        assert "doubt" not in metric_name(name)


def test_an_answer_that_no_film_gets_says_so() -> None:
    sample = spread()
    found = measured(Sample(sample.label, np.full(len(sample), 0.9), sample.cluster))
    assert found["share of no"].value == 0
    assert (found["share of abnormal among no"].value, found["share of abnormal among no"].note) == (None, "nothing gets this answer")
    assert found["npv of no at 0.02"].value is None


def test_sentences_say_both_kinds_and_both_prevalences() -> None:
    told = list(levels_measured(measured(spread()).values(), "film"))
    assert told[0].startswith("Of 100 abnormal films ")
    assert told[0].index('"yes"') < told[0].index('"uncertain"') < told[0].index('"no"')
    assert told[1].startswith("Of 100 normal films ")
    assert [sentence.partition(" are ")[0] for sentence in told[2:]] == ["Where 2 of 100 films", "Where 20 of 100 films"]
    assert list(levels_measured([], "film")) == []
