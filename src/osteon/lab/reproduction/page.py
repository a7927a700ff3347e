"""`reproduction.md`: our row beside the paper's and its peers', kappa by study type, every departure, and what made it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from osteon.card import Metric
from osteon.lab import published
from osteon.lab.comparison import Difference, compare
from osteon.lab.evaluation import ALL, MACRO, Evaluation, Level
from osteon.lab.evaluation_folder import plan_for, predictions_of, read_evaluation
from osteon.lab.index import read_index
from osteon.lab.reproduction.folder import Reproduction
from osteon.lab.reproduction.rehearsal import Cost, in_words
from osteon.regions import MURA_STUDY_TYPES

FIGURES = {"kappa": "kappa", "auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}
"""The overall figures by name, and how the page calls them."""


def write_page(here: Reproduction, _: Callable[[int, int, str], None]) -> list[str]:
    """Write the page; returns nothing that a reader should know beside it.

    Raises:
        UsageError: it cannot be written.
    """
    parts = [_head(here), _overall(here), _by_type(here), _gain(here), _departures(here), _origin(here)]
    part = here.page.with_suffix(".part")
    part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    part.replace(here.page)
    return []
