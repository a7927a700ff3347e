"""What a training starts from: first weights of the backbone alone, or a whole model, head included, that has learned before.

A whole model is the folder of another training or a model file. Its weights have meaning with its network, head and pooling alone, so
`recipe_from` takes these over, and a recipe that says otherwise is refused. One thing may be had anew: evidence at stride 8, which is a
refinement of a pyramid's at stride 16 and changes nothing until it learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import onnx

from osteon.card import Card, Frame, Pooling
from osteon.errors import CheckpointError, MissingWeights, ModelFileError, UsageError
from osteon.lab.training.checkpoint import load_weights
from osteon.lab.training.earlier import OTHER_NETWORK, refuse_gone
from osteon.lab.training.networks.detector import REFINED, Detector
from osteon.lab.training.networks.weights import BACKBONES, load_first_weights, sha256_of
from osteon.lab.training.recipe import FIRST, Recipe, averaged_with, is_file, plain_recipe, recipe
from osteon.lab.training.run import RunFolder, ranked
from osteon.lab.training.start.agreement import check_model
from osteon.lab.training.start.from_onnx import fill, head_of
from osteon.model_names import PACKAGED, find_model
from osteon.opening import load_model

BACKBONE_ALONE = ("imagenet", "random")
"""What may stand in `init` beside files, folders and whole models."""

SLOWER = 4
"""How many times smaller the learning rate is when a whole model goes on learning."""


@dataclass(frozen=True, slots=True)
class First:
    """What was loaded: a line for the run's record, and the norms that `from_onnx.give_norms` has to make anew."""

    source: str
    folded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole model: how to name it, its file or folder, the settings that belong to its weights, and the frame it saw films in.

    Settings are a recipe's, by name; a dot reaches inside, as in `pooling.kind`.
    """

    name: str
    place: Path
    settings: dict[str, Any]
    frame: Frame


def recipe_from(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with some settings changed, as `recipe.recipe` does; one that starts from a whole model is made to fit it.

    Network, head with its evidence stride, and pooling are the model's. So are the frame and the learning rates, where `changes`
    do not name them: the frame in which the model saw films, and for backbone and head alike a quarter of the recipe's rate for the
    backbone. A head drawn at random must learn faster than what stands before it; one that has learned need not, and neither has far to
    go. All are noted as departures.

    Args:
        name: Of a recipe, as in `recipe.recipe`.
        changes: `setting=value`; `init=` says what to start from, as in `load_first`.

    Raises:
        UsageError: as `recipe.recipe`; or a change contradicts the model, or it is an ensemble.
        MissingWeights: the folder to start from holds no training with a finished epoch.
        ModelFileError: the model file is not there, or none.
    """
    plain = plain_recipe(name, changes)
    whole = find_whole(plain.init)
    if whole is None or (is_file(name) and not any(change.startswith("init=") for change in changes)):
        return recipe(name, changes)  # what a file holds has been made to fit before
    given = {change.partition("=")[0] for change in changes}
    if wrong := [key for key in _contradicted(plain, whole.settings) if key in given]:
        raise UsageError(
            f"--set {wrong[0]}={_setting(plain, wrong[0])}: in {whole.name} it is {whole.settings[wrong[0]]}, and its weights have meaning "
            "with that alone. Leave the setting out, or start from something else with --init."
        )
    rate = plain.learning_rate if "learning_rate" in given else plain.learning_rate / SLOWER
    free = {f"frame.{key}": value for key, value in msgspec.structs.asdict(whole.frame).items()}
    free |= {"learning_rate": rate, "head_learning_rate": rate}
    kept = {key: value for key, value in whole.settings.items() if key not in given}  # what is given agrees, or refines
    wanted = kept | {key: value for key, value in free.items() if key not in given}
    own = [change for change in changes if not change.startswith("init=")]
    return recipe(name, [*own, f"init={whole.name}", *(f"{key}={wanted[key]}" for key in _apart(plain, wanted))])


def load_first(detector: Detector, recipe: Recipe, offline: bool = False) -> First:
    """Give a detector its first weights, as `recipe.init` says.

    Args:
        detector: As `Detector(recipe)` makes it; changed in place.
        recipe: Its `init` is "imagenet", "random" or a file with a state dict, for the backbone alone; or, for backbone and head, the
            folder of another training, whose best epoch is taken, a model file, the `name@version` of one, or "packaged".
        offline: Never open a network connection.

    Raises:
        MissingWeights: they are not there, or cannot be read.
        ModelFileError: it is no model file, or torch does not answer as the file does.
        UsageError: the model has another network, head or pooling than the recipe, or is an ensemble.
    """
    whole = find_whole(recipe.init)
    if FIRST in averaged_with(recipe) and whole is None:
        raise UsageError(
            f"average_with={FIRST}: weights of a backbone alone are no model to be averaged with. Name a model or a training with --init."
        )
    if whole is None:
        return First(load_first_weights(detector.backbone, recipe.network, recipe.init, offline))
    if wrong := _contradicted(recipe, whole.settings):
        right = " ".join(f"--set {key}={whole.settings[key]}" for key in wrong)
        raise UsageError(f"{whole.name} has another {', '.join(wrong)} than the recipe. Take over what it has: {right}")
    if not _apart(recipe, whole.settings):
        return _load_whole(detector, whole)
    coarse = Detector(msgspec.structs.replace(recipe, evidence_stride=whole.settings["evidence_stride"]))
    first = _load_whole(coarse, whole)
    detector.load_state_dict(detector.state_dict() | coarse.state_dict())
    return first


