"""Logits -> calibrated probabilities, and the decision on them, fitted on one split and written into the card.

Calibration is fitted on films, since the card turns a film's logit into its probability; thresholds are chosen on studies, pooled from the
calibrated films. What calibration brings is measured by cross-fitting: each patient's films are calibrated by what the other patients
teach. The operating point is measured on the split that chose it, and says so: the honest numbers are those of another split.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, special
from sklearn.isotonic import IsotonicRegression

from osteon.card import Calibration, Card, Decision, Metric
from osteon.errors import MeasurementError
from osteon.lab.calibration.decision import Rule, choose, decide
from osteon.lab.evaluation import bootstrap, metrics, subgroups
from osteon.lab.evaluation.evaluation import ALL, Plan, Table, level_tables
from osteon.lab.evaluation.measurement import Part, informed_by, measure_part, part_metrics
from osteon.lab.evaluation.metrics import Bools, Floats
from osteon.lab.evaluation.scoring import Predictions, of_split
from osteon.lab.evaluation.verdict import ADVICE, no_better

Method = Literal["logistic", "temperature", "isotonic"]

FOLDS = 5
LEAST_FILMS = 20
"""Of each label; fewer cannot calibrate anything."""


class CalibrationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a card is to be calibrated; `doubt` are the sensitivity below and the specificity above the uncertain answers, None for none.

    `told` is what the card says the films were, "" for the name of the split.
    """

    split: str = "tune"
    told: str = ""
    method: Method = "logistic"
    rule: Rule = Rule("max-kappa")
    doubt: tuple[float, float] | None = (0.95, 0.92)
    pooling: subgroups.StudyPooling = "mean"
    resamples: int = bootstrap.RESAMPLES
    seed: int = 0


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """How good film probabilities are: mean log loss (nats), Brier score, expected calibration error; after calibration cross-fitted."""

    method: str
    log_loss: float
    brier: float
    ece: float


