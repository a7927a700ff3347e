"""What a bench is asked to measure, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osteon.lab.bench.limits import Limits
from osteon.model_names import find_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often each thing is done; every figure is a median over `rounds` or `starts`.

    `films` are the names in the folder that is predicted, `distinct` how many different films stand behind them, `indexed` the films of
    the data set that is indexed, `steps` those of the training.
    """

    rounds: int = 15
    starts: int = 5
    films: int = 400
    distinct: int = 28
    indexed: int = 4000
    steps: int = 10


QUICK = Effort(rounds=3, starts=1, films=40, distinct=7, indexed=200, steps=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a part works (an empty folder of its own), which model it runs ("" for the packaged one), and beside which limits."""

    folder: Path
    model: str
    limits: Limits
    effort: Effort

    @property
    def model_file(self) -> Path:
        """The model as a file."""
        return Path(str(find_model(self.model or None)))
