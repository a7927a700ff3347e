"""`reproduction.md`: our row beside the paper's and later ones, kappa by study type, every departure, what made it all, and its release."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from osteon.card_text import metric_name, metric_value
from osteon.lab.data.index import fingerprint, read_index
from osteon.lab.data.layouts import mura
from osteon.lab.evaluation import published
from osteon.lab.evaluation.comparison import compare
from osteon.lab.evaluation.evaluation import ALL, MACRO, Evaluation
from osteon.lab.evaluation.folder import plan_for, predictions_of, read_evaluation
from osteon.lab.pages import markdown_table, write_whole
from osteon.lab.reproduction.folder import Reproduction
from osteon.lab.reproduction.rehearsal import Cost, in_words
from osteon.lab.reproduction.settings import OURS
from osteon.lab.reproduction.shipping import release_lines, write_facts
from osteon.opening import load_model
from osteon.regions import MURA_STUDY_TYPES

METRICS = ("kappa", "auroc", "sensitivity", "specificity")
TEST_STUDIES = 207
"""Of the hidden test split, which the paper's readers and model read."""


def write_page(here: Reproduction, _: Callable[[int, int, str], None]) -> list[str]:
    """Write the page, and beside it what a release is to say of the data; there is nothing to note.

    Raises:
        UsageError: it cannot be written.
    """
    found = {name: read_evaluation(here.evaluations / name) for name in here.files()}
    parts = (_head, _overall, _by_type, _gain, _departures, _origin, *([_release] if here.plan.recipe in OURS else []))
    text = "\n\n".join("\n".join(part(here, found)) for part in parts)
    if here.plan.recipe in OURS:
        write_facts(here)
    write_whole(here.page, text.rstrip() + "\n")
    return []


Found = dict[str, Evaluation]
"""The evaluations by model: "1", "2", ..., and "model"."""


def _head(here: Reproduction, found: Found) -> Iterator[str]:
    counts, plan, models = found["model"].counts, found["model"].plan, here.plan.models
    yield f"# Recipe `{here.recipe.name}` reproduced"
    yield ""
    what = f"The ensemble of {models} trainings" if models > 1 else "One training"
    yield (
        f"{what}, measured on `valid`: {counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal) of {counts.patients:,} "
        f"patients, {counts.measured_films:,} films. A study's probability is the {plan.study_pooling} over its films; it counts as "
        f"abnormal from {plan.threshold:.3g}. Intervals are 95 %, by bootstrap over patients ({plan.resamples:,} resamples)."
    )
    if counts.studies != (known := _published_studies()):
        yield ""
        yield (
            f"**This is not MURA as published**: its `valid` has {counts.studies:,} studies instead of {known:,}. The metrics say that the "
            "command works, and cannot be compared with the rows beside them."
        )


def _overall(here: Reproduction, found: Found) -> Iterator[str]:
    yield "## Overall"
    yield ""
    header = ("", "split, studies", "kappa", "AUROC", "sensitivity", "specificity")
    yield from markdown_table(header, _models(here, found), range(len(header)))
    yield ""
    yield (
        "Only the authors can measure on the hidden test split, so these rows stand beside ours, not under the same conditions. "
        "The later metrics are on the same split as ours; none came with an interval."
    )


def _models(here: Reproduction, found: Found) -> Iterator[tuple[str, ...]]:
    ours, models = found["model"], here.plan.models
    studies = f"valid, {ours.counts.measured_studies:,}"
    name = f"ensemble of {models}" if models > 1 else "one model"
    yield f"**osteon, {name}**", studies, *(f"**{metric_value(ours.find('study', ALL, metric))}**" for metric in METRICS)
    if models > 1:
        singles = [evaluation for model, evaluation in found.items() if model != "model"]
        yield f"osteon, its {models} single models", studies, *(_span(singles, metric) for metric in METRICS)
    yield "osteon, mean over study types", studies, *(metric_value(ours.find("study", MACRO, metric)) for metric in METRICS)
    hidden = f"hidden test, {TEST_STUDIES}"
    overall = published.PAPER_KAPPA["all"]
    paper = (published.PAPER_AUROC, published.PAPER_SENSITIVITY, published.PAPER_SPECIFICITY)
    yield "the paper's model", hidden, *(f"{value:.3f}" for value in (overall[-1], *paper))
    for reader, kappa in zip(published.READERS[:-1], overall[:-1], strict=True):
        yield reader, hidden, f"{kappa:.3f}", "", "", ""
    for later in published.LATER:
        yield later.name, f"valid, {_published_studies():,}", later.kappa, later.auroc, "", ""