class PoolingResult(msgspec.Struct, frozen=True, kw_only=True):
    """Studies pooled in one way: AUROC and best kappa, and the AUROC's gain over the mean with its 95 % interval."""

    pooling: subgroups.StudyPooling
    auroc: float
    best_kappa: float
    gain: float
    low: float | None
    high: float | None


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted, and what it brings; `operating_point` is measured on the split that chose it, `area` is the studies' AUROC there.

    `path` is the calibrated model file, for whoever has just made it; in the calibration's own file it is "".
    """

    plan: CalibrationPlan
    card: Card
    films: int
    studies: int
    reliability: tuple[Reliability, ...]
    poolings: tuple[PoolingResult, ...]
    operating_point: tuple[Metric, ...]
    area: Metric | None = None
    notes: tuple[str, ...] = ()
    command: str = ""
    path: str = ""

    def __fspath__(self) -> str:
        """Return the calibrated model file."""
        return self.path

    def __repr__(self) -> str:
        """Return the model, what it was calibrated on, its limits, and where it stands."""
        limits = self.card.decision
        return (
            f"<Calibrated {self.card.reference} on {self.plan.split!r}, {self.films:,} films: abnormal from {limits.threshold:.3f}, "
            f"uncertain from {limits.doubt_from:.3f} to {limits.doubt_to:.3f}, in {self.path}>"
        )


def check_split(card: Card, split: str, films: pl.DataFrame, index: str) -> None:
    """Refuse films that the card was trained on or reports: a split of that name, of the same index or the same data set.

    Args:
        card: Of the model.
        split: To calibrate on.
        films: Of any splits, with `root`.
        index: The index's fingerprint; "" where nothing tells it, and the name of the split then decides.

    Raises:
        MeasurementError: it is one of these.
    """
    named = {source.name for source in card.data} & {Path(root).name for root in films["root"].unique()}
    mine = {index, "", *(source.fingerprint for source in card.data if source.name in named)} if index else None
    if any(source.split == split and (mine is None or source.fingerprint in mine) for source in card.data):
        raise MeasurementError(
            f"the model was trained on split {split!r}: calibrated on it, it would be far too sure. Name a split of its own."
        )
    known = {m.split: m.fingerprint for m in card.measured}
    if any(m.split == split and (mine is None or known.get(split, "") in mine) for m in card.metrics):
        raise MeasurementError(
            f"the card reports its metrics on split {split!r}: calibrated on it, they would be too good. Name another split."
        )


def calibrate(predictions: Predictions, card: Card, plan: CalibrationPlan) -> tuple[Calibrated, Predictions]:
    """Fit calibration and decision on one split.

    Returns:
        What was fitted, with the new card; its metrics are dropped, since they were measured with the old calibration. And the split's
        films with cross-fitted probabilities, for the reliability figure.

    Raises:
        MeasurementError: too few labelled films with logits, one label only, or logits that go against the labels.
    """
    films = of_split(predictions, plan.split).films.filter(pl.col("logit").is_finite() & pl.col("label").is_not_null())
    logits, label = films["logit"].to_numpy(), films["label"].to_numpy() == 1
    if min(label.sum(), (~label).sum()) < LEAST_FILMS:
        found = f"{int(label.sum())} abnormal and {int((~label).sum())} normal films with a label and a logit"
        raise MeasurementError(f"split {plan.split!r} has {found}; calibrating takes {LEAST_FILMS} of each.")
    if films["group"].n_unique() < bootstrap.LEAST_CLUSTERS:
        raise MeasurementError(f"split {plan.split!r} has {films['group'].n_unique()} patients; calibrating takes more.")
    fitted = fit(plan.method, logits, label, plan.told or plan.split)
    crossed = {method: cross_fit(method, films, plan.seed) for method in get_args(Method)}
    after = films.with_columns(probability=pl.Series(apply(fitted, logits)))
    reading = Plan(split=plan.split, study_pooling=plan.pooling, resamples=plan.resamples, seed=plan.seed)
    [studies, *_] = level_tables(after, reading)
    area = _area(studies, plan)
    decision = decide(studies.sample, plan.rule, plan.doubt, plan.told or plan.split)
    reliability = [_reliability("before", films["probability"].to_numpy(), label)]
    reliability += [_reliability(method, probability, label) for method, probability in crossed.items()]
    # What was measured at the old threshold says nothing of the new one.
    unmeasured = card.int8 and msgspec.structs.replace(card.int8, costs=())
    dropped = {"int8": unmeasured, "metrics": (), "measured": ()}
    new = msgspec.structs.replace(card, calibration=fitted, decision=decision, study_pooling=plan.pooling, **dropped)
    result = Calibrated(
        plan=plan,
        card=new,
        films=len(films),
        studies=len(studies.rows),
        reliability=tuple(reliability),
        poolings=tuple(_compare_poolings(after, reading)),
        operating_point=tuple(_operating_point(studies, decision, plan)),
        area=area,
        notes=(*_notes(films, plan, decision), *([f"the model is no good: {ADVICE}"] if area and no_better(area) else ())),
    )
    return result, Predictions(films.with_columns(probability=pl.Series(crossed[plan.method])), predictions.origin)


def fit(method: Method, logits: Floats, label: Bools, split: str) -> Calibration:
    """Fit a calibration.

    "logistic": slope and intercept; "temperature": the slope alone (Guo et al., ICML 2017). Both by maximum likelihood with Platt's targets
    (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) in the place of 1 and 0, so that separable films give no certainty. "isotonic": the
    best ascending step function, kept as far from 0 and 1 as these targets.

    Raises:
        MeasurementError: the model ranks normal films above abnormal ones.
    """
    top, bottom = (label.sum() + 1) / (label.sum() + 2), 1 / ((~label).sum() + 2)
    if method == "isotonic":
        steps = IsotonicRegression(y_min=bottom, y_max=top, out_of_bounds="clip").fit(logits, label)
        if len(steps.X_thresholds_) < 2 or steps.y_thresholds_[0] == steps.y_thresholds_[-1]:
            raise _unranked(logits, label, split)
        knots = tuple(steps.X_thresholds_.tolist()), tuple(steps.y_thresholds_.tolist())
        return Calibration(kind="isotonic", logits=knots[0], probabilities=knots[1], split=split)
    slope, intercept = _logistic(logits, np.where(label, top, bottom), free_intercept=method == "logistic")
    if slope <= 0:
        raise _unranked(logits, label, split)
    return Calibration(slope=slope, intercept=intercept, split=split)


def _unranked(logits: Floats, label: Bools, split: str) -> MeasurementError:
    area = float(metrics.ranking(label, logits.astype(np.float64), np.ones((1, len(label))))[0][0])
    where = f" on {split!r}" if split else ""
    how = "ranks normal films above abnormal ones" if area < 0.5 else "does not rank abnormal films above normal ones"
    return MeasurementError(f"the model {how}{where} (AUROC {area:.2f}), so nothing can be calibrated. {ADVICE}")


def apply(calibration: Calibration, logits: Floats) -> Floats:
    """Return the probabilities (n,) that the card will give these logits; the same as `Card.probability`."""
    if calibration.kind == "logistic":
        return np.asarray(special.expit(calibration.slope * logits + calibration.intercept))
    return np.interp(logits, calibration.logits, calibration.probabilities)


def cross_fit(method: Method, films: pl.DataFrame, seed: int) -> Floats:
    """Return each film's probability (n,) by a calibration fitted on the other folds' patients."""
    logits, label, fold = films["logit"].to_numpy(), films["label"].to_numpy() == 1, _folds(films, seed)
    probability = np.empty(len(films))
    for k in range(FOLDS):
        probability[fold == k] = apply(fit(method, logits[fold != k], label[fold != k], ""), logits[fold == k])
    return probability


def _folds(films: pl.DataFrame, seed: int) -> NDArray[np.int64]:
    groups, place = np.unique(films["group"].to_numpy(), return_inverse=True)
    return np.random.default_rng(seed).permutation(len(groups))[place] % FOLDS


def _logistic(logits: Floats, target: Floats, *, free_intercept: bool) -> tuple[float, float]:
    spread = max(float(logits.std()), 1e-9)
    columns = np.stack([logits / spread, np.full(len(logits), float(free_intercept))], axis=1)

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = columns @ weights
        gradient = columns.T @ (special.expit(score) - target) / len(target)
        return float(np.mean(np.logaddexp(0, score) - target * score)), gradient

    found = optimize.minimize(loss, np.array([spread, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-8})
    return float(found.x[0]) / spread, float(found.x[1]) * free_intercept


def _reliability(method: str, probability: Floats, label: Bools) -> Reliability:
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    once = np.ones((1, len(label)))
    return Reliability(
        method=method,
        log_loss=float(-np.mean(np.where(label, np.log(inside), np.log1p(-inside)))),
        brier=float(metrics.brier(label, probability, once)[0]),
        ece=float(metrics.calibration_error(label, probability, once)[0]),
    )


def _compare_poolings(films: pl.DataFrame, reading: Plan) -> Iterator[PoolingResult]:
    """Yield what each way of pooling a study's films gives, the mean first."""
    parts: dict[subgroups.StudyPooling, Part] = {}
    for pooling in get_args(subgroups.StudyPooling):
        [table, *_] = level_tables(films, msgspec.structs.replace(reading, study_pooling=pooling))
        parts[pooling] = measure_part(table.sample, choose(table.sample, Rule("max-kappa")), table.weights)
    mean = parts["mean"]
    for pooling, part in parts.items():
        gain = part.values["auroc"] - mean.values["auroc"]
        ends = bootstrap.difference_interval(gain, part.resampled["auroc"] - mean.resampled["auroc"], informed_by(mean)["auroc"])
        low, high = ends or (None, None)
        yield PoolingResult(pooling=pooling, auroc=part.values["auroc"], best_kappa=part.values["kappa"], gain=gain, low=low, high=high)


