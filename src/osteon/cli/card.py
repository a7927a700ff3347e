"""Sub-command: card; and what a card says of its guard and of INT8, for the commands that make them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli import app
from osteon.cli.models import ModelArgument, ModelOption, named_model
from osteon.errors import UsageError

if TYPE_CHECKING:
    from osteon.card import Card

_DATA = ("trained on", "split", "films", "abnormal", "studies", "licence", "fingerprint")
_METRICS = ("split", "level", "group", "metric", "value", "95 % interval", "n", "abnormal", "remark")


@app.command()
def card(
    argument: ModelArgument = None,
    model: ModelOption = None,
    facts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="set the card's texts from JSON: finding, licence, intended_use, limits, data")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="with --facts: model file to write, with the new card")] = None,
    every: Annotated[bool, typer.Option("--all", help="show every fact, every metric, the training data, the guard, INT8")] = False,
    json: Annotated[bool, typer.Option("--json", help="print it as it stands in the file")] = False,
) -> None:
    """Show a model's card: what it finds, from which data, how well, and its limits; or set the card's texts."""
    from osteon.opening import load_model

    model = named_model(argument, model)
    if facts is None and out is None:
        found = load_model(model).card
    elif facts is None or out is None:
        raise UsageError("to set the card's texts takes both --facts FILE and -o OUT.")
    else:
        from osteon.lab.model_file import describe_file, model_path

        found = describe_file(model_path(model), facts, out)
    if json:
        print(found.to_json())
    elif every:
        show_card(found)
    else:
        show_first(found)


def show_first(card: Card) -> None:
    """Print what a person needs first: what the model finds, how often its answers are right, what it is for, its limits."""
    from osteon.card_text import levels_in_words, levels_measured, metric_value
    from osteon.cli.terminal import show

    show(f"{card.reference}: finds {card.finding}", "bold")
    for split in dict.fromkeys(m.split for m in card.metrics):
        own = [m for m in card.metrics if m.split == split]
        area = next((m for m in own if (m.level, m.group, m.name) == ("study", "all", "auroc")), None)
        if area:
            show(f"\nMeasured on {area.n:,} studies of {split}, {area.positives:,} of them abnormal; 95 % intervals:")
            show(f"AUROC {metric_value(area)}.")
        for sentence in levels_measured(own, "film" if any(m.level == "film" for m in own) else "study"):
            show(sentence)
    if not card.metrics:
        show("It carries no measured metrics.", "yellow")
    show(f"\nAnswers: {levels_in_words(card.decision)}, no below. Study types: {', '.join(card.study_types) or 'not stated'}.")
    for words in filter(None, (card.intended_use, card.limits)):
        show(f"\n{words}")
    show("\nosteon card --all shows every metric, the training data, the guard and INT8.")


def show_card(card: Card) -> None:
    """Print a card: the facts, the data it was trained on, its metrics with their intervals, its limits."""
    from osteon.card_text import facts, interval, metric_name, number
    from osteon.cli.terminal import show, show_table

    show(f"{card.reference}: finds {card.finding}", "bold")
    show_table(("", ""), [(name, value) for name, value in facts(card).items() if value])
    sources = [(f"{d.name} ({d.source})" if d.source else d.name, d) for d in card.data]
    counts = [
        (name, d.split, f"{d.films:,}", f"{d.abnormal_films:,}", f"{d.studies:,}", d.licence, d.fingerprint[:12]) for name, d in sources
    ]
    show_table(_DATA, counts)
    _show_int8(card)
    _show_guard(card)
    rows = [
        (m.split, m.level, m.group, metric_name(m.name), number(m.value), interval(m.low, m.high), f"{m.n:,}", f"{m.positives:,}", m.note)
        for m in card.metrics
    ]
    show_table(_METRICS, rows)
    if not rows:
        show("It carries no measured metrics.", "yellow")


def show_scope(card: Card) -> None:
    """Print what a card says of its guard."""
    from osteon.card_text import guard
    from osteon.cli.terminal import show

    show(guard(card))
    _show_guard(card)


def show_int8(card: Card) -> None:
    """Print what a card says of its INT8 form."""
    from osteon.card_text import int8_words
    from osteon.cli.terminal import show

    show(int8_words(card.int8))
    _show_int8(card)


def _show_guard(card: Card) -> None:
    from osteon.card_text import GUARD_HEADER, guard_rows
    from osteon.cli.terminal import show_table

    show_table(GUARD_HEADER, guard_rows(card.scope) if card.scope else ())


def _show_int8(card: Card) -> None:
    from osteon.card_text import INT8_HEADER, int8_rows
    from osteon.cli.terminal import show_table

    show_table(INT8_HEADER, int8_rows(card.int8) if card.int8 else ())
