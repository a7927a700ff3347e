"""A report as one HTML file that opens without a network, its pictures inside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from osteon.lab.pages import environment, picture_address, template_text
from osteon.lab.reporting.document import Block, Gap, Picture, Report, Table, Text

KINDS = {".png": "image/png", ".jpg": "image/jpeg"}


def html(report: Report) -> str:
    """Return the page."""
    made = environment()
    made.filters |= {"address": _address, "grouped": _grouped, "unbroken": _unbroken}
    for name, kind in (("picture", Picture), ("text", Text), ("gap", Gap), ("table", Table)):
        made.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    return made.from_string(template_text(__package__, "report.html.jinja")).render(report=report)


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the blocks with neighbouring pictures together, which stand side by side."""
    return [list(group) for _, group in groupby(blocks, key=lambda block: isinstance(block, Picture))]


def _address(file: Path) -> str:
    return picture_address(file.read_bytes(), KINDS[file.suffix])


def _unbroken(value: str) -> str:
    """Keep a value and its interval on one line; the words of a remark may go to the next."""
    return re.sub(r"(?<=\d) (?=\()|(?<=\d,) (?=-?\d)", "\N{NO-BREAK SPACE}", value)
