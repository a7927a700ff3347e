"""What all tests share: the real films, a cache folder and a folder of models of their own, and CI's rule that nothing is skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

import orthanc_peer
from command_line import Run, Typed

IN_CI = os.environ.get("CI") == "true"
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

# Two cores under load: an example's time says nothing, and a failure must be the same for everybody.
settings.register_profile("osteon", deadline=None, derandomize=True, database=None)
settings.load_profile("osteon")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radiographs beside the repository; a test without it is skipped, in CI it fails."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real radiographs are not here: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line."""
    return Run(monkeypatch, capsys)


@pytest.fixture
def osteon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The command line in a folder of its own."""
    return Typed(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cache and the models of whoever runs the tests stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTEON_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OSTEON_MODELS", str(tmp_path_factory.mktemp("models")))
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU, or a network namespace, where there is none; pytest counts it as deselected."""
    needs = {"gpu": shutil.which("nvidia-smi") is not None, "namespace": orthanc_peer.has_namespaces()}
    without = [item for item in items if any(item.get_closest_marker(name) for name, there in needs.items() if not there)]
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in without]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed test."""
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a skipped module is a failed module."""
    return _no_skip((yield))


def _no_skip(report: Report) -> Report:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped, and CI skips nothing: {reason}"
    return report
