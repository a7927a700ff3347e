"""The report as Markdown: words of a card stay words."""

from __future__ import annotations

from pathlib import Path

from osteon.lab.reporting.document import Checklist, Entry, Gap, Headline, Origin, Report, Section, Table, Text
from osteon.lab.reporting.markdown import markdown

EVIL = "<script>x</script> ![a](http://b/c.png) [click](http://b) `code`\n# heading | cell"
SHOWN = r"&lt;script&gt;x&lt;/script&gt; !\[a\](http://b/c.png) \[click\](http://b) \`code\` \# heading "


def test_what_a_card_says_is_shown_and_does_nothing() -> None:
    origin = Origin("A", EVIL, f"osteon `{EVIL}`", "", EVIL)
    text = Text(EVIL, origin)
    entry, table = Entry(1, EVIL, EVIL, EVIL, EVIL, (origin,)), Table(EVIL, ("", "value"), [(EVIL, EVIL)], origin, EVIL)
    blocks = [text, Gap(EVIL), table, Checklist((entry,))]
    report = Report(EVIL, text, text, [text], [Headline(EVIL, "1", "")], [], origin, [Section("s", EVIL, blocks)], [origin], "1", Path())
    told = markdown(report, Path())
    prose = "".join(part for i, part in enumerate(told.replace("\\`", "").split("`")) if i % 2 == 0)
    assert "<script" not in prose and "](" not in prose.replace("\\](", "")
    assert told.count(SHOWN) >= 15
    assert not [line for line in told.splitlines() if line.startswith("# heading")]
    for line in (line for line in told.splitlines() if line.startswith("|")):
        assert line.count("|") - line.count("\\|") in (4, 5, 3)
