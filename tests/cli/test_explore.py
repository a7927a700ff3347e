"""The sub-command: what it prints, its exit status, its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from made_exploration import mixture, written
from made_index import made_index
from osteon.cli import app, data, explore  # noqa: F401 - each adds its sub-commands
from osteon.errors import BadManifest


def run(*words: str | Path) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["explore", *map(str, words)], catch_exceptions=False)
    return answer.exit_code, answer.stdout


def test_explore(tmp_path: Path) -> None:
    status, printed = run(made_index(tmp_path), "-o", tmp_path / "out", "--sample", "10")
    assert status == 0
    assert printed.startswith("index: 24 films, 12 studies, 12 patients")
    assert "with 10 figures and exploration.json" in printed
    assert (tmp_path / "out" / "exploration.html").is_file()


def test_missing_films_are_an_exit_status_of_1(tmp_path: Path) -> None:
    status, printed = run(written(mixture(40), tmp_path), "-o", tmp_path / "out")
    assert status == 1
    assert "are not where the index says" in printed


def test_no_pixels(tmp_path: Path) -> None:
    status, printed = run(written(mixture(40), tmp_path), "-o", tmp_path / "out", "--sample", "0")
    assert status == 0
    assert "No film was opened" in printed


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="no such index"):
        run(tmp_path / "absent.parquet", "-o", tmp_path / "out")
    assert run(tmp_path / "absent.parquet", "--sample", "-1")[0] == 2
