"""A hospital's own edges of the answers: a small file beside the model, made by `osteon calibrate --site`.

It moves where "no" ends and "yes" begins, and nothing else: no weight, no calibration. It belongs to one model file, by its SHA-256, and
whatever is answered with it names it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from osteon.card import Card, Probability
from osteon.errors import ModelFileError
from osteon.model_names import models_folder

SCHEMA = 1
"""Version of this layout; a file with another one is refused."""

SUFFIX = ".site.json"
MOST_BYTES = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of the site's normal or abnormal films that get an answer, before and with the file, and its 95 % interval."""

    name: str
    before: Probability
    after: Probability
    low: Probability | None = None
    high: Probability | None = None


class Site(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a site file holds: the model, the edges, and the films that moved them; no name of a film or a patient.

    Attributes:
        name: What the site is called, by which the file is found in the folder of models.
        model: `name@version`.
        sha256: Of the model file.
        made: The date.
        doubt_from: Below it the answer is "no".
        threshold: From it on a film counts as abnormal where a yes or no is needed.
        doubt_to: From it on the answer is "yes".
        rule: How the edges were chosen, in words.
        normal: How many normal films moved them.
        abnormal: Likewise.
        groups: Of how many patients, or what stands for them.
        answers: What the films get with and without the file.
    """

    name: Annotated[str, Meta(pattern=f"^{_NAME.pattern}$")]
    model: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    made: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
    doubt_from: Probability = 0.0
    threshold: Probability = 0.0
    doubt_to: Probability = 0.0
    rule: Annotated[str, Meta(max_length=200)] = ""
    normal: Annotated[int, Meta(ge=0)] = 0
    abnormal: Annotated[int, Meta(ge=0)] = 0
    groups: Annotated[int, Meta(ge=0)] = 0
    answers: tuple[Answer, ...] = ()
    schema: int = SCHEMA

    def to_json(self) -> bytes:
        """Return the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def mark(self) -> str:
        """What results carry beside the model's name: the site's, and the beginning of the file's SHA-256."""
        return f"{self.name}-{hashlib.sha256(self.to_json()).hexdigest()[:8]}"


def read_site(reference: str | Path) -> Site:
    """Read a site file: a path, or the name of one in the user's folder of models.

    Raises:
        ModelFileError: it is not there, or no site file that fits.
    """
    file = _found(reference)
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as fault:
        raise ModelFileError(
            f"{reference}: this site file cannot be read ({fault.strerror}). Make it with `osteon calibrate --site`."
        ) from fault
    try:
        if len(content) > MOST_BYTES:
            raise ValueError("it is too large")
        site = msgspec.json.decode(content, type=Site)
        if site.schema != SCHEMA:
            raise ValueError(f"it has schema {site.schema}, this osteon reads {SCHEMA}")
        if not 0 < site.doubt_from <= site.threshold <= site.doubt_to:
            raise ValueError("its edges do not ascend from above 0")
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as fault:
        raise ModelFileError(f"{reference}: it is no site file ({fault}). Make it with `osteon calibrate --site`.") from fault
    return site


def with_site(card: Card, site: Site, sha256: str, reference: str | Path) -> Card:
    """Return a card with the site's edges, and its mark.

    Raises:
        ModelFileError: the site file was made for another model file.
    """
    if site.sha256 != sha256:
        raise ModelFileError(
            f"{reference}: this site file was made for another file of {site.model}; the model here is {card.reference}. Make it anew."
            if site.model == card.reference
            else f"{reference}: this site file was made for {site.model}, and the model here is {card.reference}. Make one for it."
        )
    edges = {"doubt_from": site.doubt_from, "threshold": site.threshold, "doubt_to": site.doubt_to, "rule": site.rule, "split": ""}
    return msgspec.structs.replace(card, decision=msgspec.structs.replace(card.decision, **edges), site=site.mark)


def is_site_name(name: str) -> bool:
    """Return whether a site may be called so: answers, file names and DICOM results carry it."""
    return _NAME.fullmatch(name) is not None


def _found(reference: str | Path) -> Path:
    given, folder = Path(reference), models_folder()
    if given.exists() or not _NAME.fullmatch(str(reference)) or folder is None:
        return given
    return folder / f"{str(reference).removesuffix(SUFFIX)}{SUFFIX}"
