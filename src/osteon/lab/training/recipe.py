"""Every setting of a training, in one frozen value: `paper`, `article`, `osteon`, `boxed`, and what a user changes in them.

`paper`: Rajpurkar et al., arXiv 1712.06957v4. `article`: the re-implementation this project starts from. `osteon`: ours, the default.
`boxed`: ours for films whose findings are boxed; the packaged model was begun with it (`docs/experiments.md`).
Each departure from what was published is listed in `departures`, which `run/recipe.json` keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from osteon.card import Frame, Pooling
from osteon.errors import UsageError

Share = Annotated[float, Meta(ge=0, le=1)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]


class Augmentation(Struct, frozen=True, kw_only=True):
    """What is drawn at random for each film of each batch; zero turns a thing off.

    Geometry is one affine warp: rotation up to `rotation` degrees, size within 1 +- `scale`, shift up to `shift` of the side, mirrored
    with probability `flip`, upside down with `flip_vertical`. Grey values then: `(g ** gamma - 0.5) * contrast + 0.5 + brightness` with
    gamma in exp(+- `gamma`), contrast in 1 +- `contrast`, brightness in +- `brightness`; `erase` is the probability that a rectangle of
    up to a quarter of the side is blanked, `blur` that a film is blurred or sharpened a little, `local` that its local contrast is
    raised, `grain` that it is grainy, `compress` that it was compressed as JPEG, `quarter` that it lies on its side, `collimate` that its
    border is covered as a collimator does, `cast` that a part of it lies behind plaster. `cut` is the probability that a film's one side is
    another film's (CutMix by halves), `mixup` that another film shines through it, `mosaic` that it is a quarter of a square of four films;
    a film goes through at most one of the three.
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
    cast: Share = 0.0
    cut: Share = 0.0
    mixup: Share = 0.0
    mosaic: Share = 0.0


class Recipe(Struct, frozen=True, kw_only=True):
    """One training.

    `task` "label" learns the film's label; "views" learns without labels and boxes that two views of a film are one film (VICReg), for
    another training to begin from: backbone alone, by `init`. Every film then stands in a pass once; head, losses, `window` and the
    augmentations that join films are left alone.
    `head` "mean" is the paper's (global average, one linear unit); "pyramid" is a small feature pyramid at `evidence_stride` (at 8: one
    at 16 with a refinement) whose cells are pooled by `pooling`, with `branch` beside a linear unit on the averaged features. `loss`
    "weighted" is the paper's, "plain" unweighted cross-entropy; `focus` weighs films that are hard for the network more. `box_loss` weighs
    the cross-entropy of evidence cells against finding boxes, where the data has boxes; `box_cells` is the weight of a cell inside a box.
    `auxiliary` names, with commas between, what else the averaged features should tell: columns of 0 and 1 or study types of the index;
    `auxiliary_loss` weighs the mean of their cross-entropies. `mirror` weighs, at the end, the cross-entropy against what the averaged
    weights say of a film's mirror image; it grows from 0 with the training, and needs `ema`. `teachers` names, with commas between,
    models or folders of trainings whose mean answer and evidence are learned from beside the labels; `teaching` weighs that.
    `abnormal_repeat` shows abnormal films more than once a pass. `ema` is the decay of the weights' moving average (0: none); `mean_with`
    names, with commas between, trainings whose weights, with those of this one, are averaged into what is kept: folders, or `first` for
    what this one began with, a whole model.
    `select_by` is what the kept checkpoints are best in, on the selection split. `freeze` counts the backbone's first blocks that stay
    as they came. `growth` is the share of the frame's side at which films begin; they grow to the whole side, which the last third of
    the training sees (0: whole from the start). `window` is the share of the frame's side that the first two thirds see of a film, at
    its whole resolution and mostly over a finding (0: whole films from the start); it needs boxes. `read_at` is the side of the frame in
    which the finished model sees films (0: as it has learned): the last few pixels cost a reader time, not accuracy. `compiled` has torch
    compile what a step computes, "graphs" as CUDA graphs besides.
    """

    name: str
    network: Literal["lite0", "lite1", "lite2", "densenet121", "densenet169", "densenet201"]
    frame: Frame
    head: Literal["mean", "pyramid"]
    pooling: Pooling
    augmentation: Augmentation
    task: Literal["label", "views"] = "label"
    growth: BelowOne = 0.0
    window: BelowOne = 0.0
    read_at: Annotated[int, Meta(ge=0)] = 0
    evidence_stride: Literal[8, 16, 32] = 32
    branch: bool = True
    init: str = "imagenet"
    freeze: Annotated[int, Meta(ge=0)] = 0
    dropout: Share = 0.0
    loss: Literal["weighted", "plain"] = "plain"
    focus: Annotated[float, Meta(ge=0)] = 0.0
    box_loss: Annotated[float, Meta(ge=0)] = 0.0
    box_cells: Positive = 1.0
    auxiliary: str = ""
    auxiliary_loss: Annotated[float, Meta(ge=0)] = 0.3
    mirror: Annotated[float, Meta(ge=0)] = 0.0
    teachers: str = ""
    teaching: Annotated[float, Meta(ge=0)] = 1.0
    label_smoothing: Share = 0.0
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
    mean_with: str = ""
    keep: Annotated[int, Meta(ge=1)] = 5
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: Literal["no", "yes", "graphs"] = "no"
    seed: Annotated[int, Meta(ge=0)] = 0
    departures: tuple[str, ...] = ()


