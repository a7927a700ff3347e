"""Which file a person means who names a model: a path, or `name@version` of a released one.

The package brings the newest release alone. Earlier ones, and a hospital's own, stand in the user's folder of models, each as
`NAME-VERSION.onnx`. What was released is known by its SHA-256 (`models/released.sha256`), so that a name means the same bits everywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from osteon.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

    AnyFile = TypeVar("AnyFile", bound=Traversable)

PACKAGED = "packaged"
"""What people call the package's newest model."""

RELEASED = "released.sha256"
"""What was released, as `sha256sum` writes it, beside the packaged model."""

VERSION = r"\d+(?:\.\d+)*[0-9a-z]*"
"""What a version looks like: 0.2.0, 0.3.0rc1."""

_FILE = re.compile(rf"(?P<name>.+)-(?P<version>{VERSION})\.onnx")
_REFERENCE = re.compile(r"[^/@]+@[^/@]*")  # what is no file's path is meant as `name@version`


def find_model(reference: str | Path | None = None) -> Path | Traversable:
    """Return the file that a person means.

    Args:
        reference: A path, `name@version` of a model in the package or in that folder, or "packaged" or None for the package's newest.

    Raises:
        ModelFileError: there is no such model, and the message names those that there are; or the one in that folder is not what was
            released by that name.
    """
    if reference is None or reference == PACKAGED:
        return _newest()
    name = str(reference)
    if not _REFERENCE.fullmatch(name) or Path(reference).exists():
        return Path(reference)
    packaged, kept = packaged_models(), kept_models()
    if name in packaged:
        return packaged[name]
    if name not in kept:
        raise ModelFileError(_absent(name, packaged, kept))
    file, wanted = kept[name], released().get(name)
    if wanted and hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
        raise ModelFileError(f"{file}: this is not the {name} that was released. Get it again: {_get(name)}.")
    return file


def packaged_models() -> dict[str, Traversable]:
    """Return the model files that the package brings by `name@version`, the newest last."""
    return _by_reference(resources.files("osteon.models").iterdir())


def kept_models() -> dict[str, Path]:
    """Return the model files in the user's folder by `name@version`, the newest last."""
    folder = models_folder()
    try:
        return _by_reference(folder.iterdir() if folder else [])
    except OSError:  # there is no such folder, or nobody may look
        return {}


def models_folder() -> Path | None:
    """Return where earlier and own models stand: `OSTEON_MODELS`, else `osteon/models` in the user's data folder; None without a home."""
    if told := os.environ.get("OSTEON_MODELS"):
        return Path(told)
    from platformdirs import user_data_path

    try:
        return user_data_path("osteon", appauthor=False) / "models"
    except RuntimeError:  # no home
        return None


def released() -> dict[str, str]:
    """Return the SHA-256 of every model that was released, in hexadecimal digits, by `name@version`."""
    lines = (resources.files("osteon.models") / RELEASED).read_text(encoding="ascii").splitlines()
    digests = {name: digest for digest, name in (line.split() for line in lines)}
    return {reference: digests[file.name] for reference, file in _by_reference(Path(name) for name in digests).items()}


def _newest() -> Traversable:
    models = packaged_models()
    if not models:
        raise ModelFileError("this osteon brings no model. Name a model file (model, --model), or train one with `osteon train`.")
    return models[next(reversed(models))]


def _absent(reference: str, packaged: Iterable[str], kept: Iterable[str]) -> str:
    in_folder = f", in {models_folder()} are {', '.join(kept)}" if kept else ""
    remedy = f". What was released earlier: {_get(reference)}."
    return f"there is no model {reference}; the package brings {', '.join(packaged) or 'none'}{in_folder}{remedy}"


def _get(reference: str) -> str:
    return f"`make model NAME={reference}` in a clone of osteon's repository (docs/release.md)"


def _by_reference(files: Iterable[AnyFile]) -> dict[str, AnyFile]:
    found = [(m, file) for file in files if (m := _FILE.fullmatch(file.name))]
    found.sort(key=lambda pair: (_age(pair[0]["version"]), pair[1].name))
    return {f"{m['name']}@{m['version']}": file for m, file in found}


def _age(version: str) -> tuple[tuple[int, ...], bool, list[int]]:
    """Return what versions are ordered by: 0.9.0, then 0.10.0rc1, then 0.10.0."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    release = numbers[0] if numbers else ""
    further = version[len(release) :]
    return tuple(int(n) for n in release.split(".") if n), not further, [int(n) for n in re.findall(r"\d+", further)]
