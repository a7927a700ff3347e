"""Open a model file, check that it keeps the contract, run it.

The contract stands in `docs/architecture.md`: input `image`, outputs `logit` and `evidence`, metadata `card`. A file that breaks it is
refused when it is opened. What was checked and compiled once is kept in the user's cache folder (`cache.py`).
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import threading
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osteon import __version__
from osteon.cache import read_entry, write_entry
from osteon.card import Card
from osteon.errors import ModelFileError, UsageError
from osteon.film import place, prepare
from osteon.prediction import FilmPrediction, Prediction, film_prediction, pool_evidence, study_prediction

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from types import ModuleType

    import openvino
    from numpy.typing import NDArray

    from osteon.film import Film, Placement

POOLING_TOLERANCE = 2e-3
"""How far `logit` may stand from the pooled evidence, relative above 1: float32 sums in another order."""

MOST_BYTES = 2**31
"""A protobuf message, and so an ONNX file, cannot be larger."""

# One film at a time on all cores: on a CPU that is as quick as a batch, and a film's number cannot depend on its neighbours.
# float32 everywhere, or newer processors would compute in bfloat16 and give other numbers.
_RUNTIME = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

_PACKAGED = re.compile(r"(?P<name>.+)-(?P<version>\d[0-9A-Za-z.]*)\.onnx")
_AGAIN = "Export it again with `osteon export`."


class Model:
    """An open model file. Several threads may use one; the films then wait for each other."""

    def __init__(self, card: Card, compiled: openvino.CompiledModel) -> None:
        self.card = card
        self._request = compiled.create_infer_request()
        self._cells = tuple(compiled.output("evidence").shape)[1:]
        self._lock = threading.Lock()

    def run(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on prepared films, one after the other; the same film gives the same bits in any batch.

        Args:
            batch: (n, S, S), as `film.prepare` makes them.

        Returns:
            The logits (n,), log-odds before calibration, and the maps of evidence (n, h, w) in logit units.

        Raises:
            UsageError: the batch has another shape or type.
        """
        size = self.card.frame.size
        if batch.ndim != 3 or batch.shape[1:] != (size, size) or batch.dtype != np.uint8:
            raise UsageError(f"the model takes uint8 films (n, {size}, {size}), not {batch.dtype} {batch.shape}. Use osteon.film.prepare.")
        logits = np.empty(len(batch), np.float32)
        evidence = np.empty((len(batch), *self._cells), np.float32)
        with self._lock:
            image, logit, cells = (self._request.get_tensor(name).data for name in ("image", "logit", "evidence"))
            for i, film in enumerate(batch):
                image[0] = film
                self._request.infer()
                logits[i], evidence[i] = logit[0], cells[0]
        return logits, evidence

    def predict_film(self, film: Film, placement: Placement | None = None, prepared: NDArray[np.uint8] | None = None) -> FilmPrediction:
        """Return what the model says of one film.

        Args:
            film: The film.
            placement: `place(film, card.frame)`, where that was done already.
            prepared: `prepare(film, card.frame)`, (S, S), where that was done already.
        """
        frame = self.card.frame
        placement = placement or place(film, frame)
        logit, evidence = self.run((prepare(film, frame, placement) if prepared is None else prepared)[None])
        return film_prediction(film, placement, float(logit[0]), evidence[0], self.card)

    def predict(self, films: Iterable[Film], study: str = "") -> Prediction:
        """Return what the model says of one study.

        Args:
            films: The study's films, at least one; a generator is read film by film.
            study: What the prediction calls it.

        Raises:
            UsageError: there is no film.
        """
        told = [self.predict_film(film) for film in films]
        if not told:
            raise UsageError("a study has at least one film. Give the films that osteon.read_film returned.")
        return study_prediction(study, told, self.card)


def load_model(path: str | Path | None = None) -> Model:
    """Open a model.

    Args:
        path: A file, or `name@version` of one that the package brings; None means the package's newest.

    Raises:
        ModelFileError: it is not there, cannot be read, or breaks the contract; the message says where.
    """
    source = _packaged("") if path is None else _source(path)
    name = str(path or source.name)
    content = _content(source, name)
    core = _openvino().Core()
    key = _key(core, content)
    kept = read_entry(key)
    if kept is not None and (model := _unpacked(core, kept)) is not None:
        return model
    card, compiled = _compiled(core, content, name)
    model = Model(card, compiled)
    _probe(model, name)
    write_entry(key, _packed(card, compiled))
    return model


def packaged_models() -> dict[str, Traversable]:
    """Return the model files that the package brings by `name@version`, the newest last."""
    found = [(m, file) for file in resources.files("osteon.models").iterdir() if (m := _PACKAGED.fullmatch(file.name))]
    found.sort(key=lambda pair: ([int(n) for n in re.findall(r"\d+", pair[0]["version"])], pair[1].name))
    return {f"{m['name']}@{m['version']}": file for m, file in found}


def _packaged(reference: str) -> Traversable:
    models = packaged_models()
    if not models:
        raise ModelFileError("this osteon brings no model. Name a model file with --model, or train one with `osteon train`.")
    if reference and reference not in models:
        raise ModelFileError(f"there is no model {reference}; the package brings {', '.join(models)}.")
    return models[reference or next(reversed(models))]


def _source(path: str | Path) -> Path | Traversable:
    if isinstance(path, str) and "@" in path and not Path(path).exists() and "/" not in path:
        return _packaged(path)
    return Path(path)


