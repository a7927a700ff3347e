"""A report as Markdown, its pictures as files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from osteon.lab.pages import markdown_table, markdown_words
from osteon.lab.reporting.document import Block, Checklist, Entry, Gap, Picture, Report, Row, Table, Text


def markdown(report: Report, folder: Path) -> str:
    """Return the report (GitHub's Markdown); pictures are addressed from `folder`, where the file is to stand.

    Words of a card or of a table stand in it as they are in the page: nothing in them becomes a link, a tag or a picture.
    """
    shown = markdown_words
    lines = [f"# {shown(report.title)}", "", f"{shown(report.verdict.words)} [{report.verdict.origin.mark}]", "", "Not for diagnosis.", ""]
    lines += [f"{shown(report.answers.words)} [{report.answers.origin.mark}]\n"] if report.answers.words else []
    lines += [f"> **Attention:** {shown(w.words)} [{w.origin.mark}]\n" for w in report.warnings]
    lines += _table(("metric", "value", "95 % interval"), [(f.name, f.value, f.interval) for f in report.headline])
    lines += ["", _code(report.measured.line), ""]
    for picture in report.pictures:
        lines += [*_block(picture, folder), ""]
    for section in report.sections:
        lines += [f"## {shown(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block, folder), ""]
    lines += ["## How each number was made", ""]
    for o in report.origins:
        made = f"{_code(o.command or 'command not recorded')}; index {o.fingerprint or 'none'}; {shown(o.further)}"
        lines += [f"- **[{o.mark}]** {shown(o.what)}: {made}"]
    return "\n".join([*lines, "", f"osteon {report.osteon}"]) + "\n"


def _block(block: Block, folder: Path) -> Iterator[str]:
    shown = markdown_words
    match block:
        case Text():
            yield f"{'> **Attention:** ' if block.warns else ''}{shown(block.words)} [{block.origin.mark}]"
        case Gap():
            yield f"> **Not here.** {shown(block.words)}"
        case Picture():
            address = block.file.relative_to(folder).as_posix()
            yield from (
                f"![{shown(block.alt)}]({address})",
                "",
                f"**{shown(block.title)}.** {shown(block.caption)}",
                "",
                _code(block.origin.line),
            )
        case Table():
            yield from (f"### {shown(block.title)}", "", *([shown(block.note), ""] if block.note else []))
            yield from (*_table(block.header, block.rows, block.words), "", _code(block.origin.line))
        case Checklist():
            yield from markdown_table(
                ("item", "section", "what it asks", "what this report says"), [_entry(e) for e in block.entries], (1, 2, 3)
            )


def _table(header: Row, rows: Iterable[Row], words: tuple[int, ...] = ()) -> list[str]:
    return markdown_table(header, [tuple(map(markdown_words, row)) for row in rows], words)


def _code(words: str) -> str:
    plain = " ".join(words.replace("`", "'").splitlines())
    return f"`{plain}`"


def _entry(entry: Entry) -> tuple[str, ...]:
    shown = markdown_words
    marks = "".join(f" [{origin.mark}]" for origin in entry.origins)
    left = f"**To be filled by the author:** {shown(entry.left)}" if entry.left else ""
    said = " ".join(part for part in (f"{shown(entry.said)}{marks}".strip(), left) if part)
    return f"{entry.number}", shown(entry.section), shown(entry.item), said
