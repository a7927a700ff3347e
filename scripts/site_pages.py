"""The pages of the site that are read out of the code: a hook of mkdocs (`mkdocs.yml`). None of them is written by hand or committed."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from msgspec.inspect import BoolType, Field, FloatType, IntType, LiteralType, StructType
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

import osteon
import osteon.lab
from osteon.card import Frame, Pooling
from osteon.cli import STAGES, app
from osteon.lab.training.recipe import FIXED, RECIPES, Augmentation, Recipe

ROOT = Path(__file__).parents[1]
PARTS: dict[str, type[msgspec.Struct]] = {"": Recipe, "frame.": Frame, "pooling.": Pooling, "augmentation.": Augmentation}
"""Where a recipe's settings are defined, by how their names begin."""


SOURCES = {
    "src/osteon/__init__.py": "osteon",
    "src/osteon/lab/__init__.py": "lab",
    "src/osteon/cli/__init__.py": "commands",
    "src/osteon/lab/training/recipe.py": "settings",
}
"""What the docs link to where they are read in the repository, and the page of the reference that the site has in its place."""


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn a page's links to the sources that the reference is made of into links to the reference."""
    up = "../" * page.file.src_uri.count("/")
    for source, name in SOURCES.items():
        markdown = markdown.replace(f"]({up}../{source})", f"]({up}reference/{name}.md)")
    return markdown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference to the site."""
    pages = {
        "osteon": face(osteon, "Python, answers"),
        "lab": face(osteon.lab, "Python, models"),
        "errors": "# Errors\n\n::: osteon.errors\n    options: {show_root_heading: false, show_root_toc_entry: false}\n",
        "commands": "\n".join(commands()),
        "settings": "\n".join(settings()),
        "changes": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def face(package: ModuleType, title: str) -> str:
    """Return a page of all that a package makes public, each name documented where it is defined."""
    name, values = package.__name__, {public: getattr(package, public) for public in package.__all__}
    begin = [f"# {title}: `{name}`", "", inspect.cleandoc(package.__doc__ or "").split(">>>")[0].strip(), ""]
    return "\n".join(
        begin
        + [
            f"::: {value.__module__}.{value.__qualname__}\n    options: {{heading: {name}.{public}, toc_label: {public}}}\n"
            for public, value in values.items()
            if hasattr(value, "__qualname__") and value.__module__ != "osteon.errors"  # a page of their own
        ]
    )


def commands() -> Iterator[str]:
    """Yield the lines of the page of all commands, by what they are for."""
    for path in sorted((ROOT / "src/osteon/cli").glob("[!_]*.py")):
        importlib.import_module(f"osteon.cli.{path.stem}")  # adds its sub-commands to `app`
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    yield "# Commands\n\nOne command, `osteon`, with a sub-command for each stage. `osteon COMMAND --help` says the same.\n"
    for stage, names in STAGES.items():
        yield f"## {stage}\n"
        for name in names:
            command = group.commands[name]
            assert isinstance(command, TyperCommand)
            yield from _command(name, command)


def _command(name: str, command: TyperCommand) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    options = [p for p in command.params if isinstance(p, TyperOption) and not p.hidden]
    words = [str(p.metavar or p.name).upper().rstrip(".") + ("..." if p.nargs == -1 else "") for p in arguments]
    yield f"### osteon {name}\n\n```text\n{' '.join(['osteon', name, *words, '[OPTIONS]'])}\n```\n\n{command.help}\n"
    if options:
        yield "| option | default | |\n|---|---|---|"
        yield from (f"| {_names(p)} | {_default(p)} | {_cell(p.help or '')} |" for p in options)
        yield ""


def _names(option: TyperOption) -> str:
    return ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])


def _default(option: TyperOption) -> str:
    value = option.default
    return "" if value in (None, "", [], ()) or callable(value) or option.is_flag else f"`{value}`"


def settings() -> Iterator[str]:
    """Yield the lines of the page of every setting of a recipe: its meaning, its type and range, its value in each recipe.

    Raises:
        KeyError: a setting is not described in its docstring's `Attributes`.
    """
    yield "# Recipe settings\n\nA recipe is every setting of a training in one value. `--set SETTING=VALUE` of `osteon train` changes one;"
    yield f"each change is noted in the run's `recipe.json`. The recipes are {', '.join(f'`{name}`' for name in RECIPES)} (`--recipe`).\n"
    for prefix, part in PARTS.items():
        yield f"## {prefix.rstrip('.').capitalize() or 'Training'}\n\n| setting | meaning | values | in the recipes |\n|---|---|---|---|"
        info, meanings = msgspec.inspect.type_info(part), described(part)
        assert isinstance(info, StructType)
        for field in info.fields:
            only = isinstance(field.type, LiteralType) and len(field.type.values) == 1
            if field.name not in FIXED and not only and not isinstance(field.type, StructType):
                name = prefix + field.name
                yield f"| `{name}` | {_cell(meanings[field.name])} | {_range(field)} | {_in_recipes(name)} |"
        yield ""


def described(part: type) -> dict[str, str]:
    """Return what a class's docstring says of each of its attributes (Google style, `Attributes:`)."""
    _, _, section = inspect.cleandoc(part.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).strip() for name, text in entries}


def _in_recipes(path: str) -> str:
    """Return a setting's value in each recipe, those that are alike together."""
    recipes: dict[str, list[str]] = {}
    for name, recipe in RECIPES.items():
        value: object = functools.reduce(getattr, path.split("."), recipe)
        recipes.setdefault(str(value).lower() if isinstance(value, bool) else str(value), []).append(name)
    if len(recipes) == 1:
        return "".join(f"`{value}`" for value in recipes if value)
    return "; ".join(f"{', '.join(names)}: `{value}`" for value, names in recipes.items())


def _range(field: Field) -> str:
    kind = field.type
    if isinstance(kind, LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, BoolType):
        return "`true`, `false`"
    if isinstance(kind, IntType | FloatType):
        word = "whole number" if isinstance(kind, IntType) else "number"
        ends = [(kind.ge, "from"), (kind.gt, "above"), (kind.le, "to"), (kind.lt, "below")]
        return " ".join([word, *(f"{side} {end:g}" for end, side in ends if end is not None)])
    return "text"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
