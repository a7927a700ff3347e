"""A model's card in words, the same on the terminal and in a report: what it is, what its guard refuses, what INT8 costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from osteon.card import Calibration, Card, Decision, Frame, Int8, Level, Metric, OutOfScope, Pooling, Scope

LEVELS: tuple[Level, ...] = ("no", "doubt", "yes")
"""The three answers, from the lowest probability to the highest."""

OF_AN_ANSWER = ("share of ", "ppv of ", "npv of ")
"""How the names of metrics of an answer begin."""

GUARD_HEADER = ("guard, measured on", "films", "out of scope", "share", "95 % interval", "remark")
INT8_HEADER = (
    "INT8, measured on",
    "films",
    "read again",
    "AUROC float32",
    "AUROC INT8",
    "answers changed",
    "hottest point in a box",
    "lost",
    "logit rms",
)

_NAMES = {
    "auroc": "AUROC",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "pointing": "pointing accuracy",
    "inside": "share of heat in boxes",
    "iou": "overlap of heat and boxes (IoU)",
}
_MOVED = {"centre": ", heat map moved to the centre", "random": ", heat map moved anywhere"}


def facts(card: Card) -> dict[str, str]:
    """Return the card's facts by their name; "" where it does not state one."""
    return {
        "intended use": card.intended_use,
        "limits": card.limits,
        "network": card.network,
        "recipe": card.recipe,
        "first weights": card.weights,
        "study types": ", ".join(card.study_types),
        "a film becomes": frame_in_words(card.frame),
        "heat map pooled by": _pooling(card.pooling),
        "films pooled by": card.study_pooling,
        "calibration": _calibration(card.calibration),
        "decision": _decision(card.decision),
        "guard": guard(card),
        "INT8": int8_words(card.int8),
        "licence": card.licence,
        "made": " ".join(part for part in (card.created, f"from commit {card.code_commit}" if card.code_commit else "") if part),
    }


def frame_in_words(frame: Frame) -> str:
    """Return how a film becomes the network's input.

    >>> from osteon.card import Frame
    >>> frame_in_words(Frame(size=320, aspect="stretch"))
    'the whole film, stretched to a square of 320 x 320 pixels by antialiased bilinear scaling; grey, 8 bits, bone bright'
    """
    cut = "the film cut to its exposed part" if frame.crop == "exposed" else "the whole film"
    shape = "scaled with its shape kept and padded with black to" if frame.aspect == "pad" else "stretched to"
    square = f"a square of {frame.size} x {frame.size} pixels by antialiased {frame.interpolation} scaling"
    greys = "" if frame.greys == "kept" else ", its greys brought to one range and one middle"
    return f"{cut}{greys}, {shape} {square}; grey, 8 bits, bone bright"


def guard(card: Card) -> str:
    """Return what the guard refuses, or that there is none."""
    scope = card.scope
    if scope is None:
        return "none: a film unlike the training films gets a probability all the same"
    known = ", ".join(card.body_parts)
    return f"films of novelty above {scope.threshold:.3g} are out of scope ({scope.rule}, on {scope.split}); it knows {known}"


def guard_rows(scope: Scope) -> list[tuple[str, ...]]:
    """Return what the guard was measured on, under `GUARD_HEADER`."""
    rows: list[tuple[str, ...]] = []
    for r in scope.measured:
        remark = "; ".join(part for part in ("" if r.foreign else "these are false refusals", r.note) if part)
        rows.append((r.kind, f"{r.films:,}", f"{r.refused:,}", f"{r.refused / max(r.films, 1):.3f}", interval(r.low, r.high), remark))
    return rows


def int8_words(int8: Int8 | None) -> str:
    """Return how the INT8 form was made, and whether it is the default, in a line."""
    if int8 is None:
        return "none: the file computes in float32"
    kept = f", {int8.kept} left in float32 for their cost on {int8.held}" if int8.kept else ""
    default = "the default" if int8.fits else "taken only with --precision int8"
    guarded = f", or {int8.near_novelty:.0%} of the guard's limit" if int8.near_novelty else ""
    again = f"; read again in float32 within {int8.near:.2g} logits of an edge of the answers{guarded}" if int8.near else ""
    return f"{default}: {int8.layers} layers{kept}{again}; ranges from {int8.films} films of {int8.calibrated_on} ({int8.made_with})"


def int8_rows(int8: Int8) -> list[tuple[str, ...]]:
    """Return what INT8 costs on each split, under `INT8_HEADER`."""
    rows = []
    for c in int8.costs:
        areas = ("-" if area is None else f"{area:.4f}" for area in (c.auroc_float32, c.auroc))
        changed = f"{c.changed:,} ({c.changed / c.films:.2%})"
        rows.append((c.split, f"{c.films:,}", f"{c.again:,}", *areas, changed, f"{c.pointed:,}", f"{c.lost:,}", f"{c.shift:.3f}"))
    return rows


def level_in_words(level: Level | OutOfScope | None) -> str:
    """Return what people read where a prediction has a level.

    >>> level_in_words("yes"), level_in_words("doubt"), level_in_words(None)
    ('yes', 'uncertain', 'no answer')
    """
    return "uncertain" if level == "doubt" else level or "no answer"


