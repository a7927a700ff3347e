"""Ways to compute a training step on a GPU, timed and profiled: films a second, how far from the machine's limit, and on what time goes."""

from __future__ import annotations

import contextlib
import functools
import gc
import time
from collections.abc import Callable

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_kernels import by_kind, largest, profiled, wait
from osteon.lab.training.networks.detector import Detector
from osteon.lab.training.recipe import Recipe, recipe
from osteon.lab.training.schedule import optimizer
from timing import Spread, spread
from work import step_flops

PRECISIONS = ("float32", "bfloat16")
MURA = 36_808
"""Films of a pass."""

PLAIN = ("head=mean", "evidence_stride=32", "pooling.kind=mean", "dropout=0", "freeze=0", "init=random")
WARM_UP = 3

TIMM = {"lite0": "efficientnet_lite0", "densenet169": "densenet169"}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is computed.

    By osteon's training, by `library` ("timm" or "torchvision"), or as a script does with the same layers; `compiled` is a mode of
    `torch.compile`, "" for none.
    """

    name: str
    ours: bool = True
    library: str = ""
    bfloat16: bool = True
    channels_last: bool = True
    compiled: str = ""


WAYS = (
    Way(name="script, float32", ours=False, bfloat16=False, channels_last=False),
    Way(name="script, AMP", ours=False, channels_last=False),
    Way(name="script, AMP, channels last", ours=False),
    Way(name="torchvision, AMP", ours=False, library="torchvision", channels_last=False),
    Way(name="timm, AMP", ours=False, library="timm", channels_last=False),
    Way(name="timm, AMP, channels last", ours=False, library="timm"),
    Way(name="osteon, float32", bfloat16=False),
    Way(name="osteon, bfloat16"),
    Way(name="osteon, bfloat16, compiled", compiled="default"),
    Way(name="osteon, bfloat16, compiled, CUDA graphs", compiled="reduce-overhead"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way with one network at one side.

    `limit` is how many films a second the slower of arithmetic and memory would allow; `busy` which share of a step's time the device
    computes; `kinds` and `largest` on what, in milliseconds of a step, by kind and by kernel.
    """

    network: str
    side: int
    batch: int
    way: str
    films_per_second: Spread | None = None
    limit: float = 0.0
    memory_mb: float = 0.0
    busy: float = 0.0
    kinds: dict[str, float] = {}
    largest: dict[str, float] = {}
    fault: str = ""

    def in_words(self) -> str:
        """Return it as a line."""
        if self.films_per_second is None:
            return f"{self.network} {self.side} {self.way}: {self.fault}"
        told = self.films_per_second
        kinds = ", ".join(f"{kind} {100 * ms / sum(self.kinds.values()):.0f} %" for kind, ms in self.kinds.items() if ms)
        return (
            f"{self.network} {self.side} {self.way}: {told.median:,.0f} films/s ({told.low:,.0f} to {told.high:,.0f}), "
            f"{told.median / self.limit:.2f} of the limit, a pass over MURA {MURA / told.median:.1f} s, {self.memory_mb:,.0f} MB, "
            f"busy {100 * self.busy:.0f} % ({kinds})"
        )


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """What the device can do: multiplications and additions (TFLOP/s) and copied memory, read and written (GB/s)."""

    float32: float
    bfloat16: float
    memory: float


def measured(way: Way, network: str, shape: tuple[int, int], peaks: Peaks, effort: tuple[torch.device, int, float]) -> Row:
    """Return a way's row; `shape` is films and their side, `effort` the device, rounds, and seconds of each."""
    (batch, side), (device, rounds, seconds) = shape, effort
    settings = recipe("osteon", [*PLAIN, f"network={network}", f"frame.size={side}", f"precision={PRECISIONS[way.bfloat16]}"])
    row = Row(network=network, side=side, batch=batch, way=way.name, limit=allowed(network, side, PRECISIONS[way.bfloat16], peaks))
    _empty(device)
    try:
        step = made_step(way, settings, batch, device)
        for _ in range(WARM_UP):
            step()
        rates = [batch * rate(step, device, seconds) for _ in range(rounds)]
        told = spread(rates)
        kernels = profiled(step, device)
    except Exception as fault:
        return msgspec.structs.replace(row, fault=f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}")
    return msgspec.structs.replace(
        row,
        films_per_second=told,
        memory_mb=torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0,
        busy=sum(kernels.values()) * told.median / batch / 1000,
        kinds=by_kind(kernels),
        largest=largest(kernels),
    )


