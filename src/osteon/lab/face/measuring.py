"""Model file x index -> calibration, evaluation, comparison."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl

from osteon.atomic import whole
from osteon.errors import UsageError
from osteon.lab.calibration.calibrate import Calibrated, CalibrationPlan, check_split
from osteon.lab.calibration.folder import calibrate_file, cross_validated, cross_validated_plan, is_cross_validation
from osteon.lab.calibration.site import site_of
from osteon.lab.data.build import build_index
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.layouts import Named
from osteon.lab.evaluation.comparison import Comparison
from osteon.lab.evaluation.evaluation import ALL, Evaluation, Plan
from osteon.lab.evaluation.folder import EVALUATION, PREDICTIONS, compare_into, plan_for, predictions_of, read_evaluation
from osteon.lab.evaluation.folder import evaluate as evaluate_into
from osteon.lab.evaluation.scoring import Predictions, score, score_index, write_predictions
from osteon.lab.face.given import Films, PathLike, index_file, path_of, same_command
from osteon.lab.model_file import model_path
from osteon.lab.progress import Watch, counting
from osteon.opening import load_model
from osteon.site import SUFFIX, Site, is_site_name


def calibrate(
    model: PathLike | None,
    index: Films | None,
    out: PathLike = "calibrated.onnx",
    *,
    split: str | CalibrationPlan = "",
    predictions: PathLike | None = None,
    progress: Watch | None = None,
) -> Calibrated:
    """Calibrate probabilities and choose the answers' limits, into a copy of a model file.

    Args:
        model: A model file, `name@version`, or None for the packaged model.
        index: The index; None where predictions carry their labels.
        out: The copy; what was measured stands beside it, in a folder that ends in .calibration.
        split: The split to calibrate on, never the one that is reported, "" for tune (of a cross-validation: several with commas between,
            "" for every film); or a plan with more: method, rule, limits, pooling.
        predictions: An evaluation's predictions, or a cross-validation of the same recipe (folder or table): the model is not run.
        progress: Called for each film that is read.

    Raises:
        UsageError: no index, and no predictions that carry their labels.
        MeasurementError: the model was trained or is reported on this split, or nothing can be calibrated.
        ModelFileError, DatasetError: as `lab.calibration.folder`.
    """
    crossed = None if predictions is None or not is_cross_validation(Path(predictions)) else Path(predictions)
    plan = CalibrationPlan(split=split) if isinstance(split, str) else split
    plan = msgspec.structs.replace(plan, split=plan.split or (ALL if crossed else "tune"))
    rows = None if index is None else index_file(index, Path(out).with_suffix(".calibration"))
    uncertain = "none" if plan.doubt is None else ",".join(f"{share:g}" for share in plan.doubt)
    how = {"method": plan.method, "rule": plan.rule.option, "uncertain": uncertain, "pooling": plan.pooling}
    command = same_command("calibrate", model=model, index=rows, split=plan.split, predictions=predictions, out=out, **how)
    file = model_path(None if model is None else os.fspath(model))
    if crossed:
        if rows is None:
            raise UsageError("there is no index (index, --index), which says what films take part and what their labels are. Name it.")
        names = () if plan.split == ALL else tuple(name.strip() for name in plan.split.split(","))
        scored = cross_validated(crossed, read_index(rows), splits=names)
        plan = cross_validated_plan(plan, crossed, scored)
    else:
        if "," in plan.split:
            raise UsageError(f"a model is calibrated on one split, not on {plan.split}. Several are for a cross-validation's predictions.")
        card = load_model(file).card
        if rows or predictions is not None:
            check_split(card, plan.split, *_films_of(rows, predictions))
        scored = _scored(model if predictions is None else predictions, rows, plan.split, command, progress)
    return msgspec.structs.replace(calibrate_file(file, scored, plan, Path(out), command=command), path=str(out))


def evaluate(
    model: PathLike | None,
    index: Films | None = None,
    out: PathLike = "evaluation",
    *,
    split: str | Plan = "valid",
    threshold: float | None = None,
    progress: Watch | None = None,
) -> Evaluation:
    """Measure a model on a split: every metric with its interval, for studies and films, per study type and subgroup.

    Args:
        model: A model file, `name@version`, or None for the packaged model; or predictions made before, which run no model: an
            evaluation's folder, or a table (Parquet, CSV).
        index: The index; None where predictions carry their labels.
        out: Folder of the evaluation: `evaluation.json`, `predictions.parquet`, tables (CSV, LaTeX), figures (PNG, SVG, PDF).
        split: The split, "all" for every film; or a plan with more: subgroups, prevalences, resamples.
        threshold: From which probability a film is called abnormal; by default the card's.
        progress: Called for each film that is read.

    Raises:
        UsageError: a model without an index, or an unknown column to make subgroups by.
        ModelFileError, DatasetError, MeasurementError: as `lab.evaluation.folder`.
    """
    plan = Plan(split=split) if isinstance(split, str) else split
    resamples = None if plan.resamples == Plan().resamples else plan.resamples
    options = {"by": plan.by, "prevalence": plan.prevalences, "threshold": threshold, "resamples": resamples}
    what = {"predictions" if _is_table(model) else "model": model}
    file = None if index is None else index_file(index, Path(out))
    command = same_command("evaluate", **what, index=file, split=plan.split, out=out, **options)
    scored = _scored(model, file, plan.split, command, progress)
    write_predictions(scored, Path(out) / PREDICTIONS)
    measured = evaluate_into(scored, plan_for(scored, plan, threshold), Path(out), command)
    return msgspec.structs.replace(measured, folder=str(out))


def compare(
    a: PathLike,
    b: PathLike,
    out: PathLike = "comparison",
    *,
    index: Films | None = None,
    split: str | Plan = "valid",
    progress: Watch | None = None,
) -> Comparison:
    """Compare two models on the same films: paired differences with their intervals, McNemar's test, where they disagree.

    Args:
        a: An evaluation's folder, or a table of predictions; or a model file or `name@version`, which is run.
        b: Another; differences are b - a.
        out: Folder of the comparison; the predictions of a model that was run stand there as `a.parquet`, `b.parquet`.
        index: The index, where a model is run or a table carries no labels.
        split: The split, "all" for every film; or a plan with more.
        progress: Called for each film that is read.

    Raises:
        UsageError: a model without an index.
        ModelFileError, DatasetError, MeasurementError: as `lab.evaluation.folder`.
    """
    plan = Plan(split=split) if isinstance(split, str) else split
    file = None if index is None else index_file(index, Path(out))
    command = same_command("compare", a, b, split=plan.split, out=out, index=file)
    first, second = (_scored(side, file, plan.split, command, progress) for side in (a, b))
    for name, side, scored in (("a", a, first), ("b", b, second)):
        if not _is_table(side):
            write_predictions(scored, Path(out) / f"{name}.parquet")
    plans = plan_for(first, plan, _threshold(a, plan.split)), plan_for(second, plan, _threshold(b, plan.split))
    compared, _ = compare_into(first, second, plans, Path(out), command)
    return msgspec.structs.replace(compared, folder=str(out))


def calibrate_site(model: PathLike | None, films: PathLike | Named, out: PathLike, *, progress: Watch | None = None) -> Site:
    """Move the edges of the answers by a hospital's own films, into a site file; the model stays as it is.

    Args:
        model: A model file, `name@version`, or None for the packaged model.
        films: An index, or what `lab.index` reads: a folder, or a table with a label of each film. Normal films alone do.
        out: The site file, NAME.site.json; its name is what answers will carry.
        progress: Called for each film that is read.

    Raises:
        UsageError: the file's name is none that answers could carry.
        MeasurementError: fewer than 30 normal films, or a model whose card does not say how often normal films get each answer.
        ModelFileError, DatasetError: as `lab.calibrate`, `lab.index`.
    """
    file, name = model_path(None if model is None else os.fspath(model)), Path(out).name.removesuffix(SUFFIX)
    if not Path(out).name.endswith(SUFFIX) or not is_site_name(name):
        raise UsageError(f"{out}: a site file is called NAME{SUFFIX}, and NAME has letters, digits, dots and hyphens alone, at most 24.")
    opened = load_model(file)
    where = films.where if isinstance(films, Named) else films
    if Path(where).suffix == ".parquet":
        rows = read_index(Path(where))
    else:
        rows, _ = build_index(films if isinstance(films, Named) else Path(films), progress=counting("look at films", progress))
    scored = score(opened, rows, counting("read films", progress))
    today = datetime.now(UTC).date().isoformat()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    made = site_of(scored, opened.card, Site(name=name, model=opened.card.reference, sha256=sha256, made=today))
    with whole(Path(out)) as part:
        part.write_bytes(made.to_json())
    return made


def _is_table(what: PathLike | None) -> bool:
    """Return whether predictions are named and not a model.

    Raises:
        UsageError: neither.
    """
    if what is None:
        return False
    path_of(what, "a model file, or a table of predictions,")
    return Path(what).is_dir() or Path(what).suffix in (".parquet", ".csv", ".json")


def _scored(what: PathLike | None, index: Path | None, split: str, command: str, progress: Watch | None) -> Predictions:
    """Return the predictions that are named, or those of the model that is named."""
    if what is not None and _is_table(what):
        return predictions_of(Path(what), None if index is None else read_index(index))
    if index is None:
        missing = "" if what is None else f"{os.fspath(what)} is no table of predictions, and a model is run on an index: "
        raise UsageError(f"{missing}name the index (index, --index), or the predictions of an earlier evaluation (predictions).")
    return score_index(None if what is None else os.fspath(what), index, [split], command, counting("read films", progress))


def _films_of(index: Path | None, predictions: PathLike | None) -> tuple[pl.DataFrame, str]:
    """Return the films of an index, or of predictions, and the fingerprint of their index."""
    if index:
        films = read_index(index)
        return films, fingerprint(films)
    assert predictions is not None
    found = predictions_of(Path(predictions))
    return found.films, found.origin.fingerprint


def _threshold(what: PathLike, split: str) -> float | None:
    """Return the threshold of an evaluation of this split; None where a table or a model is named, whose card has one."""
    if not (Path(what) / EVALUATION).is_file():
        return None
    plan = read_evaluation(Path(what)).plan
    return plan.threshold if plan.split == split else None
