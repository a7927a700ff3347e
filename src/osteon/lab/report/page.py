"""A report as one HTML file that opens without a network, its pictures inside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from osteon.lab.report.document import Block, Gap, Picture, Report, Table, Text

KINDS = {".png": "image/png", ".jpg": "image/jpeg"}


def html(report: Report) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"address": _address, "grouped": _grouped, "unbroken": _unbroken}
    for name, kind in (("picture", Picture), ("text", Text), ("gap", Gap), ("table", Table)):
        environment.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    template = resources.files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(report=report)


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the blocks with neighbouring pictures together, which stand side by side."""
    return [list(group) for _, group in groupby(blocks, key=lambda block: isinstance(block, Picture))]


def _address(file: Path) -> str:
    return f"data:{KINDS[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _unbroken(value: str) -> str:
    """Keep a figure and its interval on one line; the words of a remark may go to the next."""
    return re.sub(r"(?<=\d) (?=\()|(?<=\d,) (?=-?\d)", "\N{NO-BREAK SPACE}", value)
