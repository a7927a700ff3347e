"""The facts that travel with the weights.

A `Card` stands as JSON in the model file's metadata under `card`. It is the only place where a preprocessing, pooling, calibration
or threshold constant exists: whoever has the file can reproduce its numbers, and nobody outside can get them wrong.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from osteon.errors import ModelFileError

SCHEMA = 2
"""Version of this layout, so that what knows no `Frame.greys` refuses the file. Version 1 is read, too; one with another is refused."""

INT8_LIMITS = {"auroc": 0.002, "changed": 0.005, "lost": 0.01}
"""What INT8 may cost to be the default: AUROC lost, share of answers changed, share of the peaks in a box that leave it."""

_CALIBRATE_AGAIN = "the model's card does not fit: {}. Calibrate the model again."

Level = Literal["no", "doubt", "yes"]
OutOfScope = Literal["out of scope"]
Probability = Annotated[float, Meta(ge=0, le=1)]
Logit = Annotated[float, Meta(ge=-1e4, le=1e4)]
Factor = Annotated[float, Meta(gt=0, le=1e4)]  # of logits; a larger one would make infinities of them, and no number of these


class Frame(Struct, frozen=True, kw_only=True):
    """How a film becomes the square that the network sees, scaled by Pillow's antialiased triangle filter ("bilinear").

    Attributes:
        size: Pixels a side.
        crop: "exposed" first cuts the film to its exposed part (collimation and empty air go).
        aspect: "pad" keeps the shape and fills with black, "stretch" does not (as in the MURA paper).
        greys: "normalised" brings the cut film's greys to one range and one middle, so that machines look alike.
    """

    size: Annotated[int, Meta(ge=32, le=4096)]
    crop: Literal["none", "exposed"] = "none"
    aspect: Literal["pad", "stretch"] = "pad"
    interpolation: Literal["bilinear"] = "bilinear"
    greys: Literal["kept", "normalised"] = "kept"


class Pooling(Struct, frozen=True, kw_only=True):
    """How the logit comes from the evidence map: `pool(evidence) + bias`.

    Attributes:
        kind: "mean" of all cells, "top-k" of the highest; "logsumexp" `log(mean(exp(sharpness * e))) / sharpness`, between mean and max.
        sharpness: Of "logsumexp"; the larger, the nearer to the maximum.
        share: Of "top-k": the part of the cells that counts.
        bias: Added to what is pooled; trained.
    """

    kind: Literal["mean", "logsumexp", "top-k"]
    sharpness: Factor = 1.0
    share: Annotated[float, Meta(gt=0, le=1)] = 0.05
    bias: Logit = 0.0


class Calibration(Struct, frozen=True, kw_only=True):
    """From a logit to a probability, and on which split that was fitted ("" = not fitted).

    "logistic": `sigmoid(slope * logit + intercept)`; slope 1 and intercept 0 leave the network's own probability.
    "isotonic": linear interpolation of `probabilities` over `logits`, constant outside.
    """

    kind: Literal["logistic", "isotonic"] = "logistic"
    slope: Factor = 1.0
    intercept: Logit = 0.0
    logits: tuple[Logit, ...] = ()
    probabilities: tuple[Probability, ...] = ()
    split: str = ""


class Decision(Struct, frozen=True, kw_only=True):
    """Thresholds on the calibrated probability, and the rule that chose them on which split.

    At or above `threshold` a film or study counts as abnormal where a yes or no is needed. Shown to people: "no" below
    `doubt_from`, "yes" at or above `doubt_to`, "doubt" between.
    """

    threshold: Probability = 0.5
    doubt_from: Probability = 0.5
    doubt_to: Probability = 0.5
    rule: str = "0.5, as published"
    split: str = ""


class DataSource(Struct, frozen=True, kw_only=True):
    """Training data: what it is, how much of it, and the fingerprint of the index it was read through."""

    name: str
    licence: str = ""
    source: str = ""
    films: int = 0
    studies: int = 0
    abnormal_films: int = 0
    split: str = "train"
    fingerprint: str = ""


class Metric(Struct, frozen=True, kw_only=True):
    """One measured value with its 95 % interval; `value` None where it cannot be measured, `note` then says why."""

    split: str
    level: Literal["film", "study"]
    group: str
    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    positives: int = 0
    note: str = ""


class Measured(Struct, frozen=True, kw_only=True):
    """How the metrics of a split came about, for `osteon verify`: the index's fingerprint, what was asked for, how intervals are drawn."""

    split: str
    fingerprint: str = ""
    by: tuple[str, ...] = ()
    prevalences: tuple[float, ...] = ()
    resamples: int = 2000
    seed: int = 0


class Refusals(Struct, frozen=True, kw_only=True):
    """How many films of one kind the guard calls out of scope, the share with its 95 % interval.

    `foreign`: they should be; otherwise each is a false refusal. `low` and `high` are None where too few groups tell.
    """

    kind: str
    films: int
    refused: int
    foreign: bool
    low: Probability | None = None
    high: Probability | None = None
    note: str = ""


class Scope(Struct, frozen=True, kw_only=True):
    """Which films the model answers for.

    A film whose `novelty`, the file's third output, lies above `threshold` is out of scope: it is unlike the films of `split`, on which
    the threshold was chosen by `rule`. `body_parts` are those that a film may declare, the card's study types if none are named.
    """

    threshold: Annotated[float, Meta(gt=0)]
    split: str
    rule: str
    body_parts: tuple[str, ...] = ()
    measured: tuple[Refusals, ...] = ()


