"""`release.md`: what the file is, what changed in its metrics against the earlier one, what INT8 and the guard cost, the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from osteon.card_text import GUARD_HEADER, INT8_HEADER, facts, guard_rows, int8_rows, metric_name, metric_value, number
from osteon.lab.evaluation.comparison import Comparison, Difference
from osteon.lab.evaluation.evaluation import ALL, Evaluation
from osteon.lab.evaluation.folder import COMPARISON, read_evaluation
from osteon.lab.model_file import file_sha256
from osteon.lab.pages import markdown_table, write_whole
from osteon.lab.release.folder import Record, Release
from osteon.lab.release.plan import lines
from osteon.lab.training.run import code_commit
from osteon.model import Model
from osteon.opening import load_model
from osteon.version import __version__

OVERALL = ("auroc", "average precision", "kappa", "sensitivity", "specificity", "brier", "ece", "pointing")


def write_page(here: Release, _: Callable[[int, int], None]) -> list[str]:
    """Write the page; there is nothing to note beside it.

    Raises:
        UsageError: it cannot be written.
    """
    record = here.record()
    assert record
    model, now = load_model(here.file), read_evaluation(here.evaluation)
    parts = (_head(here, model, now), _change(here, now), _costs(model), _origin(here, record, now))
    write_whole(here.page, "\n".join(line for part in parts for line in part).rstrip() + "\n")
    return []


def _head(here: Release, model: Model, now: Evaluation) -> Iterator[str]:
    card, counts = model.card, now.counts
    told = facts(card)
    yield f"# {card.reference}"
    yield ""
    yield f"`{here.file.name}`, {here.file.stat().st_size / 1e6:.1f} MB, SHA-256 `{file_sha256(here.file)}`. Not for diagnosis."
    yield ""
    learned = "; ".join(f"{d.films:,} films ({d.abnormal_films:,} abnormal) of {d.name}, split `{d.split}`" for d in card.data)
    yield f"- finds: {card.finding}"
    yield f"- network: {card.network}, recipe {card.recipe}, learned from {learned}"
    yield from (f"- {name}: {told[name]}" for name in ("calibration", "decision", "guard", "INT8"))
    counted = f"{counts.measured_films:,} films ({counts.abnormal_films:,} abnormal) of {counts.patients:,} groups"
    yield f"- measured on split `{now.plan.split}`: {counted}; in {'INT8' if model.precision == 'int8' else 'float32'}, the default"
    yield ""


def _change(here: Release, now: Evaluation) -> Iterator[str]:
    if not here.plan.against:
        yield from ("## Metrics", "", "No earlier model was named, so there is nothing to compare with.", "")
        found = [(name, now.find("film", ALL, name)) for name in OVERALL]
        yield from (*markdown_table(("films", here.plan.report), ((metric_name(name), metric_value(metric)) for name, metric in found)), "")
        return
    before = read_evaluation(here.before)
    comparison = msgspec.json.decode((here.comparison / COMPARISON).read_bytes(), type=Comparison)
    names = before.origin.model, now.origin.model
    yield f"## What changed against {names[0]}"
    yield ""
    yield (
        f"On the same {comparison.films:,} films, each model with its own threshold; differences are paired, with 95 % intervals by "
        f"bootstrap over groups ({comparison.resamples:,} resamples). Bold: the interval does not hold 0."
    )
    yield ""
    films = [d for d in comparison.differences if d.level == "film"]
    chosen = [d for d in films if d.group == ALL and d.name in OVERALL]
    chosen += [d for d in films if d.group.startswith("study_type=") and d.name == "auroc"]
    yield from (*markdown_table(("films", "n", *names, "difference"), map(_paired, chosen)), "")
    yield from _notes(dict.fromkeys((*(f"of {names[0]}: {note}" for note in before.notes), *comparison.notes)))


def _costs(model: Model) -> Iterator[str]:
    card = model.card
    if card.int8:
        yield from ("## What INT8 costs", "")
        yield from (*markdown_table(INT8_HEADER, int8_rows(card.int8)), "")
    if card.scope:
        yield from ("## What the guard refuses", "")
        yield from (*markdown_table(GUARD_HEADER, guard_rows(card.scope)), "")


def _origin(here: Release, record: Record, now: Evaluation) -> Iterator[str]:
    yield from ("## How it was made", "", "```sh", record.command, "```", "")
    yield from ("with this plan:", "", "```toml", *lines(here.plan), "```", "")
    yield f"osteon {__version__}, commit {code_commit() or 'unknown'}."
    yield ""
    yield from _notes((*record.notes.get("films", ()), *now.notes, *record.notes.get("reported", ())))


def _paired(d: Difference) -> tuple[str, ...]:
    where = "" if d.group == ALL else f"{d.group.removeprefix('study_type=').lower()}: "
    return f"{where}{metric_name(d.name)}", f"{d.n:,}", number(d.a), number(d.b), f"**{d.words}**" if d.clear else d.words


def _notes(notes: Iterable[str]) -> Iterator[str]:
    found = [f"- note: {note}" for note in notes]
    yield from (*found, "") if found else ()
