"""Where a training stands, and whether it has come to its end: what a checkpoint keeps beside the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from osteon.lab.progress import Epoch
from osteon.lab.training import checkpoint
from osteon.lab.training.run import Plan, RunFolder, RunRecord

SELECTION_SHARE = 1.05  # a budget leaves room for the last selection, and five per cent


@dataclass(slots=True)
class TrainingState:
    """Where a training stands. `falls` counts how often the plateau rule has lowered the rate."""

    epoch: int = 0
    step: int = 0
    done: int = 0
    falls: int = 0
    elapsed: float = 0.0
    loss_sum: float = 0.0
    shown_loss: float = math.nan
    selection_seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)


def ended(at: TrainingState, record: RunRecord) -> bool:
    """Return whether a training has nothing left to do: its epochs are done, its budget is used, or its patience has ended."""
    epochs, losses = len(at.history), [p.select_loss for p in at.history if p.select_loss is not None]
    if record.plan.budget:
        return epochs > 0 and time_used(at, record.plan) >= 1
    best = losses.index(min(losses)) if losses else epochs
    impatient = record.recipe.patience > 0 and epochs - 1 - best >= record.recipe.patience
    return epochs >= record.recipe.epochs or impatient


def time_used(at: TrainingState, plan: Plan) -> float:
    """Return the share of the budget that is used, the last selection counted in; 0 without a budget."""
    return (at.elapsed + at.selection_seconds * SELECTION_SHARE) / (plan.budget * 60) if plan.budget else 0.0


def saved_state(run: RunFolder) -> TrainingState:
    """Return where a training stands by its checkpoint; at the start if it has none yet."""
    return restored_state(checkpoint.load(run.checkpoint)) if run.checkpoint.exists() else TrainingState()


def restored_state(content: dict[str, Any]) -> TrainingState:
    """Return where the training of a checkpoint's content stands."""
    return msgspec.convert(content["position"], TrainingState)