def _by_type(here: Reproduction, found: Found) -> Iterator[str]:
    ours = found["model"]
    types = [m.group for m in ours.metrics if m.level == "study" and m.name == "kappa" and m.group.startswith("study_type=")]
    yield "## Cohen's kappa by study type"
    yield ""
    rows = []
    for group in [*types, ALL]:
        metric, name = ours.find("study", group, "kappa"), group.removeprefix("study_type=")
        beside = [f"{kappa:.3f}" for kappa in published.PAPER_KAPPA[name]] if name in published.PAPER_KAPPA else [""] * 4
        rows.append((name.lower(), f"{metric.n:,} ({metric.positives:,})" if metric else "", metric_value(metric), *beside))
    yield from markdown_table(("", "studies (abnormal)", "osteon (95 %)", *published.READERS), rows)
    absent = [name for name in MURA_STUDY_TYPES if f"study_type={name}" not in types]
    if absent:
        yield ""
        yield f"Not in this data: {', '.join(name.lower() for name in absent)}."
    yield ""
    yield (
        "The four columns on the right read the hidden test split. The paper's own intervals are left out: those it prints are about 20 "
        "times too narrow for 207 studies."
    )


def _gain(here: Reproduction, found: Found) -> Iterator[str]:
    if here.plan.models == 1:
        return
    best = here.best()
    folders = here.evaluations / best, here.evaluations / "model"
    single, together = (predictions_of(folder) for folder in folders)
    comparison = compare(single, together, (plan_for(single, found[best].plan), plan_for(together, found["model"].plan)))
    yield "## What the ensemble gains"
    yield ""
    yield f"Over model {best}, the best single one on `tune`, paired on the same studies:"
    yield ""
    for name in ("kappa", "auroc"):
        difference = next(d for d in comparison.differences if (d.level, d.group, d.name) == ("study", ALL, name))
        yield f"- {metric_name(name)}: {difference.words}"


def _departures(here: Reproduction, found: Found) -> Iterator[str]:
    yield "## Departures"
    yield ""
    published = f"From what was published, as recipe `{here.recipe.name}` lists them:"
    yield (
        "What was changed in the recipe, with the reason where data or device asked for it, and what was decided:"
        if here.recipe.name in OURS
        else published
    )
    yield ""
    films = read_index(here.split)
    learned, tuned = (int((films["split"] == split).sum()) for split in ("train", "tune"))
    yield from (f"- {departure}" for departure in here.recipe.departures)
    yield (
        f"- trained on {learned:,} films: {tuned:,} ({here.plan.tune_share:.0%} of the training patients' films) are the split `tune`, on "
        "which the best epoch is chosen; `valid` chose nothing"
    )
    if here.plan.models > 1:
        seeds = [here.recipe_of(number).seed for number in here.numbers]
        yield (
            f"- the ensemble is {here.plan.models} trainings from the seeds {seeds[0]} to {seeds[-1]}, each with its best epoch; the paper "
            "averages `the 5 models with the lowest validation losses`, and does not say of how many trainings"
        )
    if here.plan.models != 5:
        yield f"- {here.plan.models} model{'s' if here.plan.models > 1 else ''} instead of 5"
    card = load_model(here.model).card
    if card.decision.split:
        yield f"- calibrated on `{card.calibration.split}`; threshold {card.decision.threshold:.3f} by the rule: {card.decision.rule}"
        better = "" if card.study_pooling == "mean" else ", whose AUROC on `tune` is higher than the mean's by more than chance"
        yield f"- a study's probability is the {card.study_pooling} over its films{better}"
    record = here.record()
    for stage in ("index", "models"):
        yield from (f"- {note}" for note in (record.notes.get(stage, ()) if record else ()))
    if not here.plan.decode:
        yield "- the films were indexed by name alone: duplicates are not known"
    if (refused := found["model"].counts.refused_films) > 0:
        yield f"- {refused:,} films of `valid` could not be scored"


def _origin(here: Reproduction, found: Found) -> Iterator[str]:
    ours, first = found["model"], here.training(1).record()
    yield "## What made it"
    yield ""
    record = here.record()
    yield from (
        "```sh",
        (record.command if record else "") or "osteon reproduce ...",
        "```",
        "",
        "Its trainings, one by one in this folder:",
        "",
    )
    yield from ("```sh", *here.training_commands(), "```", "")
    yield f"- osteon {ours.origin.osteon}, commit {first.code_commit or 'unknown'}, torch {first.torch}, trained on {first.device}"
    yield f"- first weights: {first.weights}"
    yield f"- index: fingerprint {fingerprint(read_index(here.split))}"
    yield f"- model: {ours.origin.model}, SHA-256 {ours.origin.model_sha256}"
    if here.cost.exists():
        cost = msgspec.json.decode(here.cost.read_bytes(), type=Cost)
        yield f"- before it started: {cost.lines()[0]} ({cost.lines()[1]})"
    seconds = [sum(row.seconds for row in here.training(number).history()) for number in here.numbers]
    epochs = ", ".join(str(len(here.training(number).history())) for number in here.numbers)
    yield f"- the trainings took {in_words(sum(seconds) / 3600)}, in epochs: {epochs}"


def _release(here: Reproduction, _: Found) -> Iterator[str]:
    yield "## Releasing it"
    yield ""
    yield from release_lines(here, load_model(here.model).card)


def _published_studies() -> int:
    return sum(normal + abnormal for normal, abnormal, *_ in mura.PUBLISHED["valid"].values())


def _span(evaluations: list[Evaluation], name: str) -> str:
    found = [metric.value for e in evaluations if (metric := e.find("study", ALL, name)) and metric.value is not None]
    return f"{min(found):.3f} to {max(found):.3f}" if found else ""