class Int8Cost(Struct, frozen=True, kw_only=True):
    """What INT8 changed on the films of a split, against float32.

    `changed`: films whose answer (level, side of the threshold or out of scope) became another. `boxed`: films with a box; `pointed`: their
    peak lies in one in float32; `lost`: and in INT8 does not. `again`: read again in float32. `shift`: of the logit, root mean square.
    """

    split: str
    films: Annotated[int, Meta(gt=0)]
    changed: int
    boxed: int = 0
    pointed: int = 0
    lost: int = 0
    again: int = 0
    auroc_float32: Probability | None = None
    auroc: Probability | None = None
    shift: float = 0.0

    @property
    def excess(self) -> float:
        """The largest of the costs over what is allowed for it; at most 1 is within the limits."""
        fallen = 0.0 if self.auroc is None or self.auroc_float32 is None else self.auroc_float32 - self.auroc
        costs = {"auroc": fallen, "changed": self.changed / self.films, "lost": self.lost / max(self.boxed, self.pointed, 1)}
        return max(cost / INT8_LIMITS[name] for name, cost in costs.items())


class Int8(Struct, frozen=True, kw_only=True):
    """The file's INT8 form, and what it costs: `layers` of it compute in INT8, `kept` could and do not, for their cost on split `held`.

    Films within `near` logits of an edge of the answers, or `near_novelty` (a share) of the guard's limit, are read again in float32.
    `apart`: the distance of both forms on a test film (`opening.forms_apart`), 0 in a file of before.
    """

    calibrated_on: str
    films: int
    held: str
    layers: int
    kept: int
    near: Annotated[float, Meta(ge=0)] = 0.0
    near_novelty: Annotated[float, Meta(ge=0)] = 0.0
    apart: Annotated[float, Meta(ge=0)] = 0.0
    made_with: str = ""
    costs: tuple[Int8Cost, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether a cost was measured, and none exceeds the limits: then INT8 is what `--precision auto` takes."""
        return bool(self.costs) and all(cost.excess <= 1 for cost in self.costs)


class Card(Struct, frozen=True, kw_only=True):
    """All about a model that is not weights; `weights` names those that its training began with, `site` whose edges `decision` has."""

    name: str
    version: str
    frame: Frame
    pooling: Pooling
    schema: int = SCHEMA
    network: str = ""
    recipe: str = ""
    code_commit: str = ""
    created: str = ""
    licence: str = ""
    finding: str = "abnormality"
    study_types: tuple[str, ...] = ()
    study_pooling: Literal["mean", "max", "noisy-or", "top-k"] = "mean"
    calibration: Calibration = Calibration()
    decision: Decision = Decision()
    scope: Scope | None = None
    int8: Int8 | None = None
    weights: str = ""
    data: tuple[DataSource, ...] = ()
    metrics: tuple[Metric, ...] = ()
    measured: tuple[Measured, ...] = ()
    intended_use: str = ""
    limits: str = ""
    site: str = ""

    @property
    def reference(self) -> str:
        """`name@version`, and `+site` where a site file moved the edges, which every result carries."""
        return f"{self.name}@{self.version}{f'+{self.site}' if self.site else ''}"

    @property
    def body_parts(self) -> tuple[str, ...]:
        """The body parts that a film may declare; none where the card knows none."""
        return (self.scope.body_parts if self.scope else ()) or self.study_types

    def __repr__(self) -> str:
        return f"<Card {self.reference}: finds {self.finding}, {self.network or 'network unknown'}, films of {self.frame.size} pixels>"

    def probability(self, logit: float) -> float:
        """Return the calibrated probability of a logit, in [0, 1]."""
        c = self.calibration
        if c.kind == "logistic":
            return _sigmoid(c.slope * logit + c.intercept)
        return _interpolate(logit, c.logits, c.probabilities)

    def level(self, probability: float) -> Level:
        """Return which of the three levels a calibrated probability is shown as."""
        if probability >= self.decision.doubt_to:
            return "yes"
        return "doubt" if probability >= self.decision.doubt_from else "no"

    def to_json(self) -> str:
        """Return the card as the JSON text that travels in the model file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Card:
        """Read a card.

        Raises:
            ModelFileError: the text is no card of this schema; the message names the field.
        """
        try:
            card = msgspec.json.decode(text, type=Card)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise ModelFileError(f"the model's card does not fit: {fault}. Export the model again with this version of osteon.") from fault
        c, d = card.calibration, card.decision
        if not 1 <= card.schema <= SCHEMA:
            raise ModelFileError(f"the model's card has schema {card.schema}, this osteon reads 1 to {SCHEMA}. Install a newer one.")
        if d.doubt_from > d.doubt_to:
            raise ModelFileError(_CALIBRATE_AGAIN.format("decision.doubt_from lies above decision.doubt_to"))
        if c.kind == "isotonic" and not (len(c.logits) == len(c.probabilities) >= 2 and list(c.logits) == sorted(c.logits)):
            raise ModelFileError(_CALIBRATE_AGAIN.format("calibration.logits must ascend, with a probability for each"))
        return card


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    at = bisect_left(xs, x)
    if at in (0, len(xs)):
        return ys[min(at, len(xs) - 1)]
    return ys[at - 1] + (ys[at] - ys[at - 1]) * (x - xs[at - 1]) / (xs[at] - xs[at - 1])
