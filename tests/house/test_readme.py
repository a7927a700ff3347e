"""README and the pages of the docs say what is there: folders, commands and their options, links, the Python example."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from drawn_tree import ROOT, Module
from osteon.cli import app
from osteon.lab.phantom import film
from osteon.lab.release.plan import may_hold

README = (ROOT / "README.md").read_text(encoding="utf-8")
BOOK = "docs/experiments/"
"""The laboratory book holds commands as they were typed: it is a record."""
NESTED = ("layouts", "crossvalidation", "ablation", "tuning")
"""Folders that README leaves to `docs/architecture.md`."""
PAGES = sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str = README) -> Iterator[list[str]]:
    """The words of each line of a page's shell blocks, comments left out; a line that ends with a backslash goes on."""
    for block in blocks("sh", text):
        for line in re.sub(r"<<'END'\n.*?^END$", "", block, flags=re.MULTILINE | re.DOTALL).replace("\\\n", " ").splitlines():
            for command in re.split(r"; (?=osteon )", line):
                if words := shlex.split(command, comments=True):
                    yield words


def osteon_commands(page: str) -> list[list[str]]:
    return [words[1:] for words in commands((ROOT / page).read_text(encoding="utf-8")) if words[0] == "osteon" and words[1] != "--version"]


def test_the_first_two_commands() -> None:
    assert [words[:2] for words in commands()][:2] == [["make", "demo"], ["make", "test"]]


def test_make_knows_every_target_that_a_page_names() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make (?:[A-Z]+=\S+ )*([a-z][a-z-]*)", text, re.MULTILINE))
        assert named <= targets, f"{page} names {named - targets}"


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith((BOOK, "docs/experiments.md", "CHANGELOG"))])
def test_the_command_line_knows_every_command_and_option_that_a_page_names(page: str) -> None:
    for stage in Module("cli/__init__.py").imports:
        if stage.deferred and stage.name.startswith("osteon.cli."):
            importlib.import_module(stage.name)  # adds its sub-commands, as `main` does
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    passing = {name for name in re.findall(r"`osteon ([a-z][a-z-]*)", text) if name not in known}
    assert not passing, f"{page} names commands that are not there: {passing}"
    for name, *words in osteon_commands(page):
        assert name in known, f"{page}: there is no osteon {name}"
        options = {option for parameter in known[name].params for option in [*parameter.opts, *parameter.secondary_opts]}
        unknown = {word for word in words if word.startswith("-") and not re.match(r"-?\d|-$", word)} - options
        assert not unknown, f"{page}: osteon {name} has no {unknown}"


def test_the_page_of_releases_explains_each_key_of_a_plan() -> None:
    page = (ROOT / "docs/release.md").read_text(encoding="utf-8")
    assert [key for key in may_hold() if f"`{key}`" not in page and f"`.{key.rpartition('.')[2]}`" not in page] == []


def test_readme_draws_the_folders_that_are_there() -> None:
    [block] = re.findall(r"^## What is where\n\n```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    folders, drawn = [""], set()
    for indent, name in re.findall(r"^( *)([\w./]+/)[ ,]", block, re.MULTILINE):
        folders[len(indent) // 4 + 1 :] = [folders[len(indent) // 4] + name]
        drawn.add(folders[-1].rstrip("/"))
    assert not [name for name in drawn if not (ROOT / name).is_dir()]
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "src/osteon").rglob("__init__.py")}
    assert packages - drawn <= {"src/osteon/cli", *(f"{room}/{part}" for room in drawn for part in NESTED)}


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = film.make_film(np.random.default_rng(1), "WRIST", abnormal=True)
    Image.fromarray(made.pixels).save(tmp_path / "wrist.png")
    monkeypatch.chdir(tmp_path)
    [example] = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    probability, level, model = capsys.readouterr().out.split()
    assert 0 <= float(probability) <= 1
    assert level in ("no", "doubt", "yes")
    assert (tmp_path / "wrist.overlay.png").read_bytes().startswith(b"\x89PNG")
    assert re.fullmatch(r"\S+@\S+", model)


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
    sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.match(r"\[Unreleased\]\n\s*### \w+\n\s*- ", sections[1])
