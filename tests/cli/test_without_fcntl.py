"""Where the system has no `fcntl`, as Windows has none: the command line starts, and index, evaluate and predict do their work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from made_index import made_index

RUN = (
    "import os, sys, warnings; sys.modules['fcntl'] = None; del os.O_DIRECTORY; del os.posix_fallocate\n"
    "warnings.simplefilter('ignore')\n"  # filelock says on Linux that it has to do with less
    "from osteon.cli import main; main()"
)


def osteon(folder: Path, *words: object) -> str:
    """Run a command in a process without `fcntl`; returns what it prints."""
    done = subprocess.run([sys.executable, "-c", RUN, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_index_evaluate_and_predict(tmp_path: Path) -> None:
    made_index(tmp_path, {"valid": 12})
    rows = "\n".join(f"{p.relative_to(tmp_path / 'films')},{n % 2},{n}" for n, p in enumerate(sorted((tmp_path / "films").rglob("*.png"))))
    (tmp_path / "films" / "table.csv").write_text(f"path,label,patient\n{rows}\n")
    osteon(tmp_path, "index", "films/table.csv", "-o", "new.parquet")
    osteon(tmp_path, "evaluate", "--index", "index.parquet", "--split", "valid", "--resamples", 100, "-o", "evaluation")
    assert (tmp_path / "evaluation" / "evaluation.json").exists()
    assert len(msgspec.json.decode(osteon(tmp_path, "predict", "films", "--quiet", "--json", "-"))["studies"]) > 0


def test_every_module_can_be_imported() -> None:
    code = (
        "import pkgutil, sys, warnings; sys.modules['fcntl'] = None; warnings.simplefilter('ignore'); import osteon\n"
        "for m in pkgutil.walk_packages(osteon.__path__, 'osteon.'):\n"
        "    if m.name != 'osteon.__main__': __import__(m.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
