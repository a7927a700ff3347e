"""What pages share: addresses that hold their picture, templates that escape and know their names, files that are whole or as they were."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from osteon.lab.pages import environment, picture_address, template_text, write_whole


def test_an_address_holds_the_picture() -> None:
    kind, _, content = picture_address(b"\x89PNG", "image/jpeg").partition(";base64,")
    assert (kind, base64.b64decode(content)) == ("data:image/jpeg", b"\x89PNG")


def test_templates_escape_and_know_their_names() -> None:
    template = environment().from_string("{{ a }}")
    assert template.render(a="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        template.render()


@pytest.mark.parametrize(
    ("package", "name"),
    [("osteon.lab.exploration", "page.html.jinja"), ("osteon.lab.reporting", "report.html.jinja")],
)
def test_every_template_travels_with_its_package(package: str, name: str) -> None:
    assert "<html" in template_text(package, name)


def test_a_text_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, "one")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\udc80")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
