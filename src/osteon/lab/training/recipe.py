"""Every setting of a training, in one frozen value: `paper`, `article`, `osteon`, `boxed`, and what a user changes in them.

`paper`: Rajpurkar et al., arXiv 1712.06957v4. `article`: the re-implementation this project starts from. `osteon`: ours, the default.
`boxed`: ours for films whose findings are boxed; the packaged model was begun with it (`docs/experiments.md`).
Each departure from what was published is listed in `departures`, which `run/recipe.json` keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from osteon.card import Frame, Pooling
from osteon.errors import UsageError
from osteon.lab.training.earlier import read_stored, refuse_gone, refuse_old_name

Share = Annotated[float, Meta(ge=0, le=1)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]


class Augmentation(Struct, frozen=True, kw_only=True):
    """What is drawn at random for each film of each batch; zero turns a thing off.

    Geometry is one affine warp. Grey values g in [0, 1] become `(g ** gamma - 0.5) * contrast + 0.5 + brightness`. A probability is that of
    a film to be changed so.

    Attributes:
        rotation: Degrees, at most.
        scale: Size within 1 +- scale.
        shift: Share of the side, at most.
        flip: Probability of mirroring.
        flip_vertical: Probability of turning upside down.
        contrast: Contrast within 1 +- contrast.
        brightness: Brightness within +- brightness.
        gamma: Gamma within exp(+- gamma).
        erase: Probability of blanking a rectangle of up to a quarter of the side.
        blur: Probability of a little blurring or sharpening.
        local: Probability of raising local contrast.
        grain: Probability of grain (noise).
        compress: Probability of JPEG compression.
        quarter: Probability of a turn by 90 degrees.
        collimate: Probability of covering the border as a collimator does.
        cut: Probability of taking one side from another film (CutMix by halves).
    """

    rotation: Annotated[float, Meta(ge=0, le=180)] = 0.0
    scale: BelowOne = 0.0
    shift: Share = 0.0
    flip: Share = 0.0
    flip_vertical: Share = 0.0
    contrast: Share = 0.0
    brightness: Share = 0.0
    gamma: Share = 0.0
    erase: Share = 0.0
    blur: Share = 0.0
    local: Share = 0.0
    grain: Share = 0.0
    compress: Share = 0.0
    quarter: Share = 0.0
    collimate: Share = 0.0
    cut: Share = 0.0


class Recipe(Struct, frozen=True, kw_only=True):
    """One training.

    Attributes:
        name: Of the recipe that it is a variant of.
        network: The backbone.
        frame: How films are cropped and scaled.
        head: "mean" is the paper's (global average, one linear unit); "pyramid" is a small feature pyramid beside a linear unit on the
            averaged features.
        pooling: How evidence becomes the logit.
        augmentation: What is drawn at random.
        window: Share of the frame's side that the first two thirds of the training see of a film, at its whole resolution and mostly over
            a finding; 0 shows whole films from the start. It needs boxes.
        read_at: Side of the frame in which the finished model sees films, pixels; 0 for the one it has learned at. A little less costs
            a reader no accuracy, and saves time.
        evidence_stride: Of the pyramid's evidence; at 8 it is one at 16 with a refinement.
        init: What to start from, as `first_model.load_first` takes it.
        freeze: How many of the backbone's first blocks stay as they came.
        dropout: Probability.
        loss: "weighted" is the paper's cross-entropy, "plain" an unweighted one.
        box_loss: Weight of the cross-entropy of evidence cells against finding boxes, where the data has boxes.
        box_cells: Weight of a cell inside a box.
        abnormal_repeat: How often an abnormal film is shown in an epoch.
        optimizer: Adam or AdamW.
        learning_rate: Of the backbone.
        head_learning_rate: Of the head.
        weight_decay: Of AdamW.
        schedule: "plateau" divides the rates by ten where the selection loss does not fall, "cosine" is one half of a cosine.
        warmup: Share of the training in which the rates of "cosine" rise.
        batch: Films in a step, of all processes together.
        epochs: How many.
        patience: Epochs without a lower selection loss after which the training ends; 0 for none.
        select_by: What the kept epochs are best in, on the selection split.
        ema: Decay of the weights' moving average; 0 for none.
        average_with: Trainings whose weights, with those of this one, are averaged into what is kept: folders with commas between, or
            `first` for what this one began with, a whole model.
        keep: How many of the best epochs are kept.
        precision: What a step computes in.
        compiled: Whether torch compiles what a step computes; "graphs" as CUDA graphs besides.
        seed: Of everything random.
        departures: What differs from what was published.
    """

    name: str
    network: Literal["lite0", "lite1", "lite2", "densenet121", "densenet169", "densenet201"]
    frame: Frame
    head: Literal["mean", "pyramid"]
    pooling: Pooling
    augmentation: Augmentation
    window: BelowOne = 0.0
    read_at: Annotated[int, Meta(ge=0)] = 0
    evidence_stride: Literal[8, 16, 32] = 32
    init: str = "imagenet"
    freeze: Annotated[int, Meta(ge=0)] = 0
    dropout: Share = 0.0
    loss: Literal["weighted", "plain"] = "plain"
    box_loss: Annotated[float, Meta(ge=0)] = 0.0
    box_cells: Positive = 1.0
    abnormal_repeat: Annotated[int, Meta(ge=1)] = 1
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-4
    head_learning_rate: Positive = 1e-4
    weight_decay: Annotated[float, Meta(ge=0)] = 0.0
    schedule: Literal["plateau", "cosine"] = "plateau"
    warmup: BelowOne = 0.0
    batch: Annotated[int, Meta(ge=1)] = 8
    epochs: Annotated[int, Meta(ge=1)] = 10
    patience: Annotated[int, Meta(ge=0)] = 0
    select_by: Literal["loss", "auroc"] = "loss"
    ema: BelowOne = 0.0
    average_with: str = ""
    keep: Annotated[int, Meta(ge=1)] = 5
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: Literal["no", "yes", "graphs"] = "no"
    seed: Annotated[int, Meta(ge=0)] = 0
    departures: tuple[str, ...] = ()


_SELECTION = "checkpoints are selected on the split named by --select, carved from the training patients, not on the reported split"
_CHANCE = "the number of epochs is not published; training ends when the loss on the selection split has not fallen for `patience` epochs"

PAPER = Recipe(
    name="paper",
    network="densenet169",
    frame=Frame(size=320, aspect="stretch"),
    head="mean",
    pooling=Pooling(kind="mean"),
    augmentation=Augmentation(rotation=30, flip=0.5),
    loss="weighted",
    epochs=30,
    patience=5,
    departures=(_SELECTION, _CHANCE, "the ensemble averages logits"),
)
ARTICLE = msgspec.structs.replace(PAPER, name="article", frame=Frame(size=224, aspect="stretch"), dropout=0.1, loss="plain")
OSTEON = Recipe(
    name="osteon",
    network="lite0",
    frame=Frame(size=384, crop="exposed"),
    head="pyramid",
    evidence_stride=16,
    pooling=Pooling(kind="logsumexp", sharpness=2.0),
    augmentation=Augmentation(
        rotation=30, scale=0.2, shift=0.05, flip=0.5, flip_vertical=0.5, contrast=0.3, brightness=0.15, gamma=0.3, erase=0.2
    ),
    freeze=3,
    dropout=0.2,
    box_loss=3.0,
    box_cells=8.0,
    abnormal_repeat=2,
    optimizer="adamw",
    learning_rate=4e-4,
    head_learning_rate=1.5e-3,
    weight_decay=0.02,
    schedule="cosine",
    warmup=0.05,
    batch=16,
    epochs=12,
    ema=0.995,
    select_by="auroc",
)
BOXED = msgspec.structs.replace(
    OSTEON,
    name="boxed",
    frame=msgspec.structs.replace(OSTEON.frame, aspect="stretch"),
    evidence_stride=8,
    window=0.5,
    augmentation=msgspec.structs.replace(OSTEON.augmentation, cut=0.3, blur=0.2, grain=0.3, local=0.25, compress=0.25, quarter=0.1),
    epochs=14,
)
COARSEST = 32
"""The stride of the last features."""

FIXED = ("name", "departures")
FIRST = "first"
"""In `average_with`: what the training began with."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, ARTICLE, OSTEON, BOXED)}


def recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with some settings changed, each change noted as a departure.

    Args:
        name: Of one of `RECIPES`, or a file that a training or `osteon tune` wrote.
        changes: `setting=value`; a dot reaches inside: `frame.size=224`, `augmentation.flip=0`.

    Raises:
        UsageError: as `plain_recipe`; or settings that do not go together.

    >>> recipe("article", ["epochs=3", "frame.size=128"]).departures[-2:]
    ('epochs: 30 -> 3', 'frame.size: 224 -> 128')
    """
    made = plain_recipe(name, changes)
    # A side that does not come out even when it is halved, down to what evidence is made of, moves features by a cell against each other.
    if made.read_at % (halved := min(2 * made.evidence_stride, COARSEST)):
        raise UsageError(f"read_at={made.read_at}: evidence would lie beside what it shows. Take a multiple of {halved} with --set.")
    return made


def plain_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe as `recipe` does, before what it begins from has had its say: settings need not fit each other yet.

    Raises:
        UsageError: no such recipe or setting, or a value outside its range.
    """
    if name not in RECIPES and not is_file(name):
        raise UsageError(f"there is no recipe {name!r}. Take one of: {', '.join(RECIPES)}; or a file, recipe.json of a training.")
    settings = msgspec.to_builtins(_stored(Path(name)) if is_file(name) else RECIPES[name])
    noted = [_change(settings, change) for change in changes]
    settings["departures"] = (*settings["departures"], *noted)
    try:
        made = msgspec.convert(settings, Recipe, strict=False)
        msgspec.convert(msgspec.to_builtins(read_frame(made)), Frame)  # `replace` checks nothing
    except msgspec.ValidationError as fault:
        raise UsageError(f"recipe {name}: {fault}. Mend that value (settings, --set).") from fault
    return made


