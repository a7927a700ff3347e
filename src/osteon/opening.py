"""Open a model file: check that it keeps the contract, compile it, keep what was compiled.

A file that this osteon neither brought nor made is opened by another process first. `onnx_graph.py` refuses what an engine is known to
die of, but a node that OpenVINO cannot convert is enough to make one behind it a segmentation fault (2026.4), and no list ends.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np

from osteon.cache import read_entry, write_entry
from osteon.card import Card
from osteon.errors import ModelFileError, UsageError
from osteon.model import OUTPUTS, Model
from osteon.model_names import find_model, released
from osteon.network import compile_network, engine, open_network, openvino_runtime, read_content, refusal, runtime
from osteon.onnx_graph import EXPORT_AGAIN, check_graph
from osteon.precision import Choice, in_precision
from osteon.prediction import pool_evidence
from osteon.site import read_site, with_site
from osteon.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    import openvino
    from numpy.typing import NDArray

    from osteon.precision import Precision

POOLING_TOLERANCE = 2e-3
"""How far `logit` may stand from the pooled evidence, relative above 1: float32 sums in another order."""

MOST_APART = 5.0
"""Logits between the answers of a file's two forms to a test film; less where the card's `int8.costs` say that they differ by little."""

MOST_FARTHER = 1.5
"""How many times farther apart than when it was made a file's two forms may be: processors round otherwise, a damaged layer more."""

LEAST_SPREAD = 0.3
"""Of a map of evidence, to measure a distance in: a map that shows nothing has none of its own."""

MOST_SECONDS = 120
"""To open a stranger's model file; the largest network that osteon trains takes ten on a slow laptop."""

_ITSELF = "the file"

_known: set[str] = set()
"""SHA-256 of the files that this process made, or another one opened for it."""


def load_model(
    path: str | Path | None = None, precision: Choice = "auto", *, side_by_side: bool = False, site: str | Path | None = None
) -> Model:
    """Open a model.

    Args:
        path: A file, or `name@version` of one in the package or kept by name; None means the package's newest (`model_names.find_model`).
        precision: "auto" computes in INT8 where the card shows that it changes next to nothing. Films that INT8 leaves nearer to
            an edge of the answers than the card's `int8.near`, or to the guard's limit, are read again in float32.
        side_by_side: For threads that have many films to read: as many at once as there are cores, each on one, instead of one film
            on all cores. The answers are the same.
        site: A site file, or its name in the user's folder of models (`osteon.site`): a hospital's own edges of the answers.

    Raises:
        ModelFileError: it is not there, cannot be read, or breaks the contract; the message says where. Or the site file does not fit.
        UsageError: the path is none, or there is no such precision.
    """
    if not isinstance(path, str | os.PathLike | None):
        raise UsageError(f"a model is named by a path or by name@version, not by {type(path).__name__}.")
    if precision not in get_args(Choice):
        raise UsageError(f"precision={precision!r} is none of {', '.join(get_args(Choice))}.")
    source = find_model(path)
    name = str(path or source.name)
    content = read_content(source, name)
    model = _open(content, name, precision, side_by_side)
    model.sha256 = hashlib.sha256(content).hexdigest()
    if site is not None:
        model.card = with_site(model.card, read_site(site), model.sha256, site)
    again = None if path is None else str(Path(str(source)).absolute())
    model.opened = partial(load_model, side_by_side=side_by_side, site=site), (again, precision)
    return model


def _open(content: bytes, name: str, choice: Choice, side_by_side: bool) -> Model:
    core, digest = engine(), hashlib.sha256(content).hexdigest()
    key = _key(core, digest, choice, side_by_side)
    exactly = partial(_open, content, name, "float32", side_by_side)
    if (model := _kept(core, key, exactly, side_by_side)) is not None:
        return model
    if digest not in _known and digest not in released().values():
        _open_apart(content, name, choice, side_by_side)
        _known.add(digest)
        if (model := _kept(core, key, exactly, side_by_side)) is not None:
            return model
    card, network = open_network(content, name)
    with refusal(name):
        precision = in_precision(network, card, choice)
        model = _model(card, compile_network(network, side_by_side), precision, exactly)
        logits = _probe(model)
    if precision == "int8":
        exact = exactly()
        with refusal(name):
            _check_alike(logits, _probe(exact), card)
            _check_as_made(forms_apart(model, exact), card)
    write_entry(key, _packed(model))
    return model


def trust(content: bytes) -> None:
    """Let this process open a model file that it made itself without another one before it."""
    _known.add(hashlib.sha256(content).hexdigest())


