"""What the edges of the answers cost each other."""

from pathlib import Path

import numpy as np
import pytest

from osteon.lab.calibration.decision import Rule, decide
from osteon.lab.calibration.trade import FALSE, MISSED, draw_trade, uncertain_share
from osteon.lab.evaluation.metrics import Sample


@pytest.fixture
def studies() -> Sample:
    rng = np.random.default_rng(3)
    label = np.arange(400) % 4 == 0
    probability = 1 / (1 + np.exp(-rng.normal(np.where(label, 1.5, -1.5), 1.2)))
    return Sample(label=label, probability=probability, cluster=np.arange(400))


def test_more_missed_or_more_false_is_fewer_uncertain(studies: Sample) -> None:
    shares = np.stack([uncertain_share(studies, MISSED, false) for false in FALSE])
    assert (np.diff(shares, axis=0) <= 0).all()
    assert (np.diff(shares, axis=1) <= 0).all()
    assert shares.min() >= 0 and shares[0, 0] > 0.2


def test_the_share_is_that_of_the_decision(studies: Sample) -> None:
    decision = decide(studies, Rule("sensitivity", 0.95), (0.95, 0.92), "tune")  # the threshold is the lower edge and moves neither
    between = (studies.probability >= decision.doubt_from) & (studies.probability < decision.doubt_to)
    assert uncertain_share(studies, np.array([0.05]), 0.08)[0] == pytest.approx(between.mean())


def test_it_is_drawn(studies: Sample, tmp_path: Path) -> None:
    file = draw_trade(studies, decide(studies, Rule("max-kappa"), (0.95, 0.92), "tune"), tmp_path / "answers.png")
    assert file.stat().st_size > 10_000