def _area(studies: Table, plan: CalibrationPlan) -> Metric | None:
    row = partial(Metric, split=plan.split, level="study", group=ALL, n=len(studies.sample), positives=int(studies.sample.label.sum()))
    part = measure_part(studies.sample, 0.5, studies.weights)
    return next((m for m in part_metrics(part, row) if m.name == "auroc" and m.value is not None), None)


def _operating_point(studies: Table, decision: Decision, plan: CalibrationPlan) -> Iterator[Metric]:
    sample = studies.sample
    marks = {"threshold": decision.threshold, "uncertain from": decision.doubt_from, "uncertain to": decision.doubt_to}
    for name, threshold in marks.items():
        row = partial(
            Metric, split=plan.split, level="study", group=f"{name} {threshold:.3f}", n=len(sample), positives=int(sample.label.sum())
        )
        part = measure_part(sample, threshold, studies.weights)
        yield from (m for m in part_metrics(part, row) if m.name in {"kappa", "sensitivity", "specificity", "ppv", "npv", "accuracy"})


def _notes(films: pl.DataFrame, plan: CalibrationPlan, decision: Decision) -> Iterator[str]:
    films_of = plan.told or f"split {plan.split!r}"
    yield f"threshold and limits of the answers were measured on {films_of}, which chose them: measure them on another split"
    if films["study"].n_unique() == len(films):
        yield "each study is one film: all poolings are the same"
    if plan.doubt is not None and decision.doubt_from == decision.doubt_to:
        yield "the two targets leave nothing uncertain: each answer is yes or no"