def levels_in_words(d: Decision) -> str:
    """Return the two edges of the levels.

    >>> from osteon.card import Decision
    >>> levels_in_words(Decision(doubt_from=0.04, doubt_to=0.337)), levels_in_words(Decision())
    ('yes from 0.34, uncertain from 0.04', 'yes from 0.5')
    """
    return f"yes from {d.doubt_to:.2g}" + (f", uncertain from {d.doubt_from:.2g}" if d.doubt_from < d.doubt_to else "")


def levels_measured(metrics: Iterable[Metric], level: str, prevalences: tuple[float, ...] = (0.02, 0.2)) -> Iterator[str]:
    """Yield, a sentence each, what the three answers are worth on the whole of a split; nothing where that was not measured.

    Args:
        metrics: Of one split.
        level: Of which "film" or "study" is told.
        prevalences: At which it is said how often "yes" and "no" are right.
    """
    found = {m.name: m for m in metrics if (m.level, m.group) == (level, "all") and m.value is not None}
    films = "films" if level == "film" else "studies"
    for kind, order in (("abnormal", LEVELS[::-1]), ("normal", LEVELS)):
        shares = [(answer, found.get(f"share of {answer} among {kind}")) for answer in order]
        told = [f'{_of_100(share)} are "{level_in_words(answer)}"' for answer, share in shares if share]
        if told:
            yield f"Of 100 {kind} {films} {', '.join(told)}."
    for prevalence in prevalences:
        yes, no = found.get(f"ppv of yes at {prevalence:g}"), found.get(f"npv of no at {prevalence:g}")
        if yes and no:
            where = f"Where {100 * prevalence:g} of 100 {films} are abnormal"
            yield f'{where}, {_of_100(yes)} of 100 "yes" are right, and {_of_100(no)} of 100 "no".'


def _of_100(share: Metric) -> str:
    """Return a share in a hundred; where whole numbers say nothing, with one decimal, and never 100 for less."""

    def told(value: float) -> str:
        whole = 0.01 <= value <= 0.99 or value in (0, 1)
        return f"{100 * value:.0f}" if whole else f"{min(max(100 * value, 0.1), 99.9):.1f}"

    assert share.value is not None
    ends = "" if share.low is None or share.high is None else f" ({told(share.low)} to {told(share.high)})"
    return told(share.value) + ends


def metric_name(name: str) -> str:
    """Return what a stored metric is called for people.

    >>> metric_name("ppv at 0.1"), metric_name("pointing, centre"), metric_name("kappa")
    ('PPV at prevalence 0.1', 'pointing accuracy, heat map moved to the centre', 'kappa')
    >>> metric_name("share of doubt among normal"), metric_name("share of abnormal among yes"), metric_name("ppv of yes at 0.02")
    ('"uncertain" among normal', 'abnormal among "yes"', 'PPV of "yes" at prevalence 0.02')
    """
    if name.startswith(OF_AN_ANSWER):
        quoted = {answer: f'"{level_in_words(answer)}"' for answer in LEVELS} | _NAMES
        return " ".join(quoted.get(word, word) for word in name.removeprefix("share of ").split()).replace(" at ", " at prevalence ")
    plain, at, where = name.partition(" at ")
    plain, _, moved = plain.partition(", ")
    word = _NAMES.get(plain, plain) + (_MOVED.get(moved) or (f", {moved}" if moved else ""))
    return f"{word}{' at prevalence ' if plain in ('ppv', 'npv') else at}{where}" if at else word


def number(value: float | None) -> str:
    """Return a metric's value, or a dash where it could not be measured."""
    return "-" if value is None else f"{value:.3f}"


def interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    """Return an interval in brackets, "" where there is none.

    >>> interval(0.8931, 0.977), interval(-0.1, 0.25, "+.2f")
    ('(0.893, 0.977)', '(-0.10, +0.25)')
    """
    return "" if low is None or high is None else f"({low:{form}}, {high:{form}})"


def metric_value(metric: Metric | None) -> str:
    """Return a metric's value with its interval, or the reason why it, or its interval, is not there."""
    if metric is None or metric.value is None:
        return (metric and metric.note) or "not measured"
    return f"{number(metric.value)} {interval(metric.low, metric.high) or '(' + (metric.note or 'no interval') + ')'}"


def _pooling(pooling: Pooling) -> str:
    of_kind = {"mean": "", "logsumexp": f", sharpness {pooling.sharpness:g}", "top-k": f", the highest {pooling.share:.3g} of the cells"}
    return f"{pooling.kind}{of_kind[pooling.kind]}, bias {pooling.bias:.4g}"


def _calibration(c: Calibration) -> str:
    if c.kind == "isotonic":
        return f"isotonic, {len(c.logits)} knots, fitted on {c.split}"
    return f"slope {c.slope:.4g}, intercept {c.intercept:.4g}, fitted on {c.split}" if c.split else "none: the network's own probability"


def _decision(d: Decision) -> str:
    rule = d.rule.replace("doubt", "uncertain")
    return f"{levels_in_words(d)}; metrics count a film as abnormal from {d.threshold:.3g} ({rule}{f', on {d.split}' if d.split else ''})"
