"""The CLAIM 2024 checklist filled from a run's record, its blanks left visible.

The record knows what was done here: data as they were indexed, network, training, metrics. What was done before, by whom and why, only the
author knows; an item that needs both is filled in part, and says what is missing.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata

import polars as pl

from osteon.card_text import frame_in_words, metric_name, metric_value
from osteon.lab.evaluation.evaluation import ALL
from osteon.lab.reporting.claim_items import ITEMS, SOURCE
from osteon.lab.reporting.data_card import splits_apart
from osteon.lab.reporting.document import Checklist, Entry, Origin, Section, Text
from osteon.lab.reporting.learning import augmentation_in_words, loss_in_words, network_in_words, optimiser_in_words, selection_in_words
from osteon.lab.reporting.material import Material

Said = tuple[str, tuple[Origin, ...], bool]
"""What the record says to an item, what made it, and whether that is all that the item asks."""

Answers = dict[int, Said]
PACKAGES = ("numpy", "openvino", "polars", "scikit-learn", "scipy")


def claim_section(m: Material) -> Section:
    """Return the section."""
    entries = claim(m)
    words = (
        f"{SOURCE} Of {len(entries.entries)} items {entries.count('from the record')} are filled from the record, "
        f"{entries.count('in part')} in part, and {entries.count('blank')} are left to the author."
    )
    return Section("claim", "CLAIM 2024 checklist", [Text(words, m.origins.report), entries])


def claim(m: Material) -> Checklist:
    """Return the checklist's 44 items with what the record says to each."""
    parts: tuple[Callable[[Material], Answers], ...] = (_purpose, _data, _partitions, _model, _training, _evaluation, _results, _rest)
    answers = {number: said for part in parts for number, said in part(m).items() if said[0]}
    return Checklist(tuple(_entry(number, answers.get(number)) for number in ITEMS))


def _entry(number: int, said: Said | None) -> Entry:
    item = ITEMS[number]
    if said is None:
        return Entry(number, item.section, item.asks, "", item.left)
    words, origins, whole = said
    return Entry(number, item.section, item.asks, words, "" if whole else item.left, origins)


def _purpose(m: Material) -> Answers:
    model = (m.origins.model,)
    return {
        1: (f"Deep learning: a convolutional network ({m.card.network}) that finds {m.card.finding} in radiographs.", model, False),
        3: (m.card.intended_use, model, False),
        6: (f"A model that finds {m.card.finding} was made and measured.", model, False),
    }


def _data(m: Material) -> Answers:
    films, report, counts, o = m.films, m.index_report, m.measured.evaluation.counts, m.origins
    sources = "; ".join(", ".join(p for p in (d.name, d.source, d.licence) if p) for d in m.card.data)
    answers: Answers = {7: (sources, (o.model,), False), 9: (f"{_sentence(frame_in_words(m.card.frame))}", (o.model,), False)}
    if films is None:
        return answers
    status = dict(films["status"].value_counts().iter_rows())
    unreadable, cut = status.get("unreadable", 0), status.get("truncated", 0)
    taken = f"The index has {len(films):,} films of the data set; {unreadable:,} of them cannot be read and are not used."
    answers[8] = (taken, (o.data,), False)
    exposed = " The network sees the exposed part of a film." if m.card.frame.crop == "exposed" else ""
    placed = films.filter(pl.col("split") != "").height
    answers[10] = (f"{placed:,} of the index's {len(films):,} films stand in a split.{exposed}", (o.data,), False)
    answers[12] = (
        f"{films['label'].null_count():,} films have no label and take no part; {unreadable:,} cannot be read; {cut:,} are truncated and "
        f"read in part; {counts.refused_films:,} were refused when measured.",
        (o.data, o.evaluation),
        True,
    )
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in films["format"].value_counts(sort=True).iter_rows())
    width, height = films.select(pl.col("width", "height").median()).row(0)
    sizes = f"median {width:.0f} x {height:.0f} pixels" if width and height else "sizes unknown"
    answers[13] = (f"Files: {kinds}; {sizes}.", (o.data,), False)
    conflicts = f"; {report.found.get('label-conflict', 0):,} conflict within it" if report else ""
    answers[14] = (f"The labels are those of the data set, a film abnormal or normal{conflicts}.", (o.data,), False)
    if boxed := films.filter(pl.col("boxes").list.len() > 0).height:
        answers[16] = (f"{boxed:,} films carry finding boxes of the data set.", (o.data,), False)
    return answers


def _partitions(m: Material) -> Answers:
    films, report, o = m.films, m.index_report, m.origins
    answers: Answers = {}
    counts = m.measured.evaluation.counts
    answers[21] = (
        f"Measured were {counts.measured_studies:,} studies ({counts.abnormal_studies:,} abnormal) of {counts.patients:,} patients or "
        "groups; no calculation is recorded.",
        (o.evaluation,),
        False,
    )
    if films is None:
        return answers
    shares = ", ".join(f"{split or 'none'} {count:,}" for split, count in films["split"].value_counts(sort=True).iter_rows())
    how = f"made at random by osteon split ({report.split})" if report and report.split else "as the dataset has them"
    answers[19] = (f"Splits {how}: films {shares}.", (o.data,), True)
    groups, patients, files = splits_apart(films)
    group = "a group of films that must stay together (patients are not all named): duplicates and neighbouring numbers"
    level = "the patient" if (films["patient"] != "").all() else group
    crossing = f"in more than one split are {groups:,} groups, {patients:,} named patients and {files:,} files of the same bytes"
    answers[20] = (f"The level is {level}; {crossing}.", (o.data,), True)
    return answers


