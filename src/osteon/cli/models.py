"""How a model is named on the command line: with --model in every command; after the command itself where it is about a model."""

from __future__ import annotations

from typing import Annotated

import typer

from osteon.errors import UsageError

ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="FILE|NAME@VERSION", help="a model file, or one by name; default: the package's")
]
ModelArgument = Annotated[str | None, typer.Argument(metavar="[MODEL]", help="the same as --model", show_default=False)]


def named_model(argument: str | None, option: str | None) -> str | None:
    """Return the model that a person names, None for the package's.

    Raises:
        UsageError: two are named.
    """
    if argument is not None and option is not None:
        raise UsageError(f"two models are named, {argument} and {option}. Name one with --model.")
    return option if argument is None else argument
