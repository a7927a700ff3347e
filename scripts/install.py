"""Make a virtual environment and install osteon into it, on a machine without an NVIDIA GPU with the CPU build of torch.

    python scripts/install.py ENVIRONMENT [EXTRAS]

ENVIRONMENT is a folder (`.venv`), EXTRAS a list with commas (`lab,docs`); without extras the core alone is installed, as a user gets it.
A file of requirements (`benchmarks/requirements.txt`) in the place of EXTRAS is installed alone, without osteon.
pip's own settings (index, mirrors, wheel folders, certificates) hold. The variable TORCH says which torch may come:

    auto    the CPU build where there is no GPU and one can be had; else the CUDA build, after saying how large it is (the default)
    cpu     the CPU build or none: stops instead of fetching the CUDA build
    any     whatever pip would choose

Only the standard library is used, and the syntax of Python 3.7, so that an old Python gets a sentence and no traceback.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OLDEST_PIP = 24  # before, `--dry-run` fetches whole wheels
SIZES = {"": "0.4 GB", "lab": "2.0 GB", "lab,serve,dev,docs": "2.5 GB"}
OTHER_PYTHON = "Give another one: make PYTHON=/path/to/python3"
CUDA = "the CUDA build (2.7 GB to download: torch and NVIDIA's libraries)"


def main(environment: str, extras: str = "") -> None:
    """Make the environment, choose torch, install osteon with its extras and say how large it became."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told so
        stop(f"{sys.executable} is {platform.python_version()}, osteon needs Python 3.11 or later. {OTHER_PYTHON}")
    python = make_environment(Path(environment).absolute())
    if extras.endswith(".txt"):
        say(f"installing what {extras} names into {environment}, without osteon")
        pip(python, "install", "--requirement", str(ROOT / extras))
        say(f"{environment} holds {megabytes(python.parent.parent)} MB")
        return
    with_torch = "lab" in extras.split(",")
    say(f"installing osteon{f'[{extras}]' if extras else ''} into {environment}: about {SIZES.get(extras, '2 GB')} on disk, once")
    if with_torch and not has_torch(python):
        pip(python, "install", *choose_torch(python))
    pip(python, "install", *(["--editable", f"{ROOT}[{extras}]"] if extras else [str(ROOT)]))
    say(f"{environment} holds {megabytes(python.parent.parent)} MB")


def make_environment(folder: Path) -> Path:
    """Return the Python of a virtual environment with a pip that is new enough; make what is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        say(f"making {folder.name} with Python {platform.python_version()}")
        if importlib.util.find_spec("ensurepip"):
            run(sys.executable, "-m", "venv", str(folder))
        elif importlib.util.find_spec("pip") and importlib.util.find_spec("venv"):
            run(sys.executable, "-m", "venv", "--without-pip", str(folder))
            run(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "pip")
        else:
            stop(f"{sys.executable} lacks the module venv or ensurepip (Debian, Ubuntu: apt install python3-venv). {OTHER_PYTHON}")
    if pip_version(python) < OLDEST_PIP:
        pip(python, "install", "--quiet", "--upgrade", "pip")
    return python


def choose_torch(python: Path) -> list[str]:
    """Return what `pip install` shall be given for torch, after saying what comes."""
    wanted, choice = torch_requirement(), os.environ.get("TORCH", "auto")
    if choice not in ("auto", "cpu", "any"):
        stop(f"TORCH={choice} is unknown. Give auto, cpu or any.")
    if choice == "any":
        say("torch: whatever pip chooses, as TORCH=any asks")
        return [wanted]
    if choice == "auto" and has_gpu():
        say(f"torch: an NVIDIA GPU is here, so the build that your package index offers, as a rule {CUDA}")
        return [wanted]
    if is_cpu_build(offered(python, wanted)):
        say("torch: the CPU build from your package index (0.2 GB to download)")
        return [wanted]
    # Answers at once or not at all: a closed network must not cost minutes here.
    published = ["--index-url", CPU_INDEX, "--timeout", "5", "--retries", "0"]
    if is_cpu_build(offered(python, wanted, *published)):
        say(f"torch: the CPU build from {CPU_INDEX} (0.2 GB to download)")
        return [wanted, "--no-deps", "--index-url", CPU_INDEX]
    return fall_back(wanted, choice)


def fall_back(wanted: str, choice: str) -> list[str]:
    """Stop, or go on with the CUDA build and say so."""
    if choice == "cpu":
        stop(f"no CPU build of {wanted}: your package index has {CUDA}, and {CPU_INDEX} does not answer. TORCH=any takes what there is.")
    say(f"torch: no CPU build can be had here ({CPU_INDEX} does not answer), so {CUDA} comes. It works without a GPU too.")
    say("       Ctrl-C stops it; `make TORCH=cpu` never fetches it.")
    if sys.stdin is not None and sys.stdin.isatty():
        time.sleep(10)
    return [wanted]


def torch_requirement() -> str:
    """Return the torch that osteon is tested with: the lower bound that `pyproject.toml` names."""
    found = re.search(r'"torch>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        stop("pyproject.toml names no lower bound of torch.")
    return f"torch=={found[1]}"


def offered(python: Path, *words: str) -> dict[str, Any]:
    """Return pip's report on what it would install for these words, nothing fetched; empty if there is nothing."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-", *words]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return {}
    return json.loads(answer.stdout) if answer.returncode == 0 else {}


def is_cpu_build(report: dict[str, Any]) -> bool:
    """Tell whether the torch of pip's report comes without CUDA libraries; False for an empty report."""
    if not report.get("install"):
        return False
    needs = report["install"][0]["metadata"].get("requires_dist", [])
    if platform.system() != "Linux":
        return True
    return not any(re.match(r"nvidia|cuda", need) and ("platform_machine" not in need or platform.machine() in need) for need in needs)


def has_gpu() -> bool:
    """Tell whether NVIDIA's driver sees a GPU."""
    try:
        answer = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "GPU" in answer.stdout


def has_torch(python: Path) -> bool:
    """Tell whether the environment has a torch that is new enough."""
    probe = "import importlib.metadata as m; print(m.version('torch'))"
    answer = subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and numbers(answer.stdout) >= numbers(torch_requirement())


def numbers(text: str) -> list[int]:
    """Return a version's numbers: [2, 13, 0] for `torch==2.13.0` and `2.13.0+cpu`."""
    return [int(n) for n in re.findall(r"\d+", text.split("+", maxsplit=1)[0])]


def pip_version(python: Path) -> int:
    """Return the first number of pip's version, 0 without pip."""
    answer = subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"pip (\d+)", answer.stdout)
    return int(found[1]) if found else 0


def megabytes(folder: Path) -> int:
    """Return the size of a folder in MB, as `du -m` counts."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) // 2**20


def pip(python: Path, *words: str) -> None:
    """Run the environment's pip."""
    run(str(python), "-m", "pip", *words)


def run(*command: str) -> None:
    """Run a command, its output shown; stop where it fails."""
    if subprocess.run(command, check=False).returncode:
        stop(f"this failed, see above: {' '.join(command)}")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def stop(reason: str) -> NoReturn:
    """End with a reason and status 1."""
    sys.exit(f"install: {reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
