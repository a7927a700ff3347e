"""README says what is there: the tree, the commands and their options, the links, the Python example."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import typer

from house import PACKAGE, ROOT, sources, tree
from osteon.cli import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[list[str]]:
    """The words of each line of README's shell blocks, comments left out."""
    for block in blocks("sh"):
        for line in block.splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def test_the_tree_is_the_source() -> None:
    drawn = tree("README.md")
    files = [path for path in drawn if not path.endswith("/")]
    assert sorted(files) == sources()
    assert [path for path in drawn if path.endswith("/") and not (PACKAGE / path).is_dir()] == []
    assert [path for path, description in drawn.items() if not description and path != "lab/"] == []


def test_the_first_two_commands() -> None:
    assert [words[:2] for words in commands()][:2] == [["make", "demo"], ["make", "test"]]


def test_make_knows_every_target_that_a_page_names() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make (?:[A-Z]+=\S+ )*([a-z][a-z-]*)", text, re.MULTILINE))
        assert named <= targets, f"{page} names {named - targets}"


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "osteon"], ids=" ".join)
def test_the_command_line_knows_every_option_that_readme_names(words: list[str]) -> None:
    from osteon.cli import data, evaluate, predict, train  # noqa: F401 - each adds its sub-commands

    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("-")} <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page} links to {target}"
    for name in re.findall(r"`((?:docs|benchmarks|scripts|tests)/[\w/.-]+\.\w+)`", text):
        assert (ROOT / name).is_file(), f"{page} names {name}"


def anchors(file: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_folder_of_films_stays_out_of_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert [name for name in listed if re.search(r"IMG\d{7}|\.dcm$|RG[13]_J2K", name)] == []


def test_no_spot_is_left_to_fill() -> None:
    assert "<!-- LEAD" not in README


def test_changelog_begins_with_what_is_unreleased() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if line.startswith("## "))
    assert first == "## [Unreleased]"
    assert any(takewhile(lambda line: not line.startswith("## "), lines[lines.index(first) + 1 :]))
