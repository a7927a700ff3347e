"""The lab: from a dataset folder to a model file and its report. Needs the extra `[lab]`.

>>> from osteon import lab
>>> lab.index("FracAtlas", "index.parquet")                              # doctest: +SKIP
>>> lab.split("index.parquet")                                           # doctest: +SKIP
>>> run = lab.train("index.parquet", "run", settings={"epochs": 3})      # doctest: +SKIP
>>> model = lab.export(run, "model.onnx")                                # doctest: +SKIP
>>> lab.evaluate(model, "index.parquet", "evaluation")                   # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from osteon.errors import MissingExtra

if TYPE_CHECKING:
    from osteon.lab.calibration.calibrate import CalibrationPlan
    from osteon.lab.data.index import Index
    from osteon.lab.data.layouts.manifest import Named
    from osteon.lab.data.splits import Apart, Folds
    from osteon.lab.evaluation.evaluation import Plan as EvaluationPlan
    from osteon.lab.face.data import index, split
    from osteon.lab.face.exploration import explore
    from osteon.lab.face.measuring import calibrate, calibrate_site, compare, evaluate
    from osteon.lab.face.reporting import report
    from osteon.lab.face.training import TrainingPlan, export, train
    from osteon.lab.progress import Progress
    from osteon.lab.training.run import RunFolder

__all__ = [
    "Apart",
    "CalibrationPlan",
    "EvaluationPlan",
    "Folds",
    "Index",
    "Named",
    "Progress",
    "RunFolder",
    "TrainingPlan",
    "calibrate",
    "calibrate_site",
    "compare",
    "evaluate",
    "explore",
    "export",
    "index",
    "report",
    "split",
    "train",
]

PACKAGES = ("jinja2", "matplotlib", "nncf", "onnx", "onnxscript", "optuna", "polars", "scipy", "seaborn", "sklearn", "tensorboard", "torch")
"""What the extra `[lab]` installs, by the names that these packages are imported under."""

_WHERE = {
    "CalibrationPlan": "calibration.calibrate",
    "EvaluationPlan": "evaluation.evaluation",
    "Apart": "data.splits",
    "Named": "data.layouts.manifest",
    "Folds": "data.splits",
    "Index": "data.index",
    "Progress": "progress",
    "RunFolder": "training.run",
    "TrainingPlan": "face.training",
    "calibrate": "face.measuring",
    "calibrate_site": "face.measuring",
    "compare": "face.measuring",
    "evaluate": "face.measuring",
    "explore": "face.exploration",
    "export": "face.training",
    "index": "face.data",
    "report": "face.reporting",
    "split": "face.data",
    "train": "face.training",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    # Loaded on first use: `import osteon.lab` costs nothing, and to index a dataset needs no torch.
    if name not in _WHERE:
        raise AttributeError(f"module 'osteon.lab' has no attribute {name!r}")
    if absent := [package for package in PACKAGES if find_spec(package) is None]:
        raise MissingExtra(f"osteon.lab.{name} needs {absent[0]}, which is not installed. Install it with: pip install 'osteon[lab]'")
    return getattr(import_module(f"osteon.lab.{_WHERE[name]}"), "Plan" if name == "EvaluationPlan" else name)