def made_step(way: Way, settings: Recipe, batch: int, device: torch.device) -> Callable[[], object]:
    """Return a step on films that lie on the device; nothing is read back, so that steps follow each other without a gap.

    Raises:
        ImportError: the library is not there.
        LookupError: it has no such network.
    """
    torch.manual_seed(0)
    films = torch.randint(0, 256, (batch, settings.frame.size, settings.frame.size), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 2, (batch,), device=device).float()
    form = torch.channels_last if way.channels_last else torch.contiguous_format
    if way.library:
        network: nn.Module = Library(way.library, settings.network, form)
    else:
        detector = Detector(settings)
        network = detector if way.ours else Script(detector, form)
    network = network.to(device, memory_format=form).train()  # type: ignore[call-overload]
    steps = optimizer(network, settings) if way.ours else torch.optim.AdamW(network.parameters(), 1e-4)

    def forward(image: Tensor) -> Tensor:
        logit: Tensor = network(image)[0]
        return functional.binary_cross_entropy_with_logits(logit, labels)

    run = torch.compile(forward, mode=way.compiled) if way.compiled else forward

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way.bfloat16):
            loss = run(films)
        steps.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()

    return step


class Script(nn.Module):
    """The same layers as a script would call them: torch's own order of memory or channels last, the mean, the linear unit."""

    def __init__(self, detector: Detector, form: torch.memory_format) -> None:
        super().__init__()
        self.detector, self.form = detector, form

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return the logits of films (n, S, S)."""
        backbone, unit = self.detector.backbone, self.detector.head
        three = ((image.float()[:, None] - self.detector.mean) / self.detector.std).contiguous(memory_format=self.form)
        features = max(backbone(three).items())[1]
        weight = next(p for p in unit.parameters() if p.ndim > 1)
        return (functional.linear(features.mean((2, 3)), weight.reshape(1, -1))[:, 0],)


class Library(nn.Module):
    """The network of a library, with one output."""

    def __init__(self, library: str, network: str, form: torch.memory_format) -> None:
        super().__init__()
        if library == "timm":
            import timm  # type: ignore[import-not-found]

            self.network = timm.create_model(TIMM[network], num_classes=1)
        else:
            import torchvision  # type: ignore[import-not-found]

            self.network = torchvision.models.get_model(network, num_classes=1)
        self.form = form

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return the logits of films (n, S, S)."""
        three = ((image.float() - 127) / 128)[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=self.form)
        return (self.network(three)[:, 0],)


def allowed(network: str, side: int, precision: str, peaks: Peaks) -> float:
    """Return the films a second that arithmetic and memory allow, the slower of the two.

    Memory: what each convolution and norm reads and writes, once forward and twice backward, at the size of the precision.
    """
    operations, numbers = work(network, side)
    small = precision == "bfloat16"
    arithmetic = operations / (1e12 * (peaks.bfloat16 if small else peaks.float32))
    moved = 3 * (2 if small else 4) * numbers / (1e9 * peaks.memory)
    return 1 / max(arithmetic, moved)


@functools.cache
def work(network: str, side: int) -> tuple[int, int]:
    """Return a film's operations and moved numbers, counted once for all ways: the counting runs on the processor."""
    settings = recipe("osteon", [*PLAIN, f"network={network}", f"frame.size={side}"])
    return step_flops(settings), moved_numbers(settings)


def moved_numbers(settings: Recipe) -> int:
    """Return how many numbers the convolutions and norms of one film read and write forward."""
    detector = Detector(settings).to("meta")
    numbers = 0

    def count(_: nn.Module, given: tuple[Tensor, ...], got: Tensor) -> None:
        nonlocal numbers
        numbers += given[0].numel() + got.numel()

    hooks = [m.register_forward_hook(count) for m in detector.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    detector.train()(torch.zeros(2, settings.frame.size, settings.frame.size, device="meta"))
    for hook in hooks:
        hook.remove()
    return numbers // 2


def measured_peaks(device: torch.device) -> Peaks:
    """Measure square products and a copy."""
    side, copied = (8192, 2**28) if device.type == "cuda" else (512, 2**24)

    def product(dtype: torch.dtype) -> float:
        one = torch.randn(side, side, device=device, dtype=dtype)
        return 2 * side**3 * rate(lambda: one @ one, device, 0.5) / 1e12

    held = torch.empty(copied, dtype=torch.float32, device=device)
    into = torch.empty_like(held)
    memory = 2 * 4 * copied * rate(lambda: into.copy_(held), device, 0.5) / 1e9
    return Peaks(float32=product(torch.float32), bfloat16=product(torch.bfloat16), memory=memory)


def rate(step: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return how often a step is done a second."""
    step()
    wait(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(4):  # looking at the clock waits for nothing, so steps queue up; a few at a time keep the queue short
            step()
        wait(device)
        count += 4
    return count / (time.perf_counter() - began)


def _empty(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
