"""One command, a sub-command a stage; the only place where errors become exit statuses."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

from osteon.content import printable
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
    "--offline": "--offline is OSTEON_OFFLINE=1 in the environment now",
    "calibrate --doubt": "--doubt is called --uncertain now",
    "calibrate --out-of-fold": "--out-of-fold FOLDER is --predictions FOLDER now",
    "calibrate --other-data": "--other-data is gone: films are known by their index, not by the name of their split",
    "cross-validate --model-name": "--model-name is gone: a model is called after its folder, -o",
    "explore --no-pixels": "--no-pixels is --sample 0 now",
    "guard --foreign": "--foreign is called --out-of-scope now",
    "phantom --valid-share": "--valid-share is gone: split the index with osteon split",
    "phantom --workers": "--workers is gone: all cores are used",
    "report --split": "--split SPLIT is --evaluation SPLIT now",
    "reproduce --data": "the data set is named without an option now: osteon reproduce RECIPE DATA ...",
    "reproduce --init": "--init WEIGHTS is --set init=WEIGHTS now",
    "verify --foreign": "--foreign is called --out-of-scope now",
}
_PLANNED = "aim by calibrate-on doubt facts films foreign guard guard-on hold int8 largest members method part pooling report room rule"
RENAMED |= {f"release --{name}": f"release reads {name} from a file now: osteon release PLAN.toml ..." for name in _PLANNED.split()}
"""What a command or an option that is gone answers, for one release; one that `STAGES` or the command lists is not gone."""


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
    debug: Annotated[bool, typer.Option("--debug", help="Show all of a fault in osteon itself (or OSTEON_DEBUG=1).")] = False,
) -> None:
    """Find abnormality in radiographs of bones and joints."""


def main() -> None:
    """Run the command line; an `OsteonError` becomes one line and its exit status."""
    asked = sys.argv[1:2]
    words = [word.partition("=")[0] for word in sys.argv[1:]]
    gone = asked + [name for word in words if word.startswith("--") for name in (word, f"{words[0]} {word}")]
    if answer := next((RENAMED[name] for name in gone if name in RENAMED), ""):
        _stop(UsageError(answer))
    gc.disable()  # what is imported stays: to look through it for garbage, again and again, is a tenth of a start
    _add_commands(asked)
    try:
        app()
    except OsteonError as refusal:
        _stop(refusal)
    except ModuleNotFoundError as fault:
        from osteon import clinic, lab

        packages = dict.fromkeys(clinic.PACKAGES, "serve") | dict.fromkeys(lab.PACKAGES, "lab")
        name = (fault.name or "").split(".")[0]
        if not (extra := packages.get(name)):
            raise
        _stop(MissingExtra(f"this command needs {name}, which is not installed. Install it with: pip install 'osteon[{extra}]'"))
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
    sys.stderr.write(f"osteon: {printable(str(refusal))}\n")
    sys.exit(refusal.exit_status)
