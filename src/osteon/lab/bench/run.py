"""All parts of a bench, one after the other, each in a folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from osteon.lab.bench import predicting, reading
from osteon.lab.bench.limits import measure_limits
from osteon.lab.bench.machine import describe_machine
from osteon.lab.bench.record import PARTS, Bench, Figure, Part
from osteon.lab.bench.setting import Effort, Setting
from osteon.opening import load_model

Tell = Callable[[str], None]


def run_bench(model: str = "", parts: Sequence[Part] = PARTS, effort: Effort | None = None, tell: Tell = lambda _: None) -> Bench:
    """Measure this machine's limits, then each part.

    Args:
        model: A file, `name@version` of a packaged model, or "" for the package's newest.
        parts: Which.
        effort: How thoroughly; by default as `Effort` says.
        tell: Called with the name of what is measured next.

    Returns:
        The figures; a part that needs a package which is not there is in `not_measured`, with its name.

    Raises:
        ModelFileError: the model cannot be opened.
        MeasurementError: a command that is timed ends with a fault.
    """
    effort, machine = effort or Effort(), describe_machine()
    reference = load_model(model or None).card.reference
    figures: list[Figure] = []
    not_measured: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
        tell("the machine's limits")
        limits = measure_limits(Path(folder), min(effort.rounds, 9))
        for part in parts:
            tell(part)
            place = Path(folder) / part
            place.mkdir()
            try:
                figures += _measure(part, Setting(folder=place, model=model, limits=limits, effort=effort))
            except ModuleNotFoundError as absent:
                not_measured[part] = f"{absent.name} is not installed; pip install 'osteon[lab]' brings it"
    return Bench(machine=machine, limits=limits, model=reference, figures=tuple(figures), not_measured=not_measured)


def _measure(part: Part, setting: Setting) -> list[Figure]:
    if part in _CORE:
        return _CORE[part](setting)
    from osteon.lab.bench.training import measure_training  # the only part with torch

    return measure_training(setting)


_CORE: dict[Part, Callable[[Setting], list[Figure]]] = {
    "prediction": predicting.measure_prediction,
    "start-up": predicting.measure_start_up,
    "folder": predicting.measure_folder,
    "decode": reading.measure_decode,
    "store": reading.measure_store,
    "index": reading.measure_index,
}
