"""One process, and two that torchrun's variables join: what each computes, sums and agrees on; batch statistics over both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from osteon.errors import UsageError
from osteon.lab.training.distributed import Processes, process_group

CPU = torch.device("cpu")

CHECK = """
import sys, torch
from torch import nn
from osteon.lab.training.distributed import _sync, process_group

with process_group("cpu") as processes:
    assert processes.world_size == 2 and processes.leads == (processes.rank == 0)
    assert processes.all_reduce(torch.tensor([1.0, processes.rank])).tolist() == [2.0, 1.0]
    assert processes.broadcast(10.0 + processes.rank) == 10.0  # the leading process's
    given = torch.load(sys.argv[1], weights_only=True)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3, eps=1e-3, momentum=0.01)))
    network.load_state_dict(given["before"])
    _sync(network)  # as `wrap` does; DistributedDataParallel takes its time to import, and `test_cli_train` trains through it
    mine = slice(processes.rank * 3, processes.rank * 3 + 3)
    for _ in range(2):
        out = network(given["image"][mine])
    (out * given["weight"][mine]).sum(dim=(1, 2, 3)).mean().backward()
    quiet = network.eval()(given["image"][mine])
    answer = {"out": out.detach(), "quiet": quiet.detach(), "after": network.state_dict()}
    answer["gradients"] = {name: processes.all_reduce(p.grad) / 2 for name, p in network.named_parameters()}
    torch.save(answer, f"{sys.argv[1]}.{processes.rank}")
"""


def test_a_process_alone() -> None:
    with process_group("cpu") as alone:
        assert alone == Processes(0, 1, CPU) and alone.leads
        assert alone.share(np.arange(5)) == slice(0, 5)
        values = torch.tensor([1.0])
        assert alone.all_reduce(values) is values and alone.broadcast(3.5) == 3.5
        network = nn.BatchNorm2d(2)
        assert alone.wrap(network) is network


def test_a_batch_is_shared_out_whole() -> None:
    batch = np.arange(12)
    parts = [batch[Processes(rank, 3, CPU).share(batch)].tolist() for rank in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(UsageError, match="a batch of 12 cannot be shared by 5 processes"):
        Processes(0, 5, CPU).share(batch)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_gpu_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--device {name}"), process_group(name):
        pass


@pytest.mark.parametrize(("name", "there"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1")])
def test_a_gpu_that_is_there_is_taken_and_made_ready(name: str, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    with process_group(name) as found:
        assert taken == [found.device] == [torch.device(there)]
        assert torch.backends.cudnn.benchmark
    with process_group("cpu") as found:
        assert found.device == CPU and len(taken) == 1


@pytest.mark.parametrize("name", ["gpu", "mps", "tpu:0", ""])
def test_a_device_of_no_known_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="auto, cpu, cuda"), process_group(name):
        pass


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3, eps=1e-3, momentum=0.01)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=draw)
    # The halves differ in mean and spread, so statistics of one half alone would be far off.
    spread, mean = torch.tensor([[1.0] * 3 + [4.0] * 3, range(6)])[:, :, None, None, None]
    image = torch.randn(6, 2, 5, 5, generator=draw) * spread + mean
    weight = torch.randn(6, 3, 5, 5, generator=draw)
    torch.save({"before": network.state_dict(), "image": image, "weight": weight}, tmp_path / "given.pt")

    together(CHECK, str(tmp_path / "given.pt"))

    for _ in range(2):
        out = network(image)
    (out * weight).sum(dim=(1, 2, 3)).mean().backward()
    quiet = network.eval()(image)
    told = [torch.load(tmp_path / f"given.pt.{rank}", weights_only=True) for rank in range(2)]
    torch.testing.assert_close(torch.cat([t["out"] for t in told]), out, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cat([t["quiet"] for t in told]), quiet, rtol=1e-4, atol=1e-5)
    for answer in told:
        torch.testing.assert_close(answer["after"], network.state_dict(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(answer["gradients"], {n: p.grad for n, p in network.named_parameters()}, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(told[0]["after"][key], told[1]["after"][key]) for key in told[0]["after"])


def together(code: str, *arguments: str) -> None:
    """Run a piece of code as two processes that know of each other, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=250)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(errors)


def test_a_processor_that_multiplies_bfloat16_is_known() -> None:
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    assert Processes(0, 1, CPU).quick_in_bfloat16 == bool({"avx512_bf16", "amx_bf16"} & flags)
