"""Run a network: films -> predictions."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from itertools import repeat
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from osteon.card import Card
from osteon.errors import ModelFileError, UsageError
from osteon.guard import INVERTED, blank, novel, undeclared
from osteon.precision import leaves_open
from osteon.prediction import OUT_OF_SCOPE, FilmPrediction, Prediction, study_prediction
from osteon.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import openvino
    from numpy.typing import NDArray

    from osteon.film import Film, Placement
    from osteon.precision import Precision


OUTPUTS = ("logit", "evidence", "novelty")
"""What a file can say of a film; the last only where it has a guard."""

# The first array that OpenVINO makes of a tensor sets something up under a lock of its own, waiting for the interpreter's; of two threads
# that make their first at once, each may hold the one lock and wait for the other (OpenVINO 2026.4).
_ONE_THREAD = threading.Lock()


class Model:
    """An open model file. Several threads may use one: as many films are read at once as it was opened for, the others wait."""

    def __init__(
        self,
        card: Card,
        compiled: openvino.CompiledModel,
        precision: Precision = "float32",
        exactly: Callable[[], Model] | None = None,
    ) -> None:
        self.card = card
        self.precision = precision
        self._compiled = compiled
        self._exactly = exactly
        """Opens the float32 form, which has the last word where INT8 leaves the answer open; opened for the first such film."""
        self._exact: Model | None = None
        self.opened: tuple[Callable[..., Model], tuple[str | None, str]] | None = None
        """What opened it, and with what; None where it was opened by other means."""
        self.sha256 = ""
        """Of the file that `load_model` opened."""
        self._opening = threading.Lock()
        self._shapes = {name: tuple(port.shape)[1:] for port in compiled.outputs for name in port.get_names()}
        self._free: SimpleQueue[tuple[openvino.InferRequest, dict[str, NDArray[Any]]]] = SimpleQueue()
        with _ONE_THREAD:
            for _ in range(compiled.get_property("NUM_STREAMS")):
                request = compiled.create_infer_request()
                self._free.put((request, {name: request.get_tensor(name).data for name in ("image", *self._shapes)}))

    @property
    def made_by(self) -> dict[str, str]:
        """What answers depend on beside the films: the version of osteon, the SHA-256 of the model file, the precision."""
        return {"osteon": __version__, "model_sha256": self.sha256, "precision": self.precision}

    def run(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on prepared films, one after the other; the same film gives the same bits in any batch.

        Args:
            batch: (n, S, S), as `film.prepare` makes them.

        Returns:
            The logits (n,), log-odds before calibration, and the maps of evidence (n, h, w) in logit units.

        Raises:
            UsageError: the batch has another shape or type.
        """
        logit, evidence = self.read(batch, OUTPUTS[:2])
        return logit, evidence

    def read(self, batch: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Run the network as `run` does, and return the outputs of these names, each (n, ...).

        Raises:
            UsageError: the batch has another shape or type, or the file has no such output.
        """
        size = self.card.frame.size
        if batch.ndim != 3 or batch.shape[1:] != (size, size) or batch.dtype != np.uint8:
            raise UsageError(f"the model takes uint8 films (n, {size}, {size}), not {batch.dtype} {batch.shape}. Use osteon.film.prepare.")
        if absent := [name for name in outputs if name not in self._shapes]:
            raise UsageError(f"the model file has no output {absent[0]}, only {', '.join(sorted(self._shapes))}.")
        told = self._read(batch, outputs)
        if self._exactly is not None and (open_ones := self._left_open(dict(zip(outputs, told, strict=True)))):
            for rows, exact in zip(told, self._in_float32().read(batch[open_ones], outputs), strict=True):
                rows[open_ones] = exact
        return told

    def _left_open(self, told: dict[str, NDArray[np.float32]]) -> list[int]:
        """Return which films of a batch float32 is asked about."""
        asked = [told[name].tolist() if name in told else repeat(None) for name in (OUTPUTS[0], OUTPUTS[2])]
        films = range(len(next(iter(told.values()))))
        return [i for i, logit, novelty in zip(films, *asked, strict=False) if leaves_open(self.card, logit, novelty)]

    def _in_float32(self) -> Model:
        assert self._exactly is not None
        with self._opening:
            self._exact = self._exact or self._exactly()
        return self._exact

    def _read(self, batch: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        told = [np.empty((len(batch), *self._shapes[name]), np.float32) for name in outputs]
        request, held = self._free.get()
        try:
            for i, film in enumerate(batch):
                held["image"][0] = film
                request.infer()
                for name, rows in zip(outputs, told, strict=True):
                    rows[i] = held[name][0]
        finally:
            self._free.put((request, held))
        if not all(np.isfinite(rows).all() for rows in told):
            raise ModelFileError(f"{self.card.reference} answers a film with what is no number. Tell those who made it.")
        return told

    def predict_film(self, film: Film, placement: Placement | None = None, *, guard: bool = True) -> FilmPrediction:
        """Return what the model says of one film, or that it is out of the model's scope.

        Args:
            film: The film.
            placement: `place(film, card.frame)`, where that was done already.
            guard: Whether a film out of scope gets the reason in the place of a number.

        Raises:
            UsageError: it is no film.
            UnsupportedFilm: its pixels are no numbers from 0 to 1.
        """
        from osteon.film import (  # here, so that a model is opened while the decoders are still being imported
            Film,
            check_range,
            place,
            prepare,
        )

        if not isinstance(film, Film):
            raise UsageError(f"a model takes films that osteon.read_film returned, not {type(film).__name__}; osteon.predict takes files.")
        frame = self.card.frame
        if placement is None:
            check_range(film)
            placement = place(film, frame)
        seen = prepare(film, frame, placement)
        told = FilmPrediction(
            film.path, study_type=film.study_type, truncated=film.truncated, remarks=film.remarks, study_uid=film.study,
            patient=film.patient, card=self.card, placement=placement, seen=seen,
        )  # fmt: skip
        if guard and (reason := undeclared(film.study_type, self.card) or blank(seen, placement)):
            return replace(told, level=OUT_OF_SCOPE, reason=reason)
        logit, evidence, *novelty = self.read(seen[None], OUTPUTS if guard and self.card.scope else OUTPUTS[:2])
        if novelty and (reason := novel(float(novelty[0][0]), self.card)):
            return replace(told, level=OUT_OF_SCOPE, reason=reason + self._advice(film))
        return told.answered(float(logit[0]), evidence[0])

    def predict(self, films: Film | Iterable[Film], study: str = "", *, guard: bool = True) -> Prediction:
        """Return what the model says of one study.

        Args:
            films: The study's films, at least one; a generator is read film by film.
            study: What the prediction calls it; default: its first film.
            guard: Whether films out of scope get the reason in the place of a number, and take no part in the study's.

        Raises:
            UsageError: there is no film.
        """
        given = films if isinstance(films, Iterable) and not isinstance(films, str | bytes) else [films]
        told = [self.predict_film(film, guard=guard) for film in given]
        if not told:
            raise UsageError("a study has at least one film. Give the films that osteon.read_film returned.")
        return study_prediction(study or told[0].film, told, self.card)

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[str | None, str]]:
        """Travel to another process as the name and the precision that the model was opened with, and be opened there."""
        if self.opened is None:
            raise UsageError("a model that osteon.load_model did not open cannot be sent to another process. Open it there.")
        return self.opened

    def __repr__(self) -> str:
        return f"<Model {self.card.reference}: finds {self.card.finding}, {self.precision}, films of {self.card.frame.size} pixels>"

    def _advice(self, film: Film) -> str:
        from osteon.film import prepare

        negative = prepare(replace(film, pixels=1 - film.pixels), self.card.frame)
        [novelty] = self.read(negative[None], OUTPUTS[2:])
        return "" if novel(float(novelty[0]), self.card) else f"; {INVERTED}"
