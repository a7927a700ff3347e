"""A float32 model file -> the same file with an INT8 form beside its weights, and in its card what that costs.

NNCF chooses what is rounded and over which ranges, on training films (post-training quantisation: symmetric, weights by channel; Jacob et
al., CVPR 2018); weights are then rounded for what they see (GPTQ, `weight_rounding.py`), and channels left out that hardly count
(`pruning.py`). The last layers stay in float32, so that the logit is still the pooled evidence. Films that are then so near an edge of
the answers that rounding may decide are read again in float32; and on films that nothing was calibrated on, the layers whose rounding
moves the logit most are left in float32 too, as few as keep the cost within `card.INT8_LIMITS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from osteon.card import INT8_LIMITS, Card, Int8, Int8Cost
from osteon.errors import MeasurementError, UsageError
from osteon.lab.data.index import read_index
from osteon.lab.data.store import FilmStore, open_store
from osteon.lab.evaluation.scoring import Origin, Predictions, of_split
from osteon.lab.model_file import model_path, with_card
from osteon.lab.progress import Count
from osteon.lab.quantisation.cost import Answers, Held
from osteon.lab.quantisation.pruning import prune
from osteon.lab.quantisation.ranges import made_with, nncf_runtime, round_network
from osteon.lab.quantisation.weight_rounding import round_weights
from osteon.model import OUTPUTS, Model
from osteon.network import compile_network, open_network, read_content
from osteon.opening import forms_apart, load_model
from osteon.precision import Ranges, folded, int8_form, quantise

if TYPE_CHECKING:
    import openvino


_CONVOLUTIONS = frozenset(("Convolution", "GroupConvolution"))

LEAST_FILMS = 30
"""To calibrate on, and to measure the cost on."""

HEADROOM = 0.5
"""Of the decisions that may change, how many may by chance on the films that the layers are chosen on: on other films it is more."""

PER_VALUE = 12
"""How many multiplications take the time of reading or writing one value, on a CPU."""

RANKED_ON = 24
"""Films on which the layers are ranked; the cost is measured on all of a split."""

ROUNDED_ON = 24
"""Films on which the layers' inputs are seen when their weights are rounded."""

PRUNED_ON = 120
"""Films on which channels are seen when some are left out: on 24, more are left out than other films can do without."""

LOST = (1e-3, 7e-4, 5e-4, 3e-4)
"""Of the variance that a layer computes, what may be lost with channels that are left out: the first that keeps the limits is taken."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to calibrate and to measure on.

    Attributes:
        calibrate_on: Split whose films give the ranges.
        hold: Split on which the layers that stay in float32 are chosen.
        report: Further splits whose cost is written into the card.
        films: How many films give the ranges.
        seed: Of their draw.
    """

    calibrate_on: str = "train"
    hold: str = "tune"
    report: tuple[str, ...] = ()
    films: Annotated[int, msgspec.Meta(ge=30)] = 150
    seed: int = 0


def quantise_file(model: str | None, index: Path, out: Path, plan: Plan, progress: Count | None = None, *, again: bool = False) -> Card:
    """Write a copy of a model file that also has an INT8 form, with its cost in the card.

    Args:
        model: A file, `name@version` of one in the package or kept by name, or None for the package's newest.
        index: With the splits that the plan names.
        out: The file to write; it may be the model itself.
        plan: What to calibrate and to measure on.
        progress: Called with (done, total).
        again: Keep the file's INT8 form, and measure anew which films are read again and what it costs.

    Returns:
        The card of the new file.

    Raises:
        ModelFileError: the model cannot be opened, or the file not written.
        UsageError: films are calibrated and measured on alike.
        MeasurementError: a split is not there, or has too few films; or no layer can compute in INT8 within the limits.
    """
    if not again:
        nncf_runtime()  # what is not installed is told before anything takes time
    file = model_path(model)
    load_model(file, "float32")  # as any user opens it
    card, network = open_network(read_content(file, str(file)), str(file))
    given, rows = _rows(read_index(index), plan)
    kept = int8_form(network) if again else None
    trial = Trial(card, folded(network))
    stores = {split: _store(part, split, card) for split, part in rows.items()}
    held = [Held(split, store, card, trial.answers(None, store)) for split, store in stores.items()]
    chosen, facts = (
        (kept, card.int8) if kept and card.int8 else _made(trial, _store(given, plan.calibrate_on, card), held[0], plan, progress)
    )
    eights = [trial.answers(chosen, part.store) for part in held]
    near, near_novelty = held[0].nearness(eights[0]), held[0].nearness_of_novelty(eights[0])
    costs = tuple(part.cost(part.settled(eight, near, near_novelty)) for part, eight in zip(held, eights, strict=True))
    apart = forms_apart(trial.model(chosen), trial.model(None))
    told = msgspec.structs.replace(facts, near=near, near_novelty=near_novelty, apart=apart, costs=costs)
    new = msgspec.structs.replace(card, int8=told)
    with_card(file, new, out, chosen)
    return new


def _made(trial: Trial, ranging: FilmStore, held: Held, plan: Plan, progress: Count | None) -> tuple[Ranges, Int8]:
    every = round_network(trial.network, ranging.pixels)
    every = round_weights(trial.network, every, ranging.pixels[:ROUNDED_ON], plan.seed, progress)
    near = held.nearness(trial.answers(every, held.store))
    chosen = choose(trial, every, held, near, progress)
    chosen = pruned(trial, chosen, ranging.pixels[:PRUNED_ON], held, near, progress)
    layers, kept = len(chosen.layers), len(every.layers) - len(chosen.layers)
    films = len(ranging)
    return chosen, Int8(calibrated_on=plan.calibrate_on, films=films, held=plan.hold, layers=layers, kept=kept, made_with=made_with())


