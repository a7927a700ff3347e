"""From a reproduction to a release: which of its models fit one file, what the card is to say of the data, and the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate

import polars as pl

from osteon.atomic import write_json
from osteon.card import Card
from osteon.lab.data.index import read_index
from osteon.lab.data.layouts import mura
from osteon.lab.evaluation.subgroups import StudyPooling
from osteon.lab.model_file import Facts, NamedData
from osteon.lab.pages import write_whole
from osteon.lab.release.plan import LARGEST
from osteon.lab.reproduction.folder import Reproduction
from osteon.opening import load_model

NAME, VERSION = "abnormality", "0.1.0"
"""What a release is called until people name it otherwise."""

GUARD_BYTES, INT8_BYTES = 400_000, 250_000
"""What a release adds at most: guard and metrics once, and for each member what to round in INT8 (`fracture@0.1.0`: 0.29 and 0.20 MB)."""

MURA = NamedData(
    name="MURA-v1.1",
    licence="research use agreement of Stanford University",
    source="Rajpurkar et al., MIDL 2018, arXiv 1712.06957v4",
)
MURA_LIMITS = (
    "It calls a study abnormal as the labels of MURA do, which do not say why: fractures, metal implants, degenerative disease and more, "
    "the third with about 60 % sensitivity. A score is never the probability of a fracture. Nearly half of the abnormal films show metal, "
    "so finding metal scores well: look at films without. Only the seven study types of the upper limb, of one hospital. Nothing taught "
    "it where a finding lies. A low score excludes no abnormality. On films of another source measure it first."
)
LIMITS = "It calls abnormal what its data's labels do. A low score excludes no abnormality. On films of another source measure it first."


def write_facts(here: Reproduction) -> None:
    """Write `facts.json` and `release.toml`; what is there stays, since people may have mended it."""
    if not here.facts.exists():
        write_json(facts(here), here.facts)
    if not here.release.exists():
        write_whole(here.release, release_plan(here, load_model(here.model).card.study_pooling))


def facts(here: Reproduction) -> Facts:
    """Return what a release's card is to say of the data, of another set than MURA as far as its folder tells."""
    [source, *_] = load_model(here.model).card.data
    published = is_mura(read_index(here.split))
    return Facts(
        finding=NAME,
        intended_use="Research on radiographs of bones and joints. Not a medical device; nobody may rely on it for a diagnosis.",
        limits=MURA_LIMITS if published else LIMITS,
        data=(MURA if published else NamedData(name=source.name, licence="", source=""),),
    )


def is_mura(films: pl.DataFrame) -> bool:
    """Whether an index has the studies of MURA's public splits, as many of each study type as were published."""
    counted = films.filter(pl.col("split") == "valid").group_by("study_type").agg(pl.col("study").n_unique()).iter_rows()
    return dict(counted) == {name: normal + abnormal for name, (normal, abnormal, *_) in mura.PUBLISHED["valid"].items()}


def members(here: Reproduction) -> list[int]:
    """Return the trainings that a release can hold: the best ones on `tune`, as many as fit; none where even one is too large."""
    files = here.files()
    sizes = [files[str(number) if here.plan.models > 1 else "model"].stat().st_size + INT8_BYTES for number in here.best_first()]
    fitting = sum(total + GUARD_BYTES <= LARGEST * 1e6 for total in accumulate(sizes))
    return here.best_first()[:fitting]


def release_lines(here: Reproduction, card: Card) -> Iterator[str]:
    """Yield how to release what was made, whose card this is: what fits, and the command."""
    if not card.decision.split:
        yield f"It has no threshold but {card.decision.rule}. A release must be calibrated: train longer, or on more films."
        return
    chosen, whole = members(here), here.model.stat().st_size
    limit = f"A release has {LARGEST:g} MB at most, unless its plan allows more; `{here.model.name}` takes {whole / 1e6:.1f}"
    if not chosen:
        yield f"{limit}, and no single training fits."
        return
    named = ", ".join(map(str, chosen))
    what = f"training {named}, the best on `tune`, fits" if len(chosen) == 1 else f"trainings {named}, the best on `tune`, fit"
    yield f"{limit}: {'it fits' if len(chosen) == here.plan.models else what}. In this folder:"
    yield ""
    yield "```sh"
    yield f"osteon release {here.release.name} -o released"
    yield f"osteon verify released/{NAME}-{VERSION}.onnx --index {here.split.name}"
    yield "```"
    yield ""
    yield (
        "The first calibrates on `tune`, adds the guard and the INT8 form, and measures on `valid`; the second measures its card again. "
        f"The card says of the data what `{here.facts.name}` does: mend that first, and name and version in `{here.release.name}`. "
        "Read the data's licence before a model that was made from it is passed on."
    )


def release_plan(here: Reproduction, pooling: StudyPooling) -> str:
    """Return the plan of a release of `members`, TOML."""
    runs = [f"trainings/{number}" for number in members(here)]
    asked = {"runs": runs, "index": here.split.name, "name": NAME, "version": VERSION, "facts": here.facts.name}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in (asked | {"calibration.pooling": pooling}).items())
