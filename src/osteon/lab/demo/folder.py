"""The demo's folder: what was asked, what is finished, and where each result stands."""

from __future__ import annotations

from pathlib import Path

import msgspec

from osteon.lab.phantom.dataset import DatasetSpec
from osteon.version import __version__

SETTINGS = ("frame.size=224", "epochs=40", "ema=0.97", "warmup=0.1", "keep=1")
"""What the demo changes in recipe `osteon`, so that minutes are enough."""


class DemoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo does.

    Attributes:
        studies: Made studies of each of the seven types.
        minutes: Of training.
        seed: Another seed, other films.
        sizes: Shortest and longest long side of a film, pixels.
        settings: Changes of recipe `osteon`.
    """

    studies: int = 48
    minutes: float = 2.5
    seed: int = 0
    sizes: tuple[int, int] = (224, 288)
    settings: tuple[str, ...] = SETTINGS


class DemoRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`demo.json`: what was asked, the seconds of each finished stage, and what is worth knowing of them."""

    plan: DemoPlan
    osteon: str = __version__
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class Demo:
    """A folder with the results of the stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "demo.json"
        self.root = folder / "films" / DatasetSpec().name
        self.index = folder / "index.parquet"
        self.run = folder / "run"
        self.model = folder / "model.onnx"
        self.evaluation = folder / "evaluation"
        self.page = folder / "report.html"

    def record(self) -> DemoRecord | None:
        """Return what is finished; None where the folder holds no demo."""
        try:
            return msgspec.json.decode(self.record_file.read_bytes(), type=DemoRecord)
        except (OSError, msgspec.MsgspecError):
            return None