def is_file(name: str) -> bool:
    """Return whether a recipe is named by a file, as a training (`recipe.json`) and `osteon tune` (`best.recipe.json`) write it."""
    return name.endswith(".json")


def _stored(file: Path) -> Recipe:
    try:
        record = msgspec.json.decode(file.read_bytes())
        refuse_gone(file, what="trained again")
        return read_stored(msgspec.json.encode(record if "recipe" in record else {"recipe": record}), _Stored).recipe
    except OSError as fault:
        raise UsageError(f"{file}: no recipe can be read from it ({fault.strerror}). Name recipe.json in a training's folder.") from fault
    except (msgspec.MsgspecError, TypeError) as fault:
        raise UsageError(f"{file}: it holds no recipe ({fault}). Name recipe.json in a training's folder.") from fault


class _Stored(Struct):
    recipe: Recipe


def read_frame(recipe: Recipe) -> Frame:
    """Return the frame in which the finished model sees films.

    >>> read_frame(recipe("osteon", ["read_at=352"])).size
    352
    """
    return msgspec.structs.replace(recipe.frame, size=recipe.read_at) if recipe.read_at else recipe.frame


def averaged_with(recipe: Recipe) -> tuple[str, ...]:
    """Return the names in `recipe.average_with`.

    >>> averaged_with(recipe("osteon", ["average_with=first, run"]))
    ('first', 'run')
    """
    return tuple(name.strip() for name in recipe.average_with.split(",") if name.strip())


def _change(settings: dict[str, Any], change: str) -> str:
    path, equals, value = change.partition("=")
    *outer, last = path.split(".")
    place = settings
    for key in outer:
        place = place.get(key, {}) if isinstance(place.get(key), dict) else {}
    refuse_old_name(path)
    if not equals or last not in place or last in FIXED:
        known = ", ".join(key for key in settings if key not in FIXED)
        raise UsageError(f"--set {change}: no such setting. Write setting=value with one of: {known}.")
    old, place[last] = place[last], value
    return f"{path}: {old} -> {value}"
