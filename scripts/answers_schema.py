"""The JSON Schema of what `osteon predict --json` writes, made of the types below: docs/answers.schema.json.

    python scripts/answers_schema.py

`tests/cli/test_answers_schema.py` holds the file to these types, and these types to what is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

SCHEMA = Path(__file__).parents[1] / "docs" / "answers.schema.json"

Share = Annotated[float, Meta(ge=0, le=1)]
Level = Annotated[
    Literal["yes", "doubt", "no", "out of scope"] | None,
    Meta(description="the answer; doubt is what people read as uncertain; null where the film could not be used"),
]
Probability = Annotated[Share | None, Meta(description="calibrated probability of the finding; null without an answer")]


class Peak(Struct, forbid_unknown_fields=True):
    """Where the heat map is hottest."""

    x: Annotated[float, Meta(description="film pixels from the left")]
    y: Annotated[float, Meta(description="film pixels from the top")]
    evidence: Annotated[float, Meta(description="evidence there, in logit units")]


class Film(Struct, forbid_unknown_fields=True):
    """One film."""

    film: Annotated[str, Meta(description="its path or name")]
    level: Level
    probability: Probability
    logit: Annotated[float | None, Meta(description="what the network says, before calibration")]
    study_type: Annotated[str, Meta(description="HAND, WRIST, ...; empty where the file does not say")]
    truncated: Annotated[bool, Meta(description="the file ends early, and was read in part")]
    remarks: Annotated[list[str], Meta(description="what the reader assumed")]
    reason: Annotated[str, Meta(description="why the film is out of scope; else empty")]
    error: Annotated[str, Meta(description="why the film could not be used; else empty")]
    peak: Peak | UnsetType = UNSET
    overlay: Annotated[str, Meta(description="file of the heat map, with --overlay")] | UnsetType = UNSET


class Study(Struct, forbid_unknown_fields=True):
    """The films of one visit, and what is pooled from them."""

    study: Annotated[str, Meta(description="its name: a folder, or its first film; never the StudyInstanceUID")]
    level: Level
    probability: Probability
    films: Annotated[list[Film], Meta(min_length=1)]


class Decision(Struct, forbid_unknown_fields=True):
    """From which probability a study counts as abnormal, and where the answers doubt and yes begin."""

    threshold: Share
    doubt_from: Share
    doubt_to: Share


class MadeBy(Struct, forbid_unknown_fields=True):
    """What the answers depend on beside the films."""

    osteon: Annotated[str, Meta(description="version of osteon")]
    model_sha256: Annotated[str, Meta(description="of the model file")]
    precision: Literal["int8", "float32"]


class Answers(Struct, forbid_unknown_fields=True):
    """What `osteon predict --json` writes, and `osteon.predict(...).to_dict()` returns."""

    model: Annotated[str, Meta(description="name@version, and +site where a site file moved the limits of the answers")]
    site: Annotated[str | None, Meta(description="name and hash of the site file; null without one")]
    made_by: MadeBy
    finding: Annotated[str, Meta(description="what the model finds")]
    study_pooling: Literal["mean", "max", "noisy-or", "top-k"]
    decision: Decision
    ignored: Annotated[dict[str, int], Meta(description="files that were left out, by reason")]
    studies: list[Study]


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "osteon predict --json"} | msgspec.json.schema(Answers)


def text() -> str:
    """Return the schema as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1).decode() + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