def _open_apart(content: bytes, name: str, choice: Choice, side_by_side: bool) -> None:
    """Open a model file in another process, which keeps what it compiled, and may die of it.

    Raises:
        ModelFileError: the file cannot be opened.
    """
    with refusal(name):
        check_graph(content)
    if not sys.executable or getattr(sys, "frozen", False):
        return  # there is no interpreter to start
    words = [
        sys.executable,
        "-P",
        "-c",
        "from osteon.opening import _be_the_other_process; _be_the_other_process()",
        choice,
        str(int(side_by_side)),
    ]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        opened = subprocess.run(  # noqa: S603 - this interpreter, and none of the words is a stranger's
            words, input=content, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=paths, timeout=MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise ModelFileError(f"{name}: to open it takes more than {MOST_SECONDS} s. {EXPORT_AGAIN}") from fault
    told = opened.stdout.decode(errors="replace").removeprefix(f"{_ITSELF}: ")
    if told or opened.returncode:
        raise ModelFileError(f"{name}: {told or f'OpenVINO dies of reading it. {EXPORT_AGAIN}'}")


def _be_the_other_process() -> None:
    """Be the other process of `_open_apart`: open what comes by the standard input, and write why it cannot be opened."""
    content = sys.stdin.buffer.read()
    trust(content)
    try:
        _open(content, _ITSELF, cast("Choice", sys.argv[1]), sys.argv[2] == "1")
    except ModelFileError as fault:
        sys.stdout.buffer.write(str(fault).encode(errors="replace"))


def _kept(core: openvino.Core, key: str, exactly: Callable[[], Model], side_by_side: bool) -> Model | None:
    kept = read_entry(key)
    return None if kept is None else _unpacked(core, kept, exactly, side_by_side)


def _model(card: Card, compiled: openvino.CompiledModel, precision: Precision, exactly: Callable[[], Model]) -> Model:
    guarded = precision == "int8" and card.int8 and (card.int8.near or card.int8.near_novelty)
    return Model(card, compiled, precision, exactly if guarded else None)


def _probe(model: Model) -> NDArray[np.float32]:
    """Return a model's logits of two test films, of which the evidence must tell the same."""
    wave = np.sin(np.linspace(0, 9, model.card.frame.size))
    films = np.stack([np.zeros(2 * wave.shape), 127.5 + 127.5 * np.outer(wave, wave[::-1])]).astype(np.uint8)
    logits, evidence, *_ = model._read(films, OUTPUTS if model.card.scope else OUTPUTS[:2])
    pooled = pool_evidence(evidence, model.card.pooling)
    apart = np.abs(pooled - logits) / np.maximum(1, np.abs(logits))
    if not (apart <= POOLING_TOLERANCE).all():
        i, kind = int(apart.argmax()), model.card.pooling.kind
        raise ModelFileError(f"logit {logits[i]:.4g} is not what {kind} pooling makes of the evidence, {pooled[i]:.4g}. {EXPORT_AGAIN}")
    return logits


def _check_alike(int8: NDArray[np.float32], float32: NDArray[np.float32], card: Card) -> None:
    """Refuse an INT8 form that answers the test films quite otherwise than the float32 network beside it."""
    shifts = [cost.shift for cost in card.int8.costs] if card.int8 else []
    allowed = min(MOST_APART, 1 + 8 * max(shifts, default=MOST_APART))
    if not (apart := np.abs(int8 - float32).max()) <= allowed:
        told = f"its INT8 form answers a test film {apart:.3g} logits from its float32 form, and at most {allowed:.3g} are allowed"
        raise ModelFileError(f"{told}. Make it again with `osteon quantise`, or take --precision float32.")


def forms_apart(int8: Model, float32: Model) -> float:
    """Return how far the evidence of a file's two forms differs on a film like a limb: root mean square, in deviations of float32's."""
    size = float32.card.frame.size
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    middle = x - 0.5 + 0.1 * y
    shaft = 140 * np.exp(-((middle / 0.22) ** 4))
    edges = 70 * np.exp(-(((np.abs(middle) - 0.09) / 0.02) ** 2)) * (1 - np.exp(-(((y - 0.55 - 0.2 * x) / 0.01) ** 2)))
    film = np.clip(shaft + edges + np.random.default_rng(0).normal(0, 4, (size, size)), 0, 255).astype(np.uint8)[None]
    exact, rounded = (model._read(film, OUTPUTS[:2])[1].astype(np.float64) for model in (float32, int8))
    return float(np.sqrt(np.mean((rounded - exact) ** 2)) / max(exact.std(), LEAST_SPREAD))


def _check_as_made(apart: float, card: Card) -> None:
    """Refuse an INT8 form that stands farther from float32 than when it was made: a layer of it is damaged."""
    made = card.int8.apart if card.int8 else 0.0
    if made and not apart <= MOST_FARTHER * made:
        told = f"its INT8 form shows a test film {apart:.2g} from its float32 form, and it was made {made:.2g} from it"
        raise ModelFileError(f"{told}. Make it again with `osteon quantise`, or take --precision float32.")


def _key(core: openvino.Core, digest: str, choice: Choice, side_by_side: bool) -> str:
    """Name a cache entry by all that its content depends on."""
    processor = core.get_property("CPU", "FULL_DEVICE_NAME"), core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), _instructions()
    parts = (__version__, openvino_runtime().get_version(), processor, choice, runtime(side_by_side), digest)
    return hashlib.sha256(repr(parts).encode()).hexdigest() + ".compiled"


def _instructions() -> str:
    # In a virtual machine the processor's name may hide what it can do.
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


def _packed(model: Model) -> bytes:
    blob, text = io.BytesIO(), f"{model.precision}\n{model.card.to_json()}".encode()
    model._compiled.export_model(blob)
    return len(text).to_bytes(8) + text + blob.getvalue()


def _unpacked(core: openvino.Core, content: bytes, exactly: Callable[[], Model], side_by_side: bool) -> Model | None:
    start = 8 + int.from_bytes(content[:8])
    precision, _, text = content[8:start].partition(b"\n")
    try:
        compiled = core.import_model(content[start:], "CPU", runtime(side_by_side))
        return _model(Card.from_json(text), compiled, "int8" if precision == b"int8" else "float32", exactly)
    except (RuntimeError, ModelFileError):
        return None  # made by something else: it is built anew
