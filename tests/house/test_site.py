"""The site of the docs: built strictly, every link in it leads somewhere, and it asks no network for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from drawn_tree import ROOT
from osteon.cli import STAGES
from osteon.lab.training.recipe import Augmentation, Recipe


class Page(HTMLParser):
    """The ids of a page, what it links to, and what a browser loads for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if "src" in given or (tag == "link" and "href" in given):
            self.loaded.append(given.get("src") or given["href"])
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it; `strict` in mkdocs.yml makes a warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False, timeout=250)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(site.rglob("*.html"))}


def test_nothing_is_loaded_from_the_network(site: Path, pages: dict[Path, Page]) -> None:
    foreign = [f"{file.name}: {url}" for file, page in pages.items() for url in page.loaded if re.match(r"(https?:)?//", url)]
    in_style = re.compile(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)")
    foreign += [f"{file.name}: {url}" for file in site.rglob("*.css") for url in in_style.findall(file.read_text(encoding="utf-8"))]
    assert not foreign


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    assert not list(dead_links(pages))


def dead_links(pages: dict[Path, Page]) -> Iterator[str]:
    for file, page in pages.items():
        if file.name == "404.html":  # its links are those of a served site
            continue
        for link in page.links + page.loaded:
            path, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            target = (file.parent / path.partition("?")[0]).resolve() if path else file
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].ids):
                yield f"{file.name} links to {link}"


def test_the_reference_has_every_setting_and_every_command(site: Path) -> None:
    settings = (site / "reference/settings.html").read_text(encoding="utf-8")
    named = [*Recipe.__struct_fields__, *(f"augmentation.{name}" for name in Augmentation.__struct_fields__)]
    apart = ("name", "departures", "frame", "pooling", "augmentation")
    assert [name for name in named if name not in apart and f"<code>{name}</code>" not in settings] == []
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    assert [name for names in STAGES.values() for name in names if f"osteon {name} " not in commands] == []
