"""A step of a training waits for its device nowhere: told on a device that has no numbers, so that whoever asks for one fails."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from made_index import made_index
from osteon.lab.data.index import read_index
from osteon.lab.data.store import open_store
from osteon.lab.training.batches import TrainingFilms, sent
from osteon.lab.training.distributed import Processes
from osteon.lab.training.loop import Training
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe
from osteon.lab.training.run import Plan, RunFolder, RunRecord
from tiny_training import tiny

NOWHERE = torch.device("meta")
"""Computes shapes alone: a number read back from it is an error, as is a result whose shape depends on numbers. A GPU waits at both."""

TEXTURES = ("augmentation.blur=1", "augmentation.local=1", "augmentation.grain=1", "augmentation.compress=1")
MIXED = ("augmentation.cut=0.4", "augmentation.collimate=1")


class Copies(TorchDispatchMode):
    """Notes each copy to the device that would first let it finish its work, by the line that asks for it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, waits = kwargs or {}, False
        if func is torch.ops.aten._to_copy.default:
            device = kwargs.get("device") or args[0].device
            waits = device.type != args[0].device.type and not kwargs.get("non_blocking")
        elif func is torch.ops.aten.copy_.default:
            waits = args[0].device.type != args[1].device.type and not (args[2] if len(args) > 2 else kwargs.get("non_blocking"))
        if waits:
            self.lines.append(asking())
        return func(*args, **kwargs)


class Numbers(TorchFunctionMode):
    """Notes each tensor that is made of Python's numbers on the device, which is such a copy."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor) and made.device == NOWHERE:
            self.lines.append(asking())
        return made


def asking() -> str:
    """Return the line of osteon, or of `by_hand`, that is being computed."""
    here = [at for at in traceback.extract_stack() if "/osteon/" in at.filename or at.name == "by_hand"]
    return f"{Path(here[-1].filename).name}:{here[-1].lineno} {here[-1].line}"


@contextlib.contextmanager
def waits() -> Iterator[list[str]]:
    """Gather the lines that wait."""
    lines: list[str] = []
    with Copies(lines), Numbers(lines):
        yield lines


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    folder = tmp_path_factory.mktemp("waiting")
    return folder, read_index(made_index(folder, {"train": 12}))


@contextlib.contextmanager
def nowhere() -> Iterator[None]:
    """Let a training run there: torch's fused optimizers and autocast know devices with numbers alone."""
    plain = torch.optim.AdamW

    def foreach(groups: Any, betas: Any, fused: bool) -> torch.optim.AdamW:
        assert fused
        return plain(groups, betas=betas, foreach=True)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.optim, "AdamW", foreach)
        patched.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        yield


def steps(made: tuple[Path, pl.DataFrame], run: Path, recipe: Recipe) -> list[str]:
    """Return where the second of two steps would wait; what is kept from step to step is sent once."""
    folder, films = made
    store = open_store(films, recipe.frame, folder=folder / "stores")
    data = TrainingFilms(store, recipe, store.films)
    with nowhere():
        record = RunRecord(recipe=recipe, plan=Plan(index=""), weights="random")
        training = Training(record, RunFolder(run), Processes(0, 1, NOWHERE), Detector(recipe))
        for _ in range(2):
            with waits() as found:
                told = training._step(data, np.arange(recipe.batch), 10, stop=False)
        with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
            told.tolist()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        (),
        TEXTURES,
        MIXED,
        (*TEXTURES, *MIXED, "window=0.5", "augmentation.quarter=0.5"),
        ("head=mean", "evidence_stride=32", "pooling.kind=mean", "dropout=0.2"),
        ("pooling.kind=top-k", "evidence_stride=8", "freeze=0"),
        ("network=densenet121", "freeze=0"),
        ("loss=weighted", "freeze=13"),
    ],
    ids=" ".join,
)
def test_a_step_waits_nowhere(table: tuple[Path, pl.DataFrame], tmp_path: Path, changes: tuple[str, ...]) -> None:
    assert steps(table, tmp_path / "run", tiny(*changes)) == []


def by_hand(values: torch.Tensor, device: torch.device) -> None:
    """Four things that make a GPU wait."""
    values.to(device)
    torch.tensor([1.0, 2.0], device=device)
    torch.empty(3, device=device).copy_(values)
    torch.empty(3, device=device).new_tensor([1.0])


def test_what_waits_is_found_and_what_is_sent_does_not() -> None:
    with waits() as found:
        by_hand(torch.zeros(3), NOWHERE)
    assert len(found) == 4 and all("test_waiting.py" in line for line in found)
    with waits() as found:
        assert sent(torch.zeros(3), NOWHERE).device == NOWHERE
    assert found == []
