"""`docs/tutorial.md`, typed as it stands there, with fewer and smaller films."""

from __future__ import annotations

import re
import shlex

import pytest

from command_line import Typed
from drawn_tree import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
SMALLER = {"--studies 40": "--studies 24", "--studies 12": "--studies 7", "frame.size=224": "frame.size=160", "epochs=6": "epochs=2"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_command_of_the_tutorial_runs(osteon: Typed) -> None:
    page = PAGE
    for words, fewer in SMALLER.items():
        assert words in page
        page = page.replace(words, fewer)
    for line in re.findall(r"^osteon (?!--version).*", page, re.MULTILINE):
        status, out, error = osteon(*shlex.split(line)[1:])
        assert status == 0, f"{line}: {out}{error}"
    for made in ("exploration/exploration.html", "run/report/report.html", "overlays"):
        assert (osteon.folder / made).exists(), made