def _model(m: Material) -> Answers:
    record, o = m.record, m.origins
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    software = (
        f"osteon {record.version} (commit {record.code_commit or 'unknown'}) and torch {record.torch} trained it. Installed now: Python "
        f"{platform.python_version()}, {packages}."
    )
    return {
        22: (network_in_words(m.network), (o.training,), True),
        23: (software, (o.training, o.report), True),
        24: (f"First weights: {record.weights}.", (o.training,), m.recipe.init == "random"),
    }


def _training(m: Material) -> Answers:
    o, recipe = m.origins, m.recipe
    how = (
        f"Recipe {recipe.name!r}, {len(m.history)} epochs. Loss: {loss_in_words(recipe)}. Augmentation: {augmentation_in_words(recipe)}. "
        f"{_sentence(optimiser_in_words(recipe))} Seed {recipe.seed}. All settings stand in recipe.json and in the section on the training."
    )
    ensemble = m.card.network if "ensemble" in m.card.network else "None: one network, the weights of one epoch."
    return {
        25: (how, (o.training,), True),
        26: (_sentence(selection_in_words(m)), (o.training,), True),
        27: (_sentence(ensemble), (o.model,), True),
    }


def _evaluation(m: Material) -> Answers:
    evaluation, o = m.measured.evaluation, m.origins
    plan = evaluation.plan
    names = dict.fromkeys(
        metric_name(x.name) for x in evaluation.metrics if (x.level, x.group) == ("study", ALL) and "interval" not in x.name
    )
    columns = dict.fromkeys(x.group.partition("=")[0] for x in evaluation.metrics if "=" in x.group)
    same = evaluation.origin.fingerprint in {m.record.plan.fingerprint, o.data.fingerprint}
    where = f"Measured on split {plan.split!r} of the index with the fingerprint {evaluation.origin.fingerprint[:12]}."
    pointing = evaluation.find("film", ALL, "pointing")
    explained = "The heat map is an output of the model, and pools to the logit exactly; it is drawn on a fixed scale."
    validated = (
        f" Its hottest point lies in a marked finding in {metric_value(pointing)} of the abnormal films that have one (pointing game)."
        if pointing
        else ""
    )
    uncertainty = (
        f"95 % intervals by {plan.resamples:,} bootstrap resamples of patients or groups (seed {plan.seed}); no hypothesis is tested."
    )
    return {
        28: (f"{_sentence(', '.join(names))} Of studies and films, pooled and as the mean over study types.", (o.evaluation,), False),
        29: (uncertainty, (o.evaluation,), True),
        30: (f"Every metric is given by subgroup: {', '.join(columns).replace('_', ' ')}." if columns else "", (o.evaluation,), False),
        31: (explained + validated, (o.evaluation,), bool(pointing)),
        32: (where if same else "", (o.evaluation,), True),
        33: ("" if same else f"{where} Whether it is of another source, the author says.", (o.evaluation,), False),
    }


def _results(m: Material) -> Answers:
    evaluation, o = m.measured.evaluation, m.origins
    c = evaluation.counts
    flow = (
        f"To measure: {c.films:,} films of {c.studies:,} studies and {c.patients:,} patients or groups; refused {c.refused_films:,}, "
        f"without label {c.unlabelled_films:,}; measured {c.measured_studies:,} studies, {c.abnormal_studies:,} of them abnormal."
    )

    def metrics(*names: str) -> str:
        return "; ".join(f"{metric_name(name)} {metric_value(evaluation.find('study', ALL, name))}" for name in names) + "."

    known = m.films is not None and m.films["study_type"].n_unique() > 1
    return {
        35: (flow, (o.evaluation,), False),
        36: ("Study types and labels by split stand in the section on the data." if known else "", (o.data,), False),
        37: (metrics("auroc", "average precision", "kappa", "brier", "ece"), (o.evaluation,), True),
        38: (
            f"From a probability of {evaluation.plan.threshold:.3g}: {metrics('sensitivity', 'specificity', 'ppv', 'npv')}",
            (o.evaluation,),
            True,
        ),
        39: (_failures(m), (o.report,), False),
    }


def _failures(m: Material) -> str:
    if m.measured.predictions is None:
        return ""
    return "Counts by study type and the most confident wrong answers, with the model's heat maps, stand in the section on failures."


def _rest(m: Material) -> Answers:
    o = m.origins
    commit = f"The code's commit is {m.record.code_commit}. " if m.record.code_commit else ""
    terms = [f"model: {m.card.licence}" if m.card.licence else "", *(f"{d.name}: {d.licence}" for d in m.card.data if d.licence)]
    licences = f"Licences: {'; '.join(t for t in terms if t)}." if any(terms) else ""
    return {
        40: (m.card.limits, (o.model,), False),
        41: (m.card.intended_use, (o.model,), False),
        42: (f"{commit}The commands below, with recipe.json, make it again.", (o.training,), False),
        43: (licences, (o.model,), False),
    }


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "." if words else ""
