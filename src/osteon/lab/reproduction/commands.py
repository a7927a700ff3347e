"""The commands that a reproduction's stages stand for, typed in its folder: the same result, step by step."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from osteon.lab.data.index import read_index
from osteon.lab.reproduction.folder import Reproduction
from osteon.opening import load_model


def commands(here: Reproduction) -> Iterator[str]:
    """Yield the command of each stage."""
    plan = here.plan
    flags = [*([] if plan.decode else ["--no-decode"]), *([] if plan.count_check else ["--no-count-check"])]
    yield shlex.join(["osteon", "index", plan.data, "-o", "index.parquet", "--allow-leaks", *flags])
    parts = f"train={1 - plan.tune_share:g},tune={plan.tune_share:g}"
    yield f"osteon split index.parquet -o split.parquet --of train --parts {parts}"
    if (read_index(here.split)["split"] == "").any():
        yield "# the training films that valid has too, or duplicates of, were taken out of train"
    yield from training_commands(here)
    runs = " ".join(f"trainings/{number}" for number in here.numbers)
    yield f"osteon export {runs} -o model.onnx --name {here.recipe.name}"
    card = load_model(here.model).card
    if card.decision.split:
        pooling = "" if card.study_pooling == "mean" else f" --pooling {card.study_pooling}"
        yield f"osteon calibrate --model model.onnx --index split.parquet --split tune{pooling} -o model.onnx"
    yield "osteon evaluate --model model.onnx --index split.parquet --split valid -o evaluations/model"


def training_commands(here: Reproduction) -> Iterator[str]:
    """Yield the command of each training, typed in the reproduction's folder."""
    made = (*here.plan.changes, *here.settled.changes)
    changes = [word for change in made if not change.startswith("seed=") for word in ("--set", change)]
    for number in here.numbers:
        settings = [*changes, "--set", f"seed={here.recipe_of(number).seed}"]
        yield shlex.join(["osteon", "train", here.split.name, "--recipe", here.recipe.name, *settings, "-o", f"trainings/{number}"])
