"""A file is whole, or as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from osteon.atomic import whole


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_it_stands_there_once_it_is_whole(tmp_path: Path, durable: bool, shared: bool) -> None:
    path = tmp_path / "new" / "table.csv"
    with whole(path, durable=durable, shared=shared) as part:
        part.write_text("half")
        assert not path.exists() and part.suffix == ".csv"
        part.write_text("whole")
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_a_system_that_flushes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")  # as on Windows
    with whole(tmp_path / "table.csv", durable=True) as part:
        part.write_text("whole")
    assert (tmp_path / "table.csv").read_text() == "whole"


def test_what_was_there_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), whole(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "table.csv"):
        pass


def test_other_people_may_read_it(tmp_path: Path) -> None:
    with whole(tmp_path / "table.csv") as part:
        part.write_text("")
    (tmp_path / "plain").touch()
    assert (tmp_path / "table.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode
