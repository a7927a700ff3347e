"""What the lab's pages share: templates, tables as Markdown, and pictures inside the page, so that it needs no network."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from osteon.atomic import whole
from osteon.errors import UsageError

KINDS = {".png": "image/png", ".jpg": "image/jpeg"}


def render(template: str, **values: object) -> str:
    """Return a page of one of the lab's templates, by its path in the lab: all is escaped, and a name that is not known is an error."""
    loader = PackageLoader("osteon.lab", ".")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.tests["a"] = lambda value, kind: type(value).__name__ == kind
    made.filters |= {"address": picture_address, "unbroken": _unbroken}
    return made.get_template(template).render(values)


def picture_address(file: Path) -> str:
    """Return a picture (PNG or JPEG) as an address that holds it."""
    return f"data:{KINDS[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _unbroken(value: str) -> str:
    """Keep a value and its interval on one line; the words of a remark may go to the next."""
    return re.sub(r"(?<=\d) (?=\()|(?<=\d,) (?=-?\d)", "\N{NO-BREAK SPACE}", value)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = ()) -> list[str]:
    r"""Return the lines of a table (GitHub's Markdown); the first column, and those in `words`, are read from the left.

    >>> markdown_table(("", "n"), [("a|b", "3")])
    ['|  | n |', '|---|--:|', '| a\\|b | 3 |']
    """
    rule = ["---" if column == 0 or column in words else "--:" for column in range(len(header))]
    return [_row(header), f"|{'|'.join(rule)}|", *map(_row, rows)]


def markdown_words(words: str) -> str:
    r"""Return words, as a card has them, so that Markdown shows each as it is: no tags, links, pictures or code of theirs.

    >>> markdown_words("<b>[a](http://b)")
    '&lt;b&gt;\\[a\\](http://b)'
    """
    escaped = html.escape(" ".join(words.splitlines()), quote=False)
    return re.sub(r"([\\`\[\]*#~])", r"\\\1", escaped)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_whole(path: Path, text: str) -> None:
    """Write a text; stopped at any moment, the file is whole or as it was.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"{path}: cannot be written ({fault.strerror}). Make room, or name another folder with -o.") from fault
