"""One command, a sub-command a stage; the only place where errors become exit statuses."""

from __future__ import annotations

import sys

import typer

from osteon.errors import MissingExtra, OsteonError

app = typer.Typer(
    name="osteon",
    help="Finds abnormality in radiographs of bones and joints.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

LAB_PACKAGES = (
    "torch",
    "polars",
    "matplotlib",
    "seaborn",
    "sklearn",
    "scipy",
    "onnx",
    "onnxscript",
    "jinja2",
    "tensorboard",
    "optuna",
    "nncf",
)


def main() -> None:
    """Run the command line; an `OsteonError` becomes one line and its exit status."""
    _add_commands(sys.argv[1:2])
    try:
        app()
    except OsteonError as refusal:
        _stop(refusal)
    except ModuleNotFoundError as fault:
        if (fault.name or "").split(".")[0] not in LAB_PACKAGES:
            raise
        _stop(MissingExtra(f"this command needs {fault.name}, which is not installed. Install it with: pip install 'osteon[lab]'"))


def _add_commands(asked: list[str]) -> None:
    """Import the modules that add their sub-commands to `app`; for the one that has to answer at once, its own alone."""
    if asked == ["predict"]:
        from osteon.cli import predict
    else:
        from osteon.cli import (  # noqa: F401
            bench,
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
            train,
            tune,
            verify,
        )


def _stop(refusal: OsteonError) -> None:
    sys.stderr.write(f"osteon: {refusal}\n")
    sys.exit(refusal.exit_status)
