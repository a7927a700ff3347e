"""One command, a sub-command a stage; the only place where errors become exit statuses."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

from osteon.errors import MissingExtra, OsteonError, UsageError
from osteon.version import __version__

STAGES = {
    "Answers": ("predict", "card", "cache"),
    "Data": ("index", "split", "explore", "phantom"),
    "Training": ("train", "tune", "cross-validate", "ablate", "export"),
    "Model files": ("calibrate", "guard", "quantise"),
    "Measuring": ("evaluate", "compare", "stress", "report", "verify"),
    "From beginning to end": ("demo", "reproduce", "release"),
}
"""The sub-commands as help lists them: by what they are for, and in the order in which a person needs them."""

RENAMED = {
    "ladder": "ladder is called ablate now: osteon ablate ...",
    "bench": "bench is no part of osteon's commands any more: make bench, in a clone of osteon's repository",
    "describe": "describe is a part of card now: osteon card MODEL --facts FILE -o OUT",
}
"""What a command that is gone answers, for one release; one that `STAGES` lists is not gone."""


class _Staged(TyperGroup):
    """A command whose help goes by `STAGES`."""

    def list_commands(self, ctx: object) -> list[str]:
        stages = {name: stage for stage, names in STAGES.items() for name in names if name in self.commands}
        for name, stage in stages.items():
            self.commands[name].rich_help_panel = stage  # type: ignore[attr-defined]
        return list(stages)


app = typer.Typer(
    name="osteon",
    cls=_Staged,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"osteon {__version__}")
        raise typer.Exit


@app.callback()
def osteon(
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Find abnormality in radiographs of bones and joints."""


def main() -> None:
    """Run the command line; an `OsteonError` becomes one line and its exit status."""
    asked = sys.argv[1:2]
    if asked and asked[0] in RENAMED and not any(asked[0] in names for names in STAGES.values()):
        _stop(UsageError(RENAMED[asked[0]]))
    gc.disable()  # what is imported stays: to look through it for garbage, again and again, is a tenth of a start
    _add_commands(asked)
    try:
        app()
    except OsteonError as refusal:
        _stop(refusal)
    except ModuleNotFoundError as fault:
        from osteon.lab import PACKAGES

        if (fault.name or "").split(".")[0] not in PACKAGES:
            raise
        _stop(MissingExtra(f"this command needs {fault.name}, which is not installed. Install it with: pip install 'osteon[lab]'"))
    finally:
        settled()  # nor is it looked through once more at the end


def settled() -> None:
    """Collect garbage from here on, of what is made from here on: all that is imported stays."""
    gc.freeze()
    gc.enable()


def typed() -> str:
    """Return what was typed, for the record of what is made."""
    return shlex.join(["osteon", *sys.argv[1:]])


def offline() -> bool:
    """Return whether no network connection may be opened: OSTEON_OFFLINE=1 in the environment."""
    return os.environ.get("OSTEON_OFFLINE", "0") not in ("", "0")


def _add_commands(asked: list[str]) -> None:
    """Import the modules that add their sub-commands to `app`; for the one that has to answer at once, its own alone."""
    if asked == ["predict"]:
        from osteon.cli import predict  # calls `settled` itself, when it has imported the rest
    else:
        from osteon.cli import (  # noqa: F401
            ablate,
            cache,
            card,
            cross_validate,
            data,
            demo,
            evaluate,
            explore,
            guard,
            phantom,
            predict,
            quantise,
            release,
            report,
            reproduce,
            stress,
            train,
            tune,
            verify,
        )

        settled()


def _stop(refusal: OsteonError) -> None:
    sys.stderr.write(f"osteon: {refusal}\n")
    sys.exit(refusal.exit_status)
