"""`scripts/install.py`: which torch comes, and a sentence instead of a traceback."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from drawn_tree import ROOT

SCRIPT = ROOT / "scripts" / "install.py"


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*requires: str) -> dict[str, Any]:
    """pip's installation report on one torch (pip's "Installation Report", version 1)."""
    return {"version": "1", "install": [{"metadata": {"name": "torch", "requires_dist": ["filelock", *requires]}}]}


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere torch comes without CUDA")
@pytest.mark.parametrize(
    ("requires", "cpu"),
    [
        ((), True),
        (('cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"', "triton==3.7.1"), False),
        (('nvidia-cudnn-cu13==9.20.0.48; platform_system == "Linux"',), False),
        (('nvidia-cudnn-cu12==9.1; platform_system == "Linux" and platform_machine == "another"',), True),
    ],
)
def test_a_cuda_build_is_known_by_what_it_requires(install: ModuleType, requires: tuple[str, ...], cpu: bool) -> None:
    assert install.is_cpu_build(report(*requires)) is cpu


def test_no_offer_is_no_cpu_build(install: ModuleType) -> None:
    assert install.is_cpu_build({}) is False
    assert install.is_cpu_build({"install": []}) is False


def test_torch_is_pyproject_s(install: ModuleType) -> None:
    wanted = install.torch_requirement()
    assert wanted.startswith("torch==")
    assert f'"{wanted.replace("==", ">=")}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_versions_compare_by_number(install: ModuleType) -> None:
    assert install.numbers("torch==2.13.0") == install.numbers("2.13.0+cpu") == [2, 13, 0]
    assert install.numbers("2.9.1") < install.numbers("2.13.0")


def test_this_environment_s_torch_is_seen(install: ModuleType, tmp_path: Path) -> None:
    assert install.has_torch(Path(sys.executable))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    assert not install.has_torch(tmp_path / "bare" / "bin" / "python")
    assert install.pip_version(tmp_path / "bare" / "bin" / "python") == 0


def test_refusal_of_cuda_stops_with_the_way_out(install: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"no CPU build of torch==2\.13\.0.*TORCH=any"):
        install.fall_back("torch==2.13.0", "cpu")


def test_cuda_is_announced_with_its_size(install: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert install.fall_back("torch==2.13.0", "auto") == ["torch==2.13.0"]
    assert "2.7 GB to download" in capsys.readouterr().out


def test_unknown_choice(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH", "rocm")
    with pytest.raises(SystemExit, match="TORCH=rocm is unknown"):
        install.choose_torch(Path(sys.executable))


def test_make_says_that_no_python_was_found() -> None:
    answer = subprocess.run(
        ["make", "--always-make", "PYTHON=", "VENV=no-such-folder", "no-such-folder/lab.stamp"],
        cwd=ROOT, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode != 0
    assert "osteon needs Python 3.11 or later" in answer.stderr


def test_an_old_python_gets_a_sentence(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or later.*make PYTHON="):
        install.main("never-made")
