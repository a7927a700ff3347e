"""Prove that osteon's core answers for a film where torch is not installed, as with it, and is small.

    python scripts/check_core.py ENVIRONMENT

Run by a Python with the extra `[lab]`, which makes the film (a phantom) and gives the answer to compare with; ENVIRONMENT holds the core
alone (`scripts/install.py ENVIRONMENT`). Prints what it found; the first thing that does not hold ends it with status 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 400
"""MB (2^20 bytes, as `du -m` counts) that the core and all it needs may take; pip and setuptools, which come anyway, left out."""

LAB_ONLY = ("torch", "polars", "matplotlib", "scipy", "sklearn", "seaborn", "onnx", "jinja2", "tensorboard")


def main(environment: str) -> None:
    """Check one environment."""
    core = Path(environment).absolute() / "bin"
    check_absent(core)
    check_size(core)
    with tempfile.TemporaryDirectory() as folder:
        film = make_film(Path(folder))
        check_answer(core, film)
        check_extra_is_named(core, film)


def check_absent(core: Path) -> None:
    """The lab's packages are not there, and `import osteon` works."""
    code = f"import osteon, importlib.util as u; print(*[m for m in {LAB_ONLY} if u.find_spec(m)])"
    found = output([str(core / "python"), "-c", code]).split()
    expect(not found, f"the core brings {', '.join(found)}")
    print(f"not installed: {', '.join(LAB_ONLY)}")


def check_size(core: Path) -> None:
    """What is installed stays below LARGEST."""
    packages = Path(output([str(core / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    counted = [entry for entry in packages.iterdir() if entry.name.split("-")[0] not in tools]
    size = sum(f.lstat().st_size for entry in counted for f in (entry.rglob("*") if entry.is_dir() else [entry]) if f.is_file()) / 2**20
    expect(size < LARGEST, f"the core takes {size:.0f} MB, {LARGEST} is the limit")
    print(f"the core and all it needs: {size:.0f} MB")


def make_film(folder: Path) -> Path:
    """Return a synthetic film of a broken hand (PNG)."""
    from PIL import Image

    from osteon.lab.phantom import film

    path = folder / "hand.png"
    Image.fromarray(film.make_film(np.random.default_rng(7), "HAND", abnormal=True).pixels).save(path)
    return path


def check_answer(core: Path, film: Path) -> None:
    """The packaged model answers, and says the same with the lab installed."""
    here = answer(core, film)
    there = answer(Path(sys.executable).parent, film)
    expect(0 <= here["probability"] <= 1 and here["level"] in ("no", "doubt", "yes"), f"no answer: {here}")
    expect(abs(here["probability"] - there["probability"]) < 1e-6, f"{here['probability']} without torch, {there['probability']} with it")
    print(f"osteon predict without torch: probability {here['probability']:.4f}, level {here['level']}; with torch the same")


def answer(programs: Path, film: Path) -> dict[str, Any]:
    """What `osteon predict` of an environment says of the study that a film is."""
    said: dict[str, Any] = json.loads(output([str(programs / "osteon"), "predict", str(film), "--quiet", "--json", "-"]))
    study: dict[str, Any] = said["studies"][0]
    return study


def check_extra_is_named(core: Path, film: Path) -> None:
    """A command of the lab says in one line what to install."""
    command = [str(core / "osteon"), "index", str(film.parent), "-o", str(film.parent / "index.parquet")]
    refusal = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(refusal.returncode == 69 and "osteon[lab]" in refusal.stderr, f"osteon index: status {refusal.returncode}, {refusal.stderr}")
    print(f"osteon index without the lab: {refusal.stderr.strip()}")


def output(command: list[str]) -> str:
    """What a command prints; its failure ends the check."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def expect(holds: bool, otherwise: str) -> None:
    """End with a reason where something does not hold."""
    if not holds:
        sys.exit(f"check_core: {otherwise}")


if __name__ == "__main__":
    main(*sys.argv[1:])
