"""Weights and state on disk: written whole or not at all, read without running anything."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from osteon.atomic import whole
from osteon.errors import CheckpointError


def save(content: dict[str, Any], path: Path) -> None:
    """Write a file whole, or not at all, so that a power failure leaves one or the other.

    Raises:
        CheckpointError: it cannot be written (a full disk, say); the file that was there before is untouched.
    """
    try:
        with whole(path, durable=True) as part, part.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as fault:  # torch reports a failed write as RuntimeError
        raise CheckpointError(
            f"{path}: cannot be written ({_reason(fault)}). The last one is kept: make room and go on with --resume."
        ) from fault


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote; only tensors and plain values, never code.

    Raises:
        CheckpointError: it is not there or not whole.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about files that it refuses a moment later
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as fault:
        raise CheckpointError(f"{path}: no readable checkpoint ({type(fault).__name__}). Start again in another folder.") from fault
    return content


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of a kept epoch; units that an earlier osteon trained beside the answer are left out.

    Raises:
        CheckpointError: they are not there or not whole.
        KeyError: the file holds something else.
    """
    return {key: value for key, value in load(path)["weights"].items() if not key.startswith("auxiliary.")}


def _reason(fault: BaseException) -> str:
    cause: BaseException | None = fault
    while cause is not None:  # torch meets the refused write once more when it ends its archive, and then speaks of positions
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__context__
    return str(fault).splitlines()[0]
