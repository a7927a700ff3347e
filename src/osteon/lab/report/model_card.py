"""The section with the model's card in words."""

from __future__ import annotations

from collections.abc import Iterator

from osteon.card import Calibration, Card, Decision, Frame, Pooling
from osteon.lab.report.document import Block, Gap, Section, Table
from osteon.lab.report.material import Material
from osteon.lab.report.outcome import cell, figure_name


def card_section(m: Material) -> Section:
    """Return the section: facts, and the figures that travel in the card."""
    rows = [(name, value or "not stated") for name, value in _facts(m.card).items()]
    note = "What stands in the model file, and so in every copy of it. What no measurement says is written by osteon describe."
    blocks: list[Block] = [Table(m.card.reference, ("", "the card"), rows, m.origins.model, note, (1,)), _figures(m)]
    return Section("model-card", "Model card", [*blocks, *_guard_figures(m), *_eight_bit_figures(m)])


def frame_in_words(frame: Frame) -> str:
    """Return how a film becomes the network's input.

    >>> frame_in_words(Frame(size=320, aspect="stretch"))
    'the whole film, stretched to a square of 320 x 320 pixels by antialiased bilinear scaling; grey, 8 bits, bone bright'
    """
    cut = "the film cut to its exposed part" if frame.crop == "exposed" else "the whole film"
    shape = "scaled with its shape kept and padded with black to" if frame.aspect == "pad" else "stretched to"
    square = f"a square of {frame.size} x {frame.size} pixels by antialiased {frame.interpolation} scaling"
    return f"{cut}, {shape} {square}; grey, 8 bits, bone bright"


def _facts(card: Card) -> dict[str, str]:
    made = " ".join(part for part in (card.created, f"from commit {card.code_commit}" if card.code_commit else "") if part)
    return {
        "finds": card.finding,
        "intended use": card.intended_use,
        "limits": card.limits,
        "network": card.network,
        "recipe": card.recipe,
        "study types": ", ".join(card.study_types).lower(),
        "a film becomes": frame_in_words(card.frame),
        "evidence pooled by": _pooling(card.pooling),
        "a study's films pooled by": card.study_pooling,
        "calibration": _calibration(card.calibration),
        "decision": _decision(card.decision),
        "guard": _guard(card),
        "8 bits": _eight_bits(card),
        "licence": card.licence,
        "made": made,
    }


def _pooling(pooling: Pooling) -> str:
    sharpness = f", sharpness {pooling.sharpness:g}" if pooling.kind == "logsumexp" else ""
    return f"{pooling.kind}{sharpness}, bias {pooling.bias:.4g}"


def _calibration(c: Calibration) -> str:
    if c.kind == "isotonic":
        return f"isotonic, {len(c.logits)} knots, fitted on split {c.split!r}"
    return f"logistic, slope {c.slope:.4g}, intercept {c.intercept:.4g}, fitted on split {c.split!r}" if c.split else "none"


def _decision(d: Decision) -> str:
    chosen = f"{d.rule}{f', on split {d.split!r}' if d.split else ''}"
    return f"abnormal from {d.threshold:.3g}; yes from {d.doubt_to:.3g}, no below {d.doubt_from:.3g} ({chosen})"


def _guard(card: Card) -> str:
    s = card.scope
    if s is None:
        return "none: a film unlike those that the model was trained on gets a number all the same"
    return f"a film whose novelty is above {s.threshold:.3g} is out of scope ({s.rule}, on split {s.split!r})"


def _eight_bits(card: Card) -> str:
    if card.int8 is None:
        return "none: the file computes in float32"
    default = "the default" if card.int8.fits else "taken only where it is asked for"
    return f"{default}: {card.int8.layers} layers, ranges from films of split {card.int8.calibrated_on!r}"


def _guard_figures(m: Material) -> Iterator[Table]:
    if m.card.scope and m.card.scope.measured:
        rows = []
        for r in m.card.scope.measured:
            ends = f" ({r.low:.3f}, {r.high:.3f})" if r.low is not None and r.high is not None else ""
            rows.append((r.kind, "out of scope" if r.foreign else "in scope", f"{r.films:,}", f"{r.refused / max(r.films, 1):.3f}{ends}"))
        header = ("films", "should be", "n", "share called out of scope (95 % interval)")
        yield Table("What the guard refuses", header, rows, m.origins.model, words=(1,))


def _eight_bit_figures(m: Material) -> Iterator[Table]:
    if m.card.int8 and m.card.int8.costs:
        rows = []
        for c in m.card.int8.costs:
            areas = ("" if area is None else f"{area:.4f}" for area in (c.auroc_float32, c.auroc))
            rows.append((c.split, f"{c.films:,}", *areas, f"{c.changed:,}", f"{c.lost:,} of {c.pointed:,}"))
        header = ("split", "films", "AUROC, float32", "AUROC, 8 bits", "decisions changed", "peaks lost from a box")
        yield Table("What 8 bits cost", header, rows, m.origins.model)


def _figures(m: Material) -> Block:
    shown = [x for x in m.card.metrics if x.group == "all" and not x.note.startswith("not a 95 %")]
    if not shown:
        return Gap(
            "The card carries no figures. Write those of this report into it with: osteon evaluate --model "
            f"{m.model_file} --index {m.request.index_path(m.record)} --split {m.measured.evaluation.plan.split} --card-into FILE"
        )
    rows = [(figure_name(x.name), x.split, x.level, cell(x), f"{x.n:,}", f"{x.positives:,}") for x in shown]
    more = f"Those of all films and studies, out of {len(m.card.metrics):,}; osteon card --model {m.model_file} shows all."
    header = ("figure", "split", "level", "value (95 % interval)", "n", "abnormal")
    return Table("Figures in the card", header, rows, m.origins.model, more, (1, 2))
