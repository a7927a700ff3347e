"""A report as one HTML file that opens without a network, its pictures inside it."""

from __future__ import annotations

from itertools import groupby

from osteon.lab.pages import render
from osteon.lab.reporting.document import Picture, Report


def html(report: Report) -> str:
    """Return the page; neighbouring pictures stand side by side."""
    blocks = {
        section.name: [list(group) for _, group in groupby(section.blocks, key=lambda block: isinstance(block, Picture))]
        for section in report.sections
    }
    return render("reporting/report.html.jinja", report=report, blocks=blocks)
