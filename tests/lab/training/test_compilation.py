"""A step compiled by torch: the same training, refused before it begins where there is no compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from made_index import made_index
from osteon.errors import UsageError
from osteon.lab.training.compilation import MODES, compiled, refuse_uncompilable
from osteon.lab.training.run import RunFolder
from tiny_training import osteon, own_stores, settings, tiny, weights

CPU = torch.device("cpu")


def test_nothing_is_compiled_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    network = nn.Linear(2, 1)
    refuse_uncompilable(tiny(), CPU)
    assert compiled(network, tiny()) is network


@pytest.mark.parametrize("way", MODES)
def test_it_is_compiled_as_the_recipe_says(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "compile", lambda network, **how: (asked.append(how), network)[1])
    compiled(nn.Linear(2, 1), tiny(f"compiled={way}"))
    assert asked == [{"mode": MODES[way], "dynamic": False}]


def test_cuda_graphs_need_a_gpu() -> None:
    with pytest.raises(UsageError, match=r"compiled=graphs: CUDA graphs need an NVIDIA GPU\. Take --set compiled=yes, or no\."):
        refuse_uncompilable(tiny("compiled=graphs"), CPU)


def test_without_a_compiler_no_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand a page of how it looked for one")

    monkeypatch.setattr(torch, "compile", lambda _: absent)
    with own_stores(tmp_path):
        index = made_index(tmp_path / "films", {"train": 4, "tune": 4})
        told = osteon("train", index, "-o", tmp_path / "run", *settings("compiled=yes"))
    assert told.status == 64
    said = "torch cannot compile here, No working C++ compiler found. Install a C++ compiler, or --set compiled=no."
    assert said in " ".join(told.error.split())
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU with g++, and there is none")
def test_a_compiled_training_learns_the_same(tmp_path: Path) -> None:
    with own_stores(tmp_path):
        index = made_index(tmp_path / "films", {"train": 8, "tune": 6})
        for way in ("no", "yes"):
            told = osteon("train", index, "-o", tmp_path / way, *settings(f"compiled={way}", "epochs=1"))
            assert told.status == 0, told.error
    eager, fast = (RunFolder(tmp_path / way).history() for way in ("no", "yes"))
    assert [p.loss for p in fast] == pytest.approx([p.loss for p in eager], rel=0.02)
    one, other = weights(tmp_path / "no"), weights(tmp_path / "yes")
    shared = [name for name in one if name.startswith("network")]
    assert shared == [name for name in other if name.startswith("network")]
    assert osteon("export", tmp_path / "yes", "-o", tmp_path / "m.onnx").status == 0
