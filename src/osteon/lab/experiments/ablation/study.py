"""A plan of ablations -> each cross-validated, and what it gains or loses against the base, on the same films.

One setting is changed at a time, so that the difference has a name. What is made stays made: the same command goes on, and
makes those that were added since. Several processes may make the same call at once: each takes an ablation that no other is making, at
the end they share the folds of those that are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from osteon.errors import CheckpointError, OsteonError
from osteon.lab.evaluation.evaluation import ALL
from osteon.lab.experiments.ablation.ablations import BASE, Ablation, AblationPlan, AblationStudy, planned, read_plan
from osteon.lab.experiments.ablation.folder import StudyFolder
from osteon.lab.experiments.ablation.table import METRICS
from osteon.lab.experiments.crossvalidation.stages import Request, cross_validate, in_part, rounds, with_the_rest
from osteon.lab.progress import Watch
from osteon.lab.stages import shared
from osteon.lab.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """An index with folds, the plan, the folder; the rest as in `crossvalidation.stages.Request`."""

    index: Path
    file: Path
    out: Path
    save_every: float = 5.0
    device: str = "auto"
    offline: bool = False
    command: str = ""
    jobs: int = 1


def ablate(asked: AblationRequest, watch: Watch) -> AblationStudy:
    """Make the base and the ablations that are not there yet; the table is written anew after each.

    What goes wrong in one ablation (a training that diverges, first weights that are not there) costs that one alone; without a base, or
    without room on the disk, nothing can be compared. Told is what each cross-validation tells, `left` until the last of them.

    Raises:
        UsageError: the file does not fit, an ablation asks for what no recipe has, or the folder holds something else.
        CheckpointError: something cannot be written.
        OsteonError: as `cross_validate` of the base.
        Stopped: Ctrl-C or a termination signal during a training, which left a checkpoint.
    """
    plan = read_plan(asked.file)
    plans = planned(plan, asked.file)  # all of them first: what cannot be made is told before hours are spent on those before it
    here = StudyFolder(asked.out, plan, asked.command)
    here.made()

    def make(place: int) -> None:
        ablation, recipe = plans[place]
        part = f"{ablation.name} ({place + 1} of {len(plans)})"
        told = _timed(ablation.name, here.made(), {ablation.name for ablation, _ in plans}, asked.jobs, in_part(part, watch))
        here.made(_made(ablation, asked.out, _request(asked, plan, recipe), told))

    for place, mine in shared(range(len(plans)), lambda place: here.lock(plans[place][0])):
        # Other processes had taken the rest: what they have not made by now is made with them, fold by fold.
        if mine or plans[place][0].name not in {made.name for made in here.made().ablations}:
            make(place)
    return here.made()


def _request(asked: AblationRequest, plan: AblationPlan, recipe: Recipe) -> Request:
    return Request(
        recipe=recipe,
        index=asked.index,
        budget=plan.budget,
        only=plan.only,
        by=plan.by,
        save_every=asked.save_every,
        device=asked.device,
        offline=asked.offline,
        command=asked.command,
    )


def _timed(name: str, study: AblationStudy, names: set[str], jobs: int, watch: Watch) -> Watch:
    """Return a watch of one ablation's cross-validation that adds what the ablations that nobody has made yet will take."""
    ended = [made.seconds for made in study.ablations if not made.error and made.name in names - {name}]
    return with_the_rest(ended, rounds(len(names) - 1 - len(ended), jobs), watch)


def _made(ablation: Ablation, out: Path, request: Request, watch: Watch) -> Ablation:
    try:
        found = cross_validate(out / ablation.folder, request, watch)
    except OsteonError as fault:
        if ablation.name == BASE or isinstance(fault, CheckpointError):
            raise
        return msgspec.structs.replace(ablation, error=str(fault))
    metrics = {name: mean for name in METRICS if (mean := found.find(ALL, name))}
    return msgspec.structs.replace(ablation, metrics=metrics, seconds=found.seconds, notes=found.notes)
