"""The command itself: its help, its version."""

from __future__ import annotations

import pytest
import typer

from command_line import Run
from osteon.cli import RENAMED, STAGES, _add_commands, app
from osteon.opening import load_model
from osteon.version import __version__


def test_help_lists_every_command_once() -> None:
    _add_commands([])
    commands = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert sorted(commands) == sorted(name for names in STAGES.values() for name in names)


def test_help_goes_by_stages(run: Run) -> None:
    status, told, _ = run("--help")
    assert status == 0
    titles = [told.index(f"─ {stage} ─") for stage in STAGES]
    assert titles == sorted(titles)
    assert told.index("Training") < told.index("Train a network") < told.index("Model files")


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == (0, f"osteon {__version__}\n", "")


@pytest.mark.parametrize("name", sorted(RENAMED))
def test_what_is_gone_names_the_new_one(run: Run, name: str) -> None:
    words = name.split() if not name.startswith("-") else ["train", "index.parquet", f"{name}=1"]
    assert run(*words, "index.parquet", "--anything") == (64, "", f"osteon: {RENAMED[name]}\n")


def test_nothing_that_is_there_counts_as_gone() -> None:
    _add_commands([])
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    there = set(commands) | {f"{name} {o}" for name, c in commands.items() for p in c.params for o in p.opts}
    assert not there & set(RENAMED)
    assert not {o.split()[1] for o in there if " " in o} & set(RENAMED)


@pytest.mark.parametrize("command", ["card", "guard", "quantise", "verify", "evaluate", "calibrate", "stress", "report", "predict"])
def test_every_command_that_takes_a_model_takes_it_with_model(command: str) -> None:
    _add_commands([])
    [option] = [p for p in typer.main.get_command(app).commands[command].params if "--model" in p.opts]  # type: ignore[attr-defined]
    assert option.metavar == "FILE|NAME@VERSION"


def test_a_model_is_named_once(run: Run) -> None:
    name = load_model().card.reference
    assert run("card", "--model", name) == run("card", name) == run("card")
    told = "osteon: two models are named, a.onnx and b.onnx. Name one with --model.\n"
    assert run("card", "a.onnx", "--model", "b.onnx") == (64, "", told)
