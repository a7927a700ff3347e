"""A file of rungs -> each a cross-validation, and what it gains or loses against the base, on the same films.

One setting is changed at a time, so that the difference has a name. Rungs that are made stay made: the same command goes on, and makes
those that were added since.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from osteon import __version__
from osteon.card import Metric
from osteon.errors import DivergedTraining, UsageError
from osteon.lab.comparison import Difference, compare
from osteon.lab.crossvalidation.first_weights import recipe_for
from osteon.lab.crossvalidation.stages import Request, Step, cross_validate
from osteon.lab.evaluation import ALL, Plan
from osteon.lab.evaluation_folder import plan_for, predictions_of, write_json
from osteon.lab.fold_figures import AT_SPECIFICITY, FOLDS, POINTING
from osteon.lab.pages import write_whole
from osteon.lab.stages import read_record
from osteon.lab.training.network import refuse_unbuildable
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.session import refuse_selecting

LADDER, TABLE = "ladder.json", "ladder.md"
BASE = "base"
FIGURES = {"auroc": "AUROC of films", "kappa": "kappa", AT_SPECIFICITY: "sens. at 90 % spec.", POINTING: "peak in a box"}
"""What the table shows; each rung's folder has the rest."""

BY_CHANCE = (
    "Of differences with 95 % intervals one in twenty leaves zero out by chance; another seed's trainings are not in these intervals."
)
"""What a reader of many differences should know."""


class Rungs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, TOML.

    Attributes:
        recipe: paper, article or osteon.
        set: What every rung changes in it, the base included.
        only: Folds to make; none: all.
        budget: Minutes a fold, 0 for the recipe's passes.
        by: Further columns of the index to make subgroups by.
        rungs: By name, what a rung changes beside.
    """

    rungs: dict[str, tuple[str, ...]]
    recipe: str = "osteon"
    set: tuple[str, ...] = ()
    only: tuple[int, ...] = ()
    budget: float = 0.0
    by: tuple[str, ...] = ()


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One rung: what it changes, its means over folds by name, their paired differences to the base, what its trainings took.

    In `error` stands why it has no figures.
    """

    name: str
    folder: str
    changes: tuple[str, ...]
    figures: dict[str, Metric] = {}
    differences: dict[str, Difference] = {}
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """`ladder.json`: the rungs that are made, the base first."""

    asked: Rungs
    rungs: tuple[Rung, ...]
    command: str = ""
    osteon: str = __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """Where to climb: an index with folds, the file of rungs, the folder; the rest as `crossvalidation.stages.Request`."""

    index: Path
    file: Path
    out: Path
    save_every: float = 5.0
    device: str = "auto"
    offline: bool = False
    command: str = ""


Watch = Callable[[str, int, int, Step], None]
"""Told of the rung's name, its place, the number of rungs, and how far its cross-validation is; `Step.left` is until the last rung."""


def climb(asked: Climb, watch: Watch) -> Ladder:
    """Make the base and the rungs that are not there yet; the table is written anew after each.

    A training that diverges costs its rung, not the others; without a base there is no ladder.

    Raises:
        UsageError: the file does not fit, a rung asks for what no recipe has, or the folder holds something else.
        DivergedTraining: the base's.
        OsteonError: as `cross_validate`.
        Stopped: Ctrl-C or a termination signal during a training, which left a checkpoint.
    """
    rungs = read_rungs(asked.file)
    before = read_record(asked.out / LADDER, Ladder, "ladder")
    plans = planned(rungs, asked.file)  # all of them first: a rung that cannot be made is told before hours are spent on those before it
    if before is None:
        write_json(Ladder(asked=rungs, rungs=(), command=asked.command), asked.out / LADDER)
    made: list[Rung] = []
    for place, (rung, recipe) in enumerate(plans, 1):
        request = Request(
            recipe=recipe,
            index=asked.index,
            budget=rungs.budget,
            only=rungs.only,
            by=rungs.by,
            save_every=asked.save_every,
            device=asked.device,
            offline=asked.offline,
            command=asked.command,
        )
        told = _timed(rung.name, place, [r.seconds for r in made if not r.error], len(plans), watch)
        made.append(_made(rung, asked.out, request, told))
        ladder = Ladder(asked=rungs, rungs=tuple(made), command=asked.command)
        if place == len(plans) or before is None or len(made) > len(before.rungs):  # a table gains rungs, however often it is begun anew
            write_json(ladder, asked.out / LADDER)
            write_whole(asked.out / TABLE, markdown(ladder))
    return ladder


def read_rungs(file: Path) -> Rungs:
    """Read a file of rungs.

    Raises:
        UsageError: it cannot be read, or does not fit.
    """
    try:
        rungs = msgspec.toml.decode(file.read_bytes(), type=Rungs)
    except OSError as fault:
        raise UsageError(f"{file}: cannot be read ({fault.strerror}).") from fault
    except msgspec.MsgspecError as fault:
        raise UsageError(f"{file}: no file of rungs ({fault}). It may hold: {', '.join(Rungs.__struct_fields__)}.") from fault
    if not rungs.rungs:
        raise UsageError(f'{file}: there is no rung. Write one under [rungs], as in: "nothing frozen" = ["freeze=0"]')
    return rungs


def planned(rungs: Rungs, file: Path) -> list[tuple[Rung, Recipe]]:
    """Return the base and the rungs of a file, each with its recipe, nothing made yet.

    Raises:
        UsageError: two rungs have one folder's name, or one asks for what no recipe or network has.
    """
    return [(rung, _recipe(rungs, rung, file)) for rung in _rungs(rungs, file)]


def markdown(ladder: Ladder) -> str:
    """Return the table for a page."""
    names = [name for name in FIGURES if any(name in rung.figures for rung in ladder.rungs)]
    head = ["rung", "change", *(part for name in names for part in (FIGURES[name], "difference")), "minutes"]
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'--:|' * (len(head) - 2)}"]
    for rung in ladder.rungs:
        changes = " ".join(f"`--set {change}`" for change in rung.changes)
        row = [rung.name, changes, *cells(rung, names), f"{rung.seconds / 60:.1f}"]
        lines.append(f"| {' | '.join(map(_escaped, row))} |")
    told = [f"- {text}" for text in remarks(ladder)]
    return "\n".join([*lines, "", BY_CHANCE, *(["", *told] if told else [])]) + "\n"


def remarks(ladder: Ladder) -> Iterator[str]:
    """Yield what a reader should know: of the base, and of each rung what is not said of the base."""
    base = ladder.rungs[0].notes
    for rung in ladder.rungs:
        known = () if rung.name == BASE else base
        for text in [rung.error] if rung.error else rung.notes:
            if text not in known:
                yield f"{rung.name}: {text}"


def cells(rung: Rung, names: Sequence[str]) -> Iterator[str]:
    """Yield a rung's figures as people read them: each with its interval, and its difference to the base with that."""
    for name in names:
        yield _shown(rung.figures.get(name), ".3f")
        yield _shown(rung.differences.get(name), "+.3f")


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _shown(figure: Metric | Difference | None, form: str) -> str:
    if figure is None or figure.value is None:
        return ""
    ends = f" ({figure.low:{form}}, {figure.high:{form}})" if figure.low is not None and figure.high is not None else ""
    return f"{figure.value:{form}}{ends}"


def _rungs(rungs: Rungs, file: Path) -> list[Rung]:
    found = [Rung(name=name, folder=_folder(name), changes=changes) for name, changes in rungs.rungs.items()]
    folders = [rung.folder for rung in found]
    for rung in found:
        if rung.folder in ("", BASE) or folders.count(rung.folder) > 1:
            raise UsageError(f"{file}: rung {rung.name!r} has no folder of its own. Give it another name, of letters and digits.")
    return [Rung(name=BASE, folder=BASE, changes=()), *found]


def _folder(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _recipe(rungs: Rungs, rung: Rung, file: Path) -> Recipe:
    try:
        recipe = recipe_for(rungs.recipe, [*rungs.set, *rung.changes])
        refuse_selecting(recipe)
        refuse_unbuildable(recipe)
    except UsageError as fault:
        raise UsageError(f"{file}: {rung.name}: {fault}") from fault
    return recipe


def _timed(name: str, place: int, ended: Sequence[float], count: int, watch: Watch) -> Callable[[Step], None]:
    """Return a watch of one rung's cross-validation that adds what the rungs after it will take."""
    waiting, began = count - place, time.monotonic()

    def told(step: Step) -> None:
        if step.left is not None:
            each = sum(ended) / len(ended) if ended else time.monotonic() - began + step.left
            step = replace(step, left=step.left + waiting * each)
        watch(name, place, count, step)

    return told


def _made(rung: Rung, out: Path, request: Request, watch: Callable[[Step], None]) -> Rung:
    try:
        found = cross_validate(out / rung.folder, request, watch)
    except DivergedTraining as fault:
        if rung.name == BASE:
            raise
        return msgspec.structs.replace(rung, error=str(fault))
    figures = {name: mean for name in FIGURES if (mean := found.find(ALL, name))}
    differences = {} if rung.name == BASE else _differences(out, rung)
    return msgspec.structs.replace(rung, figures=figures, differences=differences, seconds=found.seconds, notes=found.notes)


def _differences(out: Path, rung: Rung) -> dict[str, Difference]:
    base, other = (predictions_of(out / folder) for folder in (BASE, rung.folder))
    plan = Plan(split=ALL)
    apart = compare(base, other, (plan_for(base, plan), plan_for(other, plan))).differences
    return {d.name: d for d in apart if d.group == FOLDS and d.name in FIGURES}
