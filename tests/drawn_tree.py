"""What README and `docs/architecture.md` say of `src/osteon`, and what is there: read for the tests of the house."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "osteon"


def tree(page: str) -> dict[str, str]:
    """Return path -> description of the tree that a page draws, in its order; folders end with a slash.

    >>> list(tree("docs/architecture.md"))[:3]
    ['__init__.py', 'version.py', 'errors.py']
    """
    block = re.search(r"^```\nsrc/osteon/\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert block, f"{page} draws no tree that begins with src/osteon/"
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        indent, name, description = re.fullmatch(r"( +)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        folders[len(indent) // 4 - 1 :] = [name]
        found["".join(folders)] = description
    return found


def sources() -> list[str]:
    """Return the files of the package, relative to it; what only documents its folder, and the models themselves, are not counted."""
    documents = {m.path for m in modules() if m.only_documents}
    files = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".typed", ".onnx")}
    return sorted(files - documents)


def modules() -> list[Module]:
    """Return every module of the package."""
    return [Module(path.relative_to(PACKAGE).as_posix()) for path in sorted(PACKAGE.rglob("*.py"))]


@dataclass(frozen=True)
class Import:
    """One imported module, by its absolute dotted name; `deferred` where it stands in a function or under TYPE_CHECKING."""

    name: str
    line: int
    deferred: bool


@dataclass(frozen=True)
class Module:
    """A file of the package, `path` relative to it."""

    path: str

    @cached_property
    def text(self) -> str:
        return (PACKAGE / self.path).read_text(encoding="utf-8")

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def folder(self) -> str:
        return "" if (parent := PurePosixPath(self.path).parent.as_posix()) == "." else f"{parent}/"

    @property
    def only_documents(self) -> bool:
        return self.path.endswith("__init__.py") and len(self.syntax.body) == 1

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self.syntax, self.folder, deferred=False))


def _imports(node: ast.AST, folder: str, *, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(name, child.lineno, deferred) for name in _targets(child, folder))
        later = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child)
        yield from _imports(child, folder, deferred=later)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(node: ast.ImportFrom, folder: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        here = ["osteon", *folder.rstrip("/").split("/")] if folder else ["osteon"]
        base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])
    for alias in node.names:
        name = f"{base}.{alias.name}"
        yield name if base.split(".")[0] == "osteon" and file_of(name) else base


def file_of(name: str) -> str | None:
    """Return the file of a dotted module name of the package, relative to it; None if there is none."""
    stem = "/".join(name.split(".")[1:])
    return next((p for p in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")) if (PACKAGE / p).is_file()), None)