def cost_of(file: Path, films: pl.DataFrame, split: str) -> Int8Cost:
    """Return what the INT8 form of a model file changes on films of an index, which the cost calls `split`.

    Raises:
        ModelFileError: the model cannot be opened, or has no INT8 form.
        EmptyDataset: none of the films can be read.
    """
    models = load_model(file, "float32"), load_model(file, "int8")
    card = models[0].card
    store = open_store(films.filter(pl.col("status") != "unreadable"), card.frame)
    told = OUTPUTS if card.scope else OUTPUTS[:2]
    float32, eight = (Answers(*model.read(np.ascontiguousarray(store.pixels), told)) for model in models)
    return Held(split, store, card, float32).cost(eight)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A network, to be tried with some of its layers in INT8."""

    card: Card
    network: openvino.Model

    def model(self, ranges: Ranges | None) -> Model:
        """Return the network, in float32 where `ranges` is None."""
        network = self.network.clone()
        if ranges is not None:
            quantise(network, ranges)
        return Model(self.card, compile_network(network))

    def answers(self, ranges: Ranges | None, store: FilmStore, most: int | None = None) -> Answers:
        """Return what the network says of the films of a store, or of the first `most`; in float32 where `ranges` is None."""
        model = self.model(ranges)
        return Answers(*model.read(np.ascontiguousarray(store.pixels[:most]), OUTPUTS if self.card.scope else OUTPUTS[:2]))

    def work(self) -> dict[str, float]:
        """Return what each layer costs to compute, in multiplications: those of a convolution, and the values that it moves."""
        found = {}
        for op in self.network.get_ops():
            if op.get_input_size() and op.get_output_size():
                read, written = (float(np.prod(port.get_partial_shape().to_shape())) for port in (op.input(0), op.output(0)))
                weights = op.input(1).get_shape() if op.get_type_name() in _CONVOLUTIONS else ()
                products = written * float(np.prod(weights)) / op.output(0).get_shape()[1] if weights else 0.0
                found[op.get_friendly_name()] = products + PER_VALUE * (read + written)
        return found


def choose(trial: Trial, ranges: Ranges, held: Held, near: float, progress: Count | None = None) -> Ranges:
    """Return the ranges of as many layers as the limits allow, where films that INT8 leaves within `near` of an edge are read again.

    Errors of layers add like independent ones, so a layer takes up its squared shift of the logit, alone, and is worth its share of the
    work. The layers that take most for what they are worth are left in float32; how many that takes is found by halving, since fewer
    layers in INT8 cost less but for chance.

    Raises:
        MeasurementError: not even one layer can compute in INT8.
    """
    if _fits(trial, ranges, held, near):
        return ranges
    ranked = _ranked(trial, ranges, held, progress)
    low, high = 0, len(ranked)  # leaving `low` layers in float32 is too few, `high` enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(trial, ranges.only(ranked[middle:]), held, near) else (middle, high)
    if high == len(ranked):
        raise MeasurementError(f"no layer can compute in INT8 within the limits on split {held.split!r}. The model stays in float32.")
    return ranges.only(ranked[high:])


def pruned(trial: Trial, ranges: Ranges, films: NDArray[np.uint8], held: Held, near: float, progress: Count | None = None) -> Ranges:
    """Return the ranges of as few channels as the limits allow; not one peak is given for them."""
    for lost in LOST:
        fewer = prune(trial.network, ranges, films, lost, progress)
        if _fits(trial, fewer, held, near, given=0):
            return fewer
    return ranges


def _fits(trial: Trial, ranges: Ranges, held: Held, near: float, given: int = 1) -> bool:
    """Return whether the limits are kept; `given` peaks may be lost beyond them."""
    eight = trial.answers(ranges, held.store)
    cost = held.cost(held.settled(eight, near))
    # What is counted has the whole limit: a film beside the threshold changes at any error, and half of a few hundred films' limit is none.
    # Nor is one peak a share of a few dozen.
    cost = msgspec.structs.replace(cost, lost=max(cost.lost - given, 0))
    return cost.excess <= 1 and held.changed_by_chance(eight, near) <= HEADROOM * INT8_LIMITS["changed"]


def _ranked(trial: Trial, ranges: Ranges, held: Held, progress: Count | None) -> list[str]:
    """Return the layers, the one whose rounding moves the logit most for its work first."""
    work = trial.work()
    shifts: dict[str, float] = {}
    for done, layer in enumerate(ranges.layers, 1):
        shifts[layer] = held.float32.shift(trial.answers(ranges.only([layer]), held.store, RANKED_ON))
        if progress:
            progress(done, len(ranges.layers))
    return sorted(shifts, key=lambda layer: -(shifts[layer] ** 2) / work[layer])


def _rows(index: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the films that give the ranges, and those of each split on which the cost is measured."""
    there = Predictions(index.filter(pl.col("status") != "unreadable"), Origin())
    every = of_split(there, plan.calibrate_on).films
    given = every[np.sort(np.random.default_rng(plan.seed).permutation(len(every))[: plan.films])]
    rows = {split: of_split(there, split).films for split in (plan.hold, *plan.report)}
    for split, part in rows.items():
        if shared := part.join(every, on=["root", "path"], how="semi").height:
            raise UsageError(
                f"{shared} films of {split!r} are in {plan.calibrate_on!r} too, and the cost is not measured where ranges come from."
            )
    return given, rows


def _store(films: pl.DataFrame, split: str, card: Card) -> FilmStore:
    store = open_store(films, card.frame)
    if len(store) < LEAST_FILMS:
        raise MeasurementError(f"split {split!r} has {len(store)} readable films; INT8 takes at least {LEAST_FILMS}.")
    return store
