"""What pages share: addresses that hold their picture, templates that escape and know their names, files that are whole or as they were."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from osteon.lab.pages import picture_address, render, write_whole


def test_an_address_holds_the_picture(tmp_path: Path) -> None:
    (tmp_path / "film.jpg").write_bytes(b"\x89PNG")
    kind, _, content = picture_address(tmp_path / "film.jpg").partition(";base64,")
    assert (kind, base64.b64decode(content)) == ("data:image/jpeg", b"\x89PNG")


@pytest.mark.parametrize("name", ["exploration/page.html.jinja", "reporting/report.html.jinja"])
def test_every_template_is_found_and_knows_its_names(name: str) -> None:
    with pytest.raises(UndefinedError):
        render(name)


def test_a_text_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, "one")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\udc80")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
