"""Take a model that was released earlier out of the repository's history and put it into the user's folder of models.

    python scripts/earlier_model.py fracture@0.1.0

The repository holds the newest model alone; `src/osteon/models/released.sha256` names all that were released, and only what has the
sum that stands there is put into that folder. Afterwards `--model fracture@0.1.0` means it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from osteon.atomic import whole
from osteon.errors import ModelFileError
from osteon.model_names import find_model, models_folder, released

ROOT = Path(__file__).resolve().parent.parent
MODELS = "src/osteon/models"


def main(reference: str = "") -> None:
    """Get one model, unless it is there already."""
    known = released()
    if reference not in known:
        fault = f"{reference} was never released" if reference else "no model was named"
        sys.exit(f"earlier_model: {fault}. Name one of these: {', '.join(known)}; as in make model NAME=fracture@0.1.0")
    try:
        found = find_model(reference)
    except ModelFileError:  # not there, or not what was released
        found = fetched(reference, known[reference])
    print(f"{reference} is {found}")


def fetched(reference: str, wanted: str) -> Path:
    """Put a model into the folder and return its file there."""
    folder, name = models_folder(), f"{reference.replace('@', '-')}.onnx"
    if folder is None:
        sys.exit("earlier_model: this user has no home. Name a folder for models in OSTEON_MODELS.")
    content = from_history(ROOT, f"{MODELS}/{name}", wanted)
    with whole(folder / name) as part:
        part.write_bytes(content)
    return folder / name


def from_history(repository: Path, path: str, wanted: str) -> bytes:
    """Return a file as some commit had it: the state with this SHA-256.

    Raises:
        SystemExit: no commit that this clone holds has it.
    """
    for commit in git(repository, "log", "--format=%H", "--diff-filter=AM", "--", path).decode().split():
        content = git(repository, "show", f"{commit}:{path}")
        if hashlib.sha256(content).hexdigest() == wanted:
            return content
    sys.exit(f"earlier_model: this clone's history does not hold {path}. Fetch the whole history: git fetch --unshallow")


def git(repository: Path, *words: str) -> bytes:
    """Return what git prints; stop with its own words where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=False)
    except FileNotFoundError:
        sys.exit("earlier_model: git is not installed, and the earlier models stand in the repository's history.")
    if done.returncode:
        sys.exit(f"earlier_model: git {words[0]} failed: {done.stderr.decode().strip()}")
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
