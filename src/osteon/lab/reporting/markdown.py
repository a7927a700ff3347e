"""A report as Markdown, its pictures as files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from osteon.lab.pages import markdown_table
from osteon.lab.reporting.document import Block, Checklist, Entry, Gap, Picture, Report, Table, Text


def markdown(report: Report, folder: Path) -> str:
    """Return the report (GitHub's Markdown); pictures are addressed from `folder`, where the file is to stand."""
    lines = [f"# {report.title}", "", f"{report.verdict.words} [{report.verdict.origin.mark}]", "", "Not for diagnosis.", ""]
    lines += [f"> **Attention:** {w.words} [{w.origin.mark}]\n" for w in report.warnings]
    lines += markdown_table(("metric", "value", "95 % interval"), [(f.name, f.value, f.interval) for f in report.headline])
    lines += ["", f"`{report.measured.line}`", ""]
    for picture in report.pictures:
        lines += [*_block(picture, folder), ""]
    for section in report.sections:
        lines += [f"## {section.title}", ""]
        for block in section.blocks:
            lines += [*_block(block, folder), ""]
    lines += ["## How each number was made", ""]
    for o in report.origins:
        lines += [f"- **[{o.mark}]** {o.what}: `{o.command or 'command not recorded'}`; index {o.fingerprint or 'none'}; {o.further}"]
    return "\n".join([*lines, "", f"osteon {report.osteon}"]) + "\n"


def _block(block: Block, folder: Path) -> Iterator[str]:
    match block:
        case Text():
            yield f"{'> **Attention:** ' if block.warns else ''}{block.words} [{block.origin.mark}]"
        case Gap():
            yield f"> **Not here.** {block.words}"
        case Picture():
            address = block.file.relative_to(folder).as_posix()
            yield from (f"![{block.alt}]({address})", "", f"**{block.title}.** {block.caption}", "", f"`{block.origin.line}`")
        case Table():
            yield from (f"### {block.title}", "", *([block.note, ""] if block.note else []))
            yield from (*markdown_table(block.header, block.rows, block.words), "", f"`{block.origin.line}`")
        case Checklist():
            yield from markdown_table(
                ("item", "section", "what it asks", "what this report says"), [_entry(e) for e in block.entries], (1, 2, 3)
            )


def _entry(entry: Entry) -> tuple[str, ...]:
    marks = "".join(f" [{origin.mark}]" for origin in entry.origins)
    left = f"**To be filled by the author:** {entry.left}" if entry.left else ""
    return f"{entry.number}", entry.section, entry.item, " ".join(part for part in (f"{entry.said}{marks}".strip(), left) if part)