def find_whole(init: str) -> Whole | None:
    """Return the whole model that a recipe's `init` means; None where it means weights of a backbone alone.

    Raises:
        MissingWeights: the folder holds no training with a finished epoch.
        ModelFileError: the model file is not there, or none.
        UsageError: the model file is an ensemble; or the training is of a network that is gone.
    """
    if init == PACKAGED or init.endswith(".onnx") or ("@" in init and not Path(init).exists()):
        file = Path(str(find_model(init)))
        card, graph = _read(file)
        try:
            settings = {"network": card.network, **head_of(graph), **_pooled(card.pooling)}
        except ModelFileError as fault:
            raise ModelFileError(f"{file}: {fault}. Start from another model.") from fault
        return Whole(card.reference if init == PACKAGED else init, file, settings, card.frame)
    if init in BACKBONE_ALONE or not Path(init).is_dir():
        return None
    _, learned = _best_epoch(Path(init))
    of_head = {"evidence_stride": learned.evidence_stride} if learned.head == "pyramid" else {}
    settings = {"network": learned.network, "head": learned.head, **of_head, **_pooled(learned.pooling)}
    return Whole(init, Path(init), settings, learned.frame)


def _read(file: Path) -> tuple[Card, onnx.GraphProto]:
    card = load_model(file, "float32").card
    if card.network.startswith("ensemble"):
        raise UsageError(
            f"{file}: {card.network}, and only a single network can go on learning. Start from one of its trainings: --init RUN, or from "
            "a model exported with --members 1."
        )
    if card.network not in BACKBONES:
        raise UsageError(f"{file}: its card names the network {card.network!r}, and only {', '.join(BACKBONES)} can go on learning.")
    return card, onnx.load_model(str(file)).graph


def _load_whole(detector: Detector, whole: Whole) -> First:
    return _load_run(detector, whole) if whole.place.is_dir() else _load_file(detector, whole)


def _load_file(detector: Detector, whole: Whole) -> First:
    card, graph = _read(whole.place)
    try:
        folded = fill(detector, graph, card.pooling)
    except ModelFileError as fault:
        raise ModelFileError(f"{whole.place}: {fault}. Start from the training that it was exported from: --init RUN") from fault
    check_model(detector.eval(), whole.place)
    known = "; ".join(f"{data.films:,} films of {data.name}, {data.split}" for data in card.data)
    source = f"{card.reference}, which learned from {known or 'what its card does not say'}"
    return First(f"{source}, {whole.place.name}, SHA-256 {sha256_of(whole.place)}", folded)


def _load_run(detector: Detector, whole: Whole) -> First:
    path, _ = _best_epoch(whole.place)
    before = RunFolder(whole.place).record().weights
    try:
        detector.load_state_dict(load_weights(path))
    except (CheckpointError, KeyError, RuntimeError) as fault:
        raise MissingWeights(f"{path}: no weights of this network can be read from it. Name another training with --init.") from fault
    return First(f"{path.name} of {whole.place.name}, SHA-256 {sha256_of(path)}, itself begun from {before}")


def _best_epoch(folder: Path) -> tuple[Path, Recipe]:
    run = RunFolder(folder)
    if not run.record_file.exists():
        raise MissingWeights(f"{folder}: it holds no training (no recipe.json). Name a folder that `osteon train -o` made with --init.")
    refuse_gone(run.record_file, OTHER_NETWORK, "started from")
    learned, history = run.record().recipe, run.history()
    if not history:
        raise MissingWeights(f"{folder}: its training has not finished an epoch. Continue it first: osteon train --resume -o {folder}")
    return run.best_file(ranked(history, learned)[0].epoch), learned


def _pooled(pooling: Pooling) -> dict[str, Any]:
    of_kind = {"mean": {}, "logsumexp": {"pooling.sharpness": pooling.sharpness}, "top-k": {"pooling.share": pooling.share}}
    return {"pooling.kind": pooling.kind, **of_kind[pooling.kind]}


def _contradicted(recipe: Recipe, settings: dict[str, Any]) -> list[str]:
    """Return which of a model's settings a recipe gainsays; evidence at stride 8 refines a pyramid's at stride 16."""
    refined = recipe.evidence_stride == REFINED and settings.get("evidence_stride") == 2 * REFINED
    return [key for key in _apart(recipe, settings) if not (refined and key == "evidence_stride")]


def _apart(recipe: Recipe, settings: dict[str, Any]) -> list[str]:
    return [key for key, value in settings.items() if _setting(recipe, key) != value]


def _setting(recipe: Recipe, name: str) -> Any:  # noqa: ANN401 - whatever the setting is
    value: Any = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value
