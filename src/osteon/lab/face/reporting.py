"""Run -> its report."""

from __future__ import annotations

import os
from pathlib import Path

from osteon.lab.evaluation.folder import EVALUATION
from osteon.lab.face.given import Films, PathLike, index_file, path_of, same_command
from osteon.lab.model_file import model_path
from osteon.lab.progress import Watch, watching
from osteon.lab.reporting.document import Report
from osteon.lab.reporting.folder import report_run
from osteon.lab.reporting.supply import Request


def report(
    run: PathLike,
    out: PathLike | None = None,
    *,
    model: PathLike | None = None,
    evaluation: PathLike = "valid",
    index: Films | None = None,
    progress: Watch | None = None,
) -> Report:
    """Write what a run is and how good it is, as a page and as Markdown: data, curves, network, metrics, failures, model card, checklist.

    Args:
        run: Folder of a training.
        out: Folder of the report; by default `report` in the run's.
        model: The model file of this run; by default its best epoch is exported.
        evaluation: A split, which is then evaluated, or the folder of an evaluation of that model.
        index: The run's index, if it has moved.
        progress: Called for each film that is read, and for each other stage.

    Raises:
        UsageError, MeasurementError, ModelFileError: as `lab.reporting.folder.report_run`.
    """
    folder = path_of(run, "a training") / "report" if out is None else path_of(out, "the report's folder")
    file = None if model is None else model_path(os.fspath(model))
    rows = None if index is None else index_file(index, folder)
    command = same_command("report", run, out=out, model=model, evaluation=evaluation, index=rows)
    measured, split = (Path(evaluation), "") if (Path(evaluation) / EVALUATION).exists() else (None, os.fspath(evaluation))
    request = Request(Path(run), folder, file, measured, rows, split, command)
    return report_run(request, watching(progress))
