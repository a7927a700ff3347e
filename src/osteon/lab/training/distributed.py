"""Distributed training: one process alone, or as many as torchrun started, on one machine or several."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from osteon.errors import UsageError


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training as one of them sees them: its rank among `world_size`, and its device."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    @property
    def quick_in_bfloat16(self) -> bool:
        """Whether the device multiplies bfloat16 itself: GPUs (NVIDIA's from compute capability 8 on) and CPUs (AVX-512 BF16, AMX)."""
        if self.device.type == "cpu":
            known = torch.cpu.get_capabilities()
            return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
        if self.device.type != "cuda":
            return False
        with torch.cuda.device(self.device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))

    def share(self, batch: NDArray[np.int64]) -> slice:
        """Return which part of a whole batch this process computes.

        Raises:
            UsageError: the batch cannot be shared out evenly.
        """
        if len(batch) % self.world_size:
            raise UsageError(f"a batch of {len(batch)} cannot be shared by {self.world_size} processes. Change it with --set batch=...")
        films = len(batch) // self.world_size
        return slice(self.rank * films, (self.rank + 1) * films)

    def all_reduce(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, value: float) -> float:
        """Return what the leading process says: clocks differ, and a rate or an end must not."""
        if self.world_size == 1:
            return value
        agreed = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(agreed, 0)
        return float(agreed)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network with gradients and batch statistics shared by all processes."""
        if self.world_size == 1:
            return network
        on_gpu = self.device.type == "cuda"
        synced = nn.SyncBatchNorm.convert_sync_batchnorm(network) if on_gpu else _sync(network)  # type: ignore[no-untyped-call]
        return nn.parallel.DistributedDataParallel(synced)


@contextlib.contextmanager
def process_group(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did; leave them at the end.

    Raises:
        UsageError: the device is not there, or no name of one.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    place = _device(device, local)
    if size == 1:
        yield Processes(0, 1, place)
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), size, place)
    finally:
        dist.destroy_process_group()


def _device(name: str, local: int) -> torch.device:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"--device {name}: no such device. Take auto, cpu, cuda or cuda:1.")
    there = torch.cuda.is_available()
    if name.startswith("cuda") and not there:
        raise UsageError(f"--device {name}: there is no such GPU here. Leave --device out, or take cpu.")
    if name == "cpu" or not there:
        return torch.device("cpu")
    device = torch.device(f"cuda:{local}" if name in ("auto", "cuda") else name)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = True  # films come in few sizes: for each, cuDNN tries its convolutions once and keeps the quickest
    return device


class _Sum(torch.autograd.Function):
    """The sum over all processes; since each of their losses depends on it, its gradient is the sum of theirs."""

    @staticmethod
    def forward(_ctx: object, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: object, gradient: Tensor) -> Tensor:
        return _Sum.forward(None, gradient)


class _SyncedBatchNorm(nn.BatchNorm2d):
    """Batch statistics over all processes, on any device; `nn.SyncBatchNorm` knows GPUs alone."""

    @staticmethod
    def over(norm: nn.BatchNorm2d) -> _SyncedBatchNorm:
        """Return the same layer, parameters and statistics shared, with synchronised statistics."""
        synced = _SyncedBatchNorm(norm.num_features, norm.eps, norm.momentum)
        synced.weight, synced.bias = norm.weight, norm.bias
        synced.running_mean, synced.running_var, synced.num_batches_tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
        return synced.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        sums = torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))])
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean, square = cast(Tensor, _Sum.apply(sums)) / count  # type: ignore[no-untyped-call]
        variance = square - mean * mean
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight / torch.sqrt(variance + self.eps)
        normed: Tensor = x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]
        return normed

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
        self.num_batches_tracked.add_(1)


def _sync(network: nn.Module) -> nn.Module:
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(network, name, _SyncedBatchNorm.over(child))
        else:
            _sync(child)
    return network