_SELECTION = "checkpoints are selected on the split named by --select, carved from the training patients, not on the reported split"
_CHANCE = "the number of passes is not published; training ends when the loss on the selection split has not fallen for `patience` passes"

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
"""In `mean_with`: what the training began with."""

RECIPES = {recipe.name: recipe for recipe in (PAPER, ARTICLE, OSTEON, BOXED)}


def recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe with some settings changed, each change noted as a departure.

    Args:
        name: Of one of `RECIPES`.
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
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}. Take one of: {', '.join(RECIPES)}.")
    settings = msgspec.to_builtins(RECIPES[name])
    noted = [_change(settings, change) for change in changes]
    settings["departures"] = (*settings["departures"], *noted)
    try:
        made = msgspec.convert(settings, Recipe, strict=False)
        msgspec.convert(msgspec.to_builtins(read_frame(made)), Frame)  # `replace` checks nothing
    except msgspec.ValidationError as fault:
        raise UsageError(f"recipe {name}: {fault}. Mend the value given with --set.") from fault
    return made


def read_frame(recipe: Recipe) -> Frame:
    """Return the frame in which the finished model sees films.

    >>> read_frame(recipe("osteon", ["read_at=352"])).size
    352
    """
    return msgspec.structs.replace(recipe.frame, size=recipe.read_at) if recipe.read_at else recipe.frame


def auxiliaries(recipe: Recipe) -> tuple[str, ...]:
    """Return the names in `recipe.auxiliary`.

    >>> auxiliaries(recipe("osteon", ["auxiliary=hand, hardware"]))
    ('hand', 'hardware')
    """
    return _names(recipe.auxiliary)


def companions(recipe: Recipe) -> tuple[str, ...]:
    """Return the names in `recipe.mean_with`."""
    return _names(recipe.mean_with)


def teachers(recipe: Recipe) -> tuple[str, ...]:
    """Return the names in `recipe.teachers`."""
    return _names(recipe.teachers)


def _names(words: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in words.split(",") if name.strip())


def _change(settings: dict[str, Any], change: str) -> str:
    path, equals, value = change.partition("=")
    *outer, last = path.split(".")
    place = settings
    for key in outer:
        place = place.get(key, {}) if isinstance(place.get(key), dict) else {}
    if not equals or last not in place or last in FIXED:
        known = ", ".join(key for key in settings if key not in FIXED)
        raise UsageError(f"--set {change}: no such setting. Write setting=value with one of: {known}.")
    old, place[last] = place[last], value
    return f"{path}: {old} -> {value}"