def _content(source: Path | Traversable, name: str) -> bytes:
    try:
        if isinstance(source, Path) and source.is_file() and source.stat().st_size > MOST_BYTES:
            raise ModelFileError(f"{name}: larger than 2 GiB, no ONNX file. Name a model that osteon exported.")
        return source.read_bytes()
    except FileNotFoundError as fault:
        raise ModelFileError(f"{name}: there is no such model file.") from fault
    except OSError as fault:
        raise ModelFileError(f"{name}: the model file cannot be opened ({fault.strerror}).") from fault


def _openvino() -> ModuleType:
    """Import OpenVINO without its model converter, which tells Google Analytics of every import and costs a third of its time."""
    if "openvino" not in sys.modules:
        sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]  # OpenVINO takes it as not installed
        try:
            import openvino  # noqa: F401
        finally:
            del sys.modules["openvino.tools.ovc"]
    return sys.modules["openvino"]


def _compiled(core: openvino.Core, content: bytes, name: str) -> tuple[Card, openvino.CompiledModel]:
    try:
        network = core.read_model(content, b"")
    except RuntimeError as fault:
        raise ModelFileError(f"{name}: no ONNX model can be read from it. Copy it again, or name another.") from fault
    card = _card(network, name)
    _check_input(network, card.frame.size, name)
    try:
        network.reshape([1, card.frame.size, card.frame.size])
        _check_outputs(network, name)
        return card, core.compile_model(network, "CPU", _RUNTIME)
    except RuntimeError as fault:
        reason = next((line for line in reversed(str(fault).splitlines()) if line.strip()), "no reason given")
        raise ModelFileError(f"{name}: the model cannot be compiled ({reason.strip()}). {_AGAIN}") from fault


def _card(network: openvino.Model, name: str) -> Card:
    try:
        text = network.get_rt_info(["framework", "card"]).astype(str)
    except RuntimeError as fault:
        raise ModelFileError(f"{name}: the model carries no card, so nobody can know what it wants and means. {_AGAIN}") from fault
    try:
        return Card.from_json(text)
    except ModelFileError as fault:
        raise ModelFileError(f"{name}: {fault}") from fault


def _check_input(network: openvino.Model, size: int, name: str) -> None:
    found = ", ".join(_described(port, "image") for port in network.inputs)
    if found != f"image u8[?,{size},{size}]":
        raise ModelFileError(f"{name}: the input is {found or 'missing'}, where the card wants image u8[?,{size},{size}]. {_AGAIN}")


def _check_outputs(network: openvino.Model, name: str) -> None:
    wanted = {"logit": r"f32\[1\]", "evidence": r"f32\[1,\d+,\d+\]"}
    found = {label: _described(port, label) for port in network.outputs for label in port.get_names()}
    for label, pattern in wanted.items():
        if label not in found:
            raise ModelFileError(f"{name}: there is no output {label}, only {', '.join(found) or 'none'}. {_AGAIN}")
        if not re.fullmatch(f"{label} {pattern}", found[label]):
            rank = "f32[n]" if label == "logit" else "f32[n,h,w]"
            raise ModelFileError(f"{name}: for one film the output is {found[label]}, where {label} {rank} is wanted. {_AGAIN}")


def _described(port: openvino.Output, label: str) -> str:
    names = port.get_names()
    name = label if label in names else min(names, default="unnamed")
    return f"{name} {port.get_element_type().get_type_name()}{port.get_partial_shape()}".replace(", ", ",")


def _probe(model: Model, name: str) -> None:
    wave = np.sin(np.linspace(0, 9, model.card.frame.size))
    films = np.stack([np.zeros(2 * wave.shape), 127.5 + 127.5 * np.outer(wave, wave[::-1])]).astype(np.uint8)
    logits, evidence = model.run(films)
    if not (np.isfinite(logits).all() and np.isfinite(evidence).all()):
        raise ModelFileError(f"{name}: the model answers a test film with what is no number. {_AGAIN}")
    pooled = pool_evidence(evidence, model.card.pooling)
    apart = np.abs(pooled - logits) / np.maximum(1, np.abs(logits))
    if apart.max() > POOLING_TOLERANCE:
        i, kind = int(apart.argmax()), model.card.pooling.kind
        raise ModelFileError(f"{name}: logit {logits[i]:.4g} is not what {kind} pooling makes of the evidence, {pooled[i]:.4g}. {_AGAIN}")


def _key(core: openvino.Core, content: bytes) -> str:
    """Name a cache entry by all that its content depends on."""
    processor = core.get_property("CPU", "FULL_DEVICE_NAME"), core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), _instructions()
    parts = (__version__, _openvino().get_version(), processor, hashlib.sha256(content).hexdigest())
    return hashlib.sha256(repr(parts).encode()).hexdigest() + ".compiled"


def _instructions() -> str:
    # In a virtual machine the processor's name may hide what it can do.
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


def _packed(card: Card, compiled: openvino.CompiledModel) -> bytes:
    blob, text = io.BytesIO(), card.to_json().encode()
    compiled.export_model(blob)
    return len(text).to_bytes(8) + text + blob.getvalue()


def _unpacked(core: openvino.Core, content: bytes) -> Model | None:
    start = 8 + int.from_bytes(content[:8])
    try:
        return Model(Card.from_json(content[8:start]), core.import_model(content[start:], "CPU", _RUNTIME))
    except (RuntimeError, ModelFileError):
        return None  # made by something else: it is built anew
